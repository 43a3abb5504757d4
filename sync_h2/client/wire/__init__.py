"""One request and its answer on an open connection, over HTTP/1.1 and over HTTP/2. Imports messages, and what is below
them.
"""
