"""One HTTP/2 connection: sessions, streams, and the threads between them and the socket.

Its rooms, each of which may import from those below it alone:

    client_side | server_side   what one role adds: requests and pushes; handlers and answers
    stream                      what callers hold: the two directions of a stream as files
    session                     what callers hold: a session; it puts the parts below together
    inspection                  looking in: figures, states, dumps, the trace
    receiving                   from octets to events: the reader, frames, credit for what was read
    timing                      what is awaited of the peer, and until when
    sending                     from posted data to the kernel: scheduler, pump, sender, writer
    shared                      the lock, waiting for what it guards, and what a session knows of a stream
"""
