"""Programs in processes of their own, other people's and ours. Imports `octets`, `threads` and `tls`."""
