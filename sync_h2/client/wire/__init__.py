"""One request and its answer on a connection that is open, over HTTP/2 and over HTTP/1.1."""
