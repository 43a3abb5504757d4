"""Header fields: lists of them, what is allowed in one, and their way through HPACK. Knows no frames but those that
carry them.
"""
