"""What stands in requests and responses: URLs, origins, header fields, status codes, charsets. Pure functions."""
