"""Requests and responses as callers have them, and `Call` and `Answer`, which they are on the way. Imports options and
values.
"""
