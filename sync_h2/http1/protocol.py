"""One connection of HTTP/1 as a pure protocol, on the server's side: octets into the events that HTTP/2's frames give,
and the same calls into octets (RFC 9112).

Requests are streams with the ids 1, 3, 5 and so on, of which one is open at a time: the next request is looked at when
the last one has been read and answered. What HTTP/2 has and HTTP/1 has not (SETTINGS, PING, priorities, push) does
nothing here, or raises. Everything but `Input.writable` runs under the session's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..connection.server_side.date import current_date
from ..constants import MAX_STREAM_ID, MAX_WINDOW_SIZE, ErrorCode
from ..errors import InvalidState
from ..protocol.events import DataDiscarded, DataReceived, RequestReceived, TrailersReceived
from ..protocol.fields.field_list import FieldList
from ..protocol.fields.headers import EncodableFields, Headers, ResponseFields
from ..protocol.fields.sensitive import shown_fields
from ..protocol.limits import Limits
from ..protocol.sending import HeaderBlockTooLong
from ..protocol.state import Emit
from .bodies import ChunkedBody, LengthBody, RequestBody, TunnelBody
from .exchange import MOST_DISCARDED, Exchange, Framing, Input
from .request_heads import RequestHead, UnreadableRequest, check_lines, parse_request
from .response_heads import error_answer, has_no_body, response_head
from .without_frames import WithoutFrames

MOST_HELD = 64 * 1024
"""Octets that may wait in the input for a window or for the end of the request before; then no more is read."""

_LARGEST_PIECE = 64 * 1024
_LONGEST_REMEMBERED = 2048  # octets of a head
_MOST_REMEMBERED = 32  # heads
_MOST_MEMORY = 128 * 1024  # octets that they take: an octet or four can stand for a field
_HEAD_MEMORY = 512  # octets: what a head takes beside its fields, with its place among them
_LONGEST_REQUEST_LINE = 16 * 1024
_STATUS_OF_RESET: dict[int, int] = {ErrorCode.REFUSED_STREAM: 503, ErrorCode.INTERNAL_ERROR: 500}

Event = RequestReceived | DataReceived | DataDiscarded | TrailersReceived


class HTTP1Protocol(WithoutFrames):
    """Both directions of one connection. `note` takes lines of a trace, if there is one; `on_window` is called when
    octets that wait in the input may be handed on.
    """

    max_outbound_frame_size = _LARGEST_PIECE

    def __init__(
        self,
        *,
        limits: Limits,
        scheme: str,
        authority: Callable[[], str],
        emit: Emit,
        stream_window: int,
        on_window: Callable[[], None],
        note: Callable[[str], None] | None = None,
    ) -> None:
        self.limits = limits
        self.frames = Input()
        self.version = "1.1"  # of the latest request
        self.settings_received = False  # a request has come
        self.last_received_stream_id = 0
        self.closing = False  # the next answer is the last one, and says so
        self.closes = False  # no further request is served
        self.pieces = 0
        """What was handled so far: requests, reads of bodies, lines of chunks."""
        self.aborted = False  # a response was cut short
        self.input_ended = False
        self._truncated = False
        self._scheme = scheme.encode("ascii")
        self._authority = authority  # asked for only where a request names no host
        self._emit = emit
        self._stream_window = stream_window
        self._on_window = on_window
        self._note = note
        self._input = self.frames.octets
        self._checked = 0  # octets at the input's front that are fine as the beginning of a head
        self._skipped_empty_line = False
        self._exchange: Exchange | None = None
        # Many clients ask for few things: parsing and checking is a third of what a small request costs.
        self._parsed_heads: dict[bytes, RequestHead] = {}
        self._remembered = 0  # octets that these take, about

    @property
    def memory(self) -> int:
        """About how many octets are kept of what the client sent, the request apart. A look that needs no lock."""
        return self.frames.memory + self._remembered

    # -- receiving

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
        head = self._parsed(head_octets)
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

    def _parsed(self, octets: bytes) -> RequestHead:
        head = self._parsed_heads.get(octets)
        if head is None:
            head = parse_request(octets, self.limits, scheme=self._scheme, authority=self._authority)
            if head.chunked is None and len(octets) <= _LONGEST_REMEMBERED:
                memory = head.fields.memory + len(octets) + _HEAD_MEMORY
                if len(self._parsed_heads) >= _MOST_REMEMBERED or self._remembered + memory > _MOST_MEMORY:
                    self._parsed_heads.clear()
                    self._remembered = 0
                self._parsed_heads[octets] = head
                self._remembered += memory
        return head

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

    def _forget_finished(self, exchange: Exchange) -> None:
        # One that the connection ends with stays: how it ends depends on it.
        if exchange.request_ended and exchange.response_ended and not self.closes:
            self._exchange = None

    def end_of_input(self, *, truncated: bool) -> None:
        """The client sends nothing more; `truncated`: or somebody has cut it off. What waits is still handed on."""
        self.input_ended = True
        self._truncated = truncated

    @property
    def cut_short(self) -> bool:
        """Whether the input has ended in the middle of a request; to be asked when `next_event` has nothing more."""
        exchange = self._exchange
        if not self.input_ended or exchange is None or exchange.request_ended:
            return False
        if isinstance(exchange.body, TunnelBody):
            return self._truncated
        return not self._input or exchange.window > 0  # otherwise the end may be among what waits

    @property
    def wants_input(self) -> bool:
        """Whether more should be read: little waits in the input for what has to happen first."""
        return len(self._input) < MOST_HELD

    @property
    def has_input(self) -> bool:
        return bool(self._input)

    @property
    def header_block_open(self) -> bool:
        """Whether a head, or a body's trailers, have begun and not ended."""
        exchange = self._exchange
        if exchange is None:
            return bool(self._input)
        return exchange.body.in_trailers

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return self._exchange is None

    # -- sending

    def say_reason(self, stream_id: int, reason: str) -> None:
        """Have this phrase in the status line of the response that is sent next."""
        self._unanswered(stream_id, "a response").reason = reason

    def send_informational(self, stream_id: int, headers: EncodableFields) -> bool:
        """Send a 1xx response. False, and nothing sent, to a client of HTTP/1.0, which knows none (RFC 9110 section
        15.2), and unless `http1_early_hints` is set for one other than 100: many clients of 1.1 take it for the answer.
        """
        exchange = self._unanswered(stream_id, "an informational response")
        self.check_block_length(headers)
        status = dict(headers)[b":status"].decode()
        if exchange.version == "1.0" or (status != "100" and not self.limits.http1_early_hints):
            return False
        if status == "100":
            exchange.awaits_continue = False
        self._send_head(exchange, status, headers[1:])
        return True

    def trailers_will_follow(self, stream_id: int) -> None:
        """Trailers will end the response that is sent next: then it has to be chunked."""
        exchange = self._exchange
        if exchange is not None and exchange.stream_id == stream_id:
            exchange.trailers_follow = True

    def send_response(self, stream_id: int, headers: ResponseFields, end_stream: bool) -> None:
        exchange = self._unanswered(stream_id, "a response")
        self.check_block_length(headers)
        fields: list[tuple[bytes, bytes]] = list(headers[1:])  # without :status
        status = headers.status
        if exchange.method == "CONNECT" and status.startswith("2"):
            framing = Framing.END_OF_CONNECTION
        elif has_no_body(exchange.method, status):
            framing = Framing.NONE
        elif end_stream:
            framing = Framing.NONE
            if headers.content_length is None:
                fields.append((b"content-length", b"0"))
        elif exchange.version == "1.1" and (headers.content_length is None or exchange.trailers_follow):
            framing = Framing.CHUNKED
            fields = [field for field in fields if field[0] != b"content-length"]  # RFC 9112 section 6.2
            fields.append((b"transfer-encoding", b"chunked"))
        elif headers.content_length is not None:
            framing = Framing.LENGTH
        else:
            framing = Framing.END_OF_CONNECTION
        if not self._can_be_kept(exchange, framing):
            self.closes = True
        if framing is not Framing.END_OF_CONNECTION or exchange.method != "CONNECT":
            if self.closes:
                fields.append((b"connection", b"close"))
            elif exchange.version == "1.0":
                fields.append((b"connection", b"keep-alive"))
        exchange.framing = framing
        self._send_head(exchange, status, fields, exchange.reason)
        if framing is Framing.NONE:
            self._response_ended(exchange)
        elif exchange.is_tunnel and self._input:
            self._on_window()

    def _can_be_kept(self, exchange: Exchange, framing: Framing) -> bool:
        if framing is Framing.END_OF_CONNECTION or not exchange.keep_alive or self.closing or self.closes:
            return False
        if exchange.request_ended:
            return not (self.input_ended and not self._input)
        # The client waits for 100, and may or may not send the body when it gets a final answer instead (RFC 9110
        # section 10.1.1); and the octets that were sent early after CONNECT are no request.
        return not exchange.awaits_continue and exchange.method != "CONNECT" and self._left(exchange) <= MOST_DISCARDED

    def _left(self, exchange: Exchange) -> int:
        """Octets of the request's body that are known to be still on their way."""
        return (exchange.body.left or 0) - len(self._input)

    def _send_head(
        self, exchange: Exchange, status: str, fields: Iterable[tuple[bytes, bytes]], reason: str = ""
    ) -> None:
        if self._note is not None:
            fields = list(fields)
            self._note_fields(f"sent response stream={exchange.stream_id} status={status}", fields)
        self._emit(False, (response_head(status, fields, reason),))

    def send_data(self, stream_id: int, data: bytes | memoryview, end_stream: bool, padding: int | None = None) -> None:
        exchange = self._sendable(stream_id, "a piece of body")
        if exchange.framing is Framing.CHUNKED:
            end = b"\r\n0\r\n\r\n" if end_stream else b"\r\n"
            if data:
                self._emit(False, (b"%x\r\n" % len(data), data, end))
            elif end_stream:
                self._emit(False, (b"0\r\n\r\n",))
        elif data:
            self._emit(False, (data,))
        if self._note is not None:
            self._note(f"sent body stream={stream_id} length={len(data)}{' end' if end_stream else ''}")
        if end_stream:
            self._response_ended(exchange)

    def send_trailers(self, stream_id: int, headers: EncodableFields) -> None:
        """Send trailers, which end the response; where it is not chunked there is no place for them."""
        exchange = self._sendable(stream_id, "trailers")
        self.check_block_length(headers)
        if exchange.framing is Framing.CHUNKED:
            lines = [b"%b: %b\r\n" % (name, value) for name, value in headers]
            self._emit(False, (b"".join((b"0\r\n", *lines, b"\r\n")),))
            if self._note is not None:
                self._note_fields(f"sent trailers stream={stream_id}", headers)
        self._response_ended(exchange)

    def check_block_length(self, headers: EncodableFields) -> None:
        """Raise HeaderBlockTooLong for more octets of fields than `max_send_header_block_length`."""
        length = sum([len(name) + len(value) for name, value in headers])
        limit = self.limits.max_send_header_block_length
        if length > limit:
            raise HeaderBlockTooLong(
                f"the header fields have {length} octets; max_send_header_block_length allows {limit}"
            )

    def _response_ended(self, exchange: Exchange) -> None:
        exchange.response_ended = True
        self._forget_finished(exchange)

    def _unanswered(self, stream_id: int, what: str) -> Exchange:
        exchange = self._exchange
        if exchange is None or exchange.stream_id != stream_id or exchange.framing is not None or self.aborted:
            raise InvalidState(f"{what} cannot be sent now", stream_id=stream_id)
        return exchange

    def _sendable(self, stream_id: int, what: str) -> Exchange:
        exchange = self._exchange
        if (
            exchange is None
            or exchange.stream_id != stream_id
            or exchange.framing is None
            or exchange.response_ended
            or self.aborted
        ):
            raise InvalidState(f"{what} cannot be sent now", stream_id=stream_id)
        return exchange

    def _note_fields(self, what: str, fields: Iterable[tuple[bytes, bytes]]) -> None:
        assert self._note is not None
        self._note(" ".join([what, *(f"{name}={value!a}" for name, value in shown_fields(list(fields)))]))

    # -- ends

    def reset(self, stream_id: int, code: int) -> bool:
        """End a stream; False if it is not open. Once its answer has gone out whole, that only means that what is left
        of the request is not wanted. Otherwise the answer is cut short, and the connection with it.
        """
        exchange = self._exchange
        if exchange is None or exchange.stream_id != stream_id or exchange.discarding:
            return False
        if exchange.response_ended:
            exchange.discarding = True
            if self.closes or exchange.awaits_continue or self._left(exchange) > MOST_DISCARDED:
                self.closes = True
            else:
                self._on_window()
            return True
        status = _STATUS_OF_RESET.get(code)
        self.closes = True
        if status is None or not self.answer_error(status, "the request could not be served"):
            self.aborted = True
        return True

    def refuse(self, stream_id: int, code: int = ErrorCode.REFUSED_STREAM) -> None:
        self.reset(stream_id, code)

    def answer_error(self, status: int, reason: str) -> bool:
        """Answer what can't be read or served, with the connection's last octets; False if an answer has begun."""
        exchange = self._exchange
        self.closes = True
        if exchange is not None and exchange.framing is not None:
            return False
        if self._note is not None:
            self._note(f"sent response status={status} reason={reason!a}")
        with_body = exchange is None or exchange.method != "HEAD"
        self._emit(False, (error_answer(status, reason, current_date(), with_body=with_body),))
        if exchange is not None:
            exchange.framing = Framing.NONE
            exchange.response_ended = True
        return True

    def close(self) -> None:
        """Serve no further request; say so with the answers that have not begun."""
        self.closes = True

    def cuts_what_the_end_delimits(self, dropped: bool) -> bool:
        """Whether, if the connection ended now, its end would pass for that of a body. `dropped`: not all that was sent
        will go out.
        """
        exchange = self._exchange
        return (
            exchange is not None
            and exchange.framing is Framing.END_OF_CONNECTION
            and (not exchange.response_ended or dropped)
        )

    @property
    def tunnels(self) -> bool:
        """Whether the connection has become a tunnel."""
        return self._exchange is not None and self._exchange.is_tunnel

    # -- windows: what is sent has none

    def send_window(self, stream_id: int) -> int:
        return MAX_WINDOW_SIZE if self._is_open(stream_id) else 0

    def outbound_window(self, stream_id: int = 0) -> int:
        return MAX_WINDOW_SIZE if not stream_id or self._is_open(stream_id) else 0

    def inbound_window(self, stream_id: int = 0) -> int:
        """How much of a body is handed on before some was read (0: of all together, which is not bounded)."""
        if not stream_id:
            return MAX_WINDOW_SIZE
        exchange = self._exchange
        return exchange.window if exchange is not None and exchange.stream_id == stream_id else 0

    def open_window(self, stream_id: int, increment: int) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.stream_id == stream_id:
            exchange.window += increment
            if self._input:
                self._on_window()

    # -- streams

    @property
    def last_inbound_stream_id(self) -> int:
        return self.last_received_stream_id

    def stream_state(self, stream_id: int) -> str:
        """As HTTP/2 would call it (RFC 9113 section 5.1)."""
        if not self._is_open(stream_id):
            return "idle" if stream_id > self.last_received_stream_id or not stream_id % 2 else "closed"
        assert self._exchange is not None
        if self._exchange.response_ended:
            return "half_closed_local"
        return "half_closed_remote" if self._exchange.request_ended else "open"

    def _is_open(self, stream_id: int) -> bool:
        exchange = self._exchange
        return (
            exchange is not None
            and exchange.stream_id == stream_id
            and not self.aborted
            and not exchange.discarding
            and not (exchange.request_ended and exchange.response_ended)
        )


def _request_line_is_too_long(octets: bytes | bytearray) -> bool:
    return len(octets) > _LONGEST_REQUEST_LINE and octets.find(b"\r\n", 0, _LONGEST_REQUEST_LINE) < 0


def _too_long(octets: bytes | bytearray) -> tuple[int, str]:
    if _request_line_is_too_long(octets):
        return 414, "the request line is too long"
    return 431, "header fields over max_header_list_size"
