"""What one HTTP/2 connection sends.

Every method runs under the session's lock, on whatever thread sends. Each checks everything first and raises without
having changed anything; after the check nothing can fail, so that the HPACK encoder and the order on the wire stay in
step.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from hpack import HeaderTuple

from ..constants import MAX_STREAM_ID, MAX_WINDOW_SIZE, PREFACE, ErrorCode, FrameFlag, FrameType
from ..errors import InvalidArgument, InvalidState
from .fields.header_blocks import pack_priority
from .fields.headers import RequestFields, ResponseFields
from .frames.extension_frames import build_altsvc, build_origin, build_priority_update
from .frames.framing import frame_header
from .h2_overrides import Stream, StreamInputs, StreamState
from .settings import Settings, pack_settings
from .state import ConnectionState
from .stream_table import StreamTable

# Plain numbers: an operation on IntFlag members costs a microsecond.
_END_STREAM = int(FrameFlag.END_STREAM)
_END_HEADERS = int(FrameFlag.END_HEADERS)
_PADDED = int(FrameFlag.PADDED)
_PRIORITY = int(FrameFlag.PRIORITY)

_OPEN, _RESERVED_LOCAL, _RESERVED_REMOTE = StreamState.OPEN, StreamState.RESERVED_LOCAL, StreamState.RESERVED_REMOTE
_HALF_CLOSED_LOCAL, _HALF_CLOSED_REMOTE = StreamState.HALF_CLOSED_LOCAL, StreamState.HALF_CLOSED_REMOTE
_LARGE = 1024  # octets: to copy fewer costs less than to send one buffer more
_UNSIGNED_32 = struct.Struct(">L")
_GOAWAY = struct.Struct(">LL")


class HeaderBlockTooLong(InvalidArgument):
    """Header fields of ours over `max_send_header_block_length`: nothing of them was sent."""


class Sending(ConnectionState):
    """The half of `Connection` that turns calls into frames."""

    # Connection

    def start(self) -> None:
        """Send the preface (a client) and the first SETTINGS (RFC 9113 section 3.4)."""
        if self.client:
            self._emit(False, (PREFACE,))
        self.update_settings(self._first_settings)

    def update_settings(self, values: Settings) -> None:
        """Send SETTINGS. What widens the peer's limits holds at once, what narrows them when it is acknowledged."""
        if self._local_settings.latest("enable_connect_protocol") and values.enable_connect_protocol is False:
            raise InvalidArgument("enable_connect_protocol cannot be withdrawn (RFC 8441 section 3)")
        if not self.client and values.enable_push:
            # "A server MUST NOT explicitly set this value to 1" (RFC 9113 section 6.5.2), and full sets of values
            # contain it.
            values = Settings({**values, "enable_push": None})
        payload = pack_settings(values)
        self._local_settings.sent(values)
        self._apply_local_settings()
        self._emit(False, (frame_header(len(payload), FrameType.SETTINGS, 0, 0) + payload,))

    def _apply_local_settings(self) -> None:
        """Bring into force what the peer may go by now; after each SETTINGS of ours and each ACK."""
        local, table = self._local_settings, self._table
        self.frames.max_frame_size = local.largest("max_frame_size")
        table.decoder.max_allowed_table_size = local.largest("header_table_size")
        self._header_blocks.limit(_stated_or(local.latest("max_header_list_size"), self.limits.max_header_list_size))
        self._max_inbound_streams = _stated_or(
            local.latest("max_concurrent_streams"), self.limits.max_concurrent_streams
        )
        self._extended_connect = bool(local.latest("enable_connect_protocol"))
        change = local.largest("initial_window_size") - table.initial_inbound_window
        if change:
            table.initial_inbound_window += change
            for stream in table.streams.values():
                stream.inbound_window += change

    def ping(self, payload: bytes) -> None:
        """Send PING with eight octets."""
        if len(payload) != 8:
            raise InvalidArgument(f"a PING carries 8 octets, not {len(payload)}")
        self._flood_guard.ping_sent()
        self._emit(True, (frame_header(8, FrameType.PING, 0, 0) + payload,))

    def goaway(self, code: int, last_stream_id: int, data: bytes = b"") -> None:
        """Send GOAWAY. Streams that are open go on (RFC 9113 section 6.8)."""
        if not 0 <= last_stream_id <= MAX_STREAM_ID:
            raise InvalidArgument(
                f"the last stream id of GOAWAY must be from 0 to {MAX_STREAM_ID}, not {last_stream_id}"
            )
        if len(data) > self.max_outbound_frame_size - _GOAWAY.size:
            raise InvalidArgument(f"{len(data)} octets of data do not fit into a GOAWAY frame")
        # "Endpoints MUST NOT increase the value they send in the last stream identifier": what was ruled out stays so.
        self._goaway_sent_last_id = min(self._goaway_sent_last_id, last_stream_id)
        payload = _GOAWAY.pack(self._goaway_sent_last_id, code) + data
        self._emit(True, (frame_header(len(payload), FrameType.GOAWAY, 0, 0) + payload,))

    def origin(self, origins: Iterable[str]) -> None:
        """Send ORIGIN (RFC 8336), in as many frames as it takes."""
        self._only_server("ORIGIN")
        for payload in build_origin(origins, self.max_outbound_frame_size):
            self._emit(False, (frame_header(len(payload), FrameType.ORIGIN, 0, 0) + payload,))

    def altsvc(self, origin: str, value: str, stream_id: int) -> None:
        """Send ALTSVC (RFC 7838 section 4): for `origin` on stream 0, or with "" for the origin of an open stream."""
        self._only_server("ALTSVC")
        if bool(origin) is bool(stream_id):
            raise InvalidArgument("ALTSVC has an origin on stream 0, and none on other streams")
        if stream_id and stream_id not in self._table.streams:
            raise InvalidState("ALTSVC for a stream that is not open", stream_id=stream_id)
        self._emit_extension(FrameType.ALTSVC, stream_id, build_altsvc(origin, value), "an alternative service")

    # Priorities

    def prioritize(self, stream_id: int, exclusive: bool, depends_on: int, weight: int) -> None:
        """Send PRIORITY (RFC 7540 section 6.3)."""
        self._only_client("PRIORITY")
        payload = _checked_priority(stream_id, exclusive, depends_on, weight)
        self._emit(False, (frame_header(len(payload), FrameType.PRIORITY, 0, stream_id) + payload,))

    def priority_update(self, stream_id: int, value: str) -> None:
        """Send PRIORITY_UPDATE (RFC 9218 section 7.1)."""
        self._only_client("PRIORITY_UPDATE")
        self._emit_extension(FrameType.PRIORITY_UPDATE, 0, build_priority_update(stream_id, value), "a priority")

    def _emit_extension(self, frame_type: FrameType, stream_id: int, payload: bytes, what: str) -> None:
        """A frame whose payload is `what`, in one piece."""
        if len(payload) > self.max_outbound_frame_size:
            raise InvalidArgument(f"{what} of {len(payload)} octets does not fit into a frame")
        self._emit(False, (frame_header(len(payload), frame_type, 0, stream_id) + payload,))

    # Header blocks; `headers` is what the `encode_*` functions of `headers` gave.

    def send_request(
        self, headers: RequestFields, end_stream: bool, priority: tuple[bool, int, int] | None = None
    ) -> int:
        """Open a stream with a request; its id. `priority` is RFC 7540's (exclusive, depends_on, weight)."""
        if not self.client:
            self._only_client("a request")
        if self._goaway_received_last_id is not None:
            raise InvalidState("the peer takes no more streams (GOAWAY)")
        stream_id = self.next_outbound_stream_id
        table = self._table
        if table.open_outbound_streams >= self.peer_max_concurrent_streams:
            raise InvalidState(f"the peer takes at most {self.peer_max_concurrent_streams} streams at once")
        if headers.is_extended_connect and not self.remote_settings.enable_connect_protocol:
            raise InvalidState("the peer has not enabled extended CONNECT (SETTINGS_ENABLE_CONNECT_PROTOCOL)")
        if headers.octets > self.limits.max_send_header_block_length:
            self.check_block_length(headers)
        flags, prefix = _END_STREAM if end_stream else 0, b""
        if priority is not None:
            flags, prefix = flags | _PRIORITY, _checked_priority(stream_id, *priority)
        table.begin_own_request(stream_id, end_stream).request_method = headers.method
        self._flood_guard.request_made()
        self._emit_block(FrameType.HEADERS, flags, stream_id, table.encode(headers), prefix)
        return stream_id

    def send_informational(self, stream_id: int, headers: Sequence[HeaderTuple]) -> bool:
        """Send a 1xx response, which any client of HTTP/2 knows: True."""
        self._only_server("a response")
        stream = self._table.streams.get(stream_id)
        if stream is None or stream.headers_sent or not _can_send(stream):
            raise self._cannot_send(stream_id, "an informational response")
        self.check_block_length(headers)
        # Changes no state: the final response is still to come.
        self._emit_block(FrameType.HEADERS, 0, stream_id, self._table.encode(headers))
        return True

    def trailers_will_follow(self, stream_id: int) -> None:
        """Trailers will end the response that is sent next: nothing to do, any HTTP/2 message can have them."""

    def send_response(self, stream_id: int, headers: ResponseFields, end_stream: bool) -> None:
        """Send the final response's headers."""
        stream = self._table.streams.get(stream_id)
        if stream is None or stream.headers_sent or self.client:
            self._only_server("a response")
            raise self._cannot_send(stream_id, "a response")
        # A pushed stream counts from its response on (RFC 9113 section 5.1.2).
        if stream.state is _RESERVED_LOCAL and self._table.open_outbound_streams >= self.peer_max_concurrent_streams:
            message = f"the peer takes at most {self.peer_max_concurrent_streams} pushed streams at once"
            raise InvalidState(message, stream_id=stream_id)
        if headers.octets > self.limits.max_send_header_block_length:
            self.check_block_length(headers)
        if stream.request_method == "CONNECT":
            stream.is_tunnel = dict(headers)[b":status"].startswith(b"2")
        self._send_block(stream, headers, end_stream)

    def send_trailers(self, stream_id: int, headers: Sequence[HeaderTuple]) -> None:
        """Send trailers: they end our side of the stream."""
        stream = self._sendable(stream_id, "trailers")
        self.check_block_length(headers)
        self._send_block(stream, headers, True)

    def push(self, stream_id: int, headers: Sequence[HeaderTuple]) -> int:
        """Send PUSH_PROMISE on a client's stream; the promised stream's id."""
        self._only_server("PUSH_PROMISE")
        if not self.remote_settings.enable_push:
            raise InvalidState("the client has switched server push off", stream_id=stream_id)
        stream = self._table.streams.get(stream_id)
        if stream is None or not _can_send(stream):
            raise self._cannot_send(stream_id, "PUSH_PROMISE")
        if self._table.is_outbound(stream_id):
            raise InvalidState("a pushed stream cannot push (RFC 9113 section 8.4)", stream_id=stream_id)
        if self._goaway_received_last_id is not None:
            raise InvalidState("the peer takes no more streams (GOAWAY)", stream_id=stream_id)
        promised_stream_id = self.next_outbound_stream_id
        self.check_block_length(headers)
        promised = self._table.begin(promised_stream_id)
        self._table.apply(stream, StreamInputs.SEND_PUSH_PROMISE)
        self._table.apply(promised, StreamInputs.SEND_PUSH_PROMISE)
        prefix = _UNSIGNED_32.pack(promised_stream_id)
        self._emit_block(FrameType.PUSH_PROMISE, 0, stream_id, self._table.encode(headers), prefix)
        return promised_stream_id

    def check_block_length(self, headers: Sequence[HeaderTuple]) -> None:
        """Raise HeaderBlockTooLong for more octets of fields than `max_send_header_block_length`."""
        # Before compression: once it is known how long the block became, the encoder has moved and the block must be
        # sent.
        length = sum([len(name) + len(value) for name, value in headers])
        if length > self.limits.max_send_header_block_length:
            limit = self.limits.max_send_header_block_length
            raise HeaderBlockTooLong(
                f"the header fields have {length} octets; max_send_header_block_length allows {limit}"
            )

    def _send_block(self, stream: Stream, headers: Sequence[HeaderTuple], end_stream: bool) -> None:
        block = self._table.encode(headers)
        flags = 0
        if end_stream:
            flags = _END_STREAM
            self._table.apply(stream, StreamInputs.SEND_HEADERS, StreamInputs.SEND_END_STREAM)
        else:
            self._table.apply(stream, StreamInputs.SEND_HEADERS)
        self._emit_block(FrameType.HEADERS, flags, stream.stream_id, block)

    def _emit_block(self, frame_type: int, flags: int, stream_id: int, block: bytes, prefix: bytes = b"") -> None:
        """Send a block, in CONTINUATION frames where it is longer than a frame."""
        size = self.max_outbound_frame_size
        payload = prefix + block
        if len(payload) <= size:
            padding = None if self.padding is None else self.padding(len(payload), size - len(payload))
            if padding is not None:
                flags |= _PADDED
                payload = bytes((padding,)) + payload + bytes(padding)
            self._emit(False, (frame_header(len(payload), frame_type, flags | _END_HEADERS, stream_id) + payload,))
            return
        buffers = [frame_header(size, frame_type, flags, stream_id), payload[:size]]
        for start in range(size, len(payload), size):
            fragment = payload[start : start + size]
            last = _END_HEADERS if start + size >= len(payload) else 0
            buffers += (frame_header(len(fragment), FrameType.CONTINUATION, last, stream_id), fragment)
        self._emit(False, tuple(buffers))

    # Data, windows, resets

    def send_data(self, stream_id: int, data: bytes | memoryview, end_stream: bool, padding: int | None = None) -> None:
        """Send one DATA frame. With its padding it must fit `send_window` and `max_outbound_frame_size`."""
        table = self._table
        stream = self._sendable(stream_id, "DATA")
        length = len(data) if padding is None else len(data) + padding + 1
        if length > self.max_outbound_frame_size:
            raise InvalidArgument(f"{length} octets do not fit into a frame of {self.max_outbound_frame_size}")
        if length and (length > stream.outbound_window or length > table.outbound_window):
            raise InvalidState(f"{length} octets do not fit into the send window", stream_id=stream_id)
        if padding is not None and not 0 <= padding <= 255:
            raise InvalidArgument(f"padding must be from 0 to 255 octets, not {padding}")
        stream.outbound_window -= length
        table.outbound_window -= length
        self._flood_guard.data_sent(length)
        flags = 0
        # SEND_DATA leaves each state in which it is allowed as it is; only the end is a transition.
        if end_stream:
            flags = _END_STREAM
            table.apply(stream, StreamInputs.SEND_END_STREAM)
        if padding is not None:
            header = frame_header(length, FrameType.DATA, flags | _PADDED, stream_id) + bytes((padding,))
            self._emit(False, (header, data, bytes(padding)))
        elif length > _LARGE:
            self._emit(False, (frame_header(length, FrameType.DATA, flags, stream_id), data))
        else:
            self._emit(False, (frame_header(length, FrameType.DATA, flags, stream_id) + data,))

    def open_window(self, stream_id: int, increment: int) -> None:
        """Let the peer send `increment` octets more (stream 0: the connection), if any can still come."""
        if not 1 <= increment <= MAX_WINDOW_SIZE:
            raise InvalidArgument(f"a window opens by 1 to {MAX_WINDOW_SIZE} octets, not {increment}")
        holder: Stream | StreamTable = self._table
        urgent = True
        if stream_id:
            stream = self._table.streams.get(stream_id)
            if stream is None or not _can_receive(stream):
                return
            holder = stream
            # Until the peer has answered, our HEADERS may still be queued: overtaking them would hit an idle stream.
            urgent = bool(stream.headers_received) or not self._table.is_outbound(stream_id)
        if holder.inbound_window + increment > MAX_WINDOW_SIZE:
            raise InvalidArgument(f"a window of more than {MAX_WINDOW_SIZE} octets", stream_id=stream_id or None)
        holder.inbound_window += increment
        payload = _UNSIGNED_32.pack(increment)
        self._emit(urgent, (frame_header(4, FrameType.WINDOW_UPDATE, 0, stream_id) + payload,))

    def reset(self, stream_id: int, code: int) -> bool:
        """Send RST_STREAM and close the stream; False if it is closed or was never open."""
        stream = self._table.streams.get(stream_id)
        if stream is None:
            return False
        self._table.apply(stream, StreamInputs.SEND_RST_STREAM)
        self._flood_guard.expect_late_frames()
        self._emit_reset(stream_id, code)
        return True

    def refuse(self, stream_id: int, code: int = ErrorCode.REFUSED_STREAM) -> None:
        """Reset a stream for which there is no room: REFUSED_STREAM for one that the peer has just opened.

        Counted as a reset that the peer made us send: what it opens faster than it is served must end somewhere.
        """
        stream = self._table.streams.get(stream_id)
        if stream is not None:
            self._table.apply(stream, StreamInputs.SEND_RST_STREAM)
            self._emit_reset(stream_id, code)
        self._flood_guard.count_reset(stream_id)

    def _emit_reset(self, stream_id: int, code: int) -> None:
        self._emit(False, (frame_header(4, FrameType.RST_STREAM, 0, stream_id) + _UNSIGNED_32.pack(code),))

    def _sendable(self, stream_id: int, what: str) -> Stream:
        stream = self._table.streams.get(stream_id)
        if stream is None or not stream.headers_sent or not _can_send(stream):
            raise self._cannot_send(stream_id, what)
        return stream

    def _cannot_send(self, stream_id: int, what: str) -> InvalidState:
        stream = self._table.streams.get(stream_id)
        headers_sent = stream is not None and stream.headers_sent
        state = self.stream_state(stream_id).replace("_", "-")
        return InvalidState(
            f"{what} cannot be sent now: the stream is {state}, its headers were {'' if headers_sent else 'not '}sent",
            stream_id=stream_id,
        )

    def _only_client(self, what: str) -> None:
        if not self.client:
            raise InvalidState(f"only a client sends {what}")

    def _only_server(self, what: str) -> None:
        if self.client:
            raise InvalidState(f"only a server sends {what}")


# Compared one by one: an enumeration's members are slow to find in a set.


def _can_send(stream: Stream) -> bool:
    return stream.state is _OPEN or stream.state is _HALF_CLOSED_REMOTE


def _can_receive(stream: Stream) -> bool:
    state = stream.state
    return state is _OPEN or state is _HALF_CLOSED_LOCAL or state is _RESERVED_REMOTE


def _stated_or(value: int | None, default: int) -> int:
    return default if value is None else value


def _checked_priority(stream_id: int, exclusive: bool, depends_on: int, weight: int) -> bytes:
    if not 1 <= weight <= 256:
        raise InvalidArgument(f"a stream's weight must be from 1 to 256, not {weight}", stream_id=stream_id)
    if depends_on == stream_id:
        raise InvalidArgument("a stream cannot depend on itself", stream_id=stream_id)
    if not 0 <= depends_on <= MAX_STREAM_ID:
        raise InvalidArgument(f"there is no stream {depends_on} to depend on", stream_id=stream_id)
    return pack_priority(exclusive, depends_on, weight)
