"""Calls as requests has them: a client, what it makes of a URL and its options, redirects followed, many at once."""
