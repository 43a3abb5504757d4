"""Connections that are at their end when they are accepted: the client has closed them, reset them, or has said all
that it will ever say. Where no request is among that they are worth neither a thread nor a session.

On the acceptor's thread, which nothing here blocks. A client that has sent a request and shuts its side down is an
honest one; it gets its session.
"""

from __future__ import annotations

import select
import socket

from ...connection.server_side.date import current_date
from ...constants import ErrorCode
from ...http1.response_heads import error_answer
from ...protocol.frames.first_octets import HTTP_1_REFUSAL, Opening, asks_for_something, goodbye, recognise

_MOST = 4096  # octets that are looked at
# Linux alone says that the peer has finished while there is something to read; elsewhere a connection that has said
# anything gets its session.
_HAS_FINISHED = getattr(select, "POLLRDHUP", 0)
_WITHOUT_TAKING = socket.MSG_PEEK | getattr(socket, "MSG_DONTWAIT", 0)


def last_words(sock: socket.socket) -> bytes | None:
    """All that the client has said, if it can say nothing more; None if it can, or has said much."""
    if _HAS_FINISHED:
        poll = select.poll()
        poll.register(sock, _HAS_FINISHED)
        if not poll.poll(0):
            return None
    elif not hasattr(socket, "MSG_DONTWAIT"):
        return None
    try:
        octets = sock.recv(_MOST, _WITHOUT_TAKING)
    except BlockingIOError:
        return None
    except OSError:  # it was reset
        return b""
    return octets if len(octets) < _MOST and (_HAS_FINISHED or not octets) else None


def answer_to(octets: bytes, *, http1: bool) -> bytes | None:
    """What a client without TLS gets whose last words these are; None if they are for a session to answer."""
    opening = recognise(octets)
    if opening is Opening.HTTP_2:
        return None if asks_for_something(octets) else goodbye(ErrorCode.NO_ERROR)
    if opening is Opening.HTTP_1:
        return HTTP_1_REFUSAL if not http1 else None if b"\n" in octets else b""
    if opening is not Opening.UNKNOWN:
        return b""
    if not http1:
        return goodbye(ErrorCode.PROTOCOL_ERROR)
    return error_answer(400, "this is no request", current_date(), with_body=True)
