"""The other end of a connection, as a test plays it, and proxies on the way. Imports `octets`, `threads` and `tls`."""
