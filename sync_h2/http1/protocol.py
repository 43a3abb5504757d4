"""One connection of HTTP/1 as a pure protocol, on the server's side: octets into the events that HTTP/2's frames give
here, and the same calls into octets in `Sending` (RFC 9112).

Requests are streams with the ids 1, 3, 5 and so on, of which one is open at a time: the next request is looked at when
the last one has been read and answered. What HTTP/2 has and HTTP/1 has not (SETTINGS, PING, priorities, push) does
nothing, or raises. Everything runs under the session's lock.
"""

from __future__ import annotations

from ..constants import MAX_STREAM_ID
from ..protocol.events import DataDiscarded, DataReceived, RequestReceived, TrailersReceived
from ..protocol.fields.field_list import FieldList
from ..protocol.fields.headers import Headers
from .bodies import ChunkedBody, LengthBody, RequestBody, TunnelBody
from .exchange import Exchange
from .request_heads import UnreadableRequest, check_lines
from .sending import Sending

_LONGEST_REQUEST_LINE = 16 * 1024

Event = RequestReceived | DataReceived | DataDiscarded | TrailersReceived


class HTTP1Protocol(Sending):
    """Both directions of one connection."""

    def next_event(self) -> Event | None:
        """The next thing that has arrived, if any can be handed on now. Raises UnreadableRequest."""
        while True:
            exchange = self._exchange
            if exchange is None:
                if self.closes:
                    self._input.clear()
                    return None
                return self._next_request()
            if exchange.discarding:
                discarded = self._discard(exchange)
                if discarded:
                    return DataDiscarded(exchange.stream_id, discarded)
                if self._exchange is not None:
                    return None
            elif exchange.request_ended:
                return None
            elif isinstance(exchange.body, TunnelBody) and not exchange.is_tunnel:
                return None  # its octets wait for the answer
            else:
                return self._next_of_body(exchange)

    def _next_request(self) -> RequestReceived | None:
        octets = self._input
        if octets.startswith(b"\r\n") and not self._skipped_empty_line:  # RFC 9112 section 2.2
            self._skipped_empty_line = True
            del octets[:2]
        start = max(self._checked - 3, 0)
        end = octets.find(b"\r\n\r\n", start) + 4
        limit = self.limits.max_header_list_size + _LONGEST_REQUEST_LINE
        if end < 4:
            check_lines(octets, start)
            self._checked = len(octets)
            if len(octets) > limit or _request_line_is_too_long(octets):
                raise UnreadableRequest(*_too_long(octets))
            return None
        head_octets = bytes(octets[:end])
        del octets[:end]
        self._checked = 0
        self._skipped_empty_line = False
        if end > limit or _request_line_is_too_long(head_octets):
            raise UnreadableRequest(*_too_long(head_octets))
        head = self._heads.parse(head_octets)
        body: RequestBody
        if head.is_connect:
            body = TunnelBody()
        elif head.chunked is not None:
            body = ChunkedBody(head.chunked, self.limits)
        else:
            body = LengthBody(head.content_length)
        stream_id = self.last_received_stream_id + 2 if self.last_received_stream_id else 1
        exchange = Exchange(stream_id, head.method, head.version, body, self._stream_window)
        exchange.keep_alive = head.keep_alive and stream_id < MAX_STREAM_ID
        exchange.awaits_continue = head.expects_continue and not body.ended
        self._exchange = exchange
        self.pieces += 1
        self.version = head.version
        self.last_received_stream_id = stream_id
        self.settings_received = True
        if self._note is not None:
            self._note_fields(f"received request stream={stream_id} version={head.version}", head.fields.fields)
        headers = Headers.from_wire(head.fields)
        return RequestReceived(stream_id, headers, body.ended, head.fields.memory, head.method, head.priority)

    def _next_of_body(self, exchange: Exchange) -> DataReceived | TrailersReceived | None:
        body = exchange.body
        data = self._take(exchange, exchange.window)
        if isinstance(body, TunnelBody) and self.input_ended and not self._truncated:
            body.ended = not self._input
        ended = body.ended and not (data and body.trailers)
        if not data and not ended:
            return None
        exchange.window -= len(data)
        exchange.awaits_continue = False
        if self._note is not None:
            self._note(f"received body stream={exchange.stream_id} length={len(data)}{' end' if ended else ''}")
        if ended:
            self._request_ended(exchange)
            if body.trailers:
                trailers = FieldList(body.trailers)
                if self._note is not None:
                    self._note_fields(f"received trailers stream={exchange.stream_id}", trailers.fields)
                return TrailersReceived(exchange.stream_id, Headers.from_wire(trailers), trailers.memory)
        return DataReceived(exchange.stream_id, data, len(data), ended)

    def _discard(self, exchange: Exchange) -> int:
        """Throw away what nobody wants of a request, some of it; returns how many octets of content that was."""
        data = self._take(exchange, exchange.discards + 1)
        exchange.discards -= len(data)
        if exchange.discards < 0:
            self.closes = True
        if self.closes:
            self._input.clear()
        elif exchange.body.ended:
            self._request_ended(exchange)
        return len(data)

    def _take(self, exchange: Exchange, most: int) -> bytes:
        lines = exchange.body.lines
        data = exchange.body.take(self._input, most)
        self.pieces += 1 + exchange.body.lines - lines
        return data

    def _request_ended(self, exchange: Exchange) -> None:
        exchange.request_ended = True
        self._forget_finished(exchange)

    def end_of_input(self, *, truncated: bool) -> None:
        """The client sends nothing more; `truncated`: or somebody has cut it off. What waits is still handed on."""
        self.input_ended = True
        self._truncated = truncated


def _request_line_is_too_long(octets: bytes | bytearray) -> bool:
    return len(octets) > _LONGEST_REQUEST_LINE and octets.find(b"\r\n", 0, _LONGEST_REQUEST_LINE) < 0


def _too_long(octets: bytes | bytearray) -> tuple[int, str]:
    if _request_line_is_too_long(octets):
        return 414, "the request line is too long"
    return 431, "header fields over max_header_list_size"
