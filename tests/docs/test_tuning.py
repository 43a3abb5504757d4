"""The tables of `docs/how-to/tuning.md`: every limit with its default, and what is seen of those that are reached."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hpack import Encoder
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame, PingFrame, SettingsFrame

import sync_h2
from support.octets.fields import REQUEST, UPLOAD
from support.pages.tables import tables_of
from support.peers.raw_peer import server_and_raw_client
from support.threads.background import eventually
from sync_h2.connection.shared import limit_log
from sync_h2.protocol.limits import Limits

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "tuning.md"
ROWS = {row[0].strip("`"): row[1:] for table in tables_of(PAGE) for row in table}

TOO_LONG = 60.0


def value_of(cell: str) -> object:
    """The value that a default stands for."""
    number, _, unit = cell.replace("/s", " /s").partition(" ")
    if cell in ("none", "False"):
        return None if cell == "none" else False
    if cell.startswith("`"):
        return cell.strip("`")
    return float(number) * {"": 1, "s": 1, "/s": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit]


def test_every_limit_is_there_with_its_defaults() -> None:
    assert set(ROWS) == set(Limits.__dataclass_fields__)
    for name, (default, *_) in ROWS.items():
        of_server, _, of_client = default.removesuffix(")").partition(" (client: ")
        assert value_of(of_server) == getattr(Limits.for_server(), name), name
        assert value_of(of_client or of_server) == getattr(Limits.for_client(), name), name


Trip = Callable[[], None]
TRIPS: dict[str, Trip] = {}


def trip(function: Trip) -> Trip:
    TRIPS[function.__name__] = function
    return function


def waits(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    stream.read()


def answers(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    stream.end(b"")


@contextlib.contextmanager
def attacked(handler: Any = waits, **options: Any) -> Any:
    """What a raw client of a server with these options sends, until the server has had enough of it."""
    with server_and_raw_client(handler, **options) as (_, peer), contextlib.suppress(OSError, AssertionError):
        peer.settled()
        yield peer
        peer.until_end()


@trip
def max_sessions() -> None:
    refused(max_sessions=1)


@trip
def max_sessions_per_address() -> None:
    refused(max_sessions_per_address=1)


def refused(**options: Any) -> None:
    with sync_h2.create_server(waits, **options) as server, sync_h2.connect(server.url) as first:
        stream = first.request({":method": "POST"})  # an idle session would make room
        first.ping()
        with socket.create_connection(server.address, TOO_LONG) as second:
            while second.recv(1000):
                pass
        stream.close(sync_h2.ErrorCode.CANCEL)


@trip
def close_timeout() -> None:
    busy = threading.Event()

    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        busy.set()
        stream.read()

    with sync_h2.create_server(handler, close_timeout=0.1) as server:
        session = sync_h2.connect(server.url)
        stream = session.request({":method": "POST"})
        assert busy.wait(TOO_LONG)
        server.close()
        session.destroy()
        assert stream.closed


@trip
def handshake_timeout() -> None:
    with (
        sync_h2.create_server(waits, handshake_timeout=0.1) as server,
        socket.create_connection(server.address, TOO_LONG) as sock,
    ):
        while sock.recv(1000):
            pass


@trip
def header_timeout() -> None:
    with attacked(header_timeout=0.1) as peer:
        peer.send(HeadersFrame(1, Encoder().encode(REQUEST)))


@trip
def settings_timeout() -> None:
    with server_and_raw_client(waits, handshake=False, settings_timeout=0.1) as (_, peer):
        peer.sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        peer.receive_preface()
        peer.send(SettingsFrame(0))
        peer.until_end()


@trip
def read_timeout() -> None:
    with sync_h2.create_server(waits, read_timeout=0.1) as server, sync_h2.connect(server.url) as session:
        assert session.request({":method": "POST"}).wait_response(timeout=TOO_LONG)[":status"] == "500"


@trip
def write_timeout() -> None:
    def writes(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        stream.write(bytes(1_000_000))

    with sync_h2.create_server(writes, write_timeout=0.1) as server, sync_h2.connect(server.url) as session:
        stream = session.request()
        eventually(lambda: stream.closed)


@trip
def max_waiting_handlers() -> None:
    with sync_h2.create_server(waits, max_waiting_handlers=1) as server, sync_h2.connect(server.url) as session:
        streams = [session.request({":method": "POST"}) for _ in range(3)]
        eventually(lambda: any(stream.rst_code == sync_h2.ErrorCode.ENHANCE_YOUR_CALM for stream in streams))


@trip
def stream_reset_burst() -> None:
    resets(stream_reset_burst=5)


@trip
def stream_reset_rate() -> None:
    resets(stream_reset_burst=5, stream_reset_rate=0.0)


def resets(**options: Any) -> None:
    with attacked(**options) as peer:
        for stream_id in range(1, 2001, 2):
            peer.headers(stream_id, UPLOAD)
            peer.reset(stream_id, sync_h2.ErrorCode.CANCEL)


@trip
def max_session_rejected_streams() -> None:
    with attacked(max_concurrent_streams=1, max_session_rejected_streams=2) as peer:
        for stream_id in range(1, 20, 2):
            peer.headers(stream_id, UPLOAD)


@trip
def max_header_list_size() -> None:
    encoder = Encoder()
    field = [("x", "y" * 3000)]
    bomb = encoder.encode(REQUEST) + encoder.encode(field) + encoder.encode(field) * 350
    with attacked() as peer:
        peer.send(HeadersFrame(1, bomb, flags=["END_HEADERS", "END_STREAM"]))


@trip
def max_continuation_frames() -> None:
    with attacked() as peer:
        peer.send(HeadersFrame(1), *(ContinuationFrame(1) for _ in range(20)))


@trip
def max_session_invalid_frames() -> None:
    with attacked(max_session_invalid_frames=10) as peer:
        peer.headers(1, UPLOAD)
        peer.sock.sendall(DataFrame(1).serialize() * 100)


@trip
def max_queued_control_frames() -> None:
    with server_and_raw_client(waits, max_queued_control_frames=10) as (session, peer):
        burst = PingFrame(0, b"12345678").serialize() * 1000
        with contextlib.suppress(OSError):
            while not session.destroyed:
                peer.sock.sendall(burst)


@trip
def max_settings() -> None:
    with attacked() as peer:
        peer.send(SettingsFrame(0, settings={0xF010 + number: 1 for number in range(40)}))


@trip
def max_server_memory() -> None:
    go_on = threading.Event()

    def late(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        go_on.wait(TOO_LONG)

    with sync_h2.create_server(late, max_server_memory=50_000) as server, sync_h2.connect(server.url) as session:
        stream = session.request({":method": "POST"})
        with contextlib.suppress(sync_h2.HTTP2Error):
            stream.write(bytes(80_000), timeout=TOO_LONG)
        eventually(lambda: session.closed)
        go_on.set()


SEEN_IN_THE_LOG = {name for name, row in ROWS.items() if re.search("the log|the same", row[2])}


def test_every_limit_that_the_log_tells_of_is_tried() -> None:
    assert SEEN_IN_THE_LOG - {"keepalive_timeout"} == set(TRIPS)


@pytest.mark.parametrize("name", TRIPS)
def test_the_log_tells_of_it(name: str, caplog: pytest.LogCaptureFixture) -> None:
    limit_log._last_logged.clear()  # what another test was told a moment ago is not said again
    TRIPS[name]()
    said = {
        "stream_reset_burst": "ended by the limit stream_reset_rate: ",
        "read_timeout": 'the handler of stream 1 ("',
        "write_timeout": 'the handler of stream 1 ("',
        "close_timeout": "did not finish in time",
    }.get(name, f"ended by the limit {name}: ")
    eventually(lambda: said in caplog.text)
    assert "is refused" in caplog.text or not name.startswith("max_sessions")
