"""What a client without TLS speaks, found out before there is a session.

On the connection's own thread, which blocks (with `serve_socket` the caller's); of one that is refused on the
acceptor's, which does not.
"""

from __future__ import annotations

import contextlib
import socket

from ...connection.server_side.date import current_date
from ...deadline import Deadline
from ...errors import ConnectionLost, Timeout
from ...http1.response_heads import error_answer
from ...protocol.frames.first_octets import LONGEST_OPENING, Opening, recognise
from ...transport.fork import close_in_forked_child

_DONT_WAIT = getattr(socket, "MSG_DONTWAIT", 0)


def read_opening(sock: socket.socket, deadline: Deadline) -> bytes:
    """Wait for as many octets as tell what the client speaks, and return them; `speaks_http1` says what it is.

    May leave `sock` with a timeout set. Raises Timeout and ConnectionLost.
    """
    close_in_forked_child(sock)
    octets = b""
    try:
        while recognise(octets) is Opening.UNDECIDED:
            if deadline.expired:
                raise TimeoutError
            received = _receive(sock, LONGEST_OPENING - len(octets), deadline)
            if not received:
                raise ConnectionLost("the client hung up before its first request")
            octets += received
    except TimeoutError as error:
        if octets:
            with contextlib.suppress(OSError):  # it may have gone
                sock.send(error_answer(408, "the request did not come in time", current_date(), with_body=True))
        raise Timeout(f"the client did not begin within {deadline.timeout} s") from error
    except OSError as error:
        raise ConnectionLost(f"the connection broke: {error.strerror or error}") from error
    return octets


def _receive(sock: socket.socket, size: int, deadline: Deadline) -> bytes:
    # Most have sent their first octets by now. Each system call lets other threads go first, and there may be many.
    if _DONT_WAIT and sock.gettimeout() is None:  # otherwise the socket waits before it looks at the flag
        with contextlib.suppress(BlockingIOError):
            return sock.recv(size, _DONT_WAIT)
    sock.settimeout(deadline.remaining())
    return sock.recv(size)


def speaks_http1(octets: bytes) -> bool:
    """Whether a connection that begins so is one of HTTP/1, well-formed or not: then the answer can be read."""
    return recognise(octets) not in (Opening.HTTP_2, Opening.TLS)
