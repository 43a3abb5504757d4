"""What a field list is counted as covers what it takes, before and after somebody looks at it; and that is little."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hpack import Encoder, HeaderTuple, NeverIndexedHeaderTuple

from sync_h2.http1.protocol import HTTP1Protocol
from sync_h2.protocol.fields.field_list import FieldList
from sync_h2.protocol.fields.headers import Headers
from sync_h2.protocol.fields.hpack_memo import RememberingDecoder
from sync_h2.protocol.h2_overrides import HeaderDecoder
from sync_h2.protocol.limits import Limits
from sync_h2.protocol.stream_table import StreamTable

Fields = list[tuple[bytes, bytes]]
LISTS = 50

pytestmark = pytest.mark.tracemalloc


def names(count: int) -> list[bytes]:
    return [b"n%d" % number for number in range(1000, 1000 + count)]


KINDS: dict[str, Callable[[], Fields]] = {
    "few": lambda: [HeaderTuple(name, b"a value of some octets") for name in names(6)],
    "one field again and again": lambda: [HeaderTuple(b"a%d" % 1, b"") for _ in range(118)],
    "many small ones": lambda: [HeaderTuple(name, b"") for name in names(118)],
    "values of one name": lambda: [HeaderTuple(b"cookie", name) for name in names(118)],
    "many of some length": lambda: [HeaderTuple(name, b"%d" % 10**100) for name in names(118)],
    "never indexed": lambda: [NeverIndexedHeaderTuple(name, b"x") for name in names(118)],
    "of both kinds": lambda: [kind(b"ab", b"cd") for kind in (HeaderTuple, NeverIndexedHeaderTuple)] * 59,
    "no text": lambda: [HeaderTuple(b"\xe4%d" % number, b"\xfc\xfc") for number in range(60)],
}


def growth(act: Callable[[], Any]) -> tuple[int, Any]:
    """The octets that are allocated by `act()` and by what it returns."""
    gc.collect()
    tracemalloc.start(1)
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = act()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before, result
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("looked_at", [False, True], ids=["kept", "looked at"])
def test_what_is_counted_covers_what_is_taken(kind: str, looked_at: bool) -> None:
    def keep() -> tuple[list[Headers], int]:
        kept, counted = [], 0
        for _ in range(LISTS):
            fields = FieldList(KINDS[kind]())
            counted += fields.memory
            headers = Headers.from_wire(fields)
            if looked_at:
                assert len(headers.pairs()) == fields.count
            kept.append(headers)
        return kept, counted

    taken, (_, counted) = growth(keep)
    assert taken <= counted
    if looked_at:
        assert counted <= 4 * taken


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_list_is_the_same_list(kind: str) -> None:
    fields = KINDS[kind]()
    packed = FieldList(fields)
    packed.pack()
    packed.pack()
    assert packed.fields == tuple(fields)
    assert [getattr(field, "indexable", True) for field in packed.fields] == [
        getattr(field, "indexable", True) for field in fields
    ]
    assert Headers.from_wire(packed) == Headers.from_wire(fields)
    assert Headers.from_wire(packed).sensitive == Headers.from_wire(fields).sensitive
    assert (packed.count, packed.size) == (len(fields), sum(len(name) + len(value) + 32 for name, value in fields))


def test_what_the_separator_would_spoil_is_not_packed() -> None:
    fields = [(name, b"a\nb") for name in names(40)]
    packed = FieldList(fields)
    packed.pack()
    assert packed.fields == tuple(fields)


@pytest.mark.parametrize("kind", ["one field again and again", "many small ones", "values of one name"])
def test_a_list_of_small_fields_takes_little_more_than_its_octets(kind: str) -> None:
    taken, _ = growth(lambda: [Headers.from_wire(FieldList(KINDS[kind]())) for _ in range(LISTS)])
    assert taken < LISTS * 2500


def test_blocks_that_are_remembered_take_a_bounded_amount() -> None:
    """Whoever sends 256 different ones, of 60 fields each, has no megabytes remembered."""
    encoder = Encoder()
    blocks = [
        encoder.encode([NeverIndexedHeaderTuple(b"%d-%d" % (list_, n), b"") for n in range(60)]) for list_ in range(60)
    ]
    decoder = RememberingDecoder(HeaderDecoder())

    def decode() -> None:
        for block in blocks:
            decoder.decode(block)

    taken, _ = growth(decode)
    assert taken < 300_000
    assert decoder.memory <= 256 * 1024
    assert decoder.decode(blocks[-1]) is decoder.decode(blocks[-1])


def test_blocks_of_ours_that_are_remembered_take_a_bounded_amount() -> None:
    table = StreamTable(client=False)

    def encode() -> None:
        for number in range(60):
            table.encode([NeverIndexedHeaderTuple(b"%d-%d" % (number, n), b"x") for n in range(60)])

    taken, _ = growth(encode)
    assert taken < 300_000


def test_heads_that_are_remembered_take_a_bounded_amount() -> None:
    protocol = HTTP1Protocol(
        limits=Limits.for_server(),
        scheme="http",
        authority="localhost",
        emit=lambda urgent, buffers: None,
        stream_window=1,
        on_window=lambda: None,
    )

    def parse() -> None:
        for number in range(31):
            fields = b"".join(b"%d-%d:\r\n" % (number, n) for n in range(110))
            protocol._heads.parse(b"GET / HTTP/1.1\r\nhost: a\r\n" + fields + b"\r\n")

    taken, _ = growth(parse)
    assert taken < 200_000
    assert taken <= protocol.memory
