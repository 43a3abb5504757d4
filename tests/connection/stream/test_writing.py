"""Writing a body: blocking on flow control, timeouts that say how far it got, and who owns the bytes."""

from __future__ import annotations

import array
import socket
from typing import Any

import pytest
from hyperframe.frame import DataFrame, RstStreamFrame, SettingsFrame

from support.octets.fields import UPLOAD
from support.peers.raw_peer import client_and_raw_server, server_and_raw_client
from support.threads.background import eventually, waits
from sync_h2 import ConnectionLost, ErrorCode, StreamReset, Timeout
from sync_h2.constants import DEFAULT_WINDOW_SIZE, SettingId

WINDOW = 16 * 1024 * 1024 // 2 // 100  # half of max_session_memory, for max_concurrent_streams


def test_who_gave_up_waiting_for_the_connections_window_leaves_nothing_behind() -> None:
    with client_and_raw_server(peer_settings={SettingId.INITIAL_WINDOW_SIZE: 1_000_000}) as (session, peer):
        peer.settled()
        first = session.request({":method": "POST"})
        with pytest.raises(Timeout):
            first.write(b"x" * (DEFAULT_WINDOW_SIZE + 1), timeout=0.01)
        for _ in range(3):
            stream = session.request({":method": "POST"})
            with pytest.raises(Timeout):
                stream.write(b"x", timeout=0.01)
            stream.close()
        first.close()
        assert not session._pump._blocked


def test_write_returns_the_length_of_any_buffer(ends: Any) -> None:
    stream, served = ends.exchange()
    numbers = array.array("I", [1, 2, 3])
    written = [
        stream.write(b"bytes"),
        stream.write(bytearray(b"bytearray")),
        stream.write(memoryview(b"memoryview")),
        stream.write(numbers),
        stream.write(b""),
    ]
    assert written == [5, 9, 10, 12, 0]
    stream.end()
    assert served.read() == b"bytesbytearraymemoryview" + numbers.tobytes()


def test_a_write_blocks_at_the_window_and_says_how_far_it_got(ends: Any, background: Any) -> None:
    stream, served = ends.exchange()
    body = bytes(range(250)) * 4000
    with pytest.raises(Timeout) as raised:
        stream.write(body, timeout=0.2)
    assert raised.value.bytes_written == WINDOW
    assert raised.value.stream_id == 1
    # Usable afterwards: what was withdrawn is sent again by the caller, and nothing is there twice.
    assert served.read(50_000) == body[:50_000]
    rest = body[raised.value.bytes_written :]
    with pytest.raises(Timeout) as raised:
        stream.end(rest, timeout=0.2)
    rest = rest[raised.value.bytes_written :]
    assert rest
    received = body[:50_000]
    while len(received) < len(body) - len(rest):
        received += served.read(65_536)
    ending = background(stream.end, rest)
    assert received + served.read() == body
    ending.result(5)


def test_a_timed_out_end_has_not_ended(ends: Any) -> None:
    stream, served = ends.exchange()
    with pytest.raises(Timeout):
        stream.end(b"x" * (WINDOW + 1), timeout=0.1)
    assert served.read(WINDOW) is not None
    assert stream.write(b"!") == 1
    stream.end()
    assert stream._state.end_posted
    assert len(served.read()) > 0


def test_siblings_are_unharmed_by_a_timeout(ends: Any) -> None:
    stuck, _stuck_served = ends.exchange()
    with pytest.raises(Timeout):
        stuck.write(b"x" * 1_000_000, timeout=0.05)
    stream, served = ends.exchange()
    stream.end(b"y" * 50_000)
    assert served.read() == b"y" * 50_000


def test_a_buffer_is_its_callers_again_after_the_write() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request({":method": "POST"})
        buffer = bytearray(b"a" * 50_000)
        stream.write(buffer)
        buffer[:] = b"b" * 50_000
        stream.write(memoryview(buffer)[:10_000])
        buffer[:] = b"c" * 50_000
        received = b""
        while len(received) < 60_000:
            received += peer.expect(DataFrame).data
        assert received == b"a" * 50_000 + b"b" * 10_000


def test_a_buffer_that_timed_out_is_not_referred_to() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request({":method": "POST"})
        buffer = bytearray(b"a" * 100_000)
        with pytest.raises(Timeout) as raised:
            stream.write(buffer, timeout=0.05)
        assert raised.value.bytes_written == DEFAULT_WINDOW_SIZE
        buffer.clear()  # would raise BufferError while a view of it is exported
        buffer += b"b" * 10
        received = b""
        while len(received) < DEFAULT_WINDOW_SIZE:
            received += peer.expect(DataFrame).data
        assert received == b"a" * DEFAULT_WINDOW_SIZE


def test_bytes_that_a_full_kernel_holds_up_do_not_change(background: Any) -> None:
    """The peer reads nothing, so frames wait in the outbox after `write` has returned."""
    settings = {SettingId.INITIAL_WINDOW_SIZE: 2**31 - 1}
    with client_and_raw_server(peer_settings=settings) as (session, peer):
        peer.open_window(0, 2**31 - 1 - DEFAULT_WINDOW_SIZE)
        peer.settled()
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stream = session.request({":method": "POST"})
        size = 3_000_000

        def write() -> None:
            for letter in b"abcd":
                buffer = bytearray([letter]) * size
                stream.write(buffer)
                buffer[:] = b"!" * size
            stream.end()

        writing = background(write)
        received = bytearray()
        while "END_STREAM" not in (frame := peer.expect(DataFrame)).flags:
            received += frame.data
        received += frame.data
        writing.result(5)
        assert received == b"a" * size + b"b" * size + b"c" * size + b"d" * size


