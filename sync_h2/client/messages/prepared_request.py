"""A request as it is sent, which requests calls prepared. It is one thread's at a time."""

from __future__ import annotations

import http.cookiejar
import json as json_module
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from ...arguments import type_name
from ...exceptions import InvalidHeader, InvalidJSONError, InvalidURL, UnrewindableBodyError
from ...transport.urls import LONGEST_REMEMBERED, shown_url
from ..options.auth import HTTPBasicAuth
from ..options.cookies import cookie_header, copied_jar, jar_of
from ..values.structures import CaseInsensitiveDict
from ..values.urls import complete_url, parts_of, remembered_url
from .bodies import Body, BytesBody, body_of
from .forms import encoded, form_with_files
from .hooks import Hooked, Hooks, checked_hooks

_is_name = re.compile(r"[^:\s][^:\r\n]*").fullmatch
_is_value = re.compile(r"\S[^\r\n]*|").fullmatch
_WITHOUT_BODY = ("GET", "HEAD")


class PreparedRequest(Hooked):
    """What is sent: `method`, `url`, `headers`, `body` and `hooks`; all may be changed until then."""

    def __init__(self) -> None:
        self.method = ""
        self.url = ""
        self.headers = CaseInsensitiveDict()
        self.cookies: http.cookiejar.CookieJar | None = None
        self.body: Any = None
        self.hooks: dict[str, list[Callable[..., Any]]] = {"response": []}
        self.digest: Any = None
        """The `HTTPDigestAuth` that has authenticated it."""
        self._content: Body | None = None
        self._content_of: Any = None

    def prepare(
        self,
        method: str | None = None,
        url: str | None = None,
        headers: Mapping[str, Any] | None = None,
        files: Any = None,
        data: Any = None,
        params: Any = None,
        auth: Any = None,
        cookies: Any = None,
        hooks: Hooks | None = None,
        json: Any = None,
    ) -> None:
        """Fill in everything, as requests does. Raises InvalidURL and its kinds, InvalidHeader, InvalidJSONError."""
        text = method.decode("ascii") if isinstance(method, bytes) else method
        self.method = "" if text is None else text.upper()
        self.prepare_url(url, params)
        self.prepare_headers(headers)
        self.prepare_cookies(cookies)
        self.prepare_body(data, files, json)
        self.hooks = checked_hooks(hooks)
        self.prepare_auth(auth)  # which may add hooks of its own

    def copy(self) -> PreparedRequest:
        """Another one that can be changed; the body is the same."""
        other = PreparedRequest()
        other.__dict__.update(self.__dict__)
        other.headers = CaseInsensitiveDict(self.headers or {})
        other.hooks = {event: list(hooks) for event, hooks in self.hooks.items()}
        other.cookies = None if self.cookies is None else copied_jar(self.cookies)
        return other

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_content": None, "_content_of": None}  # which `content` makes anew

    def __repr__(self) -> str:
        return f"<PreparedRequest [{self.method}]>"

    @property
    def path_url(self) -> str:
        """Path and query, as they are asked for."""
        parts = parts_of(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    @property
    def content(self) -> Body | None:
        """The body as it is sent."""
        if self._content_of is not self.body:
            self._content, self._content_of = body_of(self.body), self.body
        return self._content

    @property
    def _cookies(self) -> http.cookiejar.CookieJar | None:
        return self.cookies  # as authentication that was written for requests asks for them

    @_cookies.setter
    def _cookies(self, cookies: Any) -> None:
        self.cookies = jar_of(cookies)

    # -- its parts

    def prepare_url(self, url: Any, params: Any) -> None:
        """Set the URL: quoted, its host in IDNA, and `params` behind its query."""
        try:
            text = (url.decode() if isinstance(url, bytes) else str(url)).lstrip()
        except UnicodeDecodeError as error:
            raise InvalidURL(f"Failed to parse a URL of {len(url)} octets: it is not UTF-8") from error
        if ":" in text and not text.lower().startswith("http"):
            self.url = text  # whoever has to send it knows such URLs, or doesn't
            return
        added = encoded(params.decode() if isinstance(params, bytes) else params) if params else ""
        complete = remembered_url if len(text) + len(added) <= LONGEST_REMEMBERED else complete_url
        self.url = complete(text, added)

    def prepare_headers(self, headers: Mapping[str, Any] | None) -> None:
        """Set the header fields. Raises InvalidHeader for what would be read as something else."""
        if isinstance(headers, CaseInsensitiveDict) and _are_usual(headers._fields.values()):
            self.headers = CaseInsensitiveDict(headers)  # in one step
            return
        self.headers = CaseInsensitiveDict()
        for name, value in (headers or {}).items():
            self.headers[_checked(name, value)] = value

    def prepare_cookies(self, cookies: Any) -> None:
        """Set the Cookie field, unless there is one, to those of `cookies` that go to the URL."""
        self.cookies = jar_of(cookies)
        field = cookie_header(self.cookies, self)
        if field is not None:
            self.headers["Cookie"] = field

    def prepare_body(self, data: Any, files: Any, json: Any = None) -> None:
        """Set the body and the fields about it."""
        content_type = None
        if not data and json is not None:
            content_type = "application/json"
            try:
                self.body = json_module.dumps(json, allow_nan=False).encode()
            except ValueError as error:
                raise InvalidJSONError(str(error), request=self) from error
        elif _is_stream(data):
            if files:
                raise NotImplementedError("Streamed bodies and files are mutually exclusive.")
            self.body = data
        elif files:
            if isinstance(data, (str, bytes)):
                raise ValueError("Data must not be a string.")
            self.body, content_type = form_with_files(data, files)
        elif data:
            self.body = encoded(data) if hasattr(data, "__iter__") or hasattr(data, "read") else data
            if not isinstance(data, (str, bytes)) and not hasattr(data, "read"):
                content_type = "application/x-www-form-urlencoded"
        else:
            self.body = None
        self.prepare_content_length(self.body)
        if content_type and "content-type" not in self.headers:
            self.headers["Content-Type"] = content_type

    def prepare_content_length(self, body: Any) -> None:
        """Set Content-Length where the body's length is known, otherwise Transfer-Encoding (HTTP/2 omits it)."""
        if body is None:
            if self.method not in _WITHOUT_BODY and self.headers.get("Content-Length") is None:
                self.headers["Content-Length"] = "0"
            return
        content = self.content
        assert content is not None
        if content.length is not None and (content.length or isinstance(content, BytesBody)):
            if content.length:
                self.headers["Content-Length"] = str(content.length)
        else:
            self.headers["Transfer-Encoding"] = "chunked"

    def prepare_auth(self, auth: Any, url: str = "") -> None:
        """Let `auth`, or what stands in the URL, authenticate the request."""
        if auth is None and "@" in (url or self.url):
            name, _, password = (parts_of(url or self.url).userinfo or "").partition(":")
            auth = (unquote(name), unquote(password)) if name or password else None
        if not auth:
            return
        if isinstance(auth, tuple) and len(auth) == 2:
            auth = HTTPBasicAuth(*auth)
        changed = auth(self)
        self.__dict__.update(changed.__dict__)
        self.prepare_content_length(self.body)

    def check_rewindable(self) -> None:
        """Raises UnrewindableBodyError if the body could not be sent once more."""
        content = self.content
        if content is not None and not content.rewindable:
            raise UnrewindableBodyError(
                f"the body of {self.method} {shown_url(self.url)} can't be sent once more", request=self
            )


def _are_usual(fields: Iterable[tuple[Any, Any]]) -> bool:
    """Whether these are texts that can be header fields, as nearly all are."""
    for name, value in fields:
        if type(name) is not str or type(value) is not str or not _is_name(name) or not _is_value(value):
            return False
    return True


def _checked(name: Any, value: Any) -> str:
    """The name as text. Raises InvalidHeader."""
    for part, fits, what in ((name, _is_name, "name"), (value, _is_value, "value")):
        if not isinstance(part, (str, bytes)):
            raise InvalidHeader(f"Header {what} of {name!r} must be of type str or bytes, not {type_name(part)}")
        if not fits(part if isinstance(part, str) else part.decode("latin-1")):
            raise InvalidHeader(f"Invalid leading whitespace, reserved or line end in header {what} of {name!r}")
    return name if isinstance(name, str) else name.decode("latin-1")


def _is_stream(data: Any) -> bool:
    return hasattr(data, "__iter__") and not isinstance(data, (str, bytes, list, tuple, Mapping))
