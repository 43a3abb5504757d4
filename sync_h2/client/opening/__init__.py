"""How a connection comes about: where to, through which proxy, TLS, and what ALPN chooses."""
