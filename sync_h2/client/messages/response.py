"""A response as requests knows it. Its body is read by whoever asks for it; one thread at a time."""

from __future__ import annotations

import datetime
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Literal, overload

from ...arguments import type_name
from ...connection.client_side.client_stream import ClientStream
from ...exceptions import (
    ChunkedEncodingError,
    ConnectionError,
    ContentDecodingError,
    HTTPError,
    JSONDecodeError,
    StreamConsumedError,
)
from ...transport.urls import shown_url
from ..options.cookies import CookieJar, take_cookies
from ..values.charsets import charset_of, codec_of
from ..values.status_codes import codes
from ..values.structures import ResponseHeaders
from .answer import AnswerByHand, PastAnswer
from .lines import Lines, sliced
from .prepared_request import PreparedRequest
from .progress import Progress
from .raw import RawResponse

_CHUNK = 64 * 1024
_MOST_UNASKED = 16 << 20  # octets of a redirect's content
_REDIRECTS = (codes.moved, codes.found, codes.other, codes.temporary_redirect, codes.permanent_redirect)


class Response:
    """A server's answer. Read the body to its end or `close()` it: an unread one keeps its stream open.

    With `stream=True` nothing has been read; otherwise everything has.
    """

    def __init__(
        self, request: PreparedRequest | None = None, answer: Any = None, *, on_download: Progress | None = None
    ) -> None:
        """One of an exchange; without arguments, as tests make them, one to be filled in: `status_code`, `url`,
        `headers`, `raw` or `_content`.
        """
        self.request: Any = request
        self.history: list[Response] = []
        self.elapsed = datetime.timedelta(0)
        self._cookies: CookieJar | None = None
        if request is None or answer is None:
            self.url: str = None  # type: ignore[assignment]  # until it is filled in
            self.status_code: int = None  # type: ignore[assignment]  # until it is filled in
            self.reason: str = None  # type: ignore[assignment]  # the same
            self.http_version = ""
            self.headers = {}
            self._cookies = CookieJar()
            self.encoding: str | None = None
            answer = AnswerByHand(None)
        else:
            self.url = request.url
            self.status_code = answer.status
            self.reason = answer.reason
            self.http_version = answer.http_version
            self._headers = ResponseHeaders(answer.headers)
            self.encoding = charset_of(self._headers.get("content-type", ""))
        self.next: PreparedRequest | None = None
        self.connection: Any = None
        self._answer = answer
        self._on_download = on_download
        self._raw: Any = None
        self._content: bytes | None = None
        self._consumed = False
        self._closed = False

    @property
    def cookies(self) -> CookieJar:
        """The cookies that it sets."""
        if self._cookies is None:
            self._cookies = CookieJar()
            take_cookies(self._cookies, self)
        return self._cookies

    @cookies.setter
    def cookies(self, cookies: Any) -> None:
        self._cookies = cookies

    # -- the body

    @property
    def raw(self) -> Any:
        """The body as it came, with its content-encoding, as a file (`RawResponse`)."""
        if self._raw is None and not isinstance(self._answer, AnswerByHand):
            self._raw = RawResponse(self._answer, report=self._on_download, ended=self._consumed)
            if self._closed:
                self._raw.close()
        return self._raw

    @raw.setter
    def raw(self, file: Any) -> None:
        """Take the body from a file, which tests and adapters give, as requests does: decoded where the file's `stream`
        does it.
        """
        self._answer = AnswerByHand(file)
        self._raw = file

    @property
    def content(self) -> bytes:
        """The whole body, its content-encoding taken off; blocks until it is there.

        Raises ChunkedEncodingError if it breaks off, ReadTimeout, and StreamConsumedError if it was read by another
        call.
        """
        if self._content is None:
            made_by_hand = isinstance(self._answer, AnswerByHand)
            if made_by_hand and self._raw is None:
                return None  # type: ignore[return-value]  # as in requests, where nothing has been filled in
            if self._consumed:
                raise StreamConsumedError("The content for this response was already consumed", response=self)
            if made_by_hand:
                self._content = b"".join(self._stream(_CHUNK))
            elif "content-encoding" in self._headers._fields or self._raw is not None or self._on_download is not None:
                self._content = self.raw.read(decode_content=True)
            else:
                self._content = self._answer.read()  # in one go
            self._consumed = True
        return self._content

    def _finish(self) -> None:
        """Read a body that nobody has asked for, so that its connection goes on and `history` has it; one that is long,
        or becomes so, is given up.
        """
        try:
            if self._content is None and not self._consumed:
                by_hand = isinstance(self._answer, AnswerByHand)
                self._content = self.content if by_hand else self.raw.read_short(_MOST_UNASKED)
                self._consumed = True
        except (ChunkedEncodingError, ConnectionError, ContentDecodingError):
            pass
        finally:
            self.close()

    @property
    def text(self) -> str:
        """`content` as text, in `encoding`, or if that is None in what it looks like."""
        content = self.content
        if not content:
            return ""
        text, _ = codec_of(self.encoding or self.apparent_encoding).decode(content, "replace")
        return text

    @property
    def apparent_encoding(self) -> str:
        """What encoding the content looks like: told by `charset_normalizer` or `chardet` where installed, otherwise
        UTF-8 if it is that.
        """
        for name in ("chardet", "charset_normalizer"):
            try:
                found = importlib.import_module(name).detect(self.content)["encoding"]
            except ImportError:
                continue
            return found or "utf-8"
        try:
            self.content.decode()
        except UnicodeDecodeError:
            return "iso-8859-1"
        return "utf-8"

    def json(self, **options: Any) -> Any:
        """The content as JSON; `options` are `json.loads`'. Raises JSONDecodeError."""
        try:
            if self.encoding is None and len(self.content) > 3:
                try:
                    return json.loads(self.content, **options)  # finds out which of UTF-8, -16 and -32 it is
                except UnicodeDecodeError:
                    pass
                except json.JSONDecodeError:
                    if 0 not in self.content[:4]:  # by which it took it for UTF-16 or -32: that need not be so
                        raise
            return json.loads(self.text, **options)
        except json.JSONDecodeError as error:
            raise JSONDecodeError(error.msg, error.doc, error.pos, request=self.request, response=self) from error
        except (RecursionError, ValueError) as error:  # nested too deeply, or a number of thousands of digits
            raise JSONDecodeError(str(error), self.text, 0, request=self.request, response=self) from error

    # Of text where it is to be decoded, and can be: `Any`, as no checker knows.

    @overload
    def iter_content(self, chunk_size: int | None = 1, decode_unicode: Literal[False] = False) -> Iterator[bytes]: ...
    @overload
    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]: ...
    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
        """The content in pieces as they come, of `chunk_size` bytes at most if that is not None; str with
        `decode_unicode`, where `encoding` is known. Raises as `content`.
        """
        if chunk_size is not None and not isinstance(chunk_size, int):
            raise TypeError(f"chunk_size must be an int, it is instead a {type_name(chunk_size)}.")
        if chunk_size is not None and chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1, not {chunk_size}")
        if self._consumed and self._content is None:
            raise StreamConsumedError("The content for this response was already consumed", response=self)
        pieces = sliced(self._content, chunk_size) if self._content is not None else self._stream(chunk_size)
        return self._as_text(pieces) if decode_unicode and self.encoding is not None else pieces

    @overload
    def iter_lines(
        self, chunk_size: int = 512, decode_unicode: Literal[False] = False, delimiter: bytes | None = None
    ) -> Iterator[bytes]: ...
    @overload
    def iter_lines(
        self, chunk_size: int = 512, decode_unicode: bool = False, delimiter: Any = None
    ) -> Iterator[Any]: ...
    def iter_lines(self, chunk_size: int = 512, decode_unicode: bool = False, delimiter: Any = None) -> Iterator[Any]:
        """The content's lines without their ends, or what stands between two of `delimiter`, each as soon as it has
        ended. At most `chunk_size` bytes are read at a time.
        """
        lines = Lines(delimiter)
        for piece in self.iter_content(chunk_size, decode_unicode):
            yield from lines.of(piece)
        yield from lines.rest()

    def __iter__(self) -> Iterator[bytes]:
        return self.iter_content(128)

    def close(self) -> None:
        """Give the connection back; a body that was not read to its end is given up, which resets the stream."""
        self._closed = True
        if isinstance(self._raw, RawResponse):
            self._raw.close()
        self._answer.close()

    def __enter__(self) -> Response:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _stream(self, chunk_size: int | None) -> Iterator[bytes]:
        raw = self.raw
        if hasattr(raw, "stream"):  # ours, and urllib3's
            yield from raw.stream(chunk_size, decode_content=True)
        else:
            while piece := raw.read(chunk_size):
                yield piece
        self._consumed = True

    def _as_text(self, pieces: Iterator[bytes]) -> Iterator[str]:
        codec = codec_of(self.encoding)
        assert codec.incrementaldecoder is not None
        decoder = codec.incrementaldecoder("replace")
        try:
            for piece in pieces:
                if text := decoder.decode(piece):
                    yield text
            if text := decoder.decode(b"", final=True):
                yield text
        except UnicodeError as error:  # UTF-16 without the mark of its order, whatever is done about other errors
            raise ContentDecodingError(f"the body is not {self.encoding}: {error}", response=self) from error

    # -- what it says

    @property
    def headers(self) -> ResponseHeaders:
        """The fields; a mapping that is set becomes such ones."""
        return self._headers

    @headers.setter
    def headers(self, headers: Mapping[str, str]) -> None:
        self._headers = headers if isinstance(headers, ResponseHeaders) else ResponseHeaders(headers.items())

    @property
    def trailers(self) -> ResponseHeaders:
        """The fields behind the body; empty before it has been read."""
        return ResponseHeaders(self._answer.trailers)

    @property
    def informational(self) -> list[tuple[int, ResponseHeaders]]:
        """The responses with 1xx that came before: their statuses and fields."""
        return [(status, ResponseHeaders(fields)) for status, fields in self._answer.informational]

    @property
    def pushes(self) -> list[ClientStream]:
        """The pushed streams that have been promised so far (`ClientStream`): all, once the body has been read."""
        return list(self._answer.pushes)

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status_code < 400

    def __bool__(self) -> bool:
        return self.ok

    @property
    def is_redirect(self) -> bool:
        """Whether it is a redirect that can be followed."""
        return self.status_code in _REDIRECTS and "location" in self.headers

    @property
    def is_permanent_redirect(self) -> bool:
        """Whether it is one for good."""
        return self.status_code in (codes.moved, codes.permanent_redirect) and "location" in self.headers

    @property
    def links(self) -> dict[str, dict[str, str]]:
        """The Link field's links, by their relation or URL."""
        found = {}
        for value in re.split(", *<", self.headers.get("link", "").strip(" '\"")):
            url, _, parameters = value.partition(";")
            link = {"url": url.strip("<> '\"")}
            for parameter in filter(None, parameters.split(";")):
                key, equals, text = parameter.partition("=")
                if not equals:
                    break
                link[key.strip(" '\"")] = text.strip(" '\"")
            if link["url"]:
                found[link.get("rel") or link["url"]] = link
        return found

    def raise_for_status(self) -> None:
        """Raises HTTPError if the status is 400 or more."""
        kind = {4: "Client", 5: "Server"}.get(self.status_code // 100)
        if kind is not None:
            reason = self.reason
            if isinstance(reason, bytes):
                reason = reason.decode("utf-8" if _is_utf8(reason) else "latin-1")
            url = None if self.url is None else shown_url(self.url)
            raise HTTPError(f"{self.status_code} {kind} Error: {reason} for url: {url}", response=self)

    def __repr__(self) -> str:
        return f"<Response [{self.status_code}]>"

    def __getstate__(self) -> dict[str, Any]:
        self.content  # noqa: B018 - reads it: a connection can't be pickled
        state = {name: value for name, value in self.__dict__.items() if name not in ("connection", "_on_download")}
        return {**state, "_answer": PastAnswer(self._answer), "_raw": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, connection=None, _on_download=None)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
