"""Flow control under a peer that uses every freedom it has: no credit is lost, no window overdrawn, nobody stuck."""

from __future__ import annotations

import gc
import random
from typing import Any

import pytest
from hyperframe.frame import DataFrame, Frame, HeadersFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from support.connections.pairs import Connections
from support.octets.fields import RESPONSE
from support.peers.raw_peer import RawPeer
from support.threads.background import eventually
from sync_h2 import ClientSession, ErrorCode
from sync_h2.constants import DEFAULT_WINDOW_SIZE, SettingId

BODY = bytes(range(250)) * 4000  # its octets tell their place, so that a frame out of order shows
UPLOAD = {":method": "POST"}
FRAME = 16_384


def settings(peer: RawPeer, **values: int) -> list[Frame]:
    """Change the peer's SETTINGS; what the session had sent until it applied them, its ACK included."""
    peer.send(SettingsFrame(0, settings={SettingId[name.upper()]: value for name, value in values.items()}))
    return peer.settled()


def of_kind(frames: list[Frame], kind: type[Frame]) -> list[Any]:
    return [frame for frame in frames if isinstance(frame, kind)]


# -- what we may send


def test_a_window_shrinks_below_zero_in_mid_upload_and_opens_by_single_bytes(
    connections: Connections, background: Any
) -> None:
    session, peer = connections.raw_server()
    peer.open_window(0, 2**31 - 1 - DEFAULT_WINDOW_SIZE)
    stream = session.request(UPLOAD)
    writing = background(stream.end, BODY)
    received = bytearray()

    def take(frames: list[Frame]) -> int:
        """Add what the DATA frames hold to `received`; the last one's length."""
        length = 0
        for frame in of_kind(frames, DataFrame):
            length = len(frame.data)
            received.extend(frame.data)
        return length

    while len(received) < DEFAULT_WINDOW_SIZE:
        take([peer.expect(DataFrame)])
    peer.open_window(1, 50_000)
    take([peer.expect(DataFrame)])
    take(settings(peer, initial_window_size=5_000))
    sent = DEFAULT_WINDOW_SIZE + 50_000
    assert len(received) == sent
    window = 5_000 + 50_000 - sent
    assert window < 0
    # One octet short of being positive: nothing may come.
    peer.open_window(1, -window)
    assert not of_kind(peer.settled(), DataFrame)
    for _ in range(200):
        peer.open_window(1, 1)
        assert take([peer.expect(DataFrame)]) == 1
    take(settings(peer, initial_window_size=5_001))
    assert len(received) == sent + 201
    take(settings(peer, initial_window_size=0))
    peer.open_window(1, 5_000)  # it stands at 1 - 5001 + 5000 = -1
    assert not of_kind(peer.settled(), DataFrame)
    assert not writing.done()
    peer.open_window(1, len(BODY))
    while "END_STREAM" not in (frame := peer.expect(DataFrame)).flags:
        take([frame])
    take([frame])
    assert received == BODY
    writing.result(5)
    session.destroy()  # while `stream` is held: dropping a stream without its answer would be worth a warning


