"""A handler that serves the files of a folder. Runs on the handlers' threads; they share nothing but the folder's name.

What lies outside of the folder is never sent: names are taken apart before they are decoded, `..` names nothing, and a
path is opened only after its symbolic links were followed to where they end, which must be in the folder. (Whoever can
change the folder while it is served decides what is in it.)
"""

from __future__ import annotations

import errno
import html
import mimetypes
import os
import stat
import time
from collections.abc import Iterator
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import quote, unquote_to_bytes

from ...connection.server_side.file_responses import FileRange
from ...connection.server_side.handling_session import Handler
from ...connection.server_side.server_stream import ServerStream
from ...interpreter import SharedDict
from ...protocol.fields.headers import Headers, HeaderValue
from .representation import best_coding, precondition_failure, wanted_range

_INDEX_PAGES = ("index.html", "index.htm")
_COMPRESSED = {"br": ".br", "gzip": ".gz"}
"""Content codings, the best first, and what a sibling that is compressed so has behind its name."""

_COMPRESSED_TYPES = SharedDict(
    {
        "br": "application/x-brotli",
        "bzip2": "application/x-bzip2",
        "compress": "application/x-compress",
        "gzip": "application/gzip",
        "xz": "application/x-xz",
    }
)
_SAYS_ITS_CHARSET = ("text/html", "text/xml")
_LONGEST_PATH = 3 * 4096
"""No system has longer names: 4096 bytes, each of them quoted."""

_NO_SUCH_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


def static_files(directory: str | os.PathLike[str], *, listings: bool = True) -> Handler:
    """A handler that serves the files under `directory`, hidden ones too: `create_server(static_files("public"))`.

    GET and HEAD; a folder is answered with its `index.html`, or, with `listings`, with a page of links to what is in
    it. ETag, Last-Modified and the preconditions that go with them, single ranges, and siblings named `.br` or `.gz`
    in place of a file that is not newer than they are, for clients that accept that. Symbolic links are followed when
    they end inside of `directory`. Raises `NotADirectoryError`.
    """
    root = os.path.realpath(directory)
    if not os.path.isdir(root):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(directory))
    return _Folder(root, listings).handle


