"""Sockets and TLS: octets in, octets out, no HTTP/2."""
