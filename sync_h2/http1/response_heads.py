"""The head of an HTTP/1 response, from checked fields to octets (RFC 9112). Pure functions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from http import HTTPStatus

_WITHOUT_BODY = frozenset({"204", "304"})


def response_head(status: str, fields: Iterable[tuple[bytes, bytes]], reason: str = "") -> bytes:
    """The octets of a response's head, of checked fields and phrase. An informational one differs in nothing."""
    lines = [_status_line(int(status), reason)]
    for name, value in fields:
        lines += (name, b": ", value, b"\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


def _status_line(status: int, reason: str) -> bytes:
    """RFC 9112 section 4. Always our own version: a client of 1.0 may know it so (RFC 9110 section 2.5)."""
    if not reason:
        with contextlib.suppress(ValueError):
            reason = HTTPStatus(status).phrase
    return b"HTTP/1.1 %d %b\r\n" % (status, reason.encode("latin-1"))


def has_no_body(method: str, status: str) -> bool:
    """Whether a response ends with its head, whatever that says (RFC 9112 section 6.3)."""
    return method == "HEAD" or status in _WITHOUT_BODY


def error_answer(status: int, reason: str, date: str, *, with_body: bool) -> bytes:
    """All of the answer to a request that is not served, after which the connection is closed."""
    body = reason.encode("ascii", "backslashreplace") + b"\n"
    head = response_head(
        str(status),
        (
            (b"content-type", b"text/plain"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            (b"date", date.encode("ascii")),
        ),
    )
    return head + body if with_body else head
