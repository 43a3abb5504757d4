"""Requests as requests knows them: `Request` says what is wanted, `PreparedRequest` is what is sent."""

from __future__ import annotations

import functools
import http.cookiejar
import json as json_module
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlunsplit

from ...arguments import type_name
from ...exceptions import InvalidHeader, InvalidJSONError, InvalidURL, MissingSchema, UnrewindableBodyError
from ...transport.names import in_url
from ...transport.urls import LONGEST_REMEMBERED, shown_url
from ..options.auth import HTTPBasicAuth
from ..options.cookies import cookie_header, copied_jar, jar_of
from ..values.structures import CaseInsensitiveDict
from ..values.urls import BAD_ESCAPE, IN_USERINFO, RESERVED, parts_of, quoted
from .bodies import Body, BytesBody, body_of, multipart

Hooks = Mapping[str, Any]

_is_name = re.compile(r"[^:\s][^:\r\n]*").fullmatch
_is_value = re.compile(r"\S[^\r\n]*|").fullmatch
_ESCAPED_UNRESERVED = re.compile(r"%(2[DEde]|3\d|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee])")
_WITHOUT_BODY = ("GET", "HEAD")


class Request:
    """What is wanted, as it was given; `Client.prepare_request` or `prepare` make of it what is sent."""

    def __init__(
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
        self.method = method
        self.url = url
        self.headers = {} if headers is None else headers
        self.files = [] if files is None else files
        self.data = [] if data is None else data
        self.params = {} if params is None else params
        self.auth = auth
        self.cookies = cookies
        self.hooks = checked_hooks(hooks)
        self.json = json

    def prepare(self) -> PreparedRequest:
        """What is sent, without a client's part. Raises for what can't be sent."""
        prepared = PreparedRequest()
        prepared.prepare(
            self.method,
            self.url,
            self.headers,
            self.files,
            self.data,
            self.params,
            self.auth,
            self.cookies,
            self.hooks,
            self.json,
        )
        return prepared

    def register_hook(self, event: str, hook: Any) -> None:
        """Call `hook(response, **options)`, or each of several, when the response is there."""
        self.hooks = _added(self.hooks, event, hook)

    def deregister_hook(self, event: str, hook: Callable[..., Any]) -> bool:
        """Call `hook` no more; False if it was none."""
        return _removed(self.hooks, event, hook)

    def __repr__(self) -> str:
        return f"<Request [{self.method}]>"


class PreparedRequest:
    """What is sent: `method`, `url`, `headers`, `body` and `hooks`; all may be changed until then."""

    def __init__(self) -> None:
        self.method = ""
        self.url = ""
        self.headers = CaseInsensitiveDict()
        self.cookies: http.cookiejar.CookieJar | None = None
        self.body: Any = None
        self.hooks: dict[str, list[Callable[..., Any]]] = checked_hooks(None)
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
        short = len(text) + len(added) <= LONGEST_REMEMBERED
        self.url = _remembered(text, added) if short else _complete(text, added)

    def prepare_headers(self, headers: Mapping[str, Any] | None) -> None:
        """Set the header fields. Raises InvalidHeader for what would be read as something else."""
        self.headers = CaseInsensitiveDict()
        for name, value in (headers or {}).items():
            usual = type(name) is str and type(value) is str and _is_name(name) and _is_value(value)
            self.headers[name if usual else _checked(name, value)] = value

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
            boundary = secrets.token_hex(16)
            content_type = f"multipart/form-data; boundary={boundary}"
            form = multipart(data, files, boundary)
            self.body = b"".join(form.chunks()) if _in_memory(files) else form
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
        if auth is None:
            name, _, password = (parts_of(url or self.url).userinfo or "").partition(":")
            auth = (unquote(name), unquote(password)) if name or password else None
        if not auth:
            return
        if isinstance(auth, tuple) and len(auth) == 2:
            auth = HTTPBasicAuth(*auth)
        changed = auth(self)
        self.__dict__.update(changed.__dict__)
        self.prepare_content_length(self.body)

    def register_hook(self, event: str, hook: Any) -> None:
        """Call `hook(response, **options)`, or each of several, when the response is there; what it returns, unless
        None, replaces it.
        """
        self.hooks = _added(self.hooks, event, hook)

    def deregister_hook(self, event: str, hook: Callable[..., Any]) -> bool:
        """Call `hook` no more; False if it was none."""
        return _removed(self.hooks, event, hook)

    def check_rewindable(self) -> None:
        """Raises UnrewindableBodyError if the body could not be sent once more."""
        content = self.content
        if content is not None and not content.rewindable:
            raise UnrewindableBodyError(
                f"the body of {self.method} {shown_url(self.url)} can't be sent once more", request=self
            )


def _checked(name: Any, value: Any) -> str:
    """The name as text. Raises InvalidHeader."""
    for part, fits, what in ((name, _is_name, "name"), (value, _is_value, "value")):
        if not isinstance(part, (str, bytes)):
            raise InvalidHeader(f"Header {what} of {name!r} must be of type str or bytes, not {type_name(part)}")
        if not fits(part if isinstance(part, str) else part.decode("latin-1")):
            raise InvalidHeader(f"Invalid leading whitespace, reserved or line end in header {what} of {name!r}")
    return name if isinstance(name, str) else name.decode("latin-1")


def _complete(url: str, query: str) -> str:
    """A URL, quoted, its host in IDNA, and `query` behind its own. Raises InvalidURL and its kinds."""
    parts = parts_of(url)
    if not parts.scheme:
        shown = shown_url(url)
        raise MissingSchema(f"Invalid URL {shown!r}: No scheme supplied. Perhaps you meant https://{shown}?")
    if not parts.host:
        raise InvalidURL(f"Invalid URL {shown_url(url)!r}: No host supplied")
    if parts.host.startswith("*"):
        raise InvalidURL(f"URL has an invalid label: {shown_url(url)!r}")
    netloc = in_url(parts.host)
    if parts.userinfo is not None:
        netloc = f"{quoted(parts.userinfo, IN_USERINFO)}@{netloc}"
    if parts.port is not None:
        netloc = f"{netloc}:{parts.port}"
    path = _without_dot_segments(quoted(parts.path) or "/")
    query = "&".join(part for part in (quoted(parts.query or ""), query) if part)
    return requoted(urlunsplit((parts.scheme, netloc, path, query, quoted(parts.fragment or ""))))


_remembered = functools.lru_cache(256)(_complete)


def _added(hooks: Hooks, event: str, hook: Any) -> dict[str, list[Callable[..., Any]]]:
    found = checked_hooks(hooks)
    for name, more in checked_hooks({event: hook}).items():
        found[name].extend(more)
    return found


def _removed(hooks: Hooks, event: str, hook: Callable[..., Any]) -> bool:
    known = hooks.get(event, [])
    if hook not in known:
        return False
    known.remove(hook)
    return True


def checked_hooks(hooks: Hooks | None) -> dict[str, list[Callable[..., Any]]]:
    """Hooks by event, each a list. Raises ValueError for an event that there is not."""
    found: dict[str, list[Callable[..., Any]]] = {"response": []}
    if not hooks:
        return found
    for event, given in hooks.items():
        if event not in found:
            raise ValueError(f"Unsupported event specified, with event name {event!r}")
        found[event].extend([given] if callable(given) else (given or ()))
    return found


def encoded(data: Any) -> Any:
    """A form, or a query: mappings and pairs are encoded, str and bytes stay, files too."""
    if data is None or isinstance(data, (str, bytes)) or hasattr(data, "read"):
        return data
    if not hasattr(data, "__iter__"):
        return str(data)
    pairs: Iterable[Any] = data.items() if isinstance(data, Mapping) else data
    found: list[tuple[Any, Any]] = []
    for key, values in pairs:
        if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
            values = [values]
        found.extend((key, value) for value in values if value is not None)
    return urlencode(found, errors="surrogatepass")


def requoted(url: str) -> str:
    """A URL whose escapes are right: none for what needs none, one for each character that does."""
    return quote(_unescaped(BAD_ESCAPE.sub("%25", url)), safe=RESERVED)


def _unescaped(url: str) -> str:
    return _ESCAPED_UNRESERVED.sub(lambda match: _unreserved(match[1]), url)


def _unreserved(digits: str) -> str:
    character = chr(int(digits, 16))
    return character if character.isalnum() or character in "-._~" else f"%{digits}"


def _without_dot_segments(path: str) -> str:
    """RFC 3986 section 5.2.4."""
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            kept[-1:] = []
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join(kept) + ("/" if kept and path.endswith(("/.", "/..")) else "")


def _is_stream(data: Any) -> bool:
    return hasattr(data, "__iter__") and not isinstance(data, (str, bytes, list, tuple, Mapping))


def _in_memory(files: Any) -> bool:
    """Whether a form is small enough to be made at once: its files are bytes or str already."""
    values = files.values() if isinstance(files, Mapping) else (value for _, value in files)
    contents = (value[1] if isinstance(value, (tuple, list)) and len(value) > 1 else value for value in values)
    return all(isinstance(content, (bytes, bytearray, str, type(None))) for content in contents)
