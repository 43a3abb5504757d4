"""A request to be made, as the pool and the connections below it hand it on. It is one thread's."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ...deadline import Deadline
from ...exceptions import InvalidURL, RequestException
from ...transport.urls import LONGEST_REMEMBERED, URL, shown_url
from ..options.timeouts import Patience, Timeouts
from ..options.tracing import Trace
from ..options.trust import check_together, checked_cert, checked_verify
from ..values.fields import Fields, length_of
from ..values.origin import DEFAULT_PORTS, Origin
from ..values.urls import parts_of, sendable
from .bodies import Body

# Fields about one HTTP/1.1 connection, which HTTP/2 has no use for (RFC 9113 section 8.2.2).
_CONNECTION_FIELDS = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
_NOT_ALWAYS_SENT = _CONNECTION_FIELDS | {"host", "te", "proxy-authorization"}
_FOR_EVER = Deadline(None)


@dataclass
class Call:
    """A request to be made. `url` is absolute, and then loses its user name, password and fragment: it stands in
    messages. `headers` have no pseudo-header fields; `verify` and `cert` are as in `Client`; `request` is what
    exceptions name; `total` began with the call of which this is a part; `streams`: who gets the answer reads its body
    when they like; `server_name` is what TLS asks for and checks in place of the URL's host; `trace` is told of the
    steps. Raises InvalidURL, and TypeError for what `verify` and `cert` can't be.
    """

    method: str
    url: str
    headers: Fields
    body: Body | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    proxy: str | None = None
    verify: Any = True
    cert: Any = None
    request: Any = None
    total: Deadline | None = None
    streams: bool = False
    server_name: str | None = None
    trace: Trace | None = None

    def __post_init__(self) -> None:
        if self.verify is not True or self.cert is not None:
            self.verify, self.cert = checked_verify(self.verify), checked_cert(self.cert)
            check_together(self.verify, self.cert)
        self.parts = parts_of(self.url)
        place_of = _remembered_place if len(self.url) <= LONGEST_REMEMBERED else _place
        self.origin, self.authority, self.target, self.url = place_of(self.parts, shown_url(self.url))
        if self.origin.scheme in DEFAULT_PORTS and not self.origin.host:
            raise InvalidURL(f"Invalid URL {self.url!r}: No host supplied", processed=False)
        total = self.total or (_FOR_EVER if self.timeouts.total is None else Deadline(self.timeouts.total))
        self.patience = Patience(self.timeouts, total, self.url, self.request)

    @property
    def host(self) -> str:
        """What the Host field says, or the URL."""
        for name, value in self.headers:
            if name.lower() == "host":
                return value or self.authority
        return self.authority

    def sent_fields(self, *, to_proxy: bool = False) -> Fields:
        """The header fields as they go out: without Host, and without what is about one HTTP/1.1 connection. What is
        for a proxy goes `to_proxy` alone, not through its tunnel.
        """
        found = []
        for name, value in self.headers:
            lowered = name.lower()
            if lowered in _NOT_ALWAYS_SENT and not (
                (lowered == "te" and value == "trailers")
                or (lowered == "proxy-authorization" and (self.proxy is None or to_proxy))
            ):
                continue
            found.append((name, value.strip(" \t")))  # which are no part of the value (RFC 9110 section 5.5)
        return found

    @property
    def announced_length(self) -> int | None:
        """The octets of the body as the request's head has them; None: it does not say."""
        for name, value in self.headers:
            if name.lower() == "content-length" and (length := length_of(value)) is not None:
                return length
        return None if self.body is None else self.body.length

    @property
    def expects_continue(self) -> bool:
        return any(name.lower() == "expect" and value.lower() == "100-continue" for name, value in self.headers)

    def chunks(self) -> Iterator[bytes]:
        """The body, from its start. Raises BodyFailure for what is wrong with it, not with the connection."""
        assert self.body is not None
        try:
            yield from self.body.chunks()
        except RequestException:
            raise
        except Exception as error:
            raise BodyFailure from error


def _place(parts: URL, shown: str) -> tuple[Origin, str, str, str]:
    """Origin, authority, path with query, and the URL without what does not belong into messages."""
    origin = Origin.of(parts)
    target = sendable((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    return origin, origin.authority, target, f"{origin}{target}" if parts.host else shown


_remembered_place = functools.lru_cache(256)(_place)


class BodyFailure(Exception):
    """The request's body could not be had: its cause is what the user's file or iterator has raised."""