class _Folder:
    def __init__(self, root: str, listings: bool) -> None:
        self._root = root
        self._inside = os.path.join(root, "")  # with a separator at its end
        self._listings = listings

    def handle(self, stream: ServerStream, headers: Headers) -> None:
        if headers[":method"] not in ("GET", "HEAD"):
            _answer(stream, 405, {"allow": "GET, HEAD"})
            return
        target, question_mark, query = headers[":path"].partition("?")
        if len(target) > _LONGEST_PATH:
            _answer(stream, 414)
            return
        names = _names(target)
        path = None if names is None else self._real_path(self._root, *names)
        if names is None or path is None:
            _answer(stream, 404)
            return
        try:
            mode = os.stat(path).st_mode
            if not stat.S_ISDIR(mode):
                if stat.S_ISREG(mode) and not target.endswith("/"):
                    self._send_file(stream, headers, path)
                else:
                    _answer(stream, 404)
            elif not target.endswith("/"):
                # Made of the names, because "//host" in a target must not become one of another host.
                location = "".join(f"/{quote(os.fsencode(name), safe='')}" for name in names) + "/"
                _answer(stream, 301, {"location": location + question_mark + query})
            else:
                self._send_folder(stream, headers, path, names)
        except OSError as error:
            _could_not_read(stream, error)

    def _real_path(self, *names: str) -> str | None:
        """Where this is with all symbolic links followed; None outside of the folder."""
        path = os.path.realpath(os.path.join(*names))
        return path if path == self._root or path.startswith(self._inside) else None

    def _send_folder(self, stream: ServerStream, headers: Headers, path: str, names: list[str]) -> None:
        for name in _INDEX_PAGES:
            page = self._real_path(path, name)
            if page is not None and os.path.isfile(page):
                self._send_file(stream, headers, page)
                return
        if not self._listings:
            _answer(stream, 403)
            return
        body = _listing(names, self._entries(path)).encode()
        stream.respond({"content-type": "text/html; charset=utf-8", "content-length": len(body)})
        stream.end(body)

    def _entries(self, path: str) -> Iterator[tuple[str, os.stat_result]]:
        """Names, and what they lead to, of what would be sent."""
        with os.scandir(path) as entries:
            for entry in entries:
                target = self._real_path(path, entry.name) if entry.is_symlink() else entry.path
                if target is None:
                    continue
                try:
                    status = os.stat(target)
                except OSError:  # gone meanwhile, or a link to what is not there
                    continue
                if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
                    yield entry.name, status

    def _send_file(self, stream: ServerStream, request: Headers, path: str) -> None:
        answer: dict[str, HeaderValue] = {"content-type": _content_type(path), "accept-ranges": "bytes"}
        siblings = dict(self._siblings(path))
        coding = None
        if siblings:
            answer["vary"] = "accept-encoding"
            coding = best_coding(request.get("accept-encoding", ""), siblings)
            if coding is not None:
                answer["content-encoding"] = coding
                path = siblings[coding]

        def check(status: os.stat_result, fields: Headers, span: FileRange) -> bool:
            size = span.size
            if size is None:  # made as it is read: neither parts nor a tag, nor a time, mean anything
                del fields["accept-ranges"]
                return True
            # Not the same tag for other bytes: a strong one names them (RFC 9110 section 8.8.3).
            etag = f'"{status.st_mtime_ns:x}-{size:x}{"-" if coding else ""}{coding or ""}"'
            modified = min(int(status.st_mtime), int(time.time()))  # RFC 9110 section 8.8.2.1
            fields["etag"], fields["last-modified"] = etag, formatdate(modified, usegmt=True)
            instead = precondition_failure(request, etag, modified)
            if instead == 304:
                kept = {name: fields[name] for name in ("etag", "last-modified", "vary") if name in fields}
                stream.respond({":status": 304, **kept}, end_stream=True)
                return False
            if instead is not None:
                _answer(stream, instead)
                return False
            wanted = wanted_range(request, size, etag, modified) if request[":method"] == "GET" else None
            if wanted is None:
                return True
            if not wanted:
                _answer(stream, 416, {"content-range": f"bytes */{size}"})
                return False
            fields[":status"] = 206
            fields["content-range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{size}"
            span.offset, span.length = wanted.start, len(wanted)
            return True

        def failed(error: Exception) -> None:
            if not isinstance(error, OSError):
                raise error
            _could_not_read(stream, error)

        stream.respond_with_file(path, answer, stat_check=check, on_error=failed)

    def _siblings(self, path: str) -> Iterator[tuple[str, str]]:
        """Codings and paths of the compressed forms of a file; one that is older has the content of another time."""
        for coding, ending in _COMPRESSED.items():
            sibling = self._real_path(path + ending)
            if sibling is not None and os.path.isfile(sibling) and os.path.getmtime(sibling) >= os.path.getmtime(path):
                yield coding, sibling


def _names(target: str) -> list[str] | None:
    """The names that the path of a request is made of; None when no file can have them."""
    if not target.startswith("/"):
        return None
    names = []
    for part in target.split("/"):
        # As bytes, because a file's name can be any.
        name = os.fsdecode(unquote_to_bytes(part.encode("latin-1")))
        if name in ("", "."):
            continue
        if name == ".." or "\0" in name or os.sep in name or (os.altsep and os.altsep in name):
            return None
        names.append(name)
    return names


def _content_type(path: str) -> str:
    kind, encoding = mimetypes.guess_type(path)
    if encoding is not None:  # a compressed file that was asked for by its own name is not to be unpacked on the way
        return _COMPRESSED_TYPES.get(encoding, "application/octet-stream")
    if kind is None:
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") and kind not in _SAYS_ITS_CHARSET else kind


def _answer(stream: ServerStream, status: int, fields: dict[str, str] | None = None) -> None:
    """Answer without a file: a line that says the status."""
    body = f"{status} {HTTPStatus(status).phrase}\n".encode()
    content = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body))}
    stream.respond({":status": status, **content, **(fields or {})})
    stream.end(body)


def _could_not_read(stream: ServerStream, error: OSError) -> None:
    """Answer for a file that can't be opened. What is the machine's fault goes on: to the log, and to a 500."""
    if isinstance(error, PermissionError):
        _answer(stream, 403)
    elif error.errno in _NO_SUCH_FILE:
        _answer(stream, 404)
    else:
        raise error


_PAGE = """<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font-family: sans-serif; margin: 2em }}
td {{ padding: 0.2em 2em 0.2em 0 }}
td + td {{ text-align: right; font-variant-numeric: tabular-nums; color: GrayText }}
</style>
</head>
<body>
<h1>{title}</h1>
<table>
{rows}
</table>
</body>
</html>
"""


def _listing(names: list[str], entries: Iterator[tuple[str, os.stat_result]]) -> str:
    """A page of links to `entries`, folders first."""
    rows = ['<tr><td><a href="../">../</a></td><td></td><td></td></tr>'] if names else []
    found = [(name, status, stat.S_ISDIR(status.st_mode)) for name, status in entries]
    for name, status, is_folder in sorted(found, key=lambda entry: (not entry[2], entry[0].casefold(), entry[0])):
        slash = "/" if is_folder else ""
        # All but letters and digits quoted, so that a colon does not make a scheme of what stands before it.
        link = quote(os.fsencode(name), safe="") + slash
        size = "" if is_folder else f"{status.st_size:,}"
        modified = time.strftime("%Y-%m-%d %H:%M", time.localtime(status.st_mtime))
        rows.append(f'<tr><td><a href="{link}">{_shown(name)}{slash}</a></td><td>{size}</td><td>{modified}</td></tr>')
    title = f"Index of /{''.join(f'{_shown(name)}/' for name in names)}"
    return _PAGE.format(title=title, rows="\n".join(rows))


def _shown(name: str) -> str:
    return html.escape(os.fsencode(name).decode("utf-8", "replace"))
