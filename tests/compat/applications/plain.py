"""Small WSGI applications, one for each thing that PEP 3333 lets an application do. All but `with_file` hold to
`wsgiref.validate`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
TEXT = ("Content-Type", "text/plain")


def one_piece(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [TEXT])
    return [b"in one piece"]


def several_pieces(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [TEXT, ("Content-Length", "11")])
    return [b"", b"in ", b"", b"several", b"!", b""]


def generated(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """`start_response` is called when the first piece is asked for."""
    start_response("201 Created", [TEXT, ("X-Many", "1"), ("X-Many", "2")])
    yield b""
    for number in range(100):
        yield b"piece %d\n" % number


def nothing(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [TEXT])
    return []


def no_content(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("204 No Content", [])
    return []


def not_modified(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("304 Not Modified", [("ETag", '"1"')])
    return []


def written(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    write = start_response("200 OK", [TEXT])
    write(b"written ")
    write(b"")
    write(b"and ")
    return [b"returned"]


def replaced(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [TEXT, ("X-First", "1")])
    try:
        raise ValueError("found out late")
    except ValueError:
        start_response("500 Oops", [TEXT, ("X-Second", "1")], sys.exc_info())
    return [b"an error of the application's own"]


def echo(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The body, read in two ways; never beyond its length, where other servers wait for more."""
    body = environ["wsgi.input"]
    length = int(environ.get("CONTENT_LENGTH") or 0)
    received = body.read(min(4, length))
    while len(received) < length // 2:
        received += body.readline(min(100, length - len(received)))
    received += body.read(length - len(received))
    start_response("200 OK", [TEXT])
    return [received]


_SAME_EVERYWHERE = (
    *("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "CONTENT_LENGTH", "REMOTE_ADDR"),
    *("wsgi.version", "wsgi.url_scheme", "wsgi.run_once", "HTTP_ACCEPT", "HTTP_COOKIE", "HTTP_X_TWICE", "HTTP_X_LATIN"),
)


def environment(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """What is the same for every server."""
    start_response("200 OK", [TEXT])
    return [f"{key}: {environ.get(key) or None!r}\n".encode("latin-1") for key in _SAME_EVERYWHERE]


def with_file(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    file = Path(__file__).open("rb")  # noqa: SIM115 - the server closes it
    file.seek(10)
    start_response("200 OK", [TEXT])
    pieces: Iterable[bytes] = environ["wsgi.file_wrapper"](file, 100)
    return pieces


def failing(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [TEXT])
    raise RuntimeError("this application fails")
