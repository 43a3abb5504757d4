"""Which connection takes a request, and when one is sent again. Imports opening, which makes connections, and what is
below it.
"""
