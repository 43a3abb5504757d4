"""HTTP/2 as a pure protocol: octets to events and calls to octets, no sockets, threads or locks. The only place that
knows h2; of ours it imports what is common to all layers.
"""
