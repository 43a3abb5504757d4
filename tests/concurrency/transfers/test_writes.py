"""Writing and reading one stream from several threads, and calls that time out: no octet is lost, doubled, changed."""

from __future__ import annotations

import random
import socket
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hyperframe.frame import DataFrame

from support.connections.pairs import Connections
from support.octets.bodies import pattern
from support.peers.raw_peer import RawPeer
from support.threads.background import eventually, waits
from sync_h2 import InvalidState, Timeout, connect, create_secure_server, create_server
from sync_h2.constants import DEFAULT_WINDOW_SIZE, SettingId

UPLOAD = {":method": "POST"}
HUGE = 2**31 - 1
BODY = bytes(range(251)) * 10_000


def open_all_windows(peer: RawPeer) -> None:
    """With INITIAL_WINDOW_SIZE at its largest: from here on only the kernel holds the session up."""
    peer.open_window(0, HUGE - DEFAULT_WINDOW_SIZE)
    peer.settled()


def write_all(write: Callable[[bytes, float], int], body: bytes, chance: random.Random, timed_out: list[int]) -> None:
    """Write `body` in calls that may time out, and after each go on from what it says was written."""
    position = 0
    while position < len(body):
        piece = bytearray(body[position : position + chance.randrange(1, 200_000)])
        try:
            write(piece, chance.choice([0.0, 0.001, 0.01, 5.0]))
            position += len(piece)
        except Timeout as error:
            position += error.bytes_written
            timed_out.append(error.bytes_written)
        # The buffer is ours again: what the session still refers to would be sent changed, or could not be cleared.
        piece[:] = b"!" * len(piece)
        piece.clear()


# -- timeouts


def test_writes_that_time_out_leave_siblings_and_framing_intact(connections: Connections, background: Any) -> None:
    """Windows open by little, the kernel holds little, calls time out all the time: each body arrives as it was."""
    session, peer = connections.raw_server(peer_settings={SettingId.INITIAL_WINDOW_SIZE: 10_000}, receive_buffer=8_192)
    peer.settled()
    # With content-length too: what a call withdrew may be written again.
    streams = [session.request({**UPLOAD, **length}) for length in ({}, {"content-length": 600_000}) for _ in range(3)]
    bodies = {stream.id: BODY[number : number + 600_000] for number, stream in enumerate(streams)}
    timed_out: list[int] = []

    def upload(stream: Any) -> None:
        write_all(stream.write, bodies[stream.id], random.Random(stream.id), timed_out)
        stream.end(timeout=20)

    uploading = [background(upload, stream) for stream in streams]
    received = {stream.id: bytearray() for stream in streams}
    ended = 0
    while ended < len(streams):
        frame = peer.expect(DataFrame)
        received[frame.stream_id] += frame.data
        if frame.data:
            peer.open_window(0, len(frame.data))
            peer.open_window(frame.stream_id, len(frame.data))
        ended += "END_STREAM" in frame.flags
    for call in uploading:
        call.result(20)
    assert received == bodies
    assert timed_out
    session.destroy()


@pytest.mark.parametrize("kind", [bytearray, lambda data: memoryview(bytearray(data))], ids=["bytearray", "memoryview"])
def test_a_buffer_changed_after_its_timeout_while_the_writer_is_blocked(
    connections: Connections, background: Any, kind: Callable[[bytes], Any]
) -> None:
    """The peer reads nothing, so the writer thread stands in `send`, and behind it frames wait that were written."""
    session, peer = connections.raw_server(peer_settings={SettingId.INITIAL_WINDOW_SIZE: HUGE}, receive_buffer=8_192)
    open_all_windows(peer)
    stream, sibling = session.request(UPLOAD), session.request(UPLOAD)
    written = bytearray()
    for start in range(0, 2_000_000, 500_000):
        buffer = kind(BODY[start : start + 500_000])
        try:
            count = stream.write(buffer, timeout=0.05)
        except Timeout as error:
            count = error.bytes_written
        written += BODY[start : start + count]
        buffer[:] = b"!" * len(buffer)
    assert 0 < len(written) < 2_000_000
    assert session._sender.writer.active, "nothing was held up: the test shows nothing"
    sibling_ending = background(sibling.end, b"sibling")
    ending = background(stream.end)
    received = {1: bytearray(), 3: bytearray()}
    ended = 0
    while ended < 2:
        frame = peer.expect(DataFrame)
        received[frame.stream_id] += frame.data
        ended += "END_STREAM" in frame.flags
    ending.result(5)
    sibling_ending.result(5)
    assert received[1] == written
    assert received[3] == b"sibling"
    session.destroy()


