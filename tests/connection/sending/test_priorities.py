"""Who gets the connection: weights, urgencies and the order of streams, measured on a slow link.

The peer opens the connection's window a little at a time and counts what it gets of each stream, so that the outcome
is the scheduler's alone.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from hyperframe.frame import DataFrame, ExtensionFrame, HeadersFrame, PriorityFrame

import sync_h2
from support.octets.fields import REQUEST
from support.peers.raw_peer import RawPeer, client_and_raw_server, server_and_raw_client
from support.threads.background import eventually
from sync_h2.constants import DEFAULT_WINDOW_SIZE, FrameType, SettingId
from sync_h2.protocol.frames.extension_frames import build_priority_update

STEP = 1000
BODY = 1_000_000
WIDE_STREAMS = {SettingId.INITIAL_WINDOW_SIZE: 2**30}


class SlowLink:
    """A server with streams that have much to send, and the client's end of it."""

    def __init__(self, session: sync_h2.ServerSession, peer: RawPeer, served: Mapping[int, Any]) -> None:
        self.session = session
        self.served = served
        self.peer = peer
        # The first stream takes the window that every connection starts with; from here on nothing is sent unless
        # `receive` lets it.
        peer.headers(1, REQUEST, end_stream=True)
        received = 0
        while received < DEFAULT_WINDOW_SIZE:
            received += len(peer.expect(DataFrame, 1).data)
        peer.reset(1, sync_h2.ErrorCode.CANCEL)
        eventually(lambda: not session._streams)

    def request(self, stream_id: int, priority: str | None = None) -> None:
        """A request whose answer is ready to be sent when this returns."""
        fields = REQUEST if priority is None else (*REQUEST, ("priority", priority))
        self.peer.headers(stream_id, fields, end_stream=True)
        eventually(lambda: self._is_ready(stream_id))

    def _is_ready(self, stream_id: int) -> bool:
        state = self.session._streams.get(stream_id)
        return state is not None and bool(state.outgoing)

    def update(self, stream_id: int, value: str) -> None:
        body = build_priority_update(stream_id, value)
        frame = ExtensionFrame(type=FrameType.PRIORITY_UPDATE, stream_id=0, flag_byte=0, body=body)
        frame.body_len = len(body)  # hyperframe does not count what such a frame carries
        self.peer.send(frame)
        self.peer.settled()

    def receive(self, steps: int) -> Counter[int]:
        """How much comes of each stream while the window is opened so many times."""
        received: Counter[int] = Counter()
        for stream_id, size in self.sequence(steps):
            received[stream_id] += size
        return received

    def sequence(self, steps: int) -> list[tuple[int, int]]:
        """(stream, size) of each DATA frame that comes, in order."""
        frames = []
        for _ in range(steps):
            self.peer.open_window(0, STEP)
            received = 0
            while received < STEP:
                frame = self.peer.expect(DataFrame)
                if frame.data:
                    frames.append((frame.stream_id, len(frame.data)))
                received += len(frame.data)
        return frames


