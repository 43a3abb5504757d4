"""A response as HTTP/1 code knows it (Node's `Http2ServerResponse`), over a stream of either version of HTTP.

Until its headers are sent it belongs to one thread, as a dict does; `write` and `end` may be called from any, as those
of its stream. `request` listeners get it on the handler pool, and what they have answered without ending it ends when
the last of them has returned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...connection.server_side.answering_stream import STATUSES_WITHOUT_BODY
from ...connection.server_side.server_stream import ServerStream
from ...connection.stream.files import StreamWriter
from ...deadline import check_timeout
from ...errors import InvalidArgument, InvalidState
from ...protocol.fields.headers import HeadersSource
from .message import StreamMessage
from .request import ServerRequest
from .response_fields import FieldsSource, FieldValue, field, field_name, pairs_of, tell_once

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_is_phrase = re.compile(r"[\t -~\x80-\xff]*").fullmatch  # RFC 9112 section 4
_is_link = re.compile(r"<[^>]*>.*", re.DOTALL).fullmatch  # RFC 8288 section 3


class ServerResponse(StreamMessage, StreamWriter):
    """The response: headers to fill in, and a file for its body.

    The first `write` or `end` sends the headers. Fields of HTTP/1.1's connection (`connection`, `keep-alive`,
    `transfer-encoding`, `upgrade`…) are left out. A body written to HEAD, 204, 205 or 304 is dropped. As a file,
    closing it ends the response; a `with` block that an exception leaves does not, and resets the stream if the
    headers were sent.
    """

    _stream: ServerStream

    def __init__(self, stream: ServerStream, request: ServerRequest | None = None) -> None:
        super().__init__(stream)
        self._request = request
        self._status_code = 200
        self._status_message = ""
        self._headers: dict[str, FieldValue] = {}
        self._trailers: dict[str, FieldValue] = {}
        self._takes_trailers: bool | None = None  # known once this object has sent the headers
        self._send_date = True
        self._ended = False

    @property
    def request(self) -> ServerRequest | None:
        """The request that this answers; None for a pushed response."""
        return self._request

    @property
    def req(self) -> ServerRequest | None:
        """`request`, as Node calls it."""
        return self._request

    # -- the head

    @property
    def status_code(self) -> int:
        """The status to send, 200 unless it is set. Setting raises `InvalidArgument` for what is not from 200 to 599,
        `InvalidState` once the headers are sent.
        """
        return self._status_code

    @status_code.setter
    def status_code(self, code: int) -> None:
        self._check_headers_not_sent()
        self._status_code = _checked_status(code)

    @property
    def status_message(self) -> str:
        """Over HTTP/1.1 the phrase to send, the usual one if this is empty. Otherwise empty: HTTP/2 has none (RFC 9113
        section 8.3.2), and what it is set to is left out. Setting raises `InvalidArgument` for what can't be sent.
        """
        return self._status_message

    @status_message.setter
    def status_message(self, message: str) -> None:
        if not isinstance(message, str):
            raise TypeError(f"a status message must be a str, not {type(message).__name__}")
        if not _is_phrase(message):
            raise InvalidArgument(f"a status message is one line of latin-1, not {message!r}")
        if self._stream.http_version == "2.0":
            tell_once("status_message", "HTTP/2 has no status message, and a response's is left out")
        else:
            self._status_message = message

    @property
    def send_date(self) -> bool:
        """Whether a `date` field is added when none was set; True unless it is set to False."""
        return self._send_date

    @send_date.setter
    def send_date(self, send: bool) -> None:
        self._send_date = bool(send)

    @property
    def headers_sent(self) -> bool:
        """True once the headers are on their way."""
        return self._stream.headers_sent

    def set_header(self, name: str, value: FieldValue) -> None:
        """Set a header, in place of what it was; a list gives several fields. Raises `InvalidArgument` for what can't
        be sent, `InvalidState` once the headers are sent.
        """
        self._check_headers_not_sent()
        given = field(name, value)
        if given is not None:
            self._headers[given[0]] = given[1]

    def append_header(self, name: str, value: FieldValue) -> None:
        """One more field of this name, or several. Raises as `set_header`."""
        self._check_headers_not_sent()
        given = field(name, value)
        if given is not None:
            present = self._headers.get(given[0])
            self._headers[given[0]] = given[1] if present is None else [*_values(present), *_values(given[1])]

    def get_header(self, name: str) -> FieldValue | None:
        """What the header was set to, or None."""
        return self._headers.get(field_name(name))

    def get_headers(self) -> dict[str, FieldValue]:
        """A copy of what was set, by names in lower case."""
        return dict(self._headers)

    def get_header_names(self) -> list[str]:
        """The names of what was set, in lower case."""
        return list(self._headers)

    def has_header(self, name: str) -> bool:
        """Whether the header was set."""
        return field_name(name) in self._headers

    def remove_header(self, name: str) -> None:
        """Take a header back; `date` is not added then. Raises `InvalidState` once the headers are sent."""
        self._check_headers_not_sent()
        name = field_name(name)
        if name == "date":
            self._send_date = False
        self._headers.pop(name, None)

    def write_head(
        self,
        status_code: int,
        status_message: str | FieldsSource | None = None,
        headers: FieldsSource | None = None,
    ) -> ServerResponse:
        """Send the headers that were set, and these, which go before them; returns the response.

        `headers` is a mapping, a list of pairs (of which several may have one name) or a flat list, and may stand in
        the place of `status_message`, which HTTP/2 has not. Raises as `set_header` and the stream's `respond`.
        """
        self._check_headers_not_sent()
        if isinstance(status_message, str):
            self.status_message = status_message
        elif status_message is not None:
            if headers is not None:
                raise TypeError(f"status_message must be a str or None, not {type(status_message).__name__}")
            headers = status_message
        status = _checked_status(status_code)
        given = [] if headers is None else pairs_of(headers)
        for name, _ in given:
            self._headers.pop(field_name(name), None)
        for name, value in given:
            self.append_header(name, value)
        self._status_code = status
        self._respond()
        return self

    def flush_headers(self) -> None:
        """Send the headers now, unless they are sent."""
        if not self.headers_sent:
            self._respond()

    def write_continue(self) -> bool:
        """Send a 100: the client may send the body. False when it is too late for that."""
        if self.headers_sent or self._stream.closed:
            return False
        self._stream.additional_headers({":status": 100})
        return True

    def write_early_hints(self, hints: Mapping[str, FieldValue]) -> bool:
        """Send a 103 with these headers; `link` has to be among them, a str or a list of these. False when that list is
        empty, when it is too late, and for clients of HTTP/1.1 unless the server's `http1_early_hints` is set.
        """
        if not isinstance(hints, Mapping):
            raise TypeError(f"hints must be a mapping, not {type(hints).__name__}")
        fields = dict(filter(None, (field(name, value) for name, value in hints.items())))
        links = _values(fields.get("link", ""))
        for link in links:
            if not isinstance(link, str) or not _is_link(link):
                raise InvalidArgument(f"link must be as in '</style.css>; rel=preload; as=style', not {link!r}")
        if not links or self.headers_sent or self._stream.closed:
            return False
        return self._stream._inform({":status": 103, **fields, "link": ", ".join(map(str, links))})

    def create_push_response(self, headers: HeadersSource) -> ServerResponse:
        """Promise a response to a request that the client has not made, and return it: it is yours to end. `headers`,
        and what is raised, are as for the stream's `push_stream`.
        """
        return ServerResponse(self._stream.push_stream(headers))

    # -- the body

    @property
    def finished(self) -> bool:
        """True once `end` was called."""
        return self._ended

    @property
    def writable_ended(self) -> bool:
        """`finished`, as Node calls it now."""
        return self._ended

    def write(self, data: ReadableBuffer, timeout: float | None = None) -> int:
        """Send `data`, behind the headers if they are not sent yet; returns its length. Blocks and raises as the
        stream's `write`; `InvalidState` after the end.
        """
        length = _length(data)
        if self._is_finalized():  # see StreamWriter
            return length
        if self._ended:
            raise InvalidState("the response has ended already", stream_id=self._stream.id)
        if self.closed:
            raise ValueError("write to a closed file")
        if not self.headers_sent:
            check_timeout(timeout)
            self._respond(length)
        return self._stream.write(data, timeout)

    def end(self, data: ReadableBuffer = b"", timeout: float | None = None) -> None:
        """Send `data`, if any, and the trailers that were set, and end the response. If nothing was sent before, the
        headers go first, with a `content-length` unless one was set. Blocks and raises as the stream's `end`; a second
        call does nothing, but raises `InvalidState` if it has data.
        """
        length = _length(data)
        if self._ended:
            if length:
                raise InvalidState("the response has ended already", stream_id=self._stream.id)
            return
        if not self.headers_sent:
            check_timeout(timeout)
            self._respond(length, is_whole=True)
        if self._trailers and self._takes_trailers is None:
            raise InvalidState(
                "the headers were sent by the stream's own respond: trailers are sent by its send_trailers then",
                stream_id=self._stream.id,
            )
        if self._trailers and self._takes_trailers:
            self._stream.end(data, timeout)
            self._stream.send_trailers(self._trailers)
        else:
            self._stream._forgo_trailers()
            self._stream.end(data, timeout)
        self._ended = True

    def set_trailer(self, name: str, value: FieldValue) -> None:
        """Set a field that follows the body. Raises `InvalidArgument` for what can't be sent, `InvalidState` after the
        end. In HTTP/1.1 none follows a body whose `content-length` was sent before this.
        """
        if self._ended:
            raise InvalidState("the response has ended already: trailers come before that", stream_id=self._stream.id)
        given = field(name, value)
        if given is not None:
            self._trailers[given[0]] = given[1]

    def add_trailers(self, headers: FieldsSource) -> None:
        """Set several fields that follow the body. Raises as `set_trailer`."""
        for name, value in pairs_of(headers):
            self.set_trailer(name, value)

    # -- how it is sent

    def _respond(self, length: int = 0, *, is_whole: bool = False) -> None:
        """Send the headers; `length` bytes of the body come next, and they are all of it if that `is_whole`."""
        method = self._stream.request_headers.get(":method")
        status = self._status_code
        headers: dict[str, Any] = {":status": status, **self._headers}
        is_tunnel = method == "CONNECT" and status < 300
        has_no_content = str(status) in STATUSES_WITHOUT_BODY
        if has_no_content and status != 304:
            headers.pop("content-length", None)  # RFC 9110 section 8.6
        # Behind a length HTTP/1.1 has no trailers. With HEAD an empty body is none that somebody has made.
        if is_whole and not (is_tunnel or has_no_content or self._trailers) and (length or method != "HEAD"):
            headers.setdefault("content-length", length)
        keeps_length = str(headers.get("content-length", length)) == str(length)
        takes_body = not (is_tunnel or has_no_content or method == "HEAD")
        # Behind a body that is written piece by piece may come trailers that nobody knows yet.
        is_decided = is_whole or ("content-length" in headers and self._stream.http_version != "2.0")
        self._takes_trailers = takes_body and (bool(self._trailers) or not is_decided)
        self._stream._say_reason(self._status_message)
        self._stream._respond(
            headers,
            end_stream=takes_body and is_whole and not (length or self._trailers) and keeps_length,
            wait_for_trailers=self._takes_trailers,
            send_date=self._send_date,
            # Unless the body may be refused, or dropped: the headers would wait for it in vain.
            data_follows=takes_body and length > 0 and keeps_length,
        )

    def _check_headers_not_sent(self) -> None:
        if self.headers_sent:
            raise InvalidState("the response's headers have been sent already", stream_id=self._stream.id)

    def _handlers_returned(self) -> None:
        """The last handler has returned: what it has begun ends, trailers included."""
        stream = self._stream
        if not (self._ended or stream.detached or stream.closed) and stream.headers_sent:
            self.end()

    def _end_body(self) -> None:
        self.end()

    def __exit__(self, *exception: object) -> None:
        # Without headers it is not begun, and may still be answered with an error.
        if exception[0] is None or self.headers_sent:
            super().__exit__(*exception)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._status_code} of {self._stream!r}>"


def _checked_status(code: object) -> int:
    if not isinstance(code, int) or isinstance(code, bool):
        raise TypeError(f"a status code must be an int, not {type(code).__name__}")
    if 100 <= code < 200:
        raise InvalidArgument(
            f"status code {int(code)} is not that of a final response: use write_continue() or write_early_hints()"
        )
    if not 200 <= code <= 599:
        raise InvalidArgument(f"a status code must be from 200 to 599, not {int(code)}")
    return int(code)


def _values(value: FieldValue) -> list[str | int]:
    return [value] if isinstance(value, str | int) else list(value)


def _length(data: ReadableBuffer) -> int:
    if isinstance(data, str):
        raise TypeError("a body is bytes: encode the str first")
    return memoryview(data).nbytes
