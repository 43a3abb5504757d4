"""Coalescing: whether a connection may serve another origin than the one it was made for (RFC 9113 section 9.1.1, RFC
8336).

Runs on the thread that makes a request.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from ...connection.client_side.client_session import ClientSession
from ...deadline import Deadline
from ...transport.sockets import resolve
from ..values.origin import Origin


def covers(session: ClientSession, origin: Origin, deadline: Deadline) -> bool:
    """Whether the server has a certificate for the origin, and says that it serves it (ORIGIN) or has its address.

    Looks up the host's addresses, which blocks until the deadline, if the server has not said so.
    """
    certificate = session.peer_certificate if session.encrypted else None
    if origin.scheme != "https" or not certificate or not names_host(certificate, origin.host):
        return False
    if str(origin) in (session.origin_set or ()):
        return True
    with contextlib.suppress(OSError):
        peer = session.socket.getpeername()  # that of a Unix socket is no tuple
        return isinstance(peer, tuple) and peer[1] == origin.port and peer[0] in _addresses(origin, deadline)
    return False


def _addresses(origin: Origin, deadline: Deadline) -> Iterable[str]:
    return {str(address[0]) for *_, address in resolve(origin.host, origin.port, deadline)}


def names_host(certificate: Mapping[str, Any], host: str) -> bool:
    """Whether a certificate, as `getpeercert` gives it, is for `host` (RFC 9525): by its subjectAltName alone, with `*`
    for the whole first label.
    """
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        named = (text for kind, text in certificate.get("subjectAltName", ()) if kind == "IP Address")
        return any(ipaddress.ip_address(text.strip()) == address for text in named)
    first, _, rest = host.lower().removesuffix(".").partition(".")
    for kind, text in certificate.get("subjectAltName", ()):
        name = text.lower().removesuffix(".")
        if kind == "DNS" and (name == f"{first}.{rest}".removesuffix(".") or (rest and name == f"*.{rest}")):
            return True
    return False