@pytest.mark.parametrize("kernel", [4_000, 50_000, 150_000])
def test_what_there_is_room_for_is_taken_although_the_peer_reads_nothing(kernel: int) -> None:
    """However much of it the kernel has taken when it is full: that there is no writer yet is nobody's business."""
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, kernel)
    session = connect("http://localhost", sock=near)
    peer = RawPeer(far, client=False)
    peer.handshake({SettingId.INITIAL_WINDOW_SIZE: HUGE})
    open_all_windows(peer)
    stream = session.request(UPLOAD)
    stream.end(BODY[:400_000], timeout=20)
    assert session._sender.writer.awaits_writable_locked
    received = bytearray()
    while "END_STREAM" not in (frame := peer.expect(DataFrame)).flags:
        received += frame.data
    assert received + frame.data == BODY[:400_000]
    session.destroy()
    peer.close()


def test_a_buffer_changed_right_after_write_while_the_writer_is_blocked(
    connections: Connections, background: Any
) -> None:
    session, peer = connections.raw_server(peer_settings={SettingId.INITIAL_WINDOW_SIZE: HUGE}, receive_buffer=8_192)
    open_all_windows(peer)
    stream = session.request(UPLOAD)
    buffer = bytearray(3_000)
    expected = bytearray()

    def write() -> None:
        for number in range(1_000):
            buffer[:] = BODY[number : number + 3_000]
            expected.extend(buffer)
            stream.write(buffer)
            buffer[:] = b"!" * len(buffer)
        stream.end()

    writing = background(write)
    eventually(lambda: session._sender.writer.active and waits(stream), "a write that has to wait for the kernel")
    received = bytearray()
    while "END_STREAM" not in (frame := peer.expect(DataFrame)).flags:
        received += frame.data
    received += frame.data
    writing.result(5)
    assert received == expected
    session.destroy()


def test_a_buffer_changed_right_after_write_while_frames_wait_in_the_outbox(
    connections: Connections, background: Any
) -> None:
    """The kernel takes a whole outbox at once, and what is framed after that waits for the writer: `write` returns
    before any octet of it was given to the transport.
    """
    session, peer = connections.raw_server(peer_settings={SettingId.INITIAL_WINDOW_SIZE: HUGE})
    open_all_windows(peer)
    near = session._transport.sock
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_000_000)
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, HUGE)
    stream = session.request(UPLOAD)
    expected = bytearray()

    def write() -> None:
        for number in range(40):
            piece = BODY[number : number + 400_000]
            buffer = bytearray(piece)
            expected.extend(piece)
            stream.write(buffer)
            buffer[:] = b"!" * len(buffer)
        stream.end()

    writing = background(write)
    received = bytearray()
    while "END_STREAM" not in (frame := peer.expect(DataFrame)).flags:
        received += frame.data
    received += frame.data
    writing.result(5)
    assert received == expected
    session.destroy()


def test_reads_that_time_out_lose_nothing(connections: Connections, background: Any) -> None:
    ends = connections.ends()
    stream, served = ends.exchange({})
    chance = random.Random(11)

    def send() -> None:
        position = 0
        while position < 300_000:
            size = chance.randrange(1, 3_000)
            served.write(BODY[position : position + size])
            position += size
        served.end(b"end")
        sent.append(position)

    sent: list[int] = []
    sending = background(send)
    received = bytearray()
    buffer = bytearray(4_000)
    reads: list[Callable[[float], bytes]] = [
        lambda timeout: stream.read(2_000, timeout=timeout),
        lambda timeout: bytes(buffer[: stream.readinto(buffer, timeout=timeout)]),
        lambda timeout: stream.readline(3_000, timeout=timeout),
    ]
    while True:
        try:
            piece = chance.choice(reads)(chance.choice([0.0, 0.0001, 0.001]))
        except Timeout:
            continue
        if not piece:
            break
        received += piece
    sending.result(5)
    assert received == BODY[: sent[0]] + b"end"


