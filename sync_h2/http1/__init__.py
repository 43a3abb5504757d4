"""HTTP/1.1 on the server's side, beneath the same sessions and streams as HTTP/2. The only place that knows h11; it
imports nothing of servers.
"""
