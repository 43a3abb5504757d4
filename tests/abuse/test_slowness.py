"""Peers that take their time, and such as never read: each costs little, and is given up in the end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest
from hyperframe.frame import (
    DataFrame,
    HeadersFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from support.attacks.victim import Attacker, Victim
from support.octets import frames
from support.octets.fields import REQUEST, UPLOAD
from support.peers.raw_peer import RawPeer
from sync_h2 import ErrorCode
from sync_h2.constants import PREFACE, SettingId

COUNT = 20
HANDLERS = 256 + 3 * 100  # max_workers' default, and all that wait for three attackers beside those
SOON = 0.5  # for the timeouts that a test waits for
READ = (*UPLOAD[:3], (":path", "/read"))
WAIT = (*UPLOAD[:3], (":path", "/wait"))


def big(size: int) -> tuple[tuple[str, str], ...]:
    return (*REQUEST[:3], (":path", f"/big/{size}"))


def trickle(peer: RawPeer, octets: bytes, between: float = 0.05) -> None:
    """Send octet by octet until the server has had enough: then nothing more can be sent, or has to be read."""
    peer.sock.settimeout(between)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for position in range(len(octets)):
            peer.sock.sendall(octets[position : position + 1])
            time.sleep(between)
    peer.sock.settimeout(10)


@pytest.mark.parametrize("octets", [b"", PREFACE + SettingsFrame(0).serialize()], ids=["silent", "slow"])
def test_a_preface_that_does_not_come(start: Callable[..., Victim], octets: bytes) -> None:
    victim = start(handshake_timeout=SOON)
    with victim.watched(connections=COUNT, cpu_seconds=20):
        peers = [Attacker(victim.dial(), client=True) for _ in range(COUNT)]
        trickle(peers[0], octets)
        for peer in peers:
            assert peer.thrown_out() == (ErrorCode.SETTINGS_TIMEOUT, b"handshake_timeout")


def test_a_tls_handshake_that_does_not_come(start: Callable[..., Victim]) -> None:
    victim = start(tls=True, handshake_timeout=SOON)
    with victim.watched(connections=COUNT, cpu_seconds=20):
        socks = [victim.dial() for _ in range(COUNT)]
        for sock in socks:
            assert sock.recv(1) == b""


@pytest.mark.parametrize(
    "octets",
    [HeadersFrame(1, b"\x82" * 100).serialize(), HeadersFrame(1, b"\x82").serialize()],
    ids=["within a frame", "between frames"],
)
def test_headers_that_do_not_end(start: Callable[..., Victim], octets: bytes) -> None:
    victim = start(header_timeout=SOON)
    with victim.watched(connections=COUNT, cpu_seconds=20):
        peers = [victim.attacker() for _ in range(COUNT)]
        for peer in peers:
            peer.blast(octets[:10])
        trickle(peers[0], octets[10:40])
        for peer in peers:
            assert peer.thrown_out() == (ErrorCode.ENHANCE_YOUR_CALM, b"header_timeout")


def test_bodies_that_do_not_come(start: Callable[..., Victim]) -> None:
    """Their handlers get a timeout, and the streams are reset; the connections live on."""
    victim = start(read_timeout=SOON, max_workers=10, discard_timeout=SOON)
    with victim.watched(connections=3, handlers=10 + 3 * 10, cpu_seconds=20):

        def attack(peer: Attacker) -> list[int]:
            for stream_id in range(1, 20, 2):
                peer.headers(stream_id, READ)
                peer.data(stream_id, b"x")
            return sorted(peer.expect(RstStreamFrame).stream_id for _ in range(10))

        for ended in victim.attack(attack):
            assert ended == list(range(1, 20, 2))


def test_a_body_that_comes_octet_by_octet(either_victim: Victim) -> None:
    """It takes a thread of the pool as long as it takes, and no more."""

    def attack(peer: Attacker) -> bytes:
        peer.headers(1, READ)
        for _ in range(3000):
            peer.data(1, b"x")
        peer.data(1, b"", end_stream=True)
        return bytes(peer.expect(DataFrame, 1).data)

    with either_victim.watched(handlers=3):
        assert either_victim.attack(attack) == [b"3000"] * 3


@pytest.mark.parametrize(("padding", "times"), [(None, 60_000), (0, 30_000), (255, 20_000)])
def test_bodies_of_one_octet_a_frame(either_victim: Victim, padding: int | None, times: int) -> None:
    """As many frames at once as the windows allow."""
    if padding is None:
        frame = frames.data(1, b"x")
    else:
        frame = frames.data(1, bytes((padding,)) + b"x" + bytes(padding), frames.PADDED)

    def attack(peer: Attacker) -> bytes:
        peer.headers(1, READ)
        peer.upload(1, frame, len(frame) - 9, times)
        peer.data(1, b"", end_stream=True)
        return bytes(peer.expect(DataFrame, 1).data)

    with either_victim.watched(handlers=3):
        assert either_victim.attack(attack) == [str(times).encode()] * 3


def test_bodies_that_never_end(either_victim: Victim) -> None:
    """What is read is gone: 60 MB go through each of three connections."""

    def attack(peer: Attacker) -> None:
        peer.headers(1, READ)
        peer.upload(1, frames.data(1, bytes(16_384)), 16_384, 60_000_000 // 16_384)

    with either_victim.watched(handlers=3):
        either_victim.attack(attack)


def test_bodies_that_nobody_reads(either_victim: Victim) -> None:
    """100 streams a connection, each as much as its window takes, in frames of all sizes."""

    def attack(peer: Attacker) -> int:
        for stream_id in range(1, 200, 2):
            peer.headers(stream_id, WAIT)
        credit = 65_535
        for stream_id in range(1, 200, 2):
            left = peer.stream_window
            while left:
                size = min(left, 16_384 if stream_id % 4 == 1 else 500)
                if credit < size:
                    # Credit comes back at once or, when too much is unread, not at all.
                    for frame in peer.settled():
                        if isinstance(frame, WindowUpdateFrame) and not frame.stream_id:
                            credit += frame.window_increment
                    if credit < size:
                        return credit
                peer.sock.sendall(DataFrame(stream_id, bytes(size)).serialize())
                credit -= size
                left -= size
        return credit

    with either_victim.watched(handlers=HANDLERS):
        either_victim.attack(attack)


def test_requests_as_long_as_they_may_be(victim: Victim) -> None:
    """100 streams a connection with 60 KB of header fields each. Handlers hold a share of them, the rest is refused."""

    def attack(peer: Attacker) -> int:
        fields = [(f"x-{number}", "y" * 500) for number in range(115)]
        for stream_id in range(1, 200, 2):
            peer.blast(frames.split_headers(stream_id, peer.block([*WAIT, *fields])))
        codes = [frame.error_code for frame in peer.settled() if isinstance(frame, RstStreamFrame)]
        assert set(codes) == {ErrorCode.REFUSED_STREAM}
        return 100 - len(codes)

    # hpack takes half a microsecond for each octet of 18 MB in Huffman's code.
    with victim.watched(handlers=HANDLERS, cpu_seconds=40):
        for accepted in victim.attack(attack):
            assert 20 <= accepted <= 30


@pytest.mark.parametrize(
    ("count", "size"), [(1, 64_000), (110, 500), (120, 1)], ids=["one long field", "many fields", "many short fields"]
)
def test_every_allowance_at_once(either_victim: Victim, count: int, size: int) -> None:
    """Requests and trailers as long as they may be, and between them bodies that nobody reads, on 100 streams."""
    long = frames.block(*[(f"x-{number}", "y" * size) for number in range(count)])

    def attack(peer: Attacker) -> None:
        credit = 65_535
        refused = set()

        def settle() -> None:
            nonlocal credit
            for frame in peer.settled():
                if isinstance(frame, WindowUpdateFrame) and not frame.stream_id:
                    credit += frame.window_increment
                elif isinstance(frame, RstStreamFrame):
                    refused.add(frame.stream_id)

        def fill(stream_id: int) -> None:
            nonlocal credit
            left = peer.stream_window
            while left:
                if not credit:
                    settle()
                size = min(left, credit, 16_384)
                if not size:
                    return
                peer.blast(DataFrame(stream_id, bytes(size)))
                credit -= size
                left -= size

        for stream_id in range(1, 200, 2):
            peer.blast(frames.split_headers(stream_id, peer.block(WAIT) + long))
        settle()
        last = 201 + 2 * len(refused)
        for stream_id in range(201, last, 2):  # in the place of those that were refused
            peer.headers(stream_id, WAIT)
        streams = [stream_id for stream_id in range(1, last, 2) if stream_id not in refused]
        assert len(streams) == 100
        for stream_id in streams:
            fill(stream_id)
        for stream_id in streams:
            peer.blast(frames.split_headers(stream_id, long, end_stream=True))
        settle()

    with either_victim.watched(handlers=HANDLERS):
        either_victim.attack(attack)


def test_a_peer_that_requests_much_and_never_reads(start: Callable[..., Victim]) -> None:
    """Its streams' data stays with the handlers, which wait, each on a thread beyond those that work."""
    victim = start(max_workers=32)
    windows = {SettingId.INITIAL_WINDOW_SIZE: 2**31 - 1}

    def attack(peer: Attacker) -> None:
        peer.blast(WindowUpdateFrame(0, 2**31 - 1 - 65_535))
        for stream_id in range(1, 200, 2):
            peer.headers(stream_id, big(10_000_000), end_stream=True)

    with victim.watched(handlers=HANDLERS):
        victim.attack(attack, settings=windows, receive_buffer=4096)


@pytest.mark.parametrize("window", [0, 1])
def test_windows_that_stay_closed(start: Callable[..., Victim], window: int) -> None:
    """The handlers' writes time out, and the streams are reset."""
    victim = start(write_timeout=SOON)

    def attack(peer: Attacker) -> set[int]:
        for stream_id in range(1, 40, 2):
            peer.headers(stream_id, big(10_000), end_stream=True)
        return {peer.expect(RstStreamFrame).stream_id for _ in range(20)}

    with victim.watched(handlers=HANDLERS):
        settings = {SettingId.INITIAL_WINDOW_SIZE: window}
        assert victim.attack(attack, settings=settings) == [set(range(1, 40, 2))] * 3


def test_windows_of_one_octet(victim: Victim) -> None:
    def attack(peer: Attacker) -> int:
        peer.headers(1, big(3000), end_stream=True)
        received = 0
        while received < 3000:
            frame = peer.expect(DataFrame, 1)
            assert len(frame.data) == 1
            received += len(frame.data)
            peer.send(WindowUpdateFrame(1, 1))
        return received

    with victim.watched(handlers=3):
        assert victim.attack(attack, settings={SettingId.INITIAL_WINDOW_SIZE: 1}) == [3000] * 3
