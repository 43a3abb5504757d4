"""Where a client connects to for a host and a port, where that is said by hand. They run on the thread that
opens a connection.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from ...arguments import type_name
from ...errors import InvalidArgument
from ...transport.host_names import encode_host
from ...transport.sockets import UNIX_PREFIX

Resolve = Mapping[str, str] | Callable[[str, int], str | None]
"""Where names are to be found, see `resolver`."""


def resolver(resolve: Resolve | None, unix_socket: str | os.PathLike[str] | None) -> Callable[[str, int], str | None]:
    """A function that says where to connect to for a host and a port: `address`, `address:port` or `unix:/path`; None
    leaves it to the system.

    `resolve` is that function, or a mapping of `host:port` or `host` to such places; `unix_socket` the path of the one
    place for all.
    """
    if unix_socket is not None:
        if resolve is not None:
            raise InvalidArgument("resolve and unix_socket both say where to connect to: give one of them")
        path = os.fspath(unix_socket)
        if not isinstance(path, str) or not path:
            raise TypeError(f"unix_socket is the path of a socket, not {unix_socket!r}")
        return lambda host, port: UNIX_PREFIX + path
    if resolve is None:
        return lambda host, port: None
    if callable(resolve):
        return resolve
    if not isinstance(resolve, Mapping):
        raise TypeError(f"resolve is a mapping of hosts to addresses, or a function, not {type_name(resolve)}")
    places = {_in_ascii(name).lower(): place for name, place in resolve.items()}

    def look_up(host: str, port: int) -> str | None:
        return places.get(f"[{host}]:{port}" if ":" in host else f"{host}:{port}") or places.get(host)

    return look_up


def _in_ascii(name: str) -> str:
    """A host, or `host:port`, as URLs have it in the end."""
    if name.isascii():
        return name
    host, colon, port = name.partition(":")
    return encode_host(host) + colon + port
