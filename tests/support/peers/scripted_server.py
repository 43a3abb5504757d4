"""A server that a test plays: each connection that comes goes to the next of its functions, on a thread of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

Play = Callable[[socket.socket], object]
PATIENCE = 10.0


@contextlib.contextmanager
def scripted_server(*plays: Play) -> Iterator[int]:
    """The port of a server whose first connection `plays[0]` gets, and so on. What one raises is raised in the end."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        threads = stack.enter_context(ThreadPoolExecutor(len(plays) + 1))
        ended = threading.Event()
        played: list[Future[object]] = []

        def run(play: Play, sock: socket.socket) -> None:
            with sock:
                sock.settimeout(PATIENCE)
                play(sock)

        def accept() -> None:
            for play in plays:
                sock, _ = listener.accept()
                if ended.is_set():
                    sock.close()
                    return
                played.append(threads.submit(run, play, sock))

        accepting = threads.submit(accept)
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            with contextlib.suppress(OSError):
                socket.create_connection(listener.getsockname()).close()  # the one that `accept` waits for
            accepting.result(PATIENCE)
        for future in played:
            future.result(PATIENCE)


@contextlib.contextmanager
def playing(play: Play) -> Iterator[tuple[str, list[socket.socket]]]:
    """The URL of a server whose every connection gets `play`, and the connections so far."""
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=500) as listener:

        def run(sock: socket.socket) -> None:
            with sock, contextlib.suppress(OSError, EOFError, AssertionError):  # the client may have gone
                sock.settimeout(PATIENCE)
                play(sock)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    accepted.append(sock)
                    threading.Thread(target=run, args=(sock,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/", accepted
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)
            for sock in accepted:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)


def request_head(sock: socket.socket) -> bytes:
    """The head of a request in HTTP/1.1, read octet by octet: the body stays where it is."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        octet = sock.recv(1)
        if not octet:
            raise EOFError(head)
        head += octet
    return head


def received(sock: socket.socket, count: int) -> bytes:
    """`count` octets, or fewer if the client ends before."""
    octets = b""
    while len(octets) < count and (piece := sock.recv(count - len(octets))):
        octets += piece
    return octets
