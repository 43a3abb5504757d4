"""What received header blocks mean: requests, responses, trailers, promises; and the two ways in which a stream goes
wrong.

Runs on the session's reader thread under the session's lock. A block arrives here decoded, whatever the state of its
stream.
"""

from __future__ import annotations

from ..constants import ErrorCode
from ..errors import ProtocolError
from .events import (
    Event,
    HeaderListTooLarge,
    InformationalReceived,
    PriorityReceived,
    PushPromiseReceived,
    RequestReceived,
    ResponseReceived,
    StreamReset,
    TrailersReceived,
)
from .fields.field_list import FieldList, Request
from .fields.header_blocks import HeaderBlock
from .fields.header_rules import MalformedHeaders, check_trailers
from .fields.headers import Headers
from .h2_overrides import Stream, StreamClosedBy, StreamInputs, StreamState
from .sending import Sending

# An application has use for a few 1xx responses to a request; each is kept until it asks.
_MOST_INFORMATIONAL = 64
_STATUS_WITHOUT_CONTENT = frozenset({b"204", b"304"})  # RFC 9110 section 6.4.1
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110 section 9.2.1
_NO_REQUEST = Request("", None, None)


class MessageReceiving(Sending):
    """The part of `Connection` that takes header blocks."""

    # Faults

    def _frame_on_absent_stream(self, frame: str, stream_id: int) -> list[Event]:
        """HEADERS or DATA for a stream that is idle or closed (RFC 9113 section 5.1)."""
        if self._table.is_idle(stream_id):
            raise protocol_error(f"{frame} on an idle stream", stream_id)
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

    # Messages

    def refuse_streams_above(self, last_stream_id: int) -> None:
        """Ignore streams that the peer opens above this id, as our GOAWAY said; their blocks are still decoded."""
        self._refuse_streams_above = last_stream_id

    def _block_received(self, block: HeaderBlock | None) -> list[Event]:
        if block is None:
            return []
        if block.promised_stream_id is not None:
            return self._promise_received(block, block.promised_stream_id)
        table = self._table
        stream_id = block.stream_id
        stream = table.streams.get(stream_id)
        if stream is None:
            if not self.client and stream_id % 2 and stream_id > table.highest_inbound_stream_id:
                events = self._request_received(block)
            else:
                events = self._block_on_absent_stream(stream_id)
        elif stream.state is StreamState.HALF_CLOSED_REMOTE:
            events = self._stream_error(stream, ErrorCode.STREAM_CLOSED, "HEADERS after the end of the stream")
        elif stream.state is StreamState.RESERVED_LOCAL:
            raise protocol_error("HEADERS on a stream that we promised", stream_id)
        elif block.too_large:
            events = self._stream_error(stream, ErrorCode.ENHANCE_YOUR_CALM, "a header list over the announced size")
        else:
            try:
                events = self._block_on_stream(stream, block)
            except MalformedHeaders as error:
                events = self._stream_error(stream, ErrorCode.PROTOCOL_ERROR, str(error))
        if block.priority is not None and stream_id in table.streams:
            events += self._priority_received(stream_id, *block.priority)
        return events

    def _block_on_absent_stream(self, stream_id: int) -> list[Event]:
        table = self._table
        if not table.is_idle(stream_id) and table.closed_by(stream_id) is None:
            # Ids only go up; this one was passed over (RFC 9113 section 5.1.1).
            raise protocol_error("HEADERS on a stream that is closed", stream_id)
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
        if table.open_inbound_streams >= self._max_inbound_streams:
            return self._refuse(stream_id)
        self._flood_guard.accepted_stream()
        request = _NO_REQUEST
        if not block.too_large:
            try:
                request = block.field_list.request(extended_connect=self._extended_connect)
                if block.end_stream and request.content_length:
                    raise MalformedHeaders(
                        f"content-length is {request.content_length}, but the request ends with its headers"
                    )
            except MalformedHeaders as error:
                table.skip(stream_id)
                return self._reset_absent(stream_id, ErrorCode.PROTOCOL_ERROR, str(error))
        stream = table.begin_request(stream_id, block.end_stream)
        stream.request_method = request.method
        stream.content_left = request.content_length
        if self._prioritized_idle:
            self._prioritized_idle = {idle for idle in self._prioritized_idle if idle > stream_id}
        if block.too_large:
            self._flood_guard.count_reset(stream_id)  # the answer that it gets costs us as much
            return [self._too_large(block)]
        fields = block.field_list
        headers = Headers.from_wire(fields)
        return [RequestReceived(stream_id, headers, block.end_stream, fields.memory, request.method, request.priority)]

    def _too_large(self, block: HeaderBlock) -> HeaderListTooLarge:
        try:
            method = block.field_list.request(extended_connect=self._extended_connect).method
        except MalformedHeaders:
            return HeaderListTooLarge(block.stream_id, block.end_stream)
        line = FieldList(field for field in block.fields if field[0].startswith(b":"))
        return HeaderListTooLarge(block.stream_id, block.end_stream, method, Headers.from_wire(line), line.memory)

    def _refuse(self, stream_id: int) -> list[Event]:
        """A stream over the limit: the peer may try again (RFC 9113 sections 5.1.2 and 8.7)."""
        self._table.skip(stream_id)
        # Until the peer has seen our SETTINGS it cannot know the limit.
        if self._local_settings.acknowledged.max_concurrent_streams is not None:
            self._flood_guard.count_rejected_stream(stream_id)
        return self._reset_absent(stream_id, ErrorCode.REFUSED_STREAM, "more streams than we allow at once")

    def _block_on_stream(self, stream: Stream, block: HeaderBlock) -> list[Event]:
        """A block on a live stream: a response, or trailers."""
        stream_id = block.stream_id
        if stream.headers_received:
            if stream.is_tunnel:
                raise MalformedHeaders("HEADERS in a tunnel, which carries nothing but DATA")
            check_trailers(block.fields)
            if not block.end_stream:
                raise MalformedHeaders("trailers do not end the stream")
            if stream.content_left:
                raise MalformedHeaders("the content is shorter than content-length")
            self._table.apply(stream, StreamInputs.RECV_HEADERS, StreamInputs.RECV_END_STREAM)
            return [TrailersReceived(stream_id, Headers.from_wire(block.field_list), block.memory)]
        status, content_length = block.field_list.response()
        if status.startswith(b"1"):
            if block.end_stream:
                raise MalformedHeaders(f"the informational response {status.decode()} ends the stream")
            stream.informational_count += 1
            stream.informational_size += block.field_list.size
            if (
                stream.informational_count > _MOST_INFORMATIONAL
                or stream.informational_size > self.limits.max_header_list_size
            ):
                return self._stream_error(stream, ErrorCode.ENHANCE_YOUR_CALM, "too many informational responses")
            # Changes no state: the final response is still to come.
            return [InformationalReceived(stream_id, Headers.from_wire(block.field_list), block.memory)]
        if (
            stream.state is StreamState.RESERVED_REMOTE
            and self._table.open_inbound_streams >= self._max_inbound_streams
        ):
            return self._stream_error(stream, ErrorCode.REFUSED_STREAM, "more pushed streams than we allow at once")
        method = stream.request_method
        if method == "CONNECT" and status.startswith(b"2"):
            content_length = None  # RFC 9110 section 9.3.6: the tunnel begins here, whatever the headers say
            stream.is_tunnel = True
        elif method == "HEAD" or status in _STATUS_WITHOUT_CONTENT:
            content_length = 0  # whatever the headers say (RFC 9113 section 8.1.1)
        if block.end_stream:
            if content_length:
                raise MalformedHeaders(f"content-length is {content_length}, but the response ends with its headers")
            self._table.apply(stream, StreamInputs.RECV_HEADERS, StreamInputs.RECV_END_STREAM)
        else:
            stream.content_left = content_length
            self._table.apply(stream, StreamInputs.RECV_HEADERS)
        fields = block.field_list
        return [ResponseReceived(stream_id, Headers.from_wire(fields), block.end_stream, fields.memory)]

    def _promise_received(self, block: HeaderBlock, promised_stream_id: int) -> list[Event]:
        """PUSH_PROMISE (RFC 9113 sections 6.6 and 8.4)."""
        table = self._table
        stream_id = block.stream_id
        if self._local_settings.acknowledged.enable_push is False:
            raise protocol_error("PUSH_PROMISE although we switched push off", stream_id)
        if table.is_outbound(promised_stream_id) or not promised_stream_id or not table.is_idle(promised_stream_id):
            raise protocol_error(
                f"PUSH_PROMISE promises stream {promised_stream_id}, which is not a new one", stream_id
            )
        stream = table.streams.get(stream_id)
        if stream is None:
            if table.is_idle(stream_id) or table.closed_by(stream_id) is not StreamClosedBy.SEND_RST_STREAM:
                raise protocol_error("PUSH_PROMISE on a stream that is not open", stream_id)
        elif not table.is_outbound(stream_id) or stream.state not in (StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL):
            raise protocol_error("PUSH_PROMISE on a stream that is not open, or pushed itself", stream_id)
        if self._refuse_streams_above is not None and promised_stream_id > self._refuse_streams_above:
            table.skip(promised_stream_id)
            self._flood_guard.count_invalid_frame(stream_id)
            return []
        if stream is not None and stream.is_tunnel:
            table.skip(promised_stream_id)
            reason = "PUSH_PROMISE in a tunnel, which carries nothing but DATA"
            return [
                *self._reset_absent(promised_stream_id, ErrorCode.CANCEL, reason),
                *self._stream_error(stream, ErrorCode.PROTOCOL_ERROR, reason),
            ]
        code, reason = self._promise_problem(block, stream)
        if stream is None or code is not ErrorCode.NO_ERROR:
            table.skip(promised_stream_id)
            return self._reset_absent(promised_stream_id, code, reason)
        table.apply(stream, StreamInputs.RECV_PUSH_PROMISE)
        promised = table.begin(promised_stream_id)
        table.apply(promised, StreamInputs.RECV_PUSH_PROMISE)
        promised.request_method = block.field_list.request(extended_connect=False).method
        return [PushPromiseReceived(stream_id, promised_stream_id, Headers.from_wire(block.field_list), block.memory)]

    def _promise_problem(self, block: HeaderBlock, stream: Stream | None) -> tuple[ErrorCode, str]:
        """Why a promised stream is to be reset; NO_ERROR if it is not."""
        if stream is None:
            return ErrorCode.CANCEL, "promised on a stream that we have reset"
        if self._local_settings.latest("enable_push") is False:
            return ErrorCode.CANCEL, "we are switching push off"
        # Reserved streams count against no limit of the RFC's, but each is kept.
        if len(self._table.streams) - self._table.open_outbound_streams >= self._max_inbound_streams:
            return ErrorCode.REFUSED_STREAM, "more pushed streams than we allow at once"
        if block.too_large:
            return ErrorCode.ENHANCE_YOUR_CALM, "a header list over the announced size"
        try:
            request = block.field_list.request(extended_connect=False)
        except MalformedHeaders as error:
            return ErrorCode.PROTOCOL_ERROR, str(error)
        if request.method not in _SAFE_METHODS or request.content_length:
            return ErrorCode.PROTOCOL_ERROR, "the promised request is not a safe one without content"
        return ErrorCode.NO_ERROR, ""

    def _priority_received(self, stream_id: int, exclusive: bool, depends_on: int, weight: int) -> list[Event]:
        if depends_on == stream_id:
            return self._stream_or_connection_error(
                stream_id, ErrorCode.PROTOCOL_ERROR, "a stream that depends on itself"
            )
        return [PriorityReceived(stream_id, exclusive, depends_on, weight)]

    def _stream_or_connection_error(self, stream_id: int, code: ErrorCode, reason: str) -> list[Event]:
        """A stream error where there is a stream: RST_STREAM is not for idle ones (RFC 9113 section 6.4)."""
        stream = self._table.streams.get(stream_id)
        if stream is None:
            raise ProtocolError(reason, stream_id=stream_id, code=code)
        return self._stream_error(stream, code, reason)


def protocol_error(message: str, stream_id: int | None = None) -> ProtocolError:
    """The connection error that has no code of its own."""
    return ProtocolError(message, stream_id=stream_id or None, code=ErrorCode.PROTOCOL_ERROR)
