"""`sync-h2 get`: URLs, all at once."""
