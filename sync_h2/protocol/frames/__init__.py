"""Frames as octets: cut, packed, padded, and shown to people. Knows `fields`, and nothing of what frames do to a
connection.
"""