@pytest.fixture
def open_link() -> Iterator[Callable[..., SlowLink]]:
    """Opens a SlowLink; `chunk` is how much its handlers give to one write (0: everything)."""
    opened: list[Any] = []

    def make(body_size: int = BODY, chunk: int = 0) -> SlowLink:
        served: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

        def handler(stream: Any, headers: Any) -> None:
            served[stream.id] = stream
            stream.respond()
            if stream.id == 1 or not chunk:
                stream.end(b"x" * (BODY if stream.id == 1 else body_size))
            for _ in range(body_size // chunk if chunk else 0):
                stream.write(b"x" * chunk)

        context = server_and_raw_client(handler, peer_settings=WIDE_STREAMS, write_timeout=None)
        opened.append(context)
        return SlowLink(*context.__enter__(), served)

    yield make
    for context in opened:
        context.__exit__(None, None, None)


@pytest.fixture
def link(open_link: Callable[..., SlowLink]) -> SlowLink:
    return open_link()


def shares(received: Counter[int], streams: Sequence[int]) -> list[float]:
    total = sum(received.values())
    return [round(received[stream_id] / total, 2) for stream_id in streams]


# -- weights


def test_streams_without_a_signal_share_equally(link: SlowLink) -> None:
    for stream_id in (3, 5, 7):
        link.request(stream_id)
    received = link.receive(300)
    assert [received[stream_id] for stream_id in (3, 5, 7)] == [100 * STEP] * 3


def test_weights_of_1_to_3(link: SlowLink) -> None:
    link.request(3)
    link.request(5)
    link.peer.send(PriorityFrame(3, stream_weight=9), PriorityFrame(5, stream_weight=29))
    link.peer.settled()
    assert shares(link.receive(400), (3, 5)) == [0.25, 0.75]


def test_weights_of_1_to_2_to_5(link: SlowLink) -> None:
    for stream_id in (3, 5, 7):
        link.request(stream_id)
    link.peer.send(
        *(PriorityFrame(stream_id, stream_weight=weight - 1) for stream_id, weight in ((3, 1), (5, 2), (7, 5)))
    )
    link.peer.settled()
    assert shares(link.receive(400), (3, 5, 7)) == [0.12, 0.25, 0.62]


def test_a_weight_given_with_the_request(link: SlowLink) -> None:
    link.request(3)
    frame = HeadersFrame(5, link.peer._encoder.encode(REQUEST), flags=["END_HEADERS", "END_STREAM", "PRIORITY"])
    frame.stream_weight = 47
    link.peer.send(frame)
    eventually(lambda: link._is_ready(5))
    assert shares(link.receive(400), (3, 5)) == [0.25, 0.75]


def test_a_weight_that_the_server_gives_holds_at_once_and_sends_no_frame(link: SlowLink) -> None:
    link.request(3)
    link.request(5)
    assert shares(link.receive(100), (3, 5)) == [0.5, 0.5]
    served = link.served[5]
    served.priority(weight=48)
    assert link.peer.settled() == []
    assert shares(link.receive(400), (3, 5)) == [0.25, 0.75]
    assert served.state.weight == 48
    served.priority()
    assert shares(link.receive(100), (3, 5)) == [0.5, 0.5]


def test_weights_hold_for_streams_that_write_little_by_little(open_link: Callable[..., SlowLink]) -> None:
    """What a stream got counts when it comes back with its next write."""
    link = open_link(chunk=STEP)
    for stream_id in (3, 5):
        link.request(stream_id)
    link.peer.send(PriorityFrame(3, stream_weight=9), PriorityFrame(5, stream_weight=29))
    link.peer.settled()
    received: Counter[int] = Counter()
    for _ in range(200):
        for stream_id in (3, 5):
            eventually(lambda stream_id=stream_id: link._is_ready(stream_id))
        received += link.receive(1)
    assert shares(received, (3, 5)) == [0.25, 0.75]


def test_a_stream_that_comes_later_has_no_claim_to_what_was_sent_before(link: SlowLink) -> None:
    link.request(3)
    link.receive(200)
    link.request(5)
    assert shares(link.receive(100), (3, 5)) == [0.5, 0.5]


def test_a_stream_whose_own_window_was_closed_has_no_claim_either(link: SlowLink) -> None:
    link.request(3)
    link.request(5)
    link.receive(10)
    link.session._protocol._table.streams[5].outbound_window = 0
    assert link.receive(100) == {3: 100 * STEP}
    link.peer.open_window(5, 10_000_000)
    assert shares(link.receive(100), (3, 5)) == [0.5, 0.5]


# -- urgency, and streams that are not to be interleaved (RFC 9218)


def test_the_more_urgent_stream_comes_first_and_the_other_does_not_starve(link: SlowLink) -> None:
    link.request(3, "u=5")
    link.request(5, "u=1")
    received = link.receive(320)
    assert received == {5: 300 * STEP, 3: 20 * STEP}  # one turn in sixteen


def test_three_urgencies(link: SlowLink) -> None:
    for stream_id, priority in ((3, "u=7"), (5, "u=0"), (7, "u=4")):
        link.request(stream_id, priority)
    assert link.receive(160) == {5: 150 * STEP, 7: 5 * STEP, 3: 5 * STEP}


def test_weights_count_within_an_urgency_only(link: SlowLink) -> None:
    for stream_id, priority in ((3, "u=4, i"), (5, "u=2, i"), (7, "u=2, i")):
        link.request(stream_id, priority)
    link.peer.send(PriorityFrame(3, stream_weight=255), PriorityFrame(5, stream_weight=47))
    link.peer.settled()
    received = link.receive(640)
    assert received[3] == 40 * STEP
    assert shares(Counter({key: received[key] for key in (5, 7)}), (5, 7)) == [0.75, 0.25]


def test_streams_that_are_incremental_share(link: SlowLink) -> None:
    link.request(3, "u=3, i")
    link.request(5, "i")
    assert shares(link.receive(100), (3, 5)) == [0.5, 0.5]


@pytest.mark.parametrize("order", [(3, 5, 7), (7, 5, 3)])
def test_streams_that_are_not_incremental_come_one_after_the_other(
    open_link: Callable[..., SlowLink], order: tuple[int, ...]
) -> None:
    """In the order of their ids, whatever their weights and the order in which they have something to send."""
    link = open_link(body_size=20 * STEP)
    for stream_id in (3, 5, 7):
        link.request(stream_id, "u=3")
    for stream_id in order:
        link.peer.open_window(stream_id, 1)
        link.peer.settled()
    link.peer.send(PriorityFrame(7, stream_weight=255))
    assert link.sequence(60) == [(3, STEP)] * 20 + [(5, STEP)] * 20 + [(7, STEP)] * 20


def test_one_that_is_not_incremental_shares_with_those_that_are(link: SlowLink) -> None:
    """As one stream, however many wait behind it (RFC 9218 section 10)."""
    for stream_id, priority in ((3, "u=3"), (5, "u=3"), (7, "u=3, i")):
        link.request(stream_id, priority)
    assert link.receive(100) == {3: 50 * STEP, 7: 50 * STEP}


def test_an_update_moves_a_stream_to_another_urgency(link: SlowLink) -> None:
    for stream_id in (3, 5):
        link.request(stream_id, "u=3, i")
    assert shares(link.receive(100), (3, 5)) == [0.5, 0.5]
    link.update(5, "u=0")
    assert link.receive(160) == {5: 150 * STEP, 3: 10 * STEP}
    link.update(5, "u=7, i")
    assert link.receive(160) == {3: 150 * STEP, 5: 10 * STEP}
    link.update(5, "u=3, i")
    assert shares(link.receive(100), (3, 5)) == [0.5, 0.5]


def test_an_update_makes_streams_come_one_after_the_other(link: SlowLink) -> None:
    for stream_id in (3, 5):
        link.request(stream_id, "i")
    assert shares(link.receive(10), (3, 5)) == [0.5, 0.5]
    link.update(3, "u=3")
    link.update(5, "u=3")
    assert link.receive(50) == {3: 50 * STEP}


def test_an_update_before_its_request(link: SlowLink) -> None:
    link.request(3)
    link.update(5, "u=1")
    link.request(5, "u=6")  # the update is the newer word, although it came first (RFC 9218 section 7.1)
    assert link.receive(160) == {5: 150 * STEP, 3: 10 * STEP}


def test_a_stream_that_moves_between_urgencies_starts_anew_there(link: SlowLink) -> None:
    """What it was sent in one urgency is no debt in another."""
    link.request(3)
    link.receive(500)
    link.request(5, "u=1, i")
    link.receive(10)
    link.update(3, "u=1, i")
    assert shares(link.receive(100), (3, 5)) == [0.5, 0.5]


# -- a client's priorities


def test_a_client_sends_priority() -> None:
    with client_and_raw_server() as (session, peer):
        first, second = session.request({":method": "POST"}), session.request({":method": "POST"})
        peer.settled()
        second.priority(parent=1, weight=100, exclusive=True)
        frame = peer.expect(PriorityFrame)
        assert (frame.stream_id, frame.depends_on, frame.stream_weight, frame.exclusive) == (3, 1, 99, True)
        second.priority()
        frame = peer.expect(PriorityFrame)
        assert (frame.stream_id, frame.depends_on, frame.stream_weight, frame.exclusive) == (3, 0, 15, False)
        second.priority(parent=1, weight=256, silent=True)
        assert peer.settled() == []
        assert (first.state.sum_dependency_weight, second.state.weight) == (256, 256)


def test_an_answer_that_is_whole_has_no_priority_to_change() -> None:
    """Nobody can know that it has come meanwhile."""
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        peer.settled()
        peer.headers(1, ((":status", "200"),))
        peer.data(1, b"all", end_stream=True)
        eventually(lambda: stream.closed)
        stream.priority(weight=32)
        assert peer.settled() == []
        assert stream.state.weight == 32
        assert stream.read(timeout=10) == b"all"


@pytest.mark.parametrize("end", ["ours", "the peer's"])
def test_a_stream_that_was_reset_has_no_priority(end: str) -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request({":method": "POST"})
        if end == "ours":
            stream.close(sync_h2.ErrorCode.CANCEL)
        else:
            peer.settled()
            peer.reset(1, sync_h2.ErrorCode.INTERNAL_ERROR)
            eventually(lambda: stream.closed)
        with pytest.raises(sync_h2.HTTP2Error):
            stream.priority(weight=32)


def test_a_client_sends_priority_with_its_request() -> None:
    with client_and_raw_server() as (session, peer):
        session.request({":method": "POST"}).close(sync_h2.ErrorCode.CANCEL)
        assert "PRIORITY" not in peer.expect(HeadersFrame).flags
        stream = session.request(parent=1, weight=7, exclusive=True)
        frame = peer.expect(HeadersFrame)
        assert (frame.depends_on, frame.stream_weight, frame.exclusive) == (1, 6, True)
        assert stream.state.weight == 7


@pytest.mark.parametrize("silent", [False, True])
def test_the_priority_of_a_pending_stream_goes_with_its_headers(silent: bool) -> None:
    with client_and_raw_server(peer_settings={SettingId.MAX_CONCURRENT_STREAMS: 1}) as (session, peer):
        eventually(lambda: session.remote_settings.max_concurrent_streams == 1)
        first = session.request({":method": "POST"})
        peer.expect(HeadersFrame, 1)
        pending = session.request({":method": "POST"}, weight=3, wait=False)
        pending.priority(weight=200, parent=1, silent=silent)
        assert pending.state.weight == 200
        assert peer.settled() == []
        first.close(sync_h2.ErrorCode.CANCEL)
        frame = peer.expect(HeadersFrame, 3)
        assert (frame.depends_on, frame.stream_weight) == ((0, 2) if silent else (1, 199))
        assert pending.state.weight == 200
        assert peer.settled() == []


def test_a_clients_own_weights_share_its_uploads(background: Any) -> None:
    with client_and_raw_server(peer_settings=WIDE_STREAMS) as (session, peer):
        eventually(lambda: session.remote_settings.initial_window_size == 2**30)
        filler = session.request({":method": "POST"})
        filler.write(b"x" * DEFAULT_WINDOW_SIZE)
        streams = [session.request({":method": "POST"}, weight=20), session.request({":method": "POST"})]
        streams[1].priority(weight=60, silent=True)
        writing = [background(stream.write, b"x" * BODY) for stream in streams]
        for stream in streams:
            eventually(lambda stream=stream: stream._state.outgoing)
        peer.settled()
        received: Counter[int] = Counter()
        for step in range(1, 401):
            peer.open_window(0, STEP)
            while sum(received.values()) < step * STEP:
                frame = peer.expect(DataFrame)
                received[frame.stream_id] += len(frame.data)
        session.destroy()
        for call in writing:
            assert isinstance(call.exception(10), sync_h2.HTTP2Error)
        assert shares(received, (3, 5)) == [0.25, 0.75]


# -- pushed streams


def test_the_dependency_of_a_pushed_stream(ends: Any) -> None:
    _, served = ends.exchange({})
    first = served.push_stream({":path": "/a"}, parent=served.id)
    assert served.state.sum_dependency_weight == 16
    second = served.push_stream({":path": "/b"}, parent=served.id, exclusive=True)
    assert (served.state.sum_dependency_weight, second.state.sum_dependency_weight) == (16, 16)
    assert first.state.sum_dependency_weight == 0
    with pytest.raises(sync_h2.InvalidArgument, match="parent 6 is the pushed stream itself"):
        served.push_stream({":path": "/c"}, parent=6)
    ends.held += [first, second, served.push_stream({":path": "/c"})]
    assert ends.held[-1].id == 6
    with pytest.raises(sync_h2.InvalidArgument, match="parent must be between"):
        served.push_stream({":path": "/d"}, parent=-1)


# -- what callers get wrong


@pytest.mark.parametrize("weight", [0, 257, -1])
def test_a_weight_out_of_range(ends: Any, weight: int) -> None:
    stream, served = ends.exchange()
    for call in (stream.priority, served.priority, ends.client.request):
        with pytest.raises(sync_h2.InvalidArgument, match="weight must be between 1 and 256, not"):
            call(weight=weight)
    assert (stream.state.weight, served.state.weight) == (16, 16)


@pytest.mark.parametrize(("name", "value"), [("weight", "16"), ("weight", 1.5), ("parent", None), ("parent", 1.0)])
def test_numbers_that_are_none(ends: Any, name: str, value: Any) -> None:
    stream, _ = ends.exchange()
    for call in (stream.priority, ends.client.request):
        with pytest.raises(TypeError, match=f"{name} must be an int"):
            call(**{name: value})


@pytest.mark.parametrize("parent", [-1, 2**31])
def test_a_parent_that_is_no_stream_id(ends: Any, parent: int) -> None:
    stream, _ = ends.exchange()
    with pytest.raises(sync_h2.InvalidArgument, match="parent must be between 0 and 2147483647"):
        stream.priority(parent=parent)


def test_a_stream_that_would_depend_on_itself(ends: Any) -> None:
    stream, served = ends.exchange()
    for end in (stream, served):
        with pytest.raises(sync_h2.InvalidArgument, match="parent names the stream itself"):
            end.priority(parent=1)
    with pytest.raises(sync_h2.InvalidArgument, match="parent 3 is the stream itself"):
        ends.client.request(parent=3)
    with pytest.raises(sync_h2.InvalidArgument, match="parent 3 is the stream itself"):
        ends.client.request(parent=3, wait=False)
    stream.end(b"the session goes on")
    assert served.read(timeout=10) == b"the session goes on"
    other, _ = ends.exchange()
    assert other.id == 3


def test_a_pending_stream_that_would_depend_on_itself() -> None:
    """Its id is known only when it gets its slot: then it fails, and those behind it get theirs."""
    with client_and_raw_server(peer_settings={SettingId.MAX_CONCURRENT_STREAMS: 1}) as (session, peer):
        eventually(lambda: session.remote_settings.max_concurrent_streams == 1)
        first = session.request({":method": "POST"})
        wrong = session.request(parent=3, wait=False)
        silently_wrong = session.request(wait=False)
        silently_wrong.priority(parent=3, silent=True)
        right = session.request(wait=False)
        first.close(sync_h2.ErrorCode.CANCEL)
        for stream in (wrong, silently_wrong):
            with pytest.raises(sync_h2.InvalidArgument, match="parent 3 is the stream itself"):
                stream.wait_response(timeout=10)
        assert right.id == 3
        assert peer.expect(HeadersFrame, 3)


def test_a_closed_stream_refuses(ends: Any) -> None:
    stream, _ = ends.exchange()
    stream.close(sync_h2.ErrorCode.CANCEL)
    with pytest.raises(sync_h2.StreamReset):
        stream.priority(weight=1)
