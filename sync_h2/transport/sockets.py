"""Sockets: connecting, listening, and what every connection's socket is set to.

Nothing here is shared: each function works on the calling thread with sockets that only it knows. `settimeout` is used
while that is so, and `prepare` ends that time.
"""

from __future__ import annotations

import array
import contextlib
import errno
import ipaddress
import os
import queue
import socket
import ssl
import stat
import struct
import sys
import threading
import time
from typing import Any

from ..deadline import Deadline
from ..errors import ConnectionLost, InvalidArgument, Timeout
from ..interpreter import FREE_THREADED_BUILD
from .fork import close_in_forked_child
from .host_names import encode_host

UNIX_PREFIX = "unix:"
DEFAULT_BACKLOG = 1024

# How much the kernel may hold that it has not sent yet. More would let bulk data delay a PING or an urgent stream; less
# costs throughput.
NOT_SENT_LOW_WATER = 128 * 1024

UNIX_RETRY_INTERVAL = 0.01

_AddressInfo = tuple[int, int, int, str, Any]


def connect_tcp(host: str, port: int, deadline: Deadline) -> socket.socket:
    """A socket connected to `host`, trying its addresses in the resolver's order until one answers.

    Each address gets an equal share of the time that is left, so that one that swallows packets does not use it all up.
    """
    if not 0 < port < 65536:
        raise InvalidArgument(f"{port} is not a port to connect to (1 to 65535)")
    name = f"{host}:{port}"
    addresses = resolve(encode_host(host), port, deadline)
    failures: list[str] = []
    last_error: OSError | None = None
    for position, (family, kind, protocol, _, address) in enumerate(addresses):
        if deadline.expired:
            break
        remaining = deadline.remaining()
        share = None if remaining is None else remaining / (len(addresses) - position)
        try:
            sock = socket.socket(family, kind, protocol)
            # HTTP/1.1 and TLS send a little after a little: else each waits for an ACK, which the peer may delay.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return _connect(sock, address, share)
        except OSError as error:
            failures.append(f"{format_address(address)}: {error.strerror or error}")
            last_error = error
    if deadline.expired:
        raise Timeout(f"no connection to {name} within {deadline.timeout} s") from last_error
    raise ConnectionLost(f"cannot connect to {name} ({'; '.join(failures)})", retryable=True) from last_error


def connect_unix(path: str, deadline: Deadline) -> socket.socket:
    """A socket connected to the Unix socket at `path`."""
    while not deadline.expired:
        try:
            return _connect(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path, deadline.remaining())
        except BlockingIOError:
            # The listener's backlog is full. Unlike TCP, a Unix socket that has a timeout fails at once then, and
            # nothing tells when to retry.
            time.sleep(UNIX_RETRY_INTERVAL)
        except TimeoutError:
            break
        except OSError as error:
            raise ConnectionLost(
                f"cannot connect to {UNIX_PREFIX}{path} ({error.strerror or error})", retryable=True
            ) from error
    raise Timeout(f"no connection to {UNIX_PREFIX}{path} within {deadline.timeout} s")


