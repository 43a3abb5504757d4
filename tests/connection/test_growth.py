"""What a session keeps of what its peer sends is worked off in time that grows with its length, not with its square."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.rules.growth import assert_linear
from sync_h2.connection.session.origins import OriginSet
from sync_h2.connection.shared.priorities import parse_priority
from sync_h2.connection.shared.receive_buffer import ReceiveBuffer

PIECES = [b"x", b"x" * 100, b"x" * 1024]


@pytest.mark.parametrize("piece", PIECES, ids=len)
def test_a_line_that_comes_in_pieces(piece: bytes) -> None:
    """The reader of a line looks for its end each time that some more has come."""

    def prepare(count: int) -> Callable[[], object]:
        def job() -> None:
            buffer = ReceiveBuffer()
            for _ in range(count):
                searched = len(buffer)
                buffer.append(piece)
                assert buffer.find_line_end(-1, searched) == -1
            buffer.append(b"\n")
            assert len(buffer.read(buffer.find_line_end(-1, len(buffer) - 1))) == count * len(piece) + 1

        return job

    assert_linear(prepare, 500)


@pytest.mark.parametrize("size", [1, 100, 10_000])
@pytest.mark.parametrize("piece", PIECES, ids=len)
def test_a_body_that_comes_in_pieces_and_is_read_in_others(piece: bytes, size: int) -> None:
    def prepare(count: int) -> Callable[[], object]:
        def job() -> None:
            buffer = ReceiveBuffer()
            for _ in range(count):
                buffer.append(piece)
            for _ in range(2 * count):
                buffer.read(size)
            buffer.read(-1)

        return job

    assert_linear(prepare, 500)


def test_lines_of_one_body() -> None:
    def prepare(count: int) -> Callable[[], object]:
        buffer = ReceiveBuffer()
        for _ in range(count):
            buffer.append(b"a line\n")

        def job() -> None:
            while (length := buffer.find_line_end(-1)) >= 0:
                assert buffer.read(length) == b"a line\n"

        return job

    assert_linear(prepare, 500)


@pytest.mark.parametrize(
    "piece", ["u=1,", "u", " ", "=", ";", "u=1;a ,", "i=?", "\x00", "u  =  1 , "], ids=lambda piece: ascii(piece)
)
def test_priorities(piece: str) -> None:
    assert_linear(lambda size: lambda: parse_priority(piece * (size // len(piece))), 8192)


@pytest.mark.parametrize(
    "origin",
    ["https://example.org", "", "x", "https://" + "a." * 100, "https://[" + ":" * 200, "https://" + "xn--" * 50],
    ids=len,
)
def test_origins(origin: str) -> None:
    def prepare(count: int) -> Callable[[], object]:
        known = OriginSet("https://own.example", 128)
        return lambda: known.add([origin] * count)

    assert_linear(prepare, 100)
