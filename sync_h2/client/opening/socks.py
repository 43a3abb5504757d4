"""A connection through a SOCKS proxy (RFC 1928; user name and password: RFC 1929). Blocks the thread that opens a
connection.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from urllib.parse import unquote

from ...deadline import Deadline
from ...exceptions import InvalidProxyURL, ProxyError
from ...interpreter import SharedDict
from ...transport.sockets import resolve
from ...transport.urls import URL
from ..values.origin import Origin

SOCKS_PORTS = {"socks5": 1080, "socks5h": 1080}
"""By scheme. With `socks5h` the proxy looks up the target's address, with `socks5` it gets it from here."""

_VERSION = b"\x05"
_NO_AUTHENTICATION, _PASSWORD, _NONE_ACCEPTABLE = 0x00, 0x02, 0xFF
_PASSWORD_VERSION = b"\x01"
_CONNECT = b"\x01"
_IPV4, _NAME, _IPV6 = 0x01, 0x03, 0x04
_LONGEST_TEXT = 255
_REFUSALS = SharedDict(
    {
        0x01: "general failure",
        0x02: "not allowed by its rules",
        0x03: "network unreachable",
        0x04: "host unreachable",
        0x05: "connection refused",
        0x06: "TTL expired",
        0x07: "command not supported",
        0x08: "address type not supported",
    }
)


def open_socks_tunnel(sock: socket.socket, target: Origin, proxy: URL, deadline: Deadline) -> None:
    """Make a connection to a proxy one to `target`. Raises ProxyError, InvalidProxyURL, ConnectionLost
    where there is no address for the target, and TimeoutError."""
    credentials = _credentials(proxy)
    dialogue = _Dialogue(sock, f"{proxy.scheme}://{Origin.of(proxy).authority}", deadline)
    methods = [_NO_AUTHENTICATION] if credentials is None else [_NO_AUTHENTICATION, _PASSWORD]
    dialogue.send(_VERSION + bytes([len(methods), *methods]))
    method = dialogue.receive_in_version(2, _VERSION)[1]
    if method == _PASSWORD and credentials is not None:
        dialogue.send(_PASSWORD_VERSION + b"".join(bytes([len(text)]) + text for text in credentials))
        if dialogue.receive_in_version(2, _PASSWORD_VERSION)[1]:
            raise dialogue.failure("does not accept user name and password")
    elif method != _NO_AUTHENTICATION:
        raise dialogue.failure("wants another authentication" if method == _NONE_ACCEPTABLE else "answers no SOCKS5")
    address = _address(target, deadline, looked_up_by_proxy=proxy.scheme == "socks5h")
    dialogue.send(_VERSION + _CONNECT + b"\x00" + address + target.port.to_bytes(2, "big"))
    _, refusal, _, kind = dialogue.receive_in_version(4, _VERSION)
    if refusal:
        raise dialogue.failure(f"makes no tunnel to {target}: {_REFUSALS.get(refusal, f'error {refusal}')}")
    if kind not in (_IPV4, _NAME, _IPV6):
        raise dialogue.failure("answers no SOCKS5")
    length = {_IPV4: 4, _IPV6: 16}.get(kind) or dialogue.receive(1)[0]
    dialogue.receive(length + 2)  # the address and port that the proxy calls from


def _credentials(proxy: URL) -> list[bytes] | None:
    if proxy.userinfo is None:
        return None
    name, _, password = proxy.userinfo.partition(":")
    credentials = [unquote(text).encode() for text in (name, password)]
    if not all(0 < len(text) <= _LONGEST_TEXT for text in credentials):
        raise InvalidProxyURL(
            f"a SOCKS proxy's user name and password have 1 to {_LONGEST_TEXT} octets each", processed=False
        )
    return credentials


def _address(target: Origin, deadline: Deadline, *, looked_up_by_proxy: bool) -> bytes:
    host = target.host
    with contextlib.suppress(ValueError):
        return _packed(ipaddress.ip_address(host))
    if looked_up_by_proxy:
        name = host.encode("ascii")
        if len(name) > _LONGEST_TEXT:
            raise ProxyError(f"{target}: a name of more than {_LONGEST_TEXT} octets", processed=False)
        return bytes([_NAME, len(name)]) + name
    found = resolve(host, target.port, deadline)
    return _packed(ipaddress.ip_address(found[0][4][0]))


def _packed(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    return bytes([_IPV4 if address.version == 4 else _IPV6]) + address.packed


class _Dialogue:
    """What is said to a proxy and by it, until the deadline."""

    def __init__(self, sock: socket.socket, name: str, deadline: Deadline) -> None:
        self._sock = sock
        self._name = name
        self._deadline = deadline

    def send(self, data: bytes) -> None:
        with self._one_step():
            self._sock.sendall(data)

    def receive(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            with self._one_step():
                piece = self._sock.recv(length - len(data))
            if not piece:
                raise self.failure("hung up")
            data += piece
        return data

    @contextlib.contextmanager
    def _one_step(self) -> Iterator[None]:
        remaining = self._deadline.remaining()
        if remaining == 0:
            raise TimeoutError
        self._sock.settimeout(remaining)
        try:
            yield
        except TimeoutError:
            raise
        except OSError as error:
            raise self.failure(f"hung up: {error}") from error

    def receive_in_version(self, length: int, version: bytes) -> bytes:
        data = self.receive(length)
        if data[:1] != version:
            raise self.failure("answers no SOCKS5")
        return data

    def failure(self, what: str) -> ProxyError:
        return ProxyError(f"the proxy {self._name} {what}", processed=False)