def listen(host: str, port: int, *, reuse_port: bool = False, backlog: int = DEFAULT_BACKLOG) -> socket.socket:
    """A listening socket on `host` and `port` (0: a free one), or on a path: `unix:/run/app.sock`.

    "" listens on all addresses, IPv4 and IPv6 where the platform can do both in one. Failures are plain `OSError`s,
    whose `errno` servers look at (EADDRINUSE, EACCES).
    """
    if host.startswith(UNIX_PREFIX):
        listener = _listen_unix(host[len(UNIX_PREFIX) :], backlog)
    else:
        dual_stack = host in ("", "::", "[::]") and socket.has_dualstack_ipv6()
        bind_host = "::" if dual_stack else encode_host(host)
        family, _, _, _, address = socket.getaddrinfo(
            bind_host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(
            address, family=family, backlog=backlog, reuse_port=reuse_port, dualstack_ipv6=dual_stack
        )
    close_in_forked_child(listener)
    return listener


def close_listener(listener: socket.socket) -> None:
    """Close what `listen` returned; the path of a Unix socket goes too."""
    _remove_path(listener)
    listener.close()


# A filter of Linux (its documentation: networking/filter.rst) sees TCP's segments from their header on. This one drops
# those that have SYN and not ACK among their flags, and so nothing of connections that have begun.
_NO_SYN = array.array(
    "B",
    b"".join(
        struct.pack("HBBI", *instruction)
        for instruction in (
            (0x30, 0, 0, 13),  # ldb [13]
            (0x54, 0, 0, 0x12),  # and #0x12
            (0x15, 0, 1, 0x02),  # jeq #2, next, one after
            (0x06, 0, 0, 0),  # ret #0: drop it
            (0x06, 0, 0, 0xFFFFFFFF),  # ret #-1: take it
        )
    ),
)
_SO_ATTACH_FILTER = 26


def turn_away(listener: socket.socket) -> bool:
    """Let nobody begin a connection any more with what `listen` returned, while those that wait in the backlog can be
    accepted: to close it would reset them. False where the system can't do that. Afterwards `listener.close()` is left.
    """
    if listener.family == socket.AF_UNIX:
        return _remove_path(listener)
    if sys.platform == "linux":
        address, size = _NO_SYN.buffer_info()
        with contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", size // 8, address))
            return True
    return False


def _remove_path(listener: socket.socket) -> bool:
    """Remove a Unix socket's file; False if there is none."""
    if listener.family != socket.AF_UNIX or listener.fileno() == -1:
        return False
    path = os.fsdecode(listener.getsockname())
    if not path or path.startswith("\0"):  # an abstract name has no file
        return False
    _remove_socket_file(path)
    return True


_MOST_PATIENCE = struct.pack("ll", 1, 0)  # a timeval: how long a send blocks for a peer that takes nothing
_LONGEST_SLEEP = struct.pack("ll", 1, 0)  # a timeval: how long a receive blocks for a peer that sends nothing


def prepare(sock: socket.socket) -> None:
    """Set up a connection's socket for the session, which never changes these again."""
    if isinstance(sock, ssl.SSLSocket):
        raise InvalidArgument("an ssl.SSLSocket cannot be used by two threads; pass the plain socket and a context")
    close_in_forked_child(sock)
    sock.setblocking(True)
    if sys.platform == "linux":  # where `full_sockets` can wait instead of the thread that sends
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _MOST_PATIENCE)
    if FREE_THREADED_BUILD:  # where the reader finalizes the streams that it has made and others have dropped
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _LONGEST_SLEEP)
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT_LOW_WATER)
    except OSError:
        # macOS refuses options on a connection that the peer has reset; the first receive reports that better.
        pass


def peer_address(sock: socket.socket) -> Any:
    """The peer's address as the socket module gives it. A peer that has gone already has none any more: it is shown as
    the unspecified address, for "" is what the peer of a Unix socket has.
    """
    try:
        return sock.getpeername()
    except OSError:
        return {socket.AF_INET: ("0.0.0.0", 0), socket.AF_INET6: ("::", 0, 0, 0)}.get(sock.family, "")


def format_address(address: Any) -> str:
    """A socket's address for people: `127.0.0.1:80`, `[::1]:80`, `unix:/path`."""
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    name = os.fsdecode(address)
    # An abstract Unix address starts with a zero octet, which tools show as an @.
    return UNIX_PREFIX + ("@" + name[1:] if name.startswith("\0") else name)


def _connect(sock: socket.socket, address: Any, timeout: float | None) -> socket.socket:
    close_in_forked_child(sock)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
        sock.settimeout(None)
    except BaseException:
        sock.close()
        raise
    return sock


def resolve(host: str, port: int, deadline: Deadline) -> list[_AddressInfo]:
    """getaddrinfo under a deadline. It has none of its own, so it runs on a thread that is left behind if it takes
    longer.
    """
    if deadline.timeout is None or _is_address(host):
        outcome = _look_up(host, port)
    else:
        answers: queue.SimpleQueue[list[_AddressInfo] | Exception] = queue.SimpleQueue()
        threading.Thread(
            target=lambda: answers.put(_look_up(host, port)), name=f"sync_h2-resolve-{host}", daemon=True
        ).start()
        try:
            outcome = answers.get(timeout=deadline.remaining())
        except queue.Empty:
            raise Timeout(f"the address of {host} was not found within {deadline.timeout} s") from None
    if isinstance(outcome, OSError):
        reason = outcome.strerror or outcome
        raise ConnectionLost(f"cannot find the address of {host} ({reason})", retryable=True) from outcome
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _look_up(host: str, port: int) -> list[_AddressInfo] | Exception:
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except Exception as error:  # returned, because it may happen on another thread than the one that waits for it
        return error


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _listen_unix(path: str, backlog: int) -> socket.socket:
    _remove_stale_socket_file(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"{error.strerror} (while attempting to listen on {UNIX_PREFIX}{path})") from error
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_stale_socket_file(path: str) -> None:
    """Remove what a server that died left at `path`; one that still listens keeps it, and `bind` then says so."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        if probe.connect_ex(path) == errno.ECONNREFUSED:
            _remove_socket_file(path)


def _remove_socket_file(path: str) -> None:
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        pass
