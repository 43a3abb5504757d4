"""Recorded conversations, and mutations of them, which are functions of a recording and a `random.Random` alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from sync_h2.constants import PREFACE

CORPUS = Path(__file__).parent / "corpus"
_INTERESTING = (0, 1, 2, 3, 5, 127, 128, 255, 16_384, 65_535, 65_536, 2**24 - 1, 2**31 - 1, 2**31, 2**32 - 1)
_FRAME_TYPES = (*range(0xB), 0xC, 0x10, 0xBB)


class Frame:
    """A frame whose parts may contradict one another."""

    def __init__(self, octets: bytes) -> None:
        self.length = int.from_bytes(octets[:3], "big")
        self.type, self.flags = octets[3], octets[4]
        self.stream_id = int.from_bytes(octets[5:9], "big")
        self.payload = octets[9:]

    def __bytes__(self) -> bytes:
        head = (self.length % 2**24).to_bytes(3, "big") + bytes((self.type, self.flags))
        return head + (self.stream_id % 2**32).to_bytes(4, "big") + self.payload

    def copy(self) -> Frame:
        return Frame(bytes(self))


def recordings(role: str) -> dict[str, tuple[bytes, list[Frame]]]:
    """Name -> what stands before the frames, and the frames, of all that a client ("client") or server has sent."""
    found = {}
    for path in sorted(CORPUS.glob(f"{role}-*.bin")):
        octets = path.read_bytes()
        before = PREFACE if role == "client" else b""
        assert octets.startswith(before)
        found[path.stem] = before, list(_frames(octets[len(before) :]))
    return found


def _frames(octets: bytes) -> Iterator[Frame]:
    while octets:
        end = 9 + int.from_bytes(octets[:3], "big")
        yield Frame(octets[:end])
        octets = octets[end:]


def _change_octets(frames: list[Frame], chance: random.Random) -> None:
    frame = chance.choice(frames)
    if frame.payload:
        payload = bytearray(frame.payload)
        for _ in range(chance.choice((1, 1, 1, 2, 8))):
            payload[chance.randrange(len(payload))] ^= 1 << chance.randrange(8)
        frame.payload = bytes(payload)


def _put_number(frames: list[Frame], chance: random.Random) -> None:
    frame = chance.choice(frames)
    size = chance.choice((1, 2, 4))
    at = chance.randrange(max(len(frame.payload) - size + 1, 1))
    number = (chance.choice(_INTERESTING) % 256**size).to_bytes(size, "big")
    frame.payload = frame.payload[:at] + number + frame.payload[at + size :]
    frame.length = len(frame.payload)


def _resize(frames: list[Frame], chance: random.Random) -> None:
    frame = chance.choice(frames)
    at = chance.randrange(len(frame.payload) + 1)
    if chance.random() < 0.5:
        frame.payload = frame.payload[:at]
    else:
        frame.payload = frame.payload[:at] + chance.randbytes(chance.choice((1, 4, 9, 300))) + frame.payload[at:]
    frame.length = len(frame.payload)


def _change_head(frames: list[Frame], chance: random.Random) -> None:
    frame = chance.choice(frames)
    part = chance.choice(("type", "flags", "flags", "stream_id", "stream_id", "length"))
    if part == "type":
        frame.type = chance.choice(_FRAME_TYPES)
    elif part == "flags":
        frame.flags ^= 1 << chance.randrange(8)
    elif part == "stream_id":
        frame.stream_id = chance.choice((*range(12), 101, *_INTERESTING))
    else:
        frame.length = chance.choice((frame.length + 1, frame.length - 1, *_INTERESTING))


def _move(frames: list[Frame], chance: random.Random) -> None:
    frames.insert(chance.randrange(len(frames)), frames.pop(chance.randrange(len(frames))))


def _repeat(frames: list[Frame], chance: random.Random) -> None:
    frame = chance.choice(frames)
    at = chance.randrange(len(frames) + 1)
    frames[at:at] = [frame.copy() for _ in range(chance.choice((1, 1, 2, 40)))]


def _leave_out(frames: list[Frame], chance: random.Random) -> None:
    if len(frames) > 1:
        frames.pop(chance.randrange(len(frames)))


def _add(frames: list[Frame], chance: random.Random) -> None:
    payload = chance.choice(
        (b"", bytes(4), bytes(5), bytes(8), chance.randbytes(chance.randrange(40)), b"\x82\x84\x87")
    )
    head = len(payload).to_bytes(3, "big") + bytes((chance.choice(_FRAME_TYPES), chance.choice((0, 1, 4, 5, 8, 0x2D))))
    stream_id = chance.choice((0, 1, 2, 3, 5, 7, 9, 99))
    frames.insert(chance.randrange(len(frames) + 1), Frame(head + stream_id.to_bytes(4, "big") + payload))


def _split_block(frames: list[Frame], chance: random.Random) -> None:
    """HEADERS as HEADERS and CONTINUATION."""
    blocks = [frame for frame in frames if frame.type == 1 and frame.payload]
    if blocks:
        first = chance.choice(blocks)
        rest = first.copy()
        at = chance.randrange(len(first.payload))
        first.payload, rest.payload = first.payload[:at], first.payload[at:]
        first.length, rest.length = len(first.payload), len(rest.payload)
        rest.type, rest.flags = 9, first.flags & 4
        first.flags &= ~4
        frames.insert(frames.index(first) + 1, rest)


_MUTATIONS: tuple[Callable[[list[Frame], random.Random], None], ...] = (
    _change_octets,
    _put_number,
    _resize,
    _change_head,
    _move,
    _repeat,
    _leave_out,
    _add,
    _split_block,
)


def mutated(before: bytes, frames: list[Frame], others: list[Frame], chance: random.Random) -> bytes:
    """A conversation like this one, with a few frames of others in it at times."""
    frames = [frame.copy() for frame in frames]
    for _ in range(chance.choice((1, 1, 2, 3, 5, 12))):
        chance.choice(_MUTATIONS)(frames, chance)
    if chance.random() < 0.2:
        at = chance.randrange(len(frames) + 1)
        start = chance.randrange(len(others))
        frames[at:at] = others[start : start + chance.randrange(1, 6)]
    octets = before + b"".join(map(bytes, frames))
    if chance.random() < 0.1:
        octets = octets[: chance.randrange(len(octets))]
    if chance.random() < 0.02:
        octets = chance.randbytes(chance.randrange(1, 30)) + octets
    return octets


def pieces(octets: bytes, chance: random.Random) -> Iterator[bytes]:
    """The octets in reads of all sizes."""
    while octets:
        size = chance.choice((1, 9, 24, 100, 5000, len(octets)))
        yield octets[:size]
        octets = octets[size:]