def test_the_connections_window_opens_by_single_bytes(connections: Connections, background: Any) -> None:
    session, peer = connections.raw_server(peer_settings={SettingId.INITIAL_WINDOW_SIZE: 2**31 - 1})
    peer.settled()
    streams = [session.request(UPLOAD) for _ in range(4)]
    writing = [background(stream.end, BODY[:100_000]) for stream in streams]
    received = {stream.id: bytearray() for stream in streams}
    total = 0
    while total < DEFAULT_WINDOW_SIZE:
        frame = peer.expect(DataFrame)
        received[frame.stream_id] += frame.data
        total += len(frame.data)
    served = set()
    for _ in range(100):
        peer.open_window(0, 1)
        frame = peer.expect(DataFrame)
        assert len(frame.data) == 1
        received[frame.stream_id] += frame.data
        served.add(frame.stream_id)
    # The stream that came first may have had all of the first window: the others get as much before it gets more.
    for _ in range(3 * DEFAULT_WINDOW_SIZE // 1000 + 4):
        if len(served) == len(streams):
            break
        peer.open_window(0, 1000)
        frame = peer.expect(DataFrame)
        received[frame.stream_id] += frame.data
        served.add(frame.stream_id)
    assert len(served) == 4, "some stream got no share of the connection's window"
    peer.open_window(0, 400_000)
    while any(len(body) < 100_000 for body in received.values()):
        frame = peer.expect(DataFrame)
        received[frame.stream_id] += frame.data
    assert all(body == BODY[:100_000] for body in received.values())
    for call in writing:
        call.result(5)
    session.destroy()


def test_windows_that_change_at_random_overdraw_nothing_and_stop_nobody(
    connections: Connections, background: Any
) -> None:
    """The peer's own account of its windows is checked against each DATA frame."""
    chance = random.Random(5)
    initial = 1_000
    session, peer = connections.raw_server(peer_settings={SettingId.INITIAL_WINDOW_SIZE: initial})
    peer.settled()
    streams = [session.request(UPLOAD) for _ in range(6)]
    writing = [background(stream.end, BODY[:30_000]) for stream in streams]
    received = {stream.id: bytearray() for stream in streams}
    windows = dict.fromkeys(received, initial)
    ended: set[int] = set()
    connection_window = DEFAULT_WINDOW_SIZE
    # An increase counts from the moment it is sent, a decrease from its acknowledgement: `settled` waits for that.
    while len(ended) < len(streams):
        for frame in of_kind(peer.settled(), DataFrame):
            size = len(frame.data)
            connection_window -= size
            windows[frame.stream_id] -= size
            if size:
                assert windows[frame.stream_id] >= 0
            assert connection_window >= 0
            received[frame.stream_id] += frame.data
            if "END_STREAM" in frame.flags:
                ended.add(frame.stream_id)
        if chance.random() < 0.3:
            changed = chance.choice([0, 1, 10, 1_000, 20_000])
            if changed > initial:
                windows = {stream_id: window + changed - initial for stream_id, window in windows.items()}
                peer.send(SettingsFrame(0, settings={SettingId.INITIAL_WINDOW_SIZE: changed}))
            else:
                for frame in of_kind(settings(peer, initial_window_size=changed), DataFrame):
                    windows[frame.stream_id] -= len(frame.data)
                    connection_window -= len(frame.data)
                    assert windows[frame.stream_id] >= 0
                    received[frame.stream_id] += frame.data
                    if "END_STREAM" in frame.flags:
                        ended.add(frame.stream_id)
                windows = {stream_id: window + changed - initial for stream_id, window in windows.items()}
            initial = changed
        for stream_id in windows:
            if stream_id not in ended and chance.random() < 0.5:
                increment = chance.choice([1, 2, 500, 5_000])
                windows[stream_id] += increment
                peer.open_window(stream_id, increment)
        increment = chance.choice([1, 500, 20_000])
        connection_window += increment
        peer.open_window(0, increment)
    assert all(body == BODY[:30_000] for body in received.values())
    for call in writing:
        call.result(5)
    session.destroy()


# -- how many streams we may open


def answer(peer: RawPeer, stream_id: int) -> None:
    peer.headers(stream_id, RESPONSE, end_stream=True)


def opened(frames: list[Frame]) -> list[int]:
    return [frame.stream_id for frame in of_kind(frames, HeadersFrame)]


def test_max_concurrent_streams_falls_below_what_is_open_to_zero_and_rises_again(
    connections: Connections, background: Any
) -> None:
    session, peer = connections.raw_server(peer_settings={SettingId.MAX_CONCURRENT_STREAMS: 10})
    peer.settled()
    first = [session.request() for _ in range(10)]
    waiting = []
    for count in range(20):
        waiting.append(background(session.request))
        eventually(lambda count=count: len(session._pending) == count + 1)
    assert opened(peer.settled()) == [stream.id for stream in first]
    assert opened(settings(peer, max_concurrent_streams=3)) == []
    for stream in first[:7]:
        answer(peer, stream.id)
    assert opened(peer.settled()) == [], "three are still open"
    answer(peer, first[7].id)
    assert opened(peer.settled()) == [21]
    assert opened(settings(peer, max_concurrent_streams=0)) == []
    for stream_id in (first[8].id, first[9].id, 21):
        answer(peer, stream_id)
    assert opened(peer.settled()) == []
    assert len(session._pending) == 19
    assert opened(settings(peer, max_concurrent_streams=5)) == [23, 25, 27, 29, 31]
    assert opened(settings(peer, max_concurrent_streams=2**32 - 1)) == list(range(33, 60 + 1, 2))
    # First come, first served.
    assert [call.result(5).id for call in waiting] == list(range(21, 60, 2))
    session.destroy()


def test_max_concurrent_streams_changes_at_random_while_threads_request(
    connections: Connections, background: Any
) -> None:
    chance = random.Random(7)
    limit = 4
    session, peer = connections.raw_server(peer_settings={SettingId.MAX_CONCURRENT_STREAMS: limit})
    peer.settled()
    count = 15

    def load() -> int:
        for _ in range(count):
            session.request().read(timeout=20)
        return count

    threads = [background(load) for _ in range(10)]
    open_streams: set[int] = set()
    answered = 0
    while answered < count * len(threads):
        for stream_id in opened(peer.settled()):
            open_streams.add(stream_id)
            assert len(open_streams) <= limit
        for stream_id in chance.sample(sorted(open_streams), chance.randint(0, len(open_streams))):
            answer(peer, stream_id)
            open_streams.remove(stream_id)
            answered += 1
        if chance.random() < 0.3:
            changed = chance.choice([0, 1, 4, 12])
            for stream_id in opened(settings(peer, max_concurrent_streams=changed)):
                open_streams.add(stream_id)
                assert len(open_streams) <= max(limit, changed)  # what was on its way may have used the old one
            limit = changed
    assert [call.result(10) for call in threads] == [count] * len(threads)


# -- what the peer may send


def test_one_stream_stays_unread_while_99_finish(connections: Connections, background: Any) -> None:
    body = BODY[:600_000]
    client, _ = connections.pair(lambda stream, headers: stream.end(body))
    unread = client.request()
    unread.wait_response()
    finishing = [background(client.request().read, timeout=25) for _ in range(99)]
    assert all(call.result(25) == body for call in finishing)
    assert not unread._state.remote_ended
    assert unread.read(timeout=10) == body


def all_credit_has_returned(session: ClientSession) -> bool:
    """Nothing is unread, and what the connection's window lacks is only what waits for the next batch."""
    inbound = session._inbound
    window = inbound._connection
    with session._monitor, session._lock:
        return (
            inbound.unread == 0
            and inbound._withheld == 0
            and session._protocol.inbound_window() + window.owed == window.size
        )


class Account:
    """The connection's window as the peer knows it."""

    def __init__(self, peer: RawPeer) -> None:
        self.peer = peer
        self.window = DEFAULT_WINDOW_SIZE
        self.opened: list[int] = []
        self.reset: list[int] = []

    def take(self, frame: Frame | None) -> None:
        assert frame is not None, "the connection ended"
        if isinstance(frame, WindowUpdateFrame) and not frame.stream_id:
            self.window += frame.window_increment
        elif isinstance(frame, HeadersFrame):
            self.opened.append(frame.stream_id)
        elif isinstance(frame, RstStreamFrame):
            self.reset.append(frame.stream_id)

    def settle(self, session: ClientSession) -> None:
        """At the end of all streams: the engine and the peer count the same, and nothing is missing."""
        eventually(lambda: all_credit_has_returned(session), "the return of all credit")
        for frame in self.peer.settled():
            self.take(frame)
        window = session._inbound._connection
        assert self.window + window.owed == window.size

    def use(self, count: int) -> None:
        """Take `count` bytes of the window, waiting for as much."""
        while self.window < count:
            self.take(self.peer.receive())
        self.window -= count


@pytest.mark.filterwarnings("ignore:stream \\d+ was dropped unfinished:ResourceWarning")
def test_ten_thousand_abandoned_downloads_and_the_next_still_flows(
    plain_connections: Connections, background: Any
) -> None:
    """Each is given up in one of many ways, before, while or after its body arrives; together they are many times the
    connection's window.
    """
    memory = 256 * 1024
    count, size = 10_000, 2_000
    session, peer = plain_connections.raw_server(max_session_memory=memory)
    account = Account(peer)

    def serve() -> None:
        served = 0
        while served < count:
            while not account.opened:
                account.take(peer.receive())
            stream_id = account.opened.pop(0)
            served += 1
            account.use(size)
            body = b"x" * size
            peer.headers(stream_id, RESPONSE)
            peer.data(stream_id, body[: size // 2])
            peer.data(stream_id, body[size // 2 :], end_stream=stream_id % 3 == 0)

    serving = background(serve)
    for number in range(count):
        stream = session.request()
        kind = number % 7
        if kind == 0:
            stream.close(ErrorCode.CANCEL)  # most likely before anything came
        elif kind == 1:
            stream.wait_response(timeout=10)
            stream.close(ErrorCode.CANCEL)
        elif kind == 2:
            stream.read(10, timeout=10)
            stream.destroy()
        elif kind == 3:
            stream.wait_response(timeout=10)  # and then it is forgotten
        elif kind == 4:
            stream.read(size // 2 + 1, timeout=10)
            with stream:
                pass
        elif kind == 5:
            pass  # forgotten at once
        else:
            with stream:
                stream.read(1, timeout=10)
        del stream
    serving.result(60)
    gc.collect()
    account.settle(session)
    last = session.request()
    reading = background(last.read, timeout=10)
    while not account.opened:
        account.take(peer.receive())
    peer.headers(account.opened[0], RESPONSE)
    for _ in range(200):
        account.use(size)
        peer.data(account.opened[0], b"x" * size)
    peer.data(account.opened[0], b"", end_stream=True)
    assert len(reading.result(10)) == 200 * size


@pytest.mark.parametrize("how", ["read", "close", "forget", "read all"])
@pytest.mark.filterwarnings("ignore:stream \\d+ was dropped unfinished:ResourceWarning")
def test_what_is_unread_stays_within_max_session_memory_whatever_the_peer_sends(
    connections: Connections, background: Any, how: str
) -> None:
    """Streams' windows that are far larger than the memory: the connection's credit is what bounds it."""
    memory = 512 * 1024
    session, peer = connections.raw_server(
        max_session_memory=memory, settings={"initial_window_size": 2**31 - 1, "max_concurrent_streams": 100}
    )
    account = Account(peer)
    streams = {stream.id: stream for stream in (session.request() for _ in range(50))}
    for frame in peer.settled():
        account.take(frame)
    for stream_id in streams:
        peer.headers(stream_id, RESPONSE)
    # As much as the peer can send before anything is read.
    sent = 0
    stream_ids = list(streams)
    turn = 0
    while account.window >= FRAME:
        peer.data(stream_ids[turn % 50], b"x" * FRAME)
        turn += 1
        sent += FRAME
        account.window -= FRAME
        for frame in peer.settled():
            account.take(frame)
        assert session._inbound.unread <= memory
    assert sent <= memory
    assert sent >= memory * 3 // 4 - 2 * DEFAULT_WINDOW_SIZE, "memory that was promised is not used"
    assert sum(len(stream._state.buffer) for stream in streams.values()) == session._inbound.unread == sent
    if how == "read":
        for stream in streams.values():
            while len(stream._state.buffer):
                stream.read(FRAME)
    elif how == "close":
        for stream in streams.values():
            stream.close(ErrorCode.CANCEL)
    elif how == "forget":
        streams.clear()
        gc.collect()
    else:
        for stream_id in stream_ids:
            peer.data(stream_id, b"", end_stream=True)
        for stream in streams.values():
            assert len(stream.read(timeout=5)) in (sent // FRAME // 50 * FRAME, (sent // FRAME // 50 + 1) * FRAME)
    account.settle(session)


def test_readers_resets_and_a_greedy_peer_leave_the_account_balanced(connections: Connections, background: Any) -> None:
    """Threads read, read all, give up and time out at once; in the end every octet's credit has returned."""
    memory = 256 * 1024
    session, peer = connections.raw_server(max_session_memory=memory)
    account = Account(peer)
    rounds = 25

    def consume(seed: int) -> int:
        chance = random.Random(seed)
        total = 0
        for _ in range(rounds):
            stream = session.request()
            kind = chance.randrange(4)
            if kind == 0:
                total += len(stream.read(timeout=20))
            elif kind == 1:
                for _ in range(chance.randrange(5)):
                    total += len(stream.read(chance.randrange(1, 9_000), timeout=20))
                stream.close(ErrorCode.CANCEL)
            elif kind == 2:
                while chunk := stream.read(5_000, timeout=20):
                    total += len(chunk)
            else:
                stream.wait_response(timeout=20)
                stream.destroy()
        return total

    threads = [background(consume, seed) for seed in range(8)]
    bodies: dict[int, int] = {}
    chance = random.Random(3)
    finished = 0
    while finished < rounds * len(threads):
        for frame in peer.settled():
            account.take(frame)
            if isinstance(frame, RstStreamFrame) and bodies.pop(frame.stream_id, None) is not None:
                finished += 1
        for stream_id in account.opened:
            peer.headers(stream_id, RESPONSE)
            bodies[stream_id] = chance.choice([0, 100, 20_000, 60_000])
        account.opened.clear()
        for stream_id, left in list(bodies.items()):
            size = min(left, 10_000, account.window)
            if size or not left:
                account.window -= size
                ends = size == left
                peer.data(stream_id, b"x" * size, end_stream=ends)
                bodies[stream_id] = left - size
                if ends:
                    del bodies[stream_id]
                    finished += 1
        assert session._inbound.unread <= memory
    for call in threads:
        call.result(20)
    account.settle(session)
