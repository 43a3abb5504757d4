"""A connection to look at, with the names of httpx's extension `network_stream`. Pure reading, on any thread."""

from __future__ import annotations

import ssl
from typing import Any


class NetworkStream:
    """The connection of `socket`; a response's carries other requests too."""

    def __init__(self, socket: Any, ssl_object: ssl.SSLObject | None = None) -> None:
        self._socket = socket
        self._ssl_object = ssl_object

    def get_extra_info(self, info: str) -> Any:
        """`client_addr`, `server_addr`, `socket`, and `ssl_object` (for `getpeercert`, `cipher`, `version`); None for
        what is not there.
        """
        socket = self._socket
        if info == "socket":
            return socket
        if info == "client_addr":
            return socket.getsockname()
        if info == "server_addr":
            return socket.getpeername()
        if info == "ssl_object":
            if self._ssl_object is not None:
                return self._ssl_object
            return getattr(socket, "ssl_object", socket if hasattr(socket, "selected_alpn_protocol") else None)
        return None
