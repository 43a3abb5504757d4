"""From a connection that waits to be accepted to one that is ready for its session, or refused. Knows sessions, and no
server.
"""
