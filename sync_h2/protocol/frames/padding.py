"""How much padding the frames get that can have some (RFC 9113 section 10.7): Node's padding strategies.

Pure functions.
"""

from __future__ import annotations

from collections.abc import Callable

from ...constants import FRAME_HEADER_LENGTH, PADDING_STRATEGY_ALIGNED, PADDING_STRATEGY_MAX

Padding = Callable[[int, int], "int | None"]
"""Takes the octets of a frame's payload and how many more there is room for; gives its Pad Length, None for no padding.
"""

_MOST_OCTETS = 256  # the Pad Length field, which is one of them, says at most 255
_ALIGNMENT = 8


def padding_for(strategy: str) -> Padding | None:
    """What pads the frames of a session with this `padding_strategy`; None for "none"."""
    return {PADDING_STRATEGY_MAX: _as_much_as_fits, PADDING_STRATEGY_ALIGNED: _aligned}.get(strategy)


def _as_much_as_fits(length: int, room: int) -> int | None:
    return _pad_length(min(_MOST_OCTETS, room))


def _aligned(length: int, room: int) -> int | None:
    """The whole frame, its header included, becomes a multiple of eight octets long if there is room for that."""
    return _pad_length(min(-(FRAME_HEADER_LENGTH + length) % _ALIGNMENT, room))


def _pad_length(octets: int) -> int | None:
    return octets - 1 if octets > 0 else None
