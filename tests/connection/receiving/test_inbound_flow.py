"""Flow control on the receiving side: a slow reader stops only itself, memory is bounded, no credit is ever lost."""

from __future__ import annotations

import queue
from typing import Any

import pytest
from hyperframe.frame import DataFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from support.octets.fields import RESPONSE, UPLOAD
from support.peers.raw_peer import RawPeer, client_and_raw_server, server_and_raw_client
from support.threads.background import eventually
from sync_h2 import ConnectionLost, ErrorCode, Headers, StreamReset, Timeout
from sync_h2.constants import PREFACE, SettingId

WINDOW = 256 * 1024
FRAME = 16_384


def credit(peer: RawPeer, stream_id: int) -> int:
    """What the session has granted on a stream (0: the connection) since it was last asked."""
    return sum(
        frame.window_increment
        for frame in peer.settled()
        if isinstance(frame, WindowUpdateFrame) and frame.stream_id == stream_id
    )


def test_the_windows_at_the_start() -> None:
    with client_and_raw_server(handshake=False) as (_, peer):
        theirs = peer.handshake()
        assert theirs.settings[SettingId.INITIAL_WINDOW_SIZE] == WINDOW
        assert peer.expect(WindowUpdateFrame).stream_id == 0


def test_stream_credit_returns_when_read_and_connection_credit_on_arrival() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        peer.settled()
        peer.headers(1, RESPONSE)
        for _ in range(WINDOW // FRAME):
            peer.data(1, b"x" * FRAME)
        assert credit(peer, 1) == 0
        total = 0
        # Half of the connection's window has to arrive before there is a batch.
        for stream_id in range(3, 3 + 2 * 16, 2):
            other = session.request()
            peer.headers(stream_id, RESPONSE)
            for _ in range(WINDOW // FRAME):
                peer.data(stream_id, b"x" * FRAME)
            total += credit(peer, 0)
            other.close(ErrorCode.CANCEL)
        assert total > 0
        read = 0
        while read < WINDOW:
            read += len(stream.read(FRAME))
        assert credit(peer, 1) >= WINDOW // 2


def test_a_stream_beyond_its_window_is_reset_and_the_connection_goes_on() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        peer.headers(1, RESPONSE)
        peer.keeps_to_windows = False
        for _ in range(WINDOW // FRAME + 1):
            peer.data(1, b"x" * FRAME)
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.FLOW_CONTROL_ERROR
        assert stream.wait_closed() == ErrorCode.FLOW_CONTROL_ERROR
        other = session.request()
        peer.headers(3, RESPONSE, end_stream=True)
        assert other.wait_response()[":status"] == "200"


def test_memory_is_bounded_by_the_windows(ends: Any) -> None:
    """Nobody reads: the writer stops, and what is held is at most the stream's window."""
    stream, served = ends.exchange()
    with pytest.raises(Timeout):
        stream.write(b"x" * 20_000_000, timeout=0.2)
    assert len(served._state.buffer) <= WINDOW


def test_a_window_grows_while_the_reader_keeps_up_and_then_is_the_bound(ends: Any, background: Any) -> None:
    stream, served = ends.exchange()
    writing = background(stream.write, b"x" * 30_000_000)
    read = 0
    while read < 20_000_000:
        read += len(served.read(1_000_000))
    # Now nobody reads any more: at most the largest window waits.
    ends.client.ping()
    with pytest.raises(Timeout):
        stream.wait_closed(timeout=0.2)
    assert not writing.done()
    assert len(served._state.buffer) <= 4 * 1024 * 1024
    while read < 30_000_000:
        read += len(served.read(1_000_000))
    writing.result(5)


def test_padding_is_credited_at_once() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        peer.settled()
        peer.headers(1, RESPONSE)
        count = WINDOW // 257
        for _ in range(count):
            peer.send(DataFrame(1, b"x", pad_length=255, flags=["PADDED"]))
        assert credit(peer, 1) >= WINDOW // 2
        peer.data(1, b"end", end_stream=True)
        assert stream.read() == b"x" * count + b"end"


def test_data_for_a_stream_that_is_gone_returns_its_connection_credit() -> None:
    with client_and_raw_server(max_session_memory=1024 * 1024) as (session, peer):
        total = 0
        for _ in range(10):
            stream = session.request()
            stream.close(ErrorCode.CANCEL)
            total += credit(peer, 0)
            for _ in range(10):
                peer.data(stream.id, b"x" * FRAME)
                total += credit(peer, 0)
        assert total >= 100 * FRAME - 512 * 1024


def test_unread_data_of_a_closed_stream_returns_its_connection_credit() -> None:
    """Far more than `max_session_memory` goes over in streams that are reset with their bodies unread."""
    with client_and_raw_server(max_session_memory=1024 * 1024) as (session, peer):
        for number in range(20):
            stream_id = 2 * number + 1
            stream = session.request()
            peer.headers(stream_id, RESPONSE)
            peer.settled()
            for _ in range(10):
                if peer.credit(stream_id) < FRAME:  # how much is owed depends on what came together
                    peer.settled()
                peer.data(stream_id, b"x" * FRAME)
            eventually(lambda stream=stream: len(stream._state.buffer) == 10 * FRAME)
            stream.close(ErrorCode.CANCEL)
            peer.settled()


def test_too_much_unread_holds_the_connections_credit_back_until_it_is_read(background: Any) -> None:
    options = {"max_session_memory": 1024 * 1024, "settings": {"initial_window_size": 2**31 - 1}}
    with client_and_raw_server(**options) as (session, peer):
        stream = session.request()
        peer.headers(1, RESPONSE)
        peer.settled()
        sent = 0
        while peer.credit(1) >= FRAME:
            peer.data(1, b"x" * FRAME)
            sent += FRAME
            peer.settled()
            assert sent <= 1024 * 1024
        assert credit(peer, 0) == 0
        read = 0
        while read < sent:
            read += len(stream.read(FRAME))
        assert credit(peer, 0) > 0


def test_reading_everything_keeps_the_window_open(ends: Any, background: Any) -> None:
    """Nothing but a `read(-1)` takes 50 MB through windows of 256 KiB."""
    stream, served = ends.exchange()
    writing = background(stream.end, b"x" * 50_000_000)
    assert len(served.read(timeout=20)) == 50_000_000
    writing.result(5)


@pytest.mark.parametrize("size", [1, 100, 1000, 65_535])
def test_small_windows_work(open_ends: Any, background: Any, size: int) -> None:
    ends = open_ends(server={"settings": {"initial_window_size": size}})
    stream, served = ends.exchange()
    body = bytes(range(250)) * 4
    writing = background(stream.end, body)
    assert served.read(timeout=10) == body
    writing.result(5)


@pytest.mark.parametrize("early", [b"", b"early "])
@pytest.mark.parametrize(
    "call", [lambda stream: stream.read(), lambda stream: stream.readline(), lambda stream: stream.wait_trailers()]
)
def test_a_reader_opens_a_window_of_nothing(background: Any, call: Any, early: bytes) -> None:
    """Also when data has come that was sent before the client knew of it."""
    streams: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        streams.put(stream)
        stream.detach()

    with server_and_raw_client(handler, handshake=False, settings={"initial_window_size": 0}) as (_, peer):
        peer.sock.sendall(PREFACE)
        peer.send(SettingsFrame(0))
        peer.headers(1, UPLOAD)
        if early:
            peer.data(1, early)
        peer.expect(SettingsFrame)
        peer.acknowledge_settings()
        peer.settled()
        stream = streams.get(timeout=5)
        reading = background(call, stream)
        opened = peer.expect(WindowUpdateFrame, 1)
        if opened.window_increment == len(early):  # which is what the early data has cost
            peer.expect(WindowUpdateFrame, 1)
        peer.data(1, b"rest\n", end_stream=True)
        assert reading.result(5) in (early + b"rest\n", Headers())
        stream.end()


def test_a_reader_that_waits_when_the_window_shrinks_to_nothing_opens_it(background: Any) -> None:
    streams: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        streams.put(stream)
        stream.detach()

    with server_and_raw_client(handler) as (session, peer):
        peer.headers(1, UPLOAD)
        stream = streams.get(timeout=5)
        peer.data(1, b"x" * 1000)
        assert stream.read(1000) == b"x" * 1000  # for which credit is owed, too little to be announced
        session.settings({"initial_window_size": 0})
        peer.expect(SettingsFrame)
        reading = background(stream.read, 10)
        eventually(lambda: session.dump()["streams"][0]["waiting"]["to_read"], "that the reader waits")
        peer.acknowledge_settings()
        opened = peer.expect(WindowUpdateFrame, 1).window_increment
        assert opened - 1000 > 0  # the window stood at minus what was read
        peer.data(1, b"more", end_stream=True)
        assert reading.result(5) == b"more"
        stream.end()


def test_a_window_that_is_lowered_later_works_for_open_and_new_streams(ends: Any, background: Any) -> None:
    open_stream, open_served = ends.exchange({})
    sending = background(open_served.end, b"x" * 1_000_000)
    received = open_stream.read(100_000)
    ends.client.settings({"initial_window_size": 1000}, wait=True)
    assert ends.client.local_settings.initial_window_size == 1000
    stream, served = ends.exchange({})
    with pytest.raises(Timeout) as raised:
        served.write(b"y" * 200_000, timeout=0.2)
    assert raised.value.bytes_written == 1000
    ending = background(served.end, b"y" * 199_000)
    assert stream.read(timeout=10) == b"y" * 200_000
    received += open_stream.read(timeout=10)
    assert len(received) == 1_000_000
    for call in (sending, ending):
        call.result(5)


def test_a_window_that_is_raised_later_lets_a_blocked_writer_go_on(ends: Any, background: Any) -> None:
    stream, served = ends.exchange()
    writing = background(stream.end, b"x" * 1_000_000)
    with pytest.raises(Timeout):
        stream.wait_closed(timeout=0.05)
    ends.server.settings({"initial_window_size": 2_000_000}, wait=True)
    writing.result(5)
    assert len(served.read()) == 1_000_000


def test_a_slow_reader_stops_only_itself(ends: Any, background: Any) -> None:
    slow, slow_served = ends.exchange({})
    sending = background(slow_served.end, b"s" * 10_000_000)
    for _ in range(20):
        stream, served = ends.exchange({})
        ending = background(served.end, b"f" * 1_000_000)
        assert stream.read(timeout=10) == b"f" * 1_000_000
        ending.result(5)
    assert not sending.done()
    assert len(slow.read(timeout=10)) == 10_000_000
    sending.result(5)


def test_window_overflow_by_the_peer_ends_the_stream_or_the_session() -> None:
    with server_and_raw_client(lambda stream, headers: stream.read()) as (session, peer):
        peer.headers(1, UPLOAD)
        peer.open_window(1, 2**31 - 1)
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.FLOW_CONTROL_ERROR
        peer.open_window(0, 2**31 - 1)
        last = peer.farewell()
        assert last.error_code == ErrorCode.FLOW_CONTROL_ERROR
        assert session.destroyed


def test_a_peer_that_sends_beyond_the_connections_window_is_ended() -> None:
    options = {"max_session_memory": 1024 * 1024, "settings": {"initial_window_size": 2**31 - 1}}
    with client_and_raw_server(**options) as (session, peer):
        stream = session.request()
        peer.headers(1, RESPONSE)
        peer.keeps_to_windows = False
        for _ in range(100):
            peer.data(1, b"x" * FRAME)
        last = peer.farewell()
        assert last.error_code == ErrorCode.FLOW_CONTROL_ERROR
        with pytest.raises(Exception, match="window") as raised:
            while stream.read(FRAME):
                pass
        assert not isinstance(raised.value, (StreamReset, ConnectionLost))


def test_upload_credit_reaches_a_client_that_waits(background: Any) -> None:
    """A raw client that sends exactly what it may gets credit when the handler reads."""
    received: list[int] = []

    def handler(stream: Any, headers: Any) -> None:
        received.append(len(stream.read()))
        stream.end()

    with server_and_raw_client(handler, handshake=False) as (_, peer):
        peer.handshake()
        peer.headers(1, UPLOAD)
        for _ in range(4 * WINDOW // FRAME):
            while peer.credit(1) < FRAME:
                peer.expect(WindowUpdateFrame)
            peer.data(1, b"x" * FRAME)
        peer.data(1, b"", end_stream=True)
        eventually(lambda: received)
    assert received[0] == 4 * WINDOW


def test_settings_with_a_window_beyond_the_largest_are_an_error() -> None:
    with client_and_raw_server() as (session, peer):
        peer.send(SettingsFrame(0, settings={SettingId.INITIAL_WINDOW_SIZE: 2**31}))
        assert peer.farewell().error_code == ErrorCode.FLOW_CONTROL_ERROR
        assert session.destroyed


@pytest.mark.parametrize("receiver", ["client", "server"])
def test_a_window_grows_for_a_reader_that_keeps_up(ends: Any, receiver: str) -> None:
    stream, served = ends.exchange()
    served.respond()
    reading, writing = (stream, served) if receiver == "client" else (served, stream)
    first = reading.state.local_window_size
    for _ in range(100):  # piece by piece, or it would be up to the threads' turns who keeps up
        writing.write(bytes(10_000))
        left = 10_000
        while left:
            left -= len(reading.read(left))
    assert reading._state.window.size > first


def test_a_window_of_the_users_stays_as_it_is(open_ends: Any, background: Any) -> None:
    ends = open_ends(settings={"initial_window_size": 100_000})
    stream, served = ends.exchange()
    sent = background(stream.end, bytes(5_000_000))
    assert sum(map(len, served)) == 5_000_000
    sent.result(10)
    assert served._state.window.size == 100_000
