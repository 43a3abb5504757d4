"""One HTTP/2 connection as a pure protocol: `Connection` turns frames into events, and (inherited from `Sending`) calls into frames.

`receive_frame` runs on the session's reader thread, everything under the session's lock. A fault of the peer on one stream is answered
with RST_STREAM and reported as a `StreamReset` event; one that concerns the connection raises ProtocolError (RFC 9113 section 5.4).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

from ..constants import MAX_WINDOW_SIZE, ErrorCode, FrameFlag, FrameType
from ..errors import InvalidArgument, ProtocolError
from .events import (
    AltsvcReceived,
    DataDiscarded,
    DataReceived,
    Event,
    GoawayReceived,
    HeaderListTooLarge,
    InformationalReceived,
    OriginReceived,
    PingAcknowledged,
    PingReceived,
    PriorityReceived,
    PriorityUpdateReceived,
    PushPromiseReceived,
    RequestReceived,
    ResponseReceived,
    SettingsAcknowledged,
    SettingsReceived,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from .extension_frames import parse_altsvc, parse_origin, parse_priority_update
from .framing import frame_header
from .h2_overrides import Stream, StreamClosedBy, StreamInputs, StreamState
from .header_blocks import HeaderBlock, parse_priority, without_padding
from .header_rules import MalformedHeaders, check_request, check_response, check_trailers
from .headers import Headers
from .limits import LimitReached, Limits
from .sending import Emit, Sending
from .settings import Settings, settings_from_items

_ACK = int(FrameFlag.ACK)
_END_STREAM = int(FrameFlag.END_STREAM)
_PADDED = int(FrameFlag.PADDED)
_SETTINGS_ENTRY = struct.Struct(">HL")
_UNSIGNED_32 = struct.Struct(">L")
_GOAWAY = struct.Struct(">LL")
_STREAM_ID_MASK = 0x7FFF_FFFF

# An application has use for a few 1xx responses to a request; each is kept until it asks.
_MOST_INFORMATIONAL = 64
_STATUS_WITHOUT_CONTENT = frozenset({b"204", b"304"})  # RFC 9110 section 6.4.1
_SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})  # RFC 9110 section 9.2.1


class Connection(Sending):
    """Both directions of one connection."""

    def __init__(
        self,
        *,
        client: bool,
        settings: Settings,
        limits: Limits,
        emit: Emit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(client=client, settings=settings, limits=limits, emit=emit, clock=clock)
        self._refuse_streams_above: int | None = None
        self._prioritized_idle: set[int] = set()

    @property
    def header_block_open(self) -> bool:
        """Whether a header block has begun whose end has not arrived."""
        return self._header_blocks.open

    def refuse_streams_above(self, last_stream_id: int) -> None:
        """Ignore streams that the peer opens above this id, as our GOAWAY said; their header blocks are still decoded."""
        self._refuse_streams_above = last_stream_id

    def receive_frame(self, frame_type: int, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        """What a frame means. Raises ProtocolError, and nothing else, when the connection has to end."""
        if self._header_blocks.open and frame_type != FrameType.CONTINUATION:
            raise _protocol_error("a frame between the frames of a header block")
        if not self.settings_received and (frame_type != FrameType.SETTINGS or flags & _ACK):
            raise _protocol_error("the first frame is not SETTINGS")
        receive = _RECEIVERS.get(frame_type)
        if receive is None:
            return []  # RFC 9113 section 4.1: frames of unknown types are ignored
        return receive(self, flags, stream_id, payload)

    # DATA

    def _receive_data(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        length = len(payload)
        if not stream_id:
            raise _protocol_error("DATA on stream 0")
        table = self._table
        if length > table.inbound_window:
            raise ProtocolError("the peer sends more than the connection's window", code=ErrorCode.FLOW_CONTROL_ERROR)
        table.inbound_window -= length
        if flags & _PADDED:
            payload = without_padding(payload)
        end_stream = flags & _END_STREAM != 0
        stream = table.streams.get(stream_id)
        if stream is None:
            return self._data_on_absent_stream(stream_id, length)
        state = stream.state_machine.state
        if state is not StreamState.OPEN and state is not StreamState.HALF_CLOSED_LOCAL:
            if state is StreamState.HALF_CLOSED_REMOTE:
                return self._discard(stream, length, ErrorCode.STREAM_CLOSED, "DATA after the end of the stream")
            raise _protocol_error("DATA on a reserved stream", stream_id)
        if not stream.state_machine.headers_received:
            return self._discard(stream, length, ErrorCode.PROTOCOL_ERROR, "DATA before the response's headers")
        if length > stream.inbound_window:
            return self._discard(stream, length, ErrorCode.FLOW_CONTROL_ERROR, "DATA beyond the stream's window")
        stream.inbound_window -= length
        if stream.content_left is not None:
            stream.content_left -= len(payload)
            if stream.content_left < 0 or (end_stream and stream.content_left):
                return self._discard(stream, length, ErrorCode.PROTOCOL_ERROR, "DATA does not add up to content-length")
        if end_stream:
            table.apply(stream, StreamInputs.RECV_END_STREAM)
        elif not payload:
            self._flood_guard.count_invalid_frame(stream_id)
        return [DataReceived(stream_id, bytes(payload), length, end_stream)]

    def _data_on_absent_stream(self, stream_id: int, length: int) -> list[Event]:
        events: list[Event] = self._frame_on_absent_stream("DATA", stream_id)
        if length:
            events.append(DataDiscarded(stream_id, length))
        else:
            self._flood_guard.count_invalid_frame(stream_id)
        return events

    def _discard(self, stream: Stream, length: int, code: int, reason: str) -> list[Event]:
        """DATA that is the fault of its stream: its credit is still the connection's."""
        return [DataDiscarded(stream.stream_id, length), *self._stream_error(stream, code, reason)]

    def _frame_on_absent_stream(self, frame: str, stream_id: int) -> list[Event]:
        """HEADERS or DATA for a stream that is idle or closed (RFC 9113 section 5.1)."""
        if self._table.is_idle(stream_id):
            raise _protocol_error(f"{frame} on an idle stream", stream_id)
        closed_by = self._table.closed_by(stream_id)
        if closed_by is StreamClosedBy.SEND_RST_STREAM:
            return []  # under way when our RST_STREAM left
        if closed_by is StreamClosedBy.RECV_RST_STREAM:
            return self._reset_absent(stream_id, ErrorCode.STREAM_CLOSED, f"{frame} after the peer's own RST_STREAM")
        raise ProtocolError(f"{frame} on a closed stream", stream_id=stream_id, code=ErrorCode.STREAM_CLOSED)

    def _stream_error(self, stream: Stream, code: int, reason: str) -> list[Event]:
        """End a stream for a fault of the peer's (RFC 9113 section 5.4.2)."""
        self._table.apply(stream, StreamInputs.SEND_RST_STREAM)
        return self._reset_absent(stream.stream_id, code, reason)

    def _reset_absent(self, stream_id: int, code: int, reason: str) -> list[Event]:
        self._emit_reset(stream_id, code)
        self._flood_guard.count_reset(stream_id)
        return [StreamReset(stream_id, code, False, reason)]

    # Header blocks

    def _receive_headers(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        if not stream_id:
            raise _protocol_error("HEADERS on stream 0")
        return self._block_received(self._header_blocks.begin(FrameType.HEADERS, flags, stream_id, payload))

    def _receive_push_promise(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        if not self.client:
            raise _protocol_error("PUSH_PROMISE from a client", stream_id)
        return self._block_received(self._header_blocks.begin(FrameType.PUSH_PROMISE, flags, stream_id, payload))

    def _receive_continuation(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        return self._block_received(self._header_blocks.continuation(flags, stream_id, payload))

    def _block_received(self, block: HeaderBlock | None) -> list[Event]:
        if block is None:
            return []
        if block.promised_stream_id is not None:
            return self._promise_received(block, block.promised_stream_id)
        stream = self._table.streams.get(block.stream_id)
        if stream is None:
            events = self._block_on_absent_stream(block)
        elif stream.state is StreamState.HALF_CLOSED_REMOTE:
            events = self._stream_error(stream, ErrorCode.STREAM_CLOSED, "HEADERS after the end of the stream")
        elif stream.state is StreamState.RESERVED_LOCAL:
            raise _protocol_error("HEADERS on a stream that we promised", block.stream_id)
        elif block.too_large:
            events = self._stream_error(stream, ErrorCode.ENHANCE_YOUR_CALM, "a header list over the announced size")
        else:
            try:
                events = self._block_on_stream(stream, block)
            except MalformedHeaders as error:
                events = self._stream_error(stream, ErrorCode.PROTOCOL_ERROR, str(error))
        if block.priority is not None:
            events += self._priority_received(block.stream_id, *block.priority)
        return events

    def _block_on_absent_stream(self, block: HeaderBlock) -> list[Event]:
        stream_id = block.stream_id
        table = self._table
        if not self.client and not table.is_outbound(stream_id) and table.is_idle(stream_id):
            return self._request_received(block)
        if not table.is_idle(stream_id) and table.closed_by(stream_id) is None:
            # Ids only go up; this one was passed over (RFC 9113 section 5.1.1).
            raise _protocol_error("HEADERS on a stream that is closed", stream_id)
        events = self._frame_on_absent_stream("HEADERS", stream_id)
        self._flood_guard.count_invalid_frame(stream_id)
        return events

    def _request_received(self, block: HeaderBlock) -> list[Event]:
        stream_id = block.stream_id
        table = self._table
        if self._refuse_streams_above is not None and stream_id > self._refuse_streams_above:
            table.skip(stream_id)
            self._flood_guard.count_invalid_frame(stream_id)
            return []
        if self.open_inbound_streams() >= self._max_inbound_streams:
            return self._refuse(stream_id)
        self._flood_guard.accepted_stream()
        extended_connect = bool(self._local_settings.latest("enable_connect_protocol"))
        method, content_length = b"", None
        if not block.too_large:
            try:
                method, content_length = check_request(block.fields, extended_connect=extended_connect)
                if block.end_stream and content_length:
                    raise MalformedHeaders(f"content-length is {content_length}, but the request ends with its headers")
            except MalformedHeaders as error:
                table.skip(stream_id)
                return self._reset_absent(stream_id, ErrorCode.PROTOCOL_ERROR, str(error))
        stream = table.begin(stream_id)
        stream.request_method = method
        stream.content_left = content_length
        if block.end_stream:
            table.apply(stream, StreamInputs.RECV_HEADERS, StreamInputs.RECV_END_STREAM)
        else:
            table.apply(stream, StreamInputs.RECV_HEADERS)
        if self._prioritized_idle:
            self._prioritized_idle = {idle for idle in self._prioritized_idle if idle > stream_id}
        if block.too_large:
            return [HeaderListTooLarge(stream_id, block.end_stream)]
        return [RequestReceived(stream_id, Headers.from_wire(block.fields), block.end_stream)]

    def _refuse(self, stream_id: int) -> list[Event]:
        """A stream over the limit: the peer may try again (RFC 9113 sections 5.1.2 and 8.7)."""
        self._table.skip(stream_id)
        # Until the peer has seen our SETTINGS it cannot know the limit.
        if self._local_settings.acknowledged.max_concurrent_streams is not None:
            self._flood_guard.count_rejected_stream(stream_id)
        return self._reset_absent(stream_id, ErrorCode.REFUSED_STREAM, "more streams than we allow at once")

    def _block_on_stream(self, stream: Stream, block: HeaderBlock) -> list[Event]:
        """A block on a live stream: a response, or trailers."""
        machine = stream.state_machine
        stream_id = block.stream_id
        if machine.headers_received:
            check_trailers(block.fields)
            if not block.end_stream:
                raise MalformedHeaders("trailers do not end the stream")
            if stream.content_left:
                raise MalformedHeaders("the content is shorter than content-length")
            self._table.apply(stream, StreamInputs.RECV_HEADERS, StreamInputs.RECV_END_STREAM)
            return [TrailersReceived(stream_id, Headers.from_wire(block.fields))]
        status, content_length = check_response(block.fields)
        if status.startswith(b"1"):
            if block.end_stream:
                raise MalformedHeaders(f"the informational response {status.decode()} ends the stream")
            stream.informational_count += 1
            if stream.informational_count > _MOST_INFORMATIONAL:
                return self._stream_error(stream, ErrorCode.ENHANCE_YOUR_CALM, "too many informational responses")
            # Changes no state: the final response is still to come.
            return [InformationalReceived(stream_id, Headers.from_wire(block.fields))]
        if machine.state is StreamState.RESERVED_REMOTE and self.open_inbound_streams() >= self._max_inbound_streams:
            return self._stream_error(stream, ErrorCode.REFUSED_STREAM, "more pushed streams than we allow at once")
        method = stream.request_method
        if method == b"HEAD" or status in _STATUS_WITHOUT_CONTENT:
            content_length = 0
        elif method == b"CONNECT" and status.startswith(b"2"):
            content_length = None  # RFC 9110 section 9.3.6: the tunnel begins here
        if block.end_stream:
            if content_length:
                raise MalformedHeaders(f"content-length is {content_length}, but the response ends with its headers")
            self._table.apply(stream, StreamInputs.RECV_HEADERS, StreamInputs.RECV_END_STREAM)
        else:
            stream.content_left = content_length
            self._table.apply(stream, StreamInputs.RECV_HEADERS)
        return [ResponseReceived(stream_id, Headers.from_wire(block.fields), block.end_stream)]

    def _promise_received(self, block: HeaderBlock, promised_stream_id: int) -> list[Event]:
        """PUSH_PROMISE (RFC 9113 sections 6.6 and 8.4)."""
        table = self._table
        stream_id = block.stream_id
        if self._local_settings.acknowledged.enable_push is False:
            raise _protocol_error("PUSH_PROMISE although we switched push off", stream_id)
        if table.is_outbound(promised_stream_id) or not promised_stream_id or not table.is_idle(promised_stream_id):
            raise _protocol_error(f"PUSH_PROMISE promises stream {promised_stream_id}, which is not a new one", stream_id)
        stream = table.streams.get(stream_id)
        if stream is None:
            if table.is_idle(stream_id) or table.closed_by(stream_id) is not StreamClosedBy.SEND_RST_STREAM:
                raise _protocol_error("PUSH_PROMISE on a stream that is not open", stream_id)
        elif not table.is_outbound(stream_id) or stream.state not in (StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL):
            raise _protocol_error("PUSH_PROMISE on a stream that is not open, or pushed itself", stream_id)
        if self._refuse_streams_above is not None and promised_stream_id > self._refuse_streams_above:
            table.skip(promised_stream_id)
            self._flood_guard.count_invalid_frame(stream_id)
            return []
        code, reason = self._promise_problem(block, stream)
        if stream is None or code is not ErrorCode.NO_ERROR:
            table.skip(promised_stream_id)
            return self._reset_absent(promised_stream_id, code, reason)
        table.apply(stream, StreamInputs.RECV_PUSH_PROMISE)
        promised = table.begin(promised_stream_id)
        table.apply(promised, StreamInputs.RECV_PUSH_PROMISE)
        promised.request_method = next(value for name, value in block.fields if name == b":method")
        return [PushPromiseReceived(stream_id, promised_stream_id, Headers.from_wire(block.fields))]

    def _promise_problem(self, block: HeaderBlock, stream: Stream | None) -> tuple[ErrorCode, str]:
        """Why a promised stream is to be reset; NO_ERROR if it is not."""
        if stream is None:
            return ErrorCode.CANCEL, "promised on a stream that we have reset"
        if self._local_settings.latest("enable_push") is False:
            return ErrorCode.CANCEL, "we are switching push off"
        # Reserved streams count against no limit of the RFC's, but each is kept.
        if len(self._table.streams) - self.open_outbound_streams() >= self._max_inbound_streams:
            return ErrorCode.REFUSED_STREAM, "more pushed streams than we allow at once"
        if block.too_large:
            return ErrorCode.ENHANCE_YOUR_CALM, "a header list over the announced size"
        try:
            method, content_length = check_request(block.fields, extended_connect=False)
        except MalformedHeaders as error:
            return ErrorCode.PROTOCOL_ERROR, str(error)
        if method not in _SAFE_METHODS or content_length:
            return ErrorCode.PROTOCOL_ERROR, "the promised request is not a safe one without content"
        return ErrorCode.NO_ERROR, ""

    # Priorities

    def _receive_priority(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        if not stream_id:
            raise _protocol_error("PRIORITY on stream 0")
        if len(payload) != 5:
            return self._stream_or_connection_error(
                stream_id, ErrorCode.FRAME_SIZE_ERROR, f"PRIORITY with {len(payload)} octets instead of 5"
            )
        return self._priority_received(stream_id, *parse_priority(payload))

    def _priority_received(self, stream_id: int, exclusive: bool, depends_on: int, weight: int) -> list[Event]:
        if depends_on == stream_id:
            return self._stream_or_connection_error(
                stream_id, ErrorCode.PROTOCOL_ERROR, "a stream that depends on itself"
            )
        return [PriorityReceived(stream_id, exclusive, depends_on, weight)]

    def _stream_or_connection_error(self, stream_id: int, code: ErrorCode, reason: str) -> list[Event]:
        """A stream error where there is a stream; RST_STREAM must not be sent for an idle one (RFC 9113 section 6.4)."""
        stream = self._table.streams.get(stream_id)
        if stream is None:
            raise ProtocolError(reason, stream_id=stream_id, code=code)
        return self._stream_error(stream, code, reason)

    def _receive_priority_update(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        """RFC 9218 section 7.1."""
        if self.client:
            raise _protocol_error("PRIORITY_UPDATE from a server")
        if stream_id:
            raise _protocol_error("PRIORITY_UPDATE on a stream other than 0", stream_id)
        prioritized, value = parse_priority_update(bytes(payload))
        if not prioritized:
            raise _protocol_error("PRIORITY_UPDATE for stream 0")
        if self._table.is_idle(prioritized):
            if self._table.is_outbound(prioritized):
                raise _protocol_error("PRIORITY_UPDATE for a push that we have not promised", prioritized)
            self._prioritized_idle.add(prioritized)
            if len(self._prioritized_idle) + self.open_inbound_streams() > self._max_inbound_streams:
                raise _protocol_error("PRIORITY_UPDATE for more streams than may be open at once", prioritized)
        return [PriorityUpdateReceived(prioritized, value)]

    # Resets, windows

    def _receive_rst_stream(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        if len(payload) != 4:
            raise _size_error("RST_STREAM", payload)
        if not stream_id or self._table.is_idle(stream_id):
            raise _protocol_error("RST_STREAM on an idle stream", stream_id)
        stream = self._table.streams.get(stream_id)
        if stream is None:
            return []
        self._table.apply(stream, StreamInputs.RECV_RST_STREAM)
        if not self._table.is_outbound(stream_id):
            self._flood_guard.count_reset(stream_id)
        return [StreamReset(stream_id, _UNSIGNED_32.unpack(payload)[0], True, "")]

    def _receive_window_update(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        if len(payload) != 4:
            raise _size_error("WINDOW_UPDATE", payload)
        increment = _UNSIGNED_32.unpack(payload)[0] & _STREAM_ID_MASK
        table = self._table
        if not stream_id:
            if not increment:
                raise _protocol_error("WINDOW_UPDATE opens the connection's window by 0")
            if table.outbound_flow_control_window + increment > MAX_WINDOW_SIZE:
                raise ProtocolError("the connection's window overflows", code=ErrorCode.FLOW_CONTROL_ERROR)
            table.outbound_flow_control_window += increment
            return [WindowUpdated(0, increment)]
        stream = table.streams.get(stream_id)
        if stream is None:
            if table.is_idle(stream_id):
                raise _protocol_error("WINDOW_UPDATE on an idle stream", stream_id)
            return []  # sent before the peer saw the end (RFC 9113 section 5.1)
        if stream.state is StreamState.RESERVED_REMOTE:
            raise _protocol_error("WINDOW_UPDATE on a stream that the peer promised", stream_id)
        if not increment:
            return self._stream_error(stream, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE opens the stream's window by 0")
        if stream.outbound_flow_control_window + increment > MAX_WINDOW_SIZE:
            return self._stream_error(stream, ErrorCode.FLOW_CONTROL_ERROR, "the stream's window overflows")
        stream.outbound_flow_control_window += increment
        return [WindowUpdated(stream_id, increment)]

    # The connection

    def _receive_settings(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        if stream_id:
            raise _protocol_error("SETTINGS on a stream other than 0", stream_id)
        if flags & _ACK:
            if len(payload):
                raise _size_error("SETTINGS with ACK", payload)
            acknowledged = self._local_settings.acknowledge()
            if acknowledged is None:
                raise _protocol_error("an ACK for SETTINGS that we have not sent")
            self._apply_local_settings()
            return [SettingsAcknowledged(acknowledged)]
        if len(payload) % _SETTINGS_ENTRY.size:
            raise _size_error("SETTINGS", payload)
        if len(payload) // _SETTINGS_ENTRY.size > self.limits.max_settings:
            raise LimitReached("max_settings", "too many settings in a frame")
        try:
            values = settings_from_items(_SETTINGS_ENTRY.iter_unpack(payload))
        except InvalidArgument as error:
            raise ProtocolError(str(error.message), code=error.code) from error
        self._apply_remote_settings(values)
        self._emit(False, (frame_header(0, FrameType.SETTINGS, _ACK, 0),))
        return [SettingsReceived(values)]

    def _apply_remote_settings(self, values: Settings) -> None:
        if self.client and values.enable_push:
            raise _protocol_error("a server that sets SETTINGS_ENABLE_PUSH")  # RFC 9113 section 6.5.2
        if self.remote_settings.enable_connect_protocol and values.enable_connect_protocol is False:
            raise _protocol_error("SETTINGS_ENABLE_CONNECT_PROTOCOL withdrawn")  # RFC 8441 section 3
        settings = self.remote_settings.merged(values)
        if len(settings.custom) > self.limits.max_settings:
            raise LimitReached("max_settings", "too many different settings")
        table = self._table
        change = settings["initial_window_size"] - table.initial_outbound_window
        for stream in table.streams.values() if change else ():
            stream.outbound_flow_control_window += change
            if stream.outbound_flow_control_window > MAX_WINDOW_SIZE:
                message = "SETTINGS_INITIAL_WINDOW_SIZE makes a stream's window overflow"
                raise ProtocolError(message, stream_id=stream.stream_id, code=ErrorCode.FLOW_CONTROL_ERROR)
        table.initial_outbound_window += change
        if values.header_table_size is not None:
            table.limit_encoder_table(min(values.header_table_size, self.limits.max_deflate_dynamic_table_size))
        self.max_outbound_frame_size = settings["max_frame_size"]
        if settings.max_concurrent_streams is not None:
            self.peer_max_concurrent_streams = settings.max_concurrent_streams
        elif not self.settings_received:
            self.peer_max_concurrent_streams = _STREAM_ID_MASK
        self.remote_settings = settings
        self.settings_received = True

    def _receive_ping(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        if stream_id:
            raise _protocol_error("PING on a stream other than 0", stream_id)
        if len(payload) != 8:
            raise _size_error("PING", payload)
        octets = bytes(payload)
        if flags & _ACK:
            return [PingAcknowledged(octets)]
        self._emit(True, (frame_header(8, FrameType.PING, _ACK, 0) + octets,))
        return [PingReceived(octets)]

    def _receive_goaway(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        if stream_id:
            raise _protocol_error("GOAWAY on a stream other than 0", stream_id)
        if len(payload) < _GOAWAY.size:
            raise _size_error("GOAWAY", payload)
        last_stream_id, code = _GOAWAY.unpack_from(payload)
        last_stream_id &= _STREAM_ID_MASK
        if self._goaway_received_last_id is not None and last_stream_id > self._goaway_received_last_id:
            raise _protocol_error("a second GOAWAY takes more streams than the first")
        self._goaway_received_last_id = last_stream_id
        return [GoawayReceived(code, last_stream_id, bytes(payload[_GOAWAY.size :]))]

    def _receive_altsvc(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        """RFC 7838 section 4: for clients; with an origin on stream 0 and without one elsewhere, otherwise ignored."""
        if not self.client:
            return []
        origin, value = parse_altsvc(bytes(payload))
        if bool(origin) is bool(stream_id) or (stream_id and stream_id not in self._table.streams):
            return []
        return [AltsvcReceived(stream_id, origin, value)]

    def _receive_origin(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        """RFC 8336 section 2.1: for clients, on stream 0, without flags; otherwise ignored."""
        if not self.client or stream_id or flags & 0xF:
            return []
        return [OriginReceived(parse_origin(bytes(payload)))]


_RECEIVERS: dict[int, Callable[[Connection, int, int, memoryview], list[Event]]] = {
    FrameType.DATA: Connection._receive_data,
    FrameType.HEADERS: Connection._receive_headers,
    FrameType.PRIORITY: Connection._receive_priority,
    FrameType.RST_STREAM: Connection._receive_rst_stream,
    FrameType.SETTINGS: Connection._receive_settings,
    FrameType.PUSH_PROMISE: Connection._receive_push_promise,
    FrameType.PING: Connection._receive_ping,
    FrameType.GOAWAY: Connection._receive_goaway,
    FrameType.WINDOW_UPDATE: Connection._receive_window_update,
    FrameType.CONTINUATION: Connection._receive_continuation,
    FrameType.ALTSVC: Connection._receive_altsvc,
    FrameType.ORIGIN: Connection._receive_origin,
    FrameType.PRIORITY_UPDATE: Connection._receive_priority_update,
}


def _protocol_error(message: str, stream_id: int | None = None) -> ProtocolError:
    return ProtocolError(message, stream_id=stream_id or None, code=ErrorCode.PROTOCOL_ERROR)


def _size_error(frame: str, payload: memoryview) -> ProtocolError:
    return ProtocolError(f"{frame} with {len(payload)} octets", code=ErrorCode.FRAME_SIZE_ERROR)
