"""HTTP/1.1 beneath the same sessions and streams as HTTP/2."""
