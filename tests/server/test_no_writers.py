"""Clients that read nothing cost no thread that is blocked in `send`, and lose nothing when they read after all.

Over Unix sockets: what the kernel takes of them depends on nothing but what was read.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hyperframe.frame import DataFrame, HeadersFrame

from support.peers.raw_peer import RawPeer
from support.threads.background import eventually
from sync_h2 import ThreadingServer, Timeout, create_server
from sync_h2.connection.sending.outbox import HIGH_WATER_MARK
from sync_h2.constants import DEFAULT_WINDOW_SIZE, SettingId
from sync_h2.transport import sockets

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is watched without epoll")

CLIENTS = 20
BODY = bytes(range(251)) * 12_000


def answer(stream: Any, headers: Any) -> None:
    stream.respond({"content-length": str(len(BODY))})
    for start in range(0, len(BODY), 50_000):
        stream.write(BODY[start : start + 50_000])
    stream.end()


def answer_with_a_file(stream: Any, headers: Any) -> None:
    stream.respond_with_file(headers[":path"])


def writers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "sync_h2-writer"]


def all_wait(server: ThreadingServer, count: int) -> bool:
    sessions = server.sessions
    return len(sessions) == count and all(session._sender.writer.awaits_writable_locked for session in sessions)


@pytest.fixture(params=["written", "a file"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A server's handler, and the path to ask for."""
    if request.param == "written":
        return answer, "/"
    file = tmp_path / "body"
    file.write_bytes(BODY)
    return answer_with_a_file, str(file)


def test_clients_of_http1_that_read_nothing_and_then_all(served: Any, tmp_path: Path) -> None:
    handler, path = served
    where = str(tmp_path / "socket")
    with create_server(handler, host=f"unix:{where}", allow_http1=True) as server, contextlib.ExitStack() as closing:
        clients = []
        for _ in range(CLIENTS):
            client = closing.enter_context(socket.socket(socket.AF_UNIX))
            client.settimeout(20)
            client.connect(where)
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            clients.append(client)
        eventually(lambda: all_wait(server, CLIENTS))
        assert writers() == []
        for client in clients:
            with client.makefile("rb") as answer:
                while answer.readline().strip():
                    pass
                assert answer.read(len(BODY)) == BODY


def test_clients_of_http2_that_read_nothing_and_then_all(served: Any, tmp_path: Path) -> None:
    handler, path = served
    where = str(tmp_path / "socket")
    with create_server(handler, host=f"unix:{where}") as server, contextlib.ExitStack() as closing:
        peers = []
        for _ in range(CLIENTS):
            client = closing.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(where)
            peer = RawPeer(client, client=True)
            peer.handshake({SettingId.INITIAL_WINDOW_SIZE: 2**31 - 1})
            peer.open_window(0, 2**31 - 1 - DEFAULT_WINDOW_SIZE)
            peer.headers(1, {":method": "GET", ":scheme": "http", ":authority": "a", ":path": path}, end_stream=True)
            peers.append(peer)
        eventually(lambda: all_wait(server, CLIENTS))
        assert writers() == []
        for peer in peers:
            received = bytearray()
            while "END_STREAM" not in (frame := peer.expect(DataFrame)).flags:
                received += frame.data
            assert received + frame.data == BODY


def test_a_file_with_trailers_behind_an_answer_that_nobody_reads(tmp_path: Path) -> None:
    """The trailers wait for all of the file, however full the connection is."""
    file = tmp_path / "body"
    content = BODY[:200_000]
    file.write_bytes(content)
    wanted: list[object] = []

    def respond(stream: Any, headers: Any) -> None:
        def send_trailers() -> None:
            wanted.append(None)
            stream.send_trailers({"x-end": "yes"})

        if headers[":path"] == "/":
            answer(stream, headers)
        else:
            stream.on("want_trailers", send_trailers)
            stream.respond_with_file(file, wait_for_trailers=True)

    where = str(tmp_path / "socket")
    with create_server(respond, host=f"unix:{where}") as server, socket.socket(socket.AF_UNIX) as client:
        client.connect(where)
        peer = RawPeer(client, client=True)
        peer.handshake({SettingId.INITIAL_WINDOW_SIZE: 2**31 - 1})
        peer.open_window(0, 2**31 - 1 - DEFAULT_WINDOW_SIZE)
        peer.headers(1, {":method": "GET", ":scheme": "http", ":authority": "a", ":path": "/"}, end_stream=True)
        eventually(lambda: all_wait(server, 1))
        peer.headers(3, {":method": "GET", ":scheme": "http", ":authority": "a", ":path": "/file"}, end_stream=True)
        eventually(lambda: wanted)
        received = {1: bytearray(), 3: bytearray()}
        ended: set[int] = set()
        while ended != {1, 3}:
            frame = peer.receive()
            if isinstance(frame, DataFrame):
                received[frame.stream_id] += frame.data
            if isinstance(frame, DataFrame | HeadersFrame) and "END_STREAM" in frame.flags:
                ended.add(frame.stream_id)
        assert received == {1: BODY, 3: content}
        assert len(wanted) == 1


def test_clients_of_http1_that_stop_reading_in_the_middle(served: Any, tmp_path: Path) -> None:
    handler, path = served
    where = str(tmp_path / "socket")
    with create_server(handler, host=f"unix:{where}", allow_http1=True) as server, contextlib.ExitStack() as closing:
        answers = []
        for _ in range(CLIENTS):
            client = closing.enter_context(socket.socket(socket.AF_UNIX))
            client.settimeout(20)
            client.connect(where)
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            answers.append(closing.enter_context(client.makefile("rb")))
        eventually(lambda: all_wait(server, CLIENTS))
        for answer in answers:
            while answer.readline().strip():
                pass
        for end in (len(BODY) // 2, len(BODY)):
            for answer in answers:
                assert answer.read(len(BODY) // 2) == BODY[end - len(BODY) // 2 : end]
            if end < len(BODY):
                eventually(lambda: all_wait(server, CLIENTS))
                eventually(lambda: not writers())


def test_little_is_held_for_a_client_that_reads_in_jerks(
    served: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time that its thread leaves and another begins, what was left goes out before more is framed."""
    monkeypatch.setattr(sockets, "_MOST_PATIENCE", struct.pack("ll", 0, 20_000))
    handler, path = served
    where = str(tmp_path / "socket")
    with (
        create_server(handler, host=f"unix:{where}", allow_http1=True) as server,
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.settimeout(20)
        client.connect(where)
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        with client.makefile("rb") as answer:
            while answer.readline().strip():
                pass
            received = b""
            (session,) = server.sessions
            transport = session._transport
            while len(received) < len(BODY) * 2 // 3:
                received += answer.read(200_000)
                eventually(lambda: all_wait(server, 1) and not select.select([], [transport.sock], [], 0)[1])
                assert transport.unsent_locked + session._outbox.size < 3 * HIGH_WATER_MARK
            assert received + answer.read(len(BODY) - len(received)) == BODY


def test_an_end_that_no_thread_waits_to_send_is_given_up(tmp_path: Path) -> None:
    """The handler takes its Timeout for the client's affair and returns: what is left is the answer's end."""

    returned = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        with contextlib.suppress(Timeout):
            while True:
                stream.write(BODY[:50_000], timeout=0.05)
        returned.set()

    where = str(tmp_path / "socket")
    with (
        create_server(handler, host=f"unix:{where}", allow_http1=True, write_timeout=0.3) as server,
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(where)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert returned.wait(20)  # a look at the sessions could come after their end
        eventually(lambda: not server.sessions)
