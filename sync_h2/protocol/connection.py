"""One HTTP/2 connection as a pure protocol: frames into events here, calls into frames in `Sending`.

`receive_frame` runs on the session's reader thread, everything under the session's lock. A fault of the peer on one
stream is answered with RST_STREAM and reported as a `StreamReset` event; one that concerns the connection raises
ProtocolError (RFC 9113 section 5.4).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from ..constants import MAX_WINDOW_SIZE, ErrorCode, FrameFlag, FrameType
from ..errors import InvalidArgument, ProtocolError
from ..interpreter import SharedDict
from .events import (
    AltsvcReceived,
    DataDiscarded,
    DataReceived,
    Event,
    GoawayReceived,
    OriginReceived,
    PingAcknowledged,
    PingReceived,
    PriorityUpdateReceived,
    SettingsAcknowledged,
    SettingsReceived,
    StreamReset,
    WindowUpdated,
)
from .fields.header_blocks import HEADER_BLOCK_FRAMES, parse_priority, without_padding
from .frames.extension_frames import parse_altsvc, parse_origin, parse_priority_update
from .frames.framing import frame_header
from .h2_overrides import Stream, StreamInputs, StreamState
from .limits import LimitReached
from .receiving import MessageReceiving, protocol_error
from .settings import Settings, settings_from_items

# Plain numbers: members of an enumeration are slow to find.
_HEADERS = int(FrameType.HEADERS)
_PUSH_PROMISE = int(FrameType.PUSH_PROMISE)
_ACK = int(FrameFlag.ACK)
_END_STREAM = int(FrameFlag.END_STREAM)
_PADDED = int(FrameFlag.PADDED)
_SETTINGS_ENTRY = struct.Struct(">HL")
_UNSIGNED_32 = struct.Struct(">L")
_GOAWAY = struct.Struct(">LL")
_STREAM_ID_MASK = 0x7FFF_FFFF
_BULK = 1024  # octets in a DATA frame, from which on those that are alike are taken together
_SMALL_DATA = 128  # octets: with less in each, DATA for a stream that is gone costs us more than its sender


class Connection(MessageReceiving):
    """Both directions of one connection."""

    @property
    def header_block_open(self) -> bool:
        """Whether a header block has begun whose end has not arrived."""
        return self._header_blocks.open is not None or self.frames.partial_type in HEADER_BLOCK_FRAMES

    def receive_frame(self, frame_type: int, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        """What a frame means, the one that was taken from `frames` last. Raises ProtocolError, and nothing else, when
        the connection has to end.
        """
        if self._header_blocks.open is not None and frame_type != FrameType.CONTINUATION:
            raise protocol_error("a frame between the frames of a header block")
        if not self.settings_received and (frame_type != FrameType.SETTINGS or flags & _ACK):
            raise protocol_error("the first frame is not SETTINGS")
        receive = _RECEIVERS.get(frame_type)
        if receive is None:
            self._flood_guard.count_control_frame()
            return []  # RFC 9113 section 4.1: frames of unknown types are ignored
        return receive(self, flags, stream_id, payload)

    # DATA

    def _receive_data(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        length = len(payload)
        if not stream_id:
            raise protocol_error("DATA on stream 0")
        self.last_received_stream_id = stream_id
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
        state = stream.state
        if state is not StreamState.OPEN and state is not StreamState.HALF_CLOSED_LOCAL:
            if state is StreamState.HALF_CLOSED_REMOTE:
                return self._discard(stream, length, ErrorCode.STREAM_CLOSED, "DATA after the end of the stream")
            raise protocol_error("DATA on a reserved stream", stream_id)
        if not stream.headers_received:
            return self._discard(stream, length, ErrorCode.PROTOCOL_ERROR, "DATA before the response's headers")
        if length > stream.inbound_window:
            return self._discard(stream, length, ErrorCode.FLOW_CONTROL_ERROR, "DATA beyond the stream's window")
        stream.inbound_window -= length
        short = False
        if stream.content_left is not None:
            stream.content_left -= len(payload)
            short = end_stream and stream.content_left > 0
            if stream.content_left < 0 or (short and not stream.may_end_short):
                return self._discard(stream, length, ErrorCode.PROTOCOL_ERROR, "DATA does not add up to content-length")
        if end_stream:
            table.apply(stream, StreamInputs.RECV_END_STREAM)
        elif payload:
            self._flood_guard.content_received()
        else:
            self._flood_guard.count_empty_data(stream_id, padded=length > 0)
        if not flags and length >= _BULK:
            return [self._bulk_data(stream, payload)]
        return [DataReceived(stream_id, bytes(payload), length, end_stream, short)]

    def _bulk_data(self, stream: Stream, payload: memoryview) -> DataReceived:
        """DATA, together with what has come right behind it in frames like it, as far as windows and content-length
        allow: bulk data costs as much as there are events.
        """
        length, table, stream_id = len(payload), self._table, stream.stream_id
        allowed = min(table.inbound_window, stream.inbound_window)
        if stream.content_left is not None:
            allowed = min(allowed, stream.content_left)
        more = self.frames.take_same(frame_header(length, FrameType.DATA, 0, stream_id), length, allowed // length)
        octets = length * len(more)
        self._flood_guard.content_received(len(more))
        table.inbound_window -= octets
        stream.inbound_window -= octets
        if stream.content_left is not None:
            stream.content_left -= octets
        return DataReceived(stream_id, b"".join([payload, *more]), length + octets, False)

    def may_end_short(self, stream_id: int) -> None:
        """The request has its answer: its body may end before what its content-length says. (curl 7 ends it when it
        sees an answer that is no success, and takes a reset for a failure.)
        """
        stream = self._table.streams.get(stream_id)
        if stream is not None:
            stream.may_end_short = True

    def _data_on_absent_stream(self, stream_id: int, length: int) -> list[Event]:
        events: list[Event] = self._frame_on_absent_stream("DATA", stream_id)
        if length:
            events.append(DataDiscarded(stream_id, length))
        if length < _SMALL_DATA:
            self._flood_guard.count_invalid_frame(stream_id)
        return events

    def _discard(self, stream: Stream, length: int, code: int, reason: str) -> list[Event]:
        """DATA that is the fault of its stream: its credit is still the connection's."""
        return [DataDiscarded(stream.stream_id, length), *self._stream_error(stream, code, reason)]

    # Header blocks

    def _receive_headers(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        if not stream_id:
            raise protocol_error("HEADERS on stream 0")
        self.last_received_stream_id = stream_id
        return self._block_received(self._header_blocks.begin(_HEADERS, flags, stream_id, payload))

    def _receive_push_promise(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        if not self.client:
            raise protocol_error("PUSH_PROMISE from a client", stream_id)
        return self._block_received(self._header_blocks.begin(_PUSH_PROMISE, flags, stream_id, payload))

    def _receive_continuation(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        return self._block_received(self._header_blocks.continuation(flags, stream_id, payload))

    # Priorities

    def _receive_priority(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        if not stream_id:
            raise protocol_error("PRIORITY on stream 0")
        self._flood_guard.count_control_frame()
        if len(payload) != 5:
            return self._stream_or_connection_error(
                stream_id, ErrorCode.FRAME_SIZE_ERROR, f"PRIORITY with {len(payload)} octets instead of 5"
            )
        return self._priority_received(stream_id, *parse_priority(payload))

    def _receive_priority_update(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        """RFC 9218 section 7.1."""
        if self.client:
            raise protocol_error("PRIORITY_UPDATE from a server")
        if stream_id:
            raise protocol_error("PRIORITY_UPDATE on a stream other than 0", stream_id)
        self._flood_guard.count_control_frame()
        prioritized, value = parse_priority_update(bytes(payload))
        if not prioritized:
            raise protocol_error("PRIORITY_UPDATE for stream 0")
        if self._table.is_idle(prioritized):
            if self._table.is_outbound(prioritized):
                raise protocol_error("PRIORITY_UPDATE for a push that we have not promised", prioritized)
            self._prioritized_idle.add(prioritized)
            if len(self._prioritized_idle) + self.open_inbound_streams() > self._max_inbound_streams:
                raise protocol_error("PRIORITY_UPDATE for more streams than may be open at once", prioritized)
        return [PriorityUpdateReceived(prioritized, value)]

    # Resets, windows

    def _receive_rst_stream(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        if len(payload) != 4:
            raise _size_error("RST_STREAM", payload)
        if not stream_id or self._table.is_idle(stream_id):
            raise protocol_error("RST_STREAM on an idle stream", stream_id)
        stream = self._table.streams.get(stream_id)
        if stream is None:
            self._flood_guard.count_control_frame()
            self._table.reset_by_peer(stream_id)
            return []
        self._table.apply(stream, StreamInputs.RECV_RST_STREAM)
        if not self._table.is_outbound(stream_id):
            self._flood_guard.count_reset(stream_id)
        return [StreamReset(stream_id, _UNSIGNED_32.unpack(payload)[0], True, "")]

    def _receive_window_update(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        if len(payload) != 4:
            raise _size_error("WINDOW_UPDATE", payload)
        self._flood_guard.count_control_frame()
        increment = _UNSIGNED_32.unpack(payload)[0] & _STREAM_ID_MASK
        table = self._table
        if not stream_id:
            if not increment:
                raise protocol_error("WINDOW_UPDATE opens the connection's window by 0")
            if table.outbound_window + increment > MAX_WINDOW_SIZE:
                raise ProtocolError("the connection's window overflows", code=ErrorCode.FLOW_CONTROL_ERROR)
            table.outbound_window += increment
            return [WindowUpdated(0, increment)]
        stream = table.streams.get(stream_id)
        if stream is None:
            if table.is_idle(stream_id):
                raise protocol_error("WINDOW_UPDATE on an idle stream", stream_id)
            return []  # sent before the peer saw the end (RFC 9113 section 5.1)
        if stream.state is StreamState.RESERVED_REMOTE:
            raise protocol_error("WINDOW_UPDATE on a stream that the peer promised", stream_id)
        if not increment:
            return self._stream_error(stream, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE opens the stream's window by 0")
        if stream.outbound_window + increment > MAX_WINDOW_SIZE:
            return self._stream_error(stream, ErrorCode.FLOW_CONTROL_ERROR, "the stream's window overflows")
        stream.outbound_window += increment
        return [WindowUpdated(stream_id, increment)]

    # The connection

    def _receive_settings(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        if stream_id:
            raise protocol_error("SETTINGS on a stream other than 0", stream_id)
        if flags & _ACK:
            if len(payload):
                raise _size_error("SETTINGS with ACK", payload)
            acknowledged = self._local_settings.acknowledge()
            if acknowledged is None:
                raise protocol_error("an ACK for SETTINGS that we have not sent")
            self._apply_local_settings()
            return [SettingsAcknowledged(acknowledged)]
        self._flood_guard.count_control_frame()
        if len(payload) % _SETTINGS_ENTRY.size:
            raise _size_error("SETTINGS", payload)
        if len(payload) // _SETTINGS_ENTRY.size > self.limits.max_settings:
            raise LimitReached("max_settings", "too many settings in a frame")
        try:
            # A copy: the iterator must not hold the receive buffer when an error keeps its frame (CPython before 3.13
            # crashes when it collects a memoryview that is still exported).
            values = settings_from_items(_SETTINGS_ENTRY.iter_unpack(bytes(payload)))
        except InvalidArgument as error:
            raise ProtocolError(str(error.message), code=error.code) from error
        self._apply_remote_settings(values)
        self._emit(False, (frame_header(0, FrameType.SETTINGS, _ACK, 0),))
        return [SettingsReceived(values)]

    def _apply_remote_settings(self, values: Settings) -> None:
        if self.client and values.enable_push:
            raise protocol_error("a server that sets SETTINGS_ENABLE_PUSH")  # RFC 9113 section 6.5.2
        if self.remote_settings.enable_connect_protocol and values.enable_connect_protocol is False:
            raise protocol_error("SETTINGS_ENABLE_CONNECT_PROTOCOL withdrawn")  # RFC 8441 section 3
        settings = self.remote_settings.merged(values)
        if len(settings.custom) > self.limits.max_settings:
            raise LimitReached("max_settings", "too many different settings")
        table = self._table
        change = settings["initial_window_size"] - table.initial_outbound_window
        for stream in table.streams.values() if change else ():
            stream.outbound_window += change
            if stream.outbound_window > MAX_WINDOW_SIZE:
                message = "SETTINGS_INITIAL_WINDOW_SIZE makes a stream's window overflow"
                raise ProtocolError(message, stream_id=stream.stream_id, code=ErrorCode.FLOW_CONTROL_ERROR)
        table.initial_outbound_window += change
        if values.header_table_size is not None:
            table.encoder.limit_table(min(values.header_table_size, self.limits.max_deflate_dynamic_table_size))
        self.max_outbound_frame_size = settings["max_frame_size"]
        if settings.max_concurrent_streams is not None:
            self.peer_max_concurrent_streams = settings.max_concurrent_streams
        elif not self.settings_received:
            self.peer_max_concurrent_streams = _STREAM_ID_MASK
        self.remote_settings = settings
        self.settings_received = True

    def _receive_ping(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        if stream_id:
            raise protocol_error("PING on a stream other than 0", stream_id)
        if len(payload) != 8:
            raise _size_error("PING", payload)
        octets = bytes(payload)
        if flags & _ACK:
            self._flood_guard.count_control_frame()
            return [PingAcknowledged(octets)]
        self._emit(True, (frame_header(8, FrameType.PING, _ACK, 0) + octets,))
        return [PingReceived(octets)]

    def _receive_goaway(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        if stream_id:
            raise protocol_error("GOAWAY on a stream other than 0", stream_id)
        self._flood_guard.count_control_frame()
        if len(payload) < _GOAWAY.size:
            raise _size_error("GOAWAY", payload)
        last_stream_id, code = _GOAWAY.unpack_from(payload)
        last_stream_id &= _STREAM_ID_MASK
        if self._goaway_received_last_id is not None and last_stream_id > self._goaway_received_last_id:
            raise protocol_error("a second GOAWAY takes more streams than the first")
        self._goaway_received_last_id = last_stream_id
        return [GoawayReceived(code, last_stream_id, bytes(payload[_GOAWAY.size :]))]

    def _receive_altsvc(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        """RFC 7838 section 4: for clients; with an origin on stream 0 and without one elsewhere, otherwise ignored."""
        self._flood_guard.count_control_frame()
        if not self.client:
            return []
        origin, value = parse_altsvc(bytes(payload))
        if bool(origin) is bool(stream_id) or (stream_id and stream_id not in self._table.streams):
            return []
        return [AltsvcReceived(stream_id, origin, value)]

    def _receive_origin(self, flags: int, stream_id: int, payload: memoryview) -> list[Event]:
        """RFC 8336 section 2.1: for clients, on stream 0, without flags; otherwise ignored."""
        self._flood_guard.count_control_frame()
        if not self.client or stream_id or flags & 0xF:
            return []
        return [OriginReceived(parse_origin(bytes(payload)))]


_RECEIVERS: dict[int, Callable[[Connection, int, int, memoryview], list[Event]]] = SharedDict(
    {
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
)


def _size_error(frame: str, payload: memoryview) -> ProtocolError:
    return ProtocolError(f"{frame} with {len(payload)} octets", code=ErrorCode.FRAME_SIZE_ERROR)
