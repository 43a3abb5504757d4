"""The buffer of bytes that nobody has read: what it holds, beside what the tests of reading say."""

from __future__ import annotations

from typing import Any

import pytest

from sync_h2.connection.shared.receive_buffer import ReceiveBuffer


def read(buffer: ReceiveBuffer, count: int) -> bytes:
    return buffer.read(count)


def readinto(buffer: ReceiveBuffer, count: int) -> bytes:
    target = bytearray(count)
    return bytes(target[: buffer.readinto(memoryview(target))])


@pytest.mark.parametrize("take", [read, readinto])
@pytest.mark.parametrize("count", [1000, 10_000, 100_000])
@pytest.mark.parametrize("chunk", [16 * 1024, 256 * 1024])
def test_little_that_is_left_of_a_large_chunk_does_not_keep_it(take: Any, count: int, chunk: int) -> None:
    body = bytes(range(251)) * (2 * chunk // 251 + 1)
    buffer = ReceiveBuffer()
    for start in range(0, len(body), chunk):
        buffer.append(body[start : start + chunk])
    got = b""
    while len(buffer) > 100:
        got += take(buffer, min(count, len(buffer) - 100))
        assert sum(map(len, buffer._chunks)) <= max(4 * len(buffer), len(buffer) + 16 * 1024)
    got += buffer.read(-1)
    assert got == body
    assert buffer.consumed == len(body)
