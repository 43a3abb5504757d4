"""What `get` is asked for: URLs as people type them, and the requests that they become. On the main
thread; redirects on that of their request.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import quote, unquote_to_bytes

from ...client.calls.redirects import method_after
from ...client.messages.decoding import accept_encoding
from ...client.options.auth import keeps_authorization
from ...client.values.urls import joined
from ...errors import InvalidArgument
from ...file_size import size_of
from ...protocol.fields.headers import Headers
from ...transport.host_names import in_url
from ...transport.urls import URL, shown_url, split_url
from ..exit_status import CommandError, ExitStatus

_INDEX = "index.html"
CREDENTIALS = ("authorization", "cookie", "proxy-authorization")
# Reserved characters mean something where they stand, and % begins what is quoted already (RFC 3986 section 2).
_KEPT = "!#$%&'()*+,/:;=?@[]~"


@dataclass(frozen=True)
class Target:
    """A URL, taken apart."""

    origin: str
    """What `connect` takes."""
    path: str
    """`:path`: with the query, without a fragment."""

    @property
    def url(self) -> str:
        """In ASCII: international host names in IDNA, other characters percent-encoded."""
        return self.origin + self.path

    @property
    def file_name(self) -> str:
        """What a file with its content is called."""
        name = os.fsdecode(unquote_to_bytes(self.path.partition("?")[0].rpartition("/")[2]))
        name = name.replace("/", "_").replace("\0", "_")
        return _INDEX if name in ("", os.curdir, os.pardir) else name


def parse_target(url: str) -> Target:
    """Raises `CommandError` for what is no URL of ours."""
    try:
        parts = split_url(url)
    except InvalidArgument as error:
        raise CommandError(f"{shown_url(url)} is no URL: {error}", ExitStatus.USAGE) from error
    shown = shown_url(url)
    if parts.scheme not in ("http", "https") or not parts.host:
        raise CommandError(f"{shown} is no URL that begins with https:// or http:// and a host", ExitStatus.USAGE)
    if parts.userinfo is not None:
        raise CommandError(f"{shown}: send a user's name and password with --header", ExitStatus.USAGE)
    netloc = in_url(parts.host)
    if parts.port is not None:
        netloc = f"{netloc}:{parts.port}"
    return Target(f"{parts.scheme}://{netloc}", _path(parts))


def followed(target: Target, fields: Headers, status: int, location: str) -> tuple[Target, Headers, bool]:
    """Where a redirect leads, with what fields, and whether the body goes along, as a `Client` has it. Credentials go
    to the same origin only. Raises `CommandError`.
    """
    try:
        found = parse_target(joined(target.url, location))
    except ValueError as error:
        shown = shown_url(location)
        raise CommandError(f"{target.url} leads to {shown}, which is no URL: {error}", ExitStatus.USAGE) from error
    fields = fields.copy()
    before = fields[":method"]
    fields[":method"] = method_after(status, before)
    keeps_body = status in (307, 308)
    if not keeps_body:
        for name in ("content-length", "content-type"):
            fields.pop(name, None)
    if not keeps_authorization(target.url, found.url):
        for name in (*CREDENTIALS, ":authority"):
            fields.pop(name, None)
    return found, fields, keeps_body


def _path(parts: URL) -> str:
    path = quote(os.fsencode(parts.path), safe=_KEPT) or "/"
    return path + (f"?{quote(os.fsencode(parts.query), safe=_KEPT)}" if parts.query else "")


class Body:
    """The body of requests: bytes, or a file that each request reads anew."""

    def __init__(self, data: str) -> None:
        """`data` is the text itself, `@` and a file's name, or `@-` for stdin. Raises `OSError`."""
        self._path: str | None = None
        self._content = b""
        if not data.startswith("@"):
            self._content = os.fsencode(data)
        elif data == "@-":
            self._content = sys.stdin.buffer.read()
        else:
            with open(data[1:], "rb") as file:
                size = size_of(file.fileno(), os.fstat(file.fileno()))
                if size is not None:
                    self._path, self.length = data[1:], size
                    return
                self._content = file.read()  # a FIFO, say, that can be read once, or /proc
        self.length = len(self._content)

    def open(self) -> BinaryIO:
        if self._path is None:
            return io.BytesIO(self._content)
        return open(self._path, "rb")


def takes_codings(options: argparse.Namespace) -> bool:
    """Whether bodies are asked for compressed, and decoded: not where the user says how they should come."""
    given = {line.partition(":")[0].strip().lower() for line in options.header}
    return not options.raw and options.continue_at is None and not given & {"accept-encoding", "range"}


def request_fields(lines: Sequence[str], method: str | None, body: Body | None, *, compressed: bool) -> Headers:
    """Method and fields of all requests: what the user asks for (`lines` of fields among it), and what he leaves open;
    `compressed`: bodies may come so.
    """
    fields = Headers({"user-agent": "sync-h2", "accept": "*/*"})
    if compressed:
        fields["accept-encoding"] = accept_encoding()
    if body is not None:
        fields["content-type"] = "application/x-www-form-urlencoded"
        fields["content-length"] = body.length
    given = []
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if not colon or not name:
            raise CommandError(f"--header {line!r} is no name and value with a colon between", ExitStatus.USAGE)
        name = ":authority" if name == "host" else name
        fields.pop(name, None)
        # As it was typed: in UTF-8, mostly.
        given.append((name, os.fsencode(value.strip()).decode("latin-1")))
    for name, value in given:
        if value:  # without one, it only takes away what would be there
            fields.add(name, value)
    fields[":method"] = method or ("GET" if body is None else "POST")
    return fields
