"""Nothing that outlives a call holds a received frame's payload, which is a view of the receive buffer.

An error lives on in its session, and with it the frames of its traceback. CPython before 3.13 crashes when it collects
a cycle in which a memoryview is still exported, by the iterator of `struct.iter_unpack` for example.
"""

from __future__ import annotations

import struct

import pytest

from support.octets.http2_endpoint import client, server
from sync_h2 import HTTP2Error, ProtocolError
from sync_h2.constants import FrameType
from sync_h2.protocol.settings import unpack_settings

WINDOW_TOO_LARGE = struct.pack(">HL", 4, 2**31)


@pytest.mark.parametrize(
    ("kind", "flags", "payload"),
    [
        (FrameType.SETTINGS, 0, WINDOW_TOO_LARGE),
        (FrameType.SETTINGS, 0, WINDOW_TOO_LARGE + bytes(6)),
        (FrameType.SETTINGS, 0, bytes(5)),
        (FrameType.HEADERS, 0x4, b"\x80"),
        (FrameType.HEADERS, 0xC, b"\xff"),
        (FrameType.PING, 0, bytes(7)),
        (FrameType.GOAWAY, 0, bytes(7)),
        (FrameType.WINDOW_UPDATE, 0, bytes(4)),
        (FrameType.ALTSVC, 0, b"\xff\xff"),
        (FrameType.ORIGIN, 0, b"\xff\xff"),
        (FrameType.PRIORITY_UPDATE, 0, b"\xff"),
    ],
)
def test_an_error_does_not(kind: FrameType, flags: int, payload: bytes) -> None:
    endpoint = client() if kind in (FrameType.ALTSVC, FrameType.ORIGIN) else server()
    view = memoryview(bytearray(payload))
    with pytest.raises(ProtocolError) as raised:
        endpoint.connection.receive_frame(kind, flags, 1 if kind is FrameType.HEADERS else 0, view)
    view.release()  # a BufferError if something holds it
    assert raised.value.__traceback__ is not None


def test_unpacking_settings_does_not() -> None:
    view = memoryview(WINDOW_TOO_LARGE)
    with pytest.raises(HTTP2Error) as raised:
        unpack_settings(view)
    view.release()
    assert raised.value.__traceback__ is not None