def test_a_read_of_everything_that_times_out_loses_nothing(connections: Connections, background: Any) -> None:
    """While it waited its credit returned ahead: none of it may be returned twice."""
    ends = connections.ends()
    stream, served = ends.exchange({})
    body = BODY[:1_500_000]
    sending = background(served.end, body)
    received = bytearray()
    while True:
        try:
            received += stream.read(timeout=0.001)
            break
        except Timeout:
            received += stream.read(10_000)
    sending.result(5)
    assert received == body
    assert ends.client._inbound.unread == 0


# -- several threads, one stream


def test_threads_that_write_one_stream_get_whole_writes(connections: Connections, background: Any) -> None:
    """Each write is one piece in the body, whatever its size and however often the windows are used up."""
    ends = connections.ends(server={"settings": {"initial_window_size": 5_000}})
    stream, served = ends.exchange()

    def write(letter: int) -> list[bytes]:
        chance = random.Random(letter)
        pieces = [bytes([letter]) * chance.randrange(1, 20_000) + b"\n" for _ in range(25)]
        for piece in pieces:
            assert stream.write(piece) == len(piece)
        return pieces

    writing = [background(write, letter) for letter in b"abcdef"]
    reading = background(served.read, timeout=25)
    pieces = {call.result(25)[0][:1]: call.result() for call in writing}
    stream.end()
    received = reading.result(25).splitlines(keepends=True)
    # Within each thread's pieces the order is that of its calls.
    for letter, written in pieces.items():
        assert [piece for piece in received if piece.startswith(letter)] == written
    assert len(received) == 6 * 25


def test_a_write_that_times_out_among_others_is_cut_in_one_place_only(
    connections: Connections, background: Any
) -> None:
    """What went of it is one piece of the length that it reports; the other threads' writes are whole."""
    ends = connections.ends(server={"settings": {"initial_window_size": 3_000}})
    stream, served = ends.exchange()

    def write(letter: int) -> list[int]:
        chance = random.Random(letter)
        lengths = []
        for _ in range(30):
            data = bytes([letter]) * chance.randrange(1, 10_000)
            try:
                lengths.append(stream.write(data, timeout=chance.choice([0.0, 0.001, 10])))
            except Timeout as error:
                lengths.append(error.bytes_written)
        return lengths

    writing = [background(write, letter) for letter in b"abcd"]
    reading = background(served.read, timeout=25)
    counts = {letter: sum(call.result(25)) for letter, call in zip(b"abcd", writing, strict=True)}
    stream.end()
    received = reading.result(25)
    assert {letter: received.count(letter) for letter in b"abcd"} == counts


def test_an_end_among_writes_comes_after_whole_writes_only(connections: Connections, background: Any) -> None:
    for _ in range(20):
        ends = connections.ends()
        stream, served = ends.exchange()
        start = threading.Barrier(5)

        def write(letter: int, stream: Any = stream, start: Any = start) -> int:
            start.wait()
            total = 0
            try:
                for _ in range(20):
                    total += stream.write(bytes([letter]) * 500)
            except InvalidState:
                pass
            return total

        writing = [background(write, letter) for letter in b"abcd"]
        start.wait()
        stream.end(b"end")
        counts = [call.result(5) for call in writing]
        received = served.read()
        assert received.endswith(b"end")
        assert [received[:-3].count(letter) for letter in b"abcd"] == counts
        served.end()
        stream.read()
        ends.client.close(timeout=5)


