"""What callers and peers say of a stream's priority: RFC 9218's field, and the older weights and dependencies (RFC 7540
section 5.3).

The scheduler goes by urgency and weight. Dependencies are what `stream.state` adds up, and are kept for the streams
that are open. Pure functions, but for those ending in `_locked`, which need the session's lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

from ...arguments import check_whole_number
from ...constants import MAX_STREAM_ID

DEFAULT_URGENCY = 3
DEFAULT_WEIGHT = 16

Priority = tuple[bool, int, int]
"""Whether it is exclusive, the stream that it depends on (0: none), the weight."""

DEFAULT_PRIORITY: Priority = (False, 0, DEFAULT_WEIGHT)
"""What a stream has of which nobody has said anything."""


_SAYS_NOTHING = (False, int, 0, int, DEFAULT_WEIGHT)


def parse_priority(value: str) -> tuple[int, bool]:
    """Urgency, and whether the response is not to be interleaved, of a `priority` field (RFC 9218 section 4).

    What does not parse is ignored, as section 5 asks for. No `u` and no `i` at all is no signal: such streams share.
    """
    urgency = DEFAULT_URGENCY
    incremental: bool | None = None
    for member in value.split(","):
        name, _, parameter = member.partition(";")[0].strip().partition("=")
        if name == "u" and len(parameter) == 1 and parameter in "01234567":
            urgency = int(parameter)
            incremental = incremental or False
        elif name == "i" and parameter in ("", "?1", "?0"):
            incremental = parameter != "?0"
    return urgency, incremental is False


class Prioritized(Protocol):
    """A stream, as far as others may depend on it."""

    id: int | None
    weight: int
    parent: int


S = TypeVar("S", bound=Prioritized)


def check_priority(exclusive: bool, parent: int, weight: int) -> Priority:
    """The arguments of a caller as a priority; `DEFAULT_PRIORITY` itself where they say nothing else."""
    if (exclusive, type(parent), parent, type(weight), weight) == _SAYS_NOTHING:
        return DEFAULT_PRIORITY
    check_whole_number("weight", weight, 1, 256)
    check_whole_number("parent", parent, 0, MAX_STREAM_ID)
    return bool(exclusive), parent, weight


def set_priority_locked(streams: Mapping[int, S], state: S, priority: Priority) -> None:
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


def sum_of_dependents_locked(streams: Mapping[int, Prioritized], stream_id: int | None) -> int:
    """The weights of the open streams that depend on this one."""
    return sum(state.weight for state in streams.values() if state.parent == stream_id)
