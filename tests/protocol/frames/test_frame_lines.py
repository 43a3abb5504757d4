"""What a trace says of frames; most of it in tests/connection/inspection/test_trace.py."""

from __future__ import annotations

from sync_h2.constants import FrameType
from sync_h2.protocol.fields.header_blocks import HEADER_BLOCK_FRAMES
from sync_h2.protocol.frames.frame_lines import DETAILS


def test_a_line_says_something_of_every_type_but_data() -> None:
    assert set(DETAILS) | set(HEADER_BLOCK_FRAMES) == set(FrameType) - {FrameType.DATA}
