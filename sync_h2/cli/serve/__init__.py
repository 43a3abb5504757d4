"""`sync-h2 serve`: a folder, or a WSGI application."""
