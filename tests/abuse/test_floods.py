"""Peers that make the server work, or answer, for nothing. Each flood ends in the limit that is meant for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
)

from support.attacks.victim import Attacker, Victim
from support.octets import frames
from support.octets.fields import REQUEST, UPLOAD
from sync_h2 import ErrorCode
from sync_h2.constants import MAX_WINDOW_SIZE, SettingId

POOL = 256  # max_workers' default
WITH_WAITING = POOL + 3 * 100  # handlers that wait for their peer are threads beside the pool's
CALM = ErrorCode.ENHANCE_YOUR_CALM
WAIT = (*UPLOAD[:3], (":path", "/wait"))


def request(stream_id: int, block: bytes, *, end_stream: bool = False) -> bytes:
    frame = HeadersFrame(stream_id, block, flags=["END_HEADERS"])
    if end_stream:
        frame.flags.add("END_STREAM")
    return bytes(frame.serialize())


def raw_frame(frame_type: int, stream_id: int, payload: bytes = b"", flags: int = 0) -> bytes:
    """Also what hyperframe would not build."""
    return len(payload).to_bytes(3, "big") + bytes((frame_type, flags)) + stream_id.to_bytes(4, "big") + payload


def open_window(stream_id: int, increment: int) -> bytes:
    return raw_frame(0x8, stream_id, increment.to_bytes(4, "big"))


def test_rapid_reset(victim: Victim) -> None:
    """CVE-2023-44487."""

    def attack(peer: Attacker) -> tuple[int, bytes]:
        peer.blast(
            b"".join(
                request(stream_id, peer.block(WAIT)) + RstStreamFrame(stream_id, ErrorCode.CANCEL).serialize()
                for stream_id in range(1, 8001, 2)
            )
        )
        return peer.thrown_out()

    with victim.watched(handlers=WITH_WAITING):
        assert victim.attack(attack) == [(CALM, b"stream_reset_rate")] * 3


# Frames for which a stream is reset: CVE-2025-8671, "MadeYouReset".
RESETS: dict[str, tuple[bool, Callable[[int], bytes]]] = {
    "the window overflows": (False, lambda stream_id: open_window(stream_id, MAX_WINDOW_SIZE)),
    "a zero WINDOW_UPDATE": (False, lambda stream_id: open_window(stream_id, 0)),
    "DATA after the end": (True, lambda stream_id: DataFrame(stream_id, b"x").serialize()),
    "HEADERS after the end": (True, lambda stream_id: raw_frame(0x1, stream_id, b"\x82", 0x5)),
    "trailers that do not end the stream": (False, lambda stream_id: raw_frame(0x1, stream_id, b"", 0x4)),
    "a PRIORITY too short": (False, lambda stream_id: raw_frame(0x2, stream_id, b"abcd")),
    "a stream that depends on itself": (False, lambda stream_id: PriorityFrame(stream_id, stream_id).serialize()),
}


@pytest.mark.parametrize(("ended", "bad"), RESETS.values(), ids=RESETS.keys())
def test_resets_that_we_are_made_to_send(
    start: Callable[..., Victim], ended: bool, bad: Callable[[int], bytes]
) -> None:
    victim = start(max_concurrent_streams=5000)  # none is to be refused

    def attack(peer: Attacker) -> tuple[int, bytes]:
        block = peer.block(WAIT)  # the first time; then it is all in the table
        peer.blast(request(1, block, end_stream=ended) + bad(1))
        block = peer.block(WAIT)
        peer.blast(
            b"".join(request(stream_id, block, end_stream=ended) + bad(stream_id) for stream_id in range(3, 6001, 2))
        )
        return peer.thrown_out()

    with victim.watched(handlers=WITH_WAITING):
        assert victim.attack(attack) == [(CALM, b"stream_reset_rate")] * 3


@pytest.mark.parametrize("malformed", [b"", b"\x82\x82", b"\x84\x87"], ids=["empty", "twice :method", "no :method"])
def test_headers_that_are_no_request(victim: Victim, malformed: bytes) -> None:
    def attack(peer: Attacker) -> tuple[int, bytes]:
        peer.blast(b"".join(request(stream_id, malformed, end_stream=True) for stream_id in range(1, 8001, 2)))
        return peer.thrown_out()

    with victim.watched():
        assert victim.attack(attack) == [(CALM, b"stream_reset_rate")] * 3


@pytest.mark.parametrize("size", [0, 1, 16_384])
def test_a_header_block_that_never_ends(victim: Victim, size: int) -> None:
    """CVE-2024-27316 and its like."""

    def attack(peer: Attacker) -> int:
        # Literals without indexing, name and value of no length: what is decoded is larger than what is sent.
        peer.blast(HeadersFrame(1, b"\x00" * size).serialize())
        peer.blast(ContinuationFrame(1, b"\x00" * size).serialize(), times=max(200, 20_000_000 // (size + 9) // 10))
        code, limit = peer.thrown_out()
        assert limit in (b"max_continuation_frames", b"max_header_list_size")
        return code

    with victim.watched():
        assert victim.attack(attack) == [CALM] * 3


def test_hpack_bomb(victim: Victim) -> None:
    """A field of 4000 octets goes into the table once, and one octet each refers to it after that (CVE-2016-6581)."""

    def attack(peer: Attacker) -> tuple[int, bytes]:
        head = peer.block(REQUEST)
        field = b"\x40" + frames.block(("x", "y" * 4000))[1:]  # indexed (RFC 7541 section 6.2.1)
        bomb = head + field + b"\xbe" * 12_000  # index 62, the newest field
        peer.blast(request(1, bomb, end_stream=True))
        return peer.thrown_out()

    with victim.watched(connections=5 * 3):
        for _ in range(5):
            assert victim.attack(attack) == [(CALM, b"max_header_list_size")] * 3


def test_changes_of_the_tables_size_without_end(victim: Victim) -> None:
    def attack(peer: Attacker) -> int:
        peer.blast(request(1, b"\x20" * 16_000 + peer.block(REQUEST), end_stream=True))
        return peer.thrown_out()[0]

    with victim.watched():
        assert victim.attack(attack) == [ErrorCode.COMPRESSION_ERROR] * 3


@pytest.mark.parametrize("count", [1, 1000], ids=["one long field", "many fields"])
def test_a_header_list_over_the_limit_is_answered_with_431(victim: Victim, count: int) -> None:
    """And again and again: the connection goes on."""

    def attack(peer: Attacker) -> None:
        for stream_id in range(1, 61, 2):
            block = peer.block(REQUEST) + frames.block(("x", "y" * (100_000 // count))) * count
            peer.blast(frames.split_headers(stream_id, block, end_stream=True))
            assert dict(peer.expect(HeadersFrame, stream_id).fields)[":status"] == "431"

    with victim.watched():
        victim.attack(attack)


def test_header_lists_over_the_limit_without_end(victim: Victim) -> None:
    """Some thirty octets each, which stand for 80 KB, and none waits for its 431."""

    def attack(peer: Attacker) -> tuple[int, bytes]:
        field = b"\x40" + frames.block(("x", "y" * 4000))[1:]
        peer.blast(request(1, peer.block(REQUEST) + field, end_stream=True))
        # Index 62 is the newest field.
        block = frames.block(*REQUEST) + b"\xbe" * 20
        peer.blast(b"".join(request(stream_id, block, end_stream=True) for stream_id in range(3, 8001, 2)))
        return peer.thrown_out()

    with victim.watched():
        assert victim.attack(attack) == [(CALM, b"stream_reset_rate")] * 3


# Frames that carry nothing of a message; a stream 1 is open.
USELESS = {
    "empty SETTINGS": SettingsFrame(0).serialize(),
    "SETTINGS": SettingsFrame(0, settings={SettingId.INITIAL_WINDOW_SIZE: 1}).serialize(),
    "PRIORITY": PriorityFrame(1, 3, 7).serialize(),
    "PRIORITY on an idle stream": PriorityFrame(1001, 3, 7).serialize(),
    "PRIORITY_UPDATE": raw_frame(0x10, 0, b"\x00\x00\x00\x05u=1"),
    "WINDOW_UPDATE": open_window(1, 1),
    "WINDOW_UPDATE of the connection": open_window(0, 1),
    "an unknown type": raw_frame(0xF0, 0, b"what?"),
    "an unknown type on a stream": raw_frame(0xF0, 1),
    "ALTSVC": raw_frame(0xA, 0, b"\x00\x00"),
    "empty DATA": raw_frame(0x0, 1),
    "DATA of padding": raw_frame(0x0, 1, b"\x07" + bytes(7), 0x8),
    "GOAWAY": GoAwayFrame(0, 0, 0, b"bye").serialize(),
    "PING's answers": PingFrame(0, b"8 octets", flags=["ACK"]).serialize(),
}


@pytest.mark.parametrize("octets", USELESS.values(), ids=USELESS.keys())
def test_frames_without_a_purpose(victim: Victim, octets: bytes) -> None:
    def attack(peer: Attacker) -> tuple[int, bytes]:
        peer.headers(1, WAIT)
        peer.settled()
        for _ in range(100):
            peer.blast(octets, times=500)
        return peer.thrown_out()

    with victim.watched(handlers=3):
        assert victim.attack(attack) == [(CALM, b"max_session_invalid_frames")] * 3


@pytest.mark.parametrize("kind", ["empty DATA", "DATA of padding"])
def test_data_without_a_purpose_over_tls(start: Callable[..., Victim], kind: str) -> None:
    victim = start(tls=True)

    def attack(peer: Attacker) -> tuple[int, bytes]:
        peer.headers(1, WAIT)
        peer.settled()
        for _ in range(100):
            peer.blast(USELESS[kind], times=500)
        return peer.thrown_out()

    with victim.watched(handlers=3):
        assert victim.attack(attack) == [(CALM, b"max_session_invalid_frames")] * 3


def test_more_settings_in_a_frame_than_anybody_needs(victim: Victim) -> None:
    def attack(peer: Attacker) -> tuple[int, bytes]:
        peer.blast(raw_frame(0x4, 0, b"\xf0\x00\x00\x00\x00\x01" * 2000))
        return peer.thrown_out()

    with victim.watched():
        assert victim.attack(attack) == [(CALM, b"max_settings")] * 3


@pytest.mark.parametrize("kind", ["PING", "SETTINGS"])
def test_answers_that_nobody_reads(victim: Victim, kind: str) -> None:
    """CVE-2019-9512, CVE-2019-9515: the queue of answers is bounded."""
    frame = PingFrame(0, b"8 octets") if kind == "PING" else SettingsFrame(0)

    def attack(peer: Attacker) -> bytes:
        peer.blast(frame, times=200_000)
        return peer.thrown_out()[1]

    with victim.watched():
        expected = b"max_queued_control_frames" if kind == "PING" else b"max_session_invalid_frames"
        assert victim.attack(attack, receive_buffer=4096) == [expected] * 3


def test_pings_that_are_read_are_answered(victim: Victim) -> None:
    """They cost their sender as much as us: memory stays flat, and everybody else is served."""

    def attack(peer: Attacker) -> None:
        for _ in range(50):
            peer.blast(PingFrame(0, b"8 octets"), times=200)
            for _ in range(200):
                peer.expect(PingFrame)

    with victim.watched():
        victim.attack(attack)


def test_streams_beyond_the_limit(victim: Victim) -> None:
    """All at once, and nobody waits for an answer."""

    def attack(peer: Attacker) -> tuple[int, bytes]:
        block = peer.block(WAIT)
        peer.blast(request(1, block))
        block = peer.block(WAIT)
        peer.blast(b"".join(request(stream_id, block) for stream_id in range(3, 4001, 2)))
        return peer.thrown_out()

    with victim.watched(handlers=WITH_WAITING):
        assert victim.attack(attack) == [(CALM, b"max_session_rejected_streams")] * 3


def test_streams_opened_faster_than_handlers_finish(victim: Victim) -> None:
    """Each gets its answer, or REFUSED_STREAM, which says that it may be tried again."""

    def attack(peer: Attacker) -> tuple[int, int]:
        block = peer.block((*REQUEST[:3], (":path", "/busy")))
        peer.blast(request(1, block, end_stream=True))
        block = peer.block((*REQUEST[:3], (":path", "/busy")))
        answered, refused, last = 0, 0, 1
        for _ in range(5):  # as many again and half, after each refusal
            first, last = last + 2, last + 2 * 150
            peer.blast(b"".join(request(stream_id, block, end_stream=True) for stream_id in range(first, last + 1, 2)))
            left = set(range(first, last + 1, 2))
            while left:
                frame = peer.receive()
                assert frame is not None
                if isinstance(frame, RstStreamFrame):
                    assert frame.error_code == ErrorCode.REFUSED_STREAM
                    refused += 1
                    left.discard(frame.stream_id)
                elif isinstance(frame, DataFrame) and "END_STREAM" in frame.flags:
                    answered += 1
                    left.discard(frame.stream_id)
        return answered, refused

    with victim.watched(handlers=POOL):
        for answered, refused in victim.attack(attack):
            assert answered >= 5 * 100
            assert answered + refused >= 5 * 150
            assert refused > 0
