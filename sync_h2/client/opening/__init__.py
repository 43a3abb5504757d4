"""How a connection comes about: an address, a proxy's tunnel, TLS, and what ALPN chooses. Imports the wire, which goes
on there, and what is below it.
"""
