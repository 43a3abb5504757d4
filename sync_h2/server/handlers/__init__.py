"""What handlers work with: requests and responses as HTTP/1 code knows them, and a handler that serves files. Knows
streams, and neither servers nor threads.
"""
