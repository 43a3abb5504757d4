"""What one received frame means: the values that `Connection.receive_frame` returns.

Plain values, made by the reader thread under the session's lock. They are slotted dataclasses because these are a third
cheaper to make than named tuples. `memory` is about how many octets the event's headers take as long as they are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .fields.headers import Headers
from .settings import Settings


class Event:
    """One of the values below."""

    __slots__ = ()


@dataclass(slots=True)
class RequestReceived(Event):
    """The client's request headers: a new stream. `method` and `priority` are in the headers too, which are decoded
    when they are first looked at.
    """

    stream_id: int
    headers: Headers
    end_stream: bool
    memory: int = field(default=0, compare=False)
    method: str = field(default="GET", compare=False)
    priority: str | None = field(default=None, compare=False)


@dataclass(slots=True)
class ResponseReceived(Event):
    """The final response's headers."""

    stream_id: int
    headers: Headers
    end_stream: bool
    memory: int = field(default=0, compare=False)


@dataclass(slots=True)
class InformationalReceived(Event):
    """A 1xx response; the final one is still to come."""

    stream_id: int
    headers: Headers
    memory: int = field(default=0, compare=False)


@dataclass(slots=True)
class TrailersReceived(Event):
    """Trailers. They always end the peer's side of the stream."""

    stream_id: int
    headers: Headers
    memory: int = field(default=0, compare=False)


@dataclass(slots=True)
class DataReceived(Event):
    """A piece of body. `flow_controlled_length` counts padding too: that much credit is to be returned. `short`: the
    body ends before what its content-length says.
    """

    stream_id: int
    data: bytes
    flow_controlled_length: int
    end_stream: bool
    short: bool = False


@dataclass(slots=True)
class DataDiscarded(Event):
    """DATA for a stream that takes none any more. The connection's credit for it is to be returned."""

    stream_id: int
    flow_controlled_length: int


@dataclass(slots=True)
class PushPromiseReceived(Event):
    """The server promises a response on `promised_stream_id` to the request in `headers`."""

    stream_id: int
    promised_stream_id: int
    headers: Headers
    memory: int = field(default=0, compare=False)


@dataclass(slots=True)
class StreamReset(Event):
    """The stream is closed: by the peer's RST_STREAM (`remote`), or by one already sent because of what the peer did.

    `reason` is for people, and empty for a remote one. The stream may be one that no event has named before.
    """

    stream_id: int
    code: int
    remote: bool
    reason: str


@dataclass(slots=True)
class WindowUpdated(Event):
    """The peer takes `increment` more octets; stream 0 is the connection."""

    stream_id: int
    increment: int


@dataclass(slots=True)
class SettingsReceived(Event):
    """The peer's SETTINGS, as stated in this one frame. They are in force, and their ACK is on its way."""

    values: Settings


@dataclass(slots=True)
class SettingsAcknowledged(Event):
    """The peer has applied the oldest of our SETTINGS that it had not; `values` is what that frame stated."""

    values: Settings


@dataclass(slots=True)
class PingReceived(Event):
    """A PING. Its ACK is on its way."""

    payload: bytes


@dataclass(slots=True)
class PingAcknowledged(Event):
    """The answer to a PING with this payload."""

    payload: bytes


@dataclass(slots=True)
class GoawayReceived(Event):
    """The peer takes no streams above `last_stream_id`; the others go on."""

    code: int
    last_stream_id: int
    data: bytes


@dataclass(slots=True)
class PriorityReceived(Event):
    """RFC 7540's priority of a stream in any state; `weight` is from 1 to 256."""

    stream_id: int
    exclusive: bool
    depends_on: int
    weight: int


@dataclass(slots=True)
class PriorityUpdateReceived(Event):
    """RFC 9218's priority of a request that may not have arrived yet."""

    prioritized_stream_id: int
    value: str


@dataclass(slots=True)
class AltsvcReceived(Event):
    """An alternative service; `origin` is empty when it is that of the stream."""

    stream_id: int
    origin: str
    value: str


@dataclass(slots=True)
class OriginReceived(Event):
    """Origins that the server is authoritative for."""

    origins: list[str]


@dataclass(slots=True)
class HeaderListTooLarge(Event):
    """A request over the announced limits on header lists, within the hard bound. The stream is open: answer 431.

    `method` and `headers` are for the log: the pseudo-header fields, and "" and None where not all came within the
    limits. `memory` is as in `RequestReceived`.
    """

    stream_id: int
    end_stream: bool
    method: str = ""
    headers: Headers | None = None
    memory: int = 0