def test_threads_that_read_one_stream_get_pieces_that_do_not_overlap(connections: Connections, background: Any) -> None:
    ends = connections.ends()
    stream, served = ends.exchange({})
    count = 100_000
    body = b"".join(number.to_bytes(4, "big") for number in range(count))

    def words(data: bytes) -> list[int]:
        return [int.from_bytes(data[start : start + 4], "big") for start in range(0, len(data), 4)]

    def read() -> list[list[int]]:
        pieces = []
        while piece := stream.read(400):
            pieces.append(words(piece))
        return pieces

    def readinto() -> list[list[int]]:
        pieces = []
        buffer = bytearray(1_000)
        while size := stream.readinto(buffer):
            pieces.append(words(buffer[:size]))
        return pieces

    reading = [background(function) for function in (read, read, readinto, readinto)]
    for start in range(0, len(body), 4_000):  # multiples of four, so that no piece ends within a number
        served.write(body[start : start + 4_000])
    served.end()
    by_thread = [call.result(20) for call in reading]
    for pieces in by_thread:
        numbers = [number for piece in pieces for number in piece]
        assert numbers == sorted(numbers), "a thread got a later piece before an earlier one"
        assert all(piece == list(range(piece[0], piece[0] + len(piece))) for piece in pieces), "a piece has a hole"
    assert sorted(number for pieces in by_thread for piece in pieces for number in piece) == list(range(count))


def test_threads_that_read_lines_of_one_stream_get_whole_lines(connections: Connections, background: Any) -> None:
    ends = connections.ends()
    stream, served = ends.exchange({})
    lines = [b"%d:%s\n" % (number, b"x" * (number % 700)) for number in range(2_000)]

    def read() -> list[bytes]:
        return list(iter(stream.readline, b""))

    reading = [background(read) for _ in range(4)]
    body = b"".join(lines)
    for start in range(0, len(body), 1_111):
        served.write(body[start : start + 1_111])
    served.end()
    by_thread = [call.result(20) for call in reading]
    assert sorted(line for part in by_thread for line in part) == sorted(lines)


def test_of_threads_that_read_everything_one_gets_it(connections: Connections, background: Any) -> None:
    ends = connections.ends()
    for _ in range(20):
        stream, served = ends.exchange({})
        reading = [background(stream.read, timeout=10) for _ in range(3)]
        served.end(BODY[:400_000])
        assert sorted(len(call.result(10)) for call in reading) == [0, 0, 400_000]


# -- both directions


@pytest.mark.parametrize("kind", ["plain", "tls"])
def test_ping_is_answered_while_100_mb_flows_both_ways(
    kind: str, certificate: Any, background: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over the loopback, on 8 streams. The times are printed; what is asserted is only that nothing hangs."""
    size = 12_500_000
    streams = 8
    body = b"".join(pattern(size))

    def handler(stream: Any, headers: Any) -> None:
        writing = background(stream.end, body)
        uploaded = stream.read()
        writing.result(60)
        uploads.append(uploaded == body)

    uploads: list[bool] = []
    if kind == "tls":
        server = create_secure_server(handler, certfile=certificate.certfile, keyfile=certificate.keyfile)
    else:
        server = create_server(handler)
    with server:
        client = connect(server.url, **({"cafile": certificate.cafile} if kind == "tls" else {}))
        with client:

            def exchange() -> bool:
                stream = client.request(UPLOAD)
                writing = background(stream.end, body)
                downloaded = stream.read()
                writing.result(60)
                return downloaded == body

            began = time.monotonic()
            exchanging = [background(exchange) for _ in range(streams)]
            eventually(lambda: len(client._streams) == streams)
            durations = []
            while not all(call.done() for call in exchanging):
                durations.append(client.ping(timeout=30).duration)
                durations.append(server.sessions[0].ping(timeout=30).duration)
            seconds = time.monotonic() - began
            assert all(call.result() for call in exchanging)
        eventually(lambda: len(uploads) == streams)
        assert all(uploads)
    with capsys.disabled():
        print(
            f"\n{kind}: {streams * size / 1e6:.0f} MB each way in {seconds:.1f} s, {len(durations)} PINGs: "
            f"median {statistics.median(durations) * 1000:.1f} ms, longest {max(durations) * 1000:.0f} ms"
        )
    assert len(durations) >= 4
    assert max(durations) < 10
