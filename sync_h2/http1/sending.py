"""What one connection of HTTP/1 sends: responses, and the ends of streams that are not served (RFC 9112).

Every method runs under the session's lock, on whatever thread sends.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..connection.server_side.date import current_date
from ..constants import ErrorCode
from ..errors import InvalidState
from ..interpreter import SharedDict
from ..protocol.fields.headers import EncodableFields, ResponseFields
from ..protocol.sending import HeaderBlockTooLong
from .exchange import MOST_DISCARDED, Exchange, Framing
from .response_heads import error_answer, has_no_body, response_head
from .state import ConnectionState

_STATUS_OF_RESET: dict[int, int] = SharedDict({ErrorCode.REFUSED_STREAM: 503, ErrorCode.INTERNAL_ERROR: 500})


class Sending(ConnectionState):
    """The sending half of `HTTP1Protocol`."""

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
