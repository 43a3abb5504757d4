"""RFC 7540's priorities: what callers and peers say of a stream's weight and of what it depends on (section 5.3).

The scheduler goes by the weights alone. Dependencies are what `stream.state` adds up, and are kept for the streams
that are open. Functions ending in `_locked` need the session's lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...arguments import check_whole_number
from ...constants import MAX_STREAM_ID

if TYPE_CHECKING:
    from .stream_state import StreamState

Priority = tuple[bool, int, int]
"""Whether it is exclusive, the stream that it depends on (0: none), the weight."""

DEFAULT_PRIORITY: Priority = (False, 0, 16)


def check_priority(exclusive: bool, parent: int, weight: int) -> Priority:
    """The arguments of a caller as a priority."""
    check_whole_number("weight", weight, 1, 256)
    check_whole_number("parent", parent, 0, MAX_STREAM_ID)
    return bool(exclusive), parent, weight


def set_priority_locked(streams: Mapping[int, StreamState], state: StreamState, priority: Priority) -> None:
    """Give an open stream, one of `streams`, its weight and its place among the dependencies."""
    assert state.id is not None
    exclusive, parent, state.weight = priority
    ancestor = streams.get(parent)
    while ancestor is not None and ancestor is not state:
        ancestor = streams.get(ancestor.parent)
    if ancestor is state:
        streams[parent].parent = state.parent  # RFC 7540 section 5.3.3: it takes the place of what now depends on it
    state.parent = parent
    if exclusive:  # RFC 7540 section 5.3.1: the parent's other dependents become its own
        for other in streams.values():
            if other.parent == parent and other is not state:
                other.parent = state.id


def sum_of_dependents_locked(streams: Mapping[int, StreamState], stream_id: int | None) -> int:
    """The weights of the open streams that depend on this one."""
    return sum(state.weight for state in streams.values() if state.parent == stream_id)
