"""What only TLS has: keys that change in mid-transfer, ends without close_notify, octets that are no record. The other
modules of this folder run over plain connections and TLS alike.
"""

from __future__ import annotations

import os
import queue
import select
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame

from support.connections.pairs import Connections
from support.octets.fields import REQUEST, RESPONSE
from support.octets.fields import UPLOAD as UPLOAD_FIELDS
from support.peers.raw_peer import DATA_ON_STREAM_0, PATIENCE, RawPeer
from support.programs.others import program
from support.threads.background import eventually, waits
from support.tls.certificates import Certificate
from sync_h2 import ConnectionLost, HTTP2Error, TLSError, connect, serve_socket
from sync_h2.constants import PREFACE, SettingId
from sync_h2.transport.contexts import server_context

UPLOAD = {":method": "POST"}


# -- KeyUpdate (RFC 8446 section 4.6.3), which only another implementation's tool can be made to send


class OpenSSLSocket:
    """The plain side of `openssl s_server` or `s_client`, as a RawPeer uses a socket.

    A line that starts with K, read by itself, is a command: update the keys, and ask the peer to update its own.
    """

    # What it says in between on its standard output.
    _NOISE = (b"SSL_do_handshake -> 1\n", b"Read BLOCK\n", b"Write BLOCK\n")

    def __init__(self, command: list[str | Path], begin: bytes, messages: Path) -> None:
        self._messages = messages
        self._process = subprocess.Popen(
            [program("openssl"), *command, "-tls1_3", "-alpn", "h2", "-msg", "-msgfile", messages],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._begin = begin  # where the peer's octets begin
        self._began = False
        self._pending = b""

    def wait_for_line(self, beginning: bytes) -> bytes:
        output = self._process.stdout
        assert output is not None
        line = b""
        while not line.startswith(beginning):
            line = b""
            while not line.endswith(b"\n"):
                line += self._read(1)
        return line

    def update_keys(self) -> None:
        """Returns when that is done. Nothing else may be under way to standard input."""
        count = self.messages(">>>", "KeyUpdate")
        self.sendall(b"K\n")
        eventually(lambda: self.messages(">>>", "KeyUpdate") > count, "a KeyUpdate")

    def messages(self, direction: str, kind: str) -> int:
        """How many handshake messages of this kind were sent (>>>) or received (<<<) so far."""
        lines = self._messages.read_text().splitlines()
        return sum(line.startswith(direction) and line.endswith(kind) for line in lines)

    # As a socket

    def settimeout(self, seconds: float) -> None:
        pass

    def sendall(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def recv(self, size: int) -> bytes:
        while True:
            chunk = self._read(size)
            if not chunk:
                return b""
            self._pending += chunk
            if not self._began:
                _, begin, rest = self._pending.partition(self._begin)
                if not begin:
                    continue
                self._began = True
                self._pending = begin + rest if begin == PREFACE else rest
            for noise in self._NOISE:
                self._pending = self._pending.replace(noise, b"")
            # The end may be the beginning of noise.
            keep = max(
                (n for noise in self._NOISE for n in range(len(noise)) if self._pending.endswith(noise[:n])), default=0
            )
            clean, self._pending = (
                self._pending[: len(self._pending) - keep],
                self._pending[len(self._pending) - keep :],
            )
            if clean:
                return clean

    def _read(self, size: int) -> bytes:
        output = self._process.stdout
        assert output is not None
        ready, _, _ = select.select([output], [], [], PATIENCE)
        assert ready, "openssl says nothing"
        return os.read(output.fileno(), size)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def client_of_openssl(certificate: Certificate, tmp_path: Path) -> Iterator[tuple[Any, RawPeer, OpenSSLSocket]]:
    """A client's session whose server is `openssl s_server`."""
    command = ["s_server", "-accept", "127.0.0.1:0", "-cert", certificate.certfile, "-key", certificate.keyfile]
    far = OpenSSLSocket(command, PREFACE, tmp_path / "messages")
    port = int(far.wait_for_line(b"ACCEPT").rsplit(b":", 1)[1])
    session = connect(f"https://localhost:{port}", cafile=certificate.cafile)
    yield session, RawPeer(far, client=False), far  # type: ignore[arg-type]  # the part of a socket that it uses
    session.destroy()
    far.close()


@pytest.fixture
def server_of_openssl(certificate: Certificate, tmp_path: Path) -> Iterator[tuple[Any, RawPeer, OpenSSLSocket]]:
    """A server's session, which echoes, and whose client is `openssl s_client`."""

    def echo(stream: Any, headers: Any) -> None:
        for chunk in stream:
            stream.write(chunk)

    context = server_context(certfile=certificate.certfile, keyfile=certificate.keyfile)
    # What s_client says of tickets gathers in a buffer of 4 KiB, and comes out among the octets when that is full.
    context.num_tickets = 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [
            "s_client",
            "-connect",
            f"127.0.0.1:{port}",
            "-servername",
            "localhost",
            "-CAfile",
            certificate.cafile,
        ]
        far = OpenSSLSocket(command, b"Verify return code: 0 (ok)\n---\n", tmp_path / "messages")
        near, _ = listener.accept()
    session = serve_socket(near, echo, context=context)
    yield session, RawPeer(far, client=True), far  # type: ignore[arg-type]  # the part of a socket that it uses
    session.destroy()
    far.close()


def test_keys_change_in_mid_transfer_on_a_client(
    client_of_openssl: tuple[Any, RawPeer, OpenSSLSocket], background: Any
) -> None:
    session, peer, openssl = client_of_openssl
    peer.handshake({SettingId.INITIAL_WINDOW_SIZE: 20_000})
    peer.settled()
    stream = session.request(UPLOAD)
    body = b"up" * 60_000
    writing = background(stream.end, body)
    reading = background(stream.read)
    peer.headers(1, RESPONSE)
    received = bytearray()
    updates = 0
    while len(received) < len(body):
        peer.data(1, b"d" * 4_000)
        frames = peer.settled()
        openssl.update_keys()
        updates += 1
        for frame in frames:
            if isinstance(frame, DataFrame) and frame.data:
                received += frame.data
                peer.open_window(0, len(frame.data))
                if "END_STREAM" not in frame.flags:
                    peer.open_window(1, len(frame.data))
    peer.data(1, b"", end_stream=True)
    writing.result(5)
    assert received == body
    assert set(reading.result(5)) == set(b"d")
    assert openssl.messages(">>>", "KeyUpdate") == updates >= 5
    assert openssl.messages("<<<", "KeyUpdate") >= 1


def test_keys_change_in_mid_transfer_on_a_server(
    server_of_openssl: tuple[Any, RawPeer, OpenSSLSocket], background: Any
) -> None:
    _, peer, openssl = server_of_openssl
    peer.handshake({SettingId.INITIAL_WINDOW_SIZE: 20_000})
    peer.headers(1, UPLOAD_FIELDS)
    sent, received = bytearray(), bytearray()

    def take(frame: DataFrame) -> None:
        received.extend(frame.data)
        if "END_STREAM" not in frame.flags:
            peer.open_window(0, len(frame.data))
            peer.open_window(1, len(frame.data))

    for number in range(40):
        piece = b"%d" % (number % 10) * 4_000
        while peer.credit(1) < len(piece):
            if isinstance(frame := peer.receive(), DataFrame):
                take(frame)
        peer.data(1, piece)
        sent += piece
        frames = peer.settled()
        if number % 5 == 0:
            openssl.update_keys()
        for frame in frames:
            if isinstance(frame, DataFrame):
                take(frame)
    peer.data(1, b"", end_stream=True)
    frame = peer.expect(DataFrame, 1)
    while "END_STREAM" not in frame.flags:
        take(frame)
        frame = peer.expect(DataFrame, 1)
    take(frame)
    assert received == sent
    assert openssl.messages(">>>", "KeyUpdate") == 8
    assert openssl.messages("<<<", "KeyUpdate") >= 1


# -- ends


@pytest.mark.parametrize("close_notify", [True, False], ids=["close_notify", "cut"])
def test_an_end_in_mid_body_never_makes_it_look_whole(
    tls_connections: Connections, background: Any, close_notify: bool
) -> None:
    session, peer = tls_connections.raw_server()
    streams = [session.request() for _ in range(3)]
    for stream in streams:
        peer.headers(stream.id, RESPONSE)
        peer.data(stream.id, b"half")
    peer.settled()
    reading_all = background(streams[0].read)
    eventually(lambda: waits(streams[0]))
    if close_notify:
        peer.sock.unwrap()
    peer.sock.shutdown(socket.SHUT_WR)
    error = reading_all.exception(5)
    assert isinstance(error, ConnectionLost)
    assert error.partial == b"half"
    assert ("cut off" in str(error)) == (not close_notify)
    assert streams[1].read(100) == b"half"
    with pytest.raises(ConnectionLost):
        streams[1].read(100)
    with pytest.raises(ConnectionLost):
        list(streams[2])


def test_an_upload_that_is_cut_never_looks_whole(tls_connections: Connections) -> None:
    outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        outcome.put("begun")  # a handler whose stream has died before is not called
        try:
            outcome.put(stream.read())
        except HTTP2Error as error:
            outcome.put(error)
            raise

    _, peer = tls_connections.raw_client(handler)
    peer.headers(1, UPLOAD_FIELDS)
    peer.data(1, b"half")
    assert outcome.get(timeout=5) == "begun"
    peer.settled()
    peer.close()
    error = outcome.get(timeout=5)
    assert isinstance(error, ConnectionLost)
    assert error.partial == b"half"


@pytest.mark.parametrize("close_notify", [True, False], ids=["close_notify", "cut"])
def test_an_end_between_streams_is_no_error(tls_connections: Connections, close_notify: bool) -> None:
    errors: list[Any] = []
    session, peer = tls_connections.raw_server(listeners={"error": errors.append})
    stream = session.request()
    peer.headers(1, RESPONSE)
    peer.data(1, b"whole", end_stream=True)
    peer.settled()
    if close_notify:
        peer.sock.unwrap()
    peer.close()
    eventually(lambda: session.destroyed)
    assert stream.read() == b"whole"
    assert errors == []
    with pytest.raises(ConnectionLost) as raised:
        session.request()
    assert raised.value.retryable


@pytest.mark.parametrize("end", ["close", "destroy", "protocol error"])
def test_the_peer_gets_goaway_and_then_close_notify(tls_connections: Connections, background: Any, end: str) -> None:
    """In the middle of an upload: both come after whole records, behind what is half sent."""
    session, peer = tls_connections.raw_server(
        peer_settings={SettingId.INITIAL_WINDOW_SIZE: 2**31 - 1}, receive_buffer=8_192
    )
    peer.open_window(0, 2**31 - 1 - 65_535)
    peer.settled()
    peer.sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # an SSLSocket: an EOF without close_notify raises
    stream = session.request(UPLOAD)
    writing = background(stream.end, b"x" * 3_000_000)
    eventually(lambda: session._sender.writer.active, "a writer that is blocked")
    closing = None
    if end == "close":
        closing = background(session.close)
        eventually(lambda: session.closed)
        peer.headers(1, RESPONSE, end_stream=True)
    elif end == "destroy":
        session.destroy()
    else:
        peer.sock.sendall(DATA_ON_STREAM_0)
    frames = peer.until_end()
    assert any(isinstance(frame, GoAwayFrame) for frame in frames)
    peer.close()
    if closing is not None:
        closing.result(5)
        assert sum(len(frame.data) for frame in frames if isinstance(frame, DataFrame)) == 3_000_000
    writing.exception(5)


def test_octets_that_are_no_record_end_everything_with_a_tls_error(
    tls_connections: Connections, background: Any, blocked: set[int]
) -> None:
    session, peer = tls_connections.raw_server()
    stream = session.request(UPLOAD)
    peer.expect(HeadersFrame)
    calls = [background(stream.read), background(stream.write, b"x" * 1_000_000), background(session.ping)]
    eventually(lambda: len(blocked) == 3)
    below = socket.socket(fileno=os.dup(peer.sock.fileno()))
    with below:
        below.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    for call in calls:
        assert isinstance(call.exception(5), TLSError)
    with pytest.raises(ssl.SSLError, match=r"(?i)alert"):  # the peer is told why
        peer.until_end()
    peer.close()
    session.close(timeout=5)


def test_many_small_exchanges_and_large_bodies_share_a_connection(
    tls_connections: Connections, background: Any
) -> None:
    """Records of many threads in both directions: one out of order would end the connection."""

    def echo(stream: Any, headers: Any) -> None:
        stream.end(stream.read())

    client, _ = tls_connections.pair(echo)

    def small(number: int) -> None:
        for turn in range(60):
            stream = client.request({":method": "POST"})
            stream.end(b"%d.%d" % (number, turn))
            assert stream.read(timeout=20) == b"%d.%d" % (number, turn)

    def large(number: int) -> None:
        body = bytes([number]) * 4_000_000
        stream = client.request({":method": "POST"})
        writing = background(stream.end, body)
        assert stream.read(timeout=20) == body
        writing.result(20)

    calls = [background(function, number) for number in range(4) for function in (small, large)]
    for call in calls:
        call.result(25)
    assert client.request({**dict(REQUEST), ":method": "GET"}).read(timeout=5) == b""