def test_writes_of_several_threads_do_not_mix(ends: Any, background: Any) -> None:
    stream, served = ends.exchange()
    writing = [background(stream.write, bytes([letter]) * 300_000) for letter in b"abcd"]
    received = b""
    while len(received) < 1_200_000:
        received += served.read(65_536)
    assert [call.result(5) for call in writing] == [300_000] * 4
    assert sorted(received[start : start + 300_000] for start in range(0, 1_200_000, 300_000)) == [
        bytes([letter]) * 300_000 for letter in b"abcd"
    ]


def test_a_reset_wakes_a_blocked_write(ends: Any, background: Any) -> None:
    stream, served = ends.exchange()
    writing = background(stream.write, b"x" * 1_000_000)
    eventually(lambda: waits(stream))
    served.close(ErrorCode.CANCEL)
    with pytest.raises(StreamReset) as raised:
        writing.result(5)
    assert raised.value.code == ErrorCode.CANCEL
    with pytest.raises(StreamReset):
        stream.write(b"more")
    with pytest.raises(StreamReset):
        stream.end()


def test_our_own_close_wakes_a_blocked_write(ends: Any, background: Any) -> None:
    stream, _ = ends.exchange()
    writing = background(stream.end, b"x" * 1_000_000)
    eventually(lambda: waits(stream))
    stream.close(ErrorCode.CANCEL)
    with pytest.raises(StreamReset):
        writing.result(5)


def test_a_lost_connection_wakes_a_blocked_write(background: Any) -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request({":method": "POST"})
        writing = background(stream.write, b"x" * 1_000_000)
        eventually(lambda: waits(stream))
        peer.close()
        with pytest.raises(ConnectionLost) as raised:
            writing.result(5)
        assert isinstance(raised.value, ConnectionError)
        assert raised.value.stream_id == 1


def test_a_negative_window_is_waited_out(background: Any) -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request({":method": "POST"})
        peer.open_window(0, 1_000_000)
        stream.write(b"x" * 60_000)
        peer.send(SettingsFrame(0, settings={SettingId.INITIAL_WINDOW_SIZE: 100}))
        peer.settled()
        writing = background(stream.end, b"y" * 200)
        eventually(lambda: waits(stream))
        assert not [frame for frame in peer.settled() if isinstance(frame, DataFrame)]
        peer.open_window(1, 60_000 - 100)  # the window is 0 now
        assert not [frame for frame in peer.settled() if isinstance(frame, DataFrame)]
        peer.open_window(1, 150)
        assert peer.expect(DataFrame).data == b"y" * 150
        assert not writing.done()
        peer.send(SettingsFrame(0, settings={SettingId.INITIAL_WINDOW_SIZE: 150}))
        frame = peer.expect(DataFrame)
        assert frame.data == b"y" * 50
        assert "END_STREAM" in frame.flags
        writing.result(5)


def test_the_connections_window_holds_all_streams_and_lets_them_all_go(background: Any) -> None:
    settings = {SettingId.INITIAL_WINDOW_SIZE: 1_000_000}
    with client_and_raw_server(peer_settings=settings) as (session, peer):
        peer.settled()
        streams = [session.request({":method": "POST"}) for _ in range(4)]
        writing = [background(stream.end, b"x" * 50_000) for stream in streams]
        received = dict.fromkeys((1, 3, 5, 7), 0)

        def receive(total: int) -> None:
            while sum(received.values()) < total:
                frame = peer.expect(DataFrame)
                received[frame.stream_id] += len(frame.data)

        receive(DEFAULT_WINDOW_SIZE)
        assert not [frame for frame in peer.settled() if isinstance(frame, DataFrame)]
        peer.open_window(0, 200_000)
        receive(200_000)
        assert set(received.values()) == {50_000}
        for call in writing:
            call.result(5)


def test_a_peers_frame_size_is_kept() -> None:
    with client_and_raw_server(peer_settings={SettingId.MAX_FRAME_SIZE: 20_000}) as (session, peer):
        peer.settled()
        stream = session.request({":method": "POST"})
        stream.end(b"x" * 50_000)
        sizes = []
        while sum(sizes) < 50_000:
            sizes.append(len(peer.expect(DataFrame).data))
        assert max(sizes) <= 20_000


def test_the_servers_write_timeout_gives_the_handler_back(background: Any) -> None:
    outcome: list[BaseException] = []

    def handler(stream: Any, headers: Any) -> None:
        try:
            stream.write(b"x" * 1_000_000)
        except Timeout as error:
            outcome.append(error)
            raise

    with server_and_raw_client(handler, write_timeout=0.2) as (_, peer):
        peer.headers(1, UPLOAD, end_stream=True)
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.INTERNAL_ERROR
    assert isinstance(outcome[0], Timeout)
    assert outcome[0].bytes_written == DEFAULT_WINDOW_SIZE
