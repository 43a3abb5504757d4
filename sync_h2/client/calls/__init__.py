"""Calls as requests has them: `Client` and what it makes of a URL and its options, redirects followed. Imports all
other rooms.
"""
