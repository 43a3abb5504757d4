"""A server for the interop tests, written with requests and responses: tests/interop/node/compat_server.js answers the
same routes with Node's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from sync_h2 import ServerRequest, ServerResponse


def _json(value: object) -> bytes:
    """As JavaScript writes it."""
    return json.dumps(value, separators=(",", ":")).encode()


def _answer_json(response: ServerResponse, value: object) -> None:
    response.set_header("content-type", "application/json")
    response.end(_json(value))


def _refused(calls: list[Callable[[], object]]) -> list[bool]:
    """Whether each of the calls raises."""
    results = []
    for call in calls:
        try:
            call()
            results.append(False)
        except Exception:  # which one is for other tests
            results.append(True)
    return results


def describe(request: ServerRequest, response: ServerResponse, argument: str) -> None:
    body = request.read()
    _answer_json(
        response,
        {
            "method": request.method,
            "url": request.url,
            "scheme": request.scheme,
            "authority": request.authority == request.headers[":authority"],
            "version": [request.http_version, request.http_version_major, request.http_version_minor],
            "headers": [item for item in request.headers.items() if item[0].startswith("x-") or item[0] == "cookie"],
            "rawHeaders": [text for pair in request.raw_headers if pair[0].startswith("x-") for text in pair],
            "trailers": list(request.trailers.items()),
            "rawTrailers": [text for pair in request.raw_trailers for text in pair],
            "aborted": request.aborted,
            "length": len(body),
        },
    )


def echo(request: ServerRequest, response: ServerResponse, argument: str) -> None:
    response.set_header("content-type", request.headers.get("content-type", "application/octet-stream"))
    while chunk := request.read1():
        response.write(chunk)
    response.end()


def headers(request: ServerRequest, response: ServerResponse, argument: str) -> None:
    response.set_header("X-Mixed", "Case")
    response.set_header("x-number", 5)
    response.set_header("x-list", ["a", "b"])
    response.set_header("x-removed", "x")
    response.remove_header("X-Removed")
    response.append_header("set-cookie", "a=1")
    response.append_header("Set-Cookie", ["b=2", "c=3"])
    response.append_header("x-appended", "only")
    _answer_json(
        response,
        {
            "names": response.get_header_names(),
            "headers": list(response.get_headers().items()),
            "one": response.get_header("X-NUMBER"),
            "has": [response.has_header("X-List"), response.has_header("x-removed")],
            "before": [
                response.headers_sent,
                response.finished,
                response.writable_ended,
                response.send_date,
                response.status_code,
            ],
        },
    )


def head(request: ServerRequest, response: ServerResponse, argument: str) -> None:
    response.set_header("x-a", "old")
    response.set_header("x-b", "kept")
    response.write_head(201, {"X-A": "new", "x-c": "added"})
    response.end(b"written")


def head_with_message(request: ServerRequest, response: ServerResponse, argument: str) -> None:
    response.write_head(404, "Not Here", {"content-type": "text/plain"}).end(b"gone")


def head_of_pairs(request: ServerRequest, response: ServerResponse, argument: str) -> None:
    response.set_header("x-a", "old")
    response.write_head(200, [("x-a", "1"), ("x-a", "2"), ("set-cookie", "a=1"), ("set-cookie", "b=2")])
    response.end()


def flat_head(request: ServerRequest, response: ServerResponse, argument: str) -> None:
    response.write_head(200, ["x-a", "1", "x-a", "2", "x-b", "3"])
    response.end()


def flush(request: ServerRequest, response: ServerResponse, argument: str) -> None:
    response.status_code = 202
    response.flush_headers()
    response.flush_headers()
    response.end(_json(response.headers_sent))


def status(request: ServerRequest, response: ServerResponse, code: str) -> None:
    response.status_code = int(code)
    response.status_message = "Whatever"
    response.end(b"a body, if there can be one")


def no_date(request: ServerRequest, response: ServerResponse, argument: str) -> None:
    response.send_date = False
    response.end(b"timeless")


def removed_date(request: ServerRequest, response: ServerResponse, argument: str) -> None:
    response.remove_header("date")
    response.end(b"timeless")


def date(request: ServerRequest, response: ServerResponse, argument: str) -> None:
    response.set_header("date", "Thu, 01 Jan 1970 00:00:00 GMT")
    response.end(b"long ago")


def redirect(request: ServerRequest, response: ServerResponse, argument: str) -> None:
    response.write_head(302, {"location": "/elsewhere"})
    response.end()


def connection(request: ServerRequest, response: ServerResponse, argument: str) -> None:
    response.set_header("Connection", "keep-alive")
    response.set_header("x-kept", "1")
    response.end(_json(response.has_header("connection")))


def trailers(request: ServerRequest, response: ServerResponse, argument: str) -> None:
    response.set_trailer("X-First", "1")
    response.write(b"trailers ")
    response.add_trailers({"x-second": "2", "x-third": 3})
    response.end(b"follow")


def hints(request: ServerRequest, response: ServerResponse, argument: str) -> None:
    sent = [
        response.write_early_hints({"link": "</style.css>; rel=preload", "x-trace": "1"}),
        response.write_early_hints({"link": ["</a.js>; rel=preload", "</b.js>; rel=preload"]}),
        response.write_early_hints({"link": []}),
    ]
    response.end(_json(sent))


def push(request: ServerRequest, response: ServerResponse, argument: str) -> None:
    pushed = response.create_push_response({":path": "/pushed"})
    pushed.set_header("x-pushed", "yes")
    pushed.status_code = 201
    pushed.end(b"pushed")
    response.end(b"one push")


def misuse(request: Any, response: Any, argument: str) -> None:
    before = _refused(
        [
            lambda: setattr(response, "status_code", 99),
            lambda: setattr(response, "status_code", 101),
            lambda: setattr(response, "status_code", 199),
            lambda: setattr(response, "status_code", 600),
            lambda: setattr(response, "status_code", 599),
            lambda: setattr(response, "status_code", 200),
            lambda: response.set_header("", "x"),
            lambda: response.set_header("a b", "x"),
            lambda: response.set_header(":status", "200"),
            lambda: response.set_header("x-none", None),
            lambda: response.set_header(5, "x"),
            lambda: response.append_header("", "x"),
            lambda: response.set_trailer(":path", "x"),
            lambda: response.set_trailer("x-none", None),
            lambda: response.get_header(5),
            lambda: response.write_early_hints({}),
            lambda: response.write_early_hints({"link": "no link"}),
            lambda: response.write_early_hints(5),
            lambda: setattr(request, "method", " "),
            lambda: setattr(request, "method", 5),
        ]
    )
    response.write_head(200)
    after = _refused(
        [
            lambda: response.set_header("x", "y"),
            lambda: response.append_header("x", "y"),
            lambda: response.remove_header("x"),
            lambda: response.write_head(200),
            lambda: response.flush_headers(),
        ]
    )
    late = [response.write_continue(), response.write_early_hints({"link": "</a>; rel=preload"})]
    response.end(_json([before, after, late]))
    response.end()


ROUTES: dict[str, Callable[[ServerRequest, ServerResponse, str], None]] = {
    "describe": describe,
    "echo": echo,
    "headers": headers,
    "head": head,
    "head-with-message": head_with_message,
    "head-of-pairs": head_of_pairs,
    "flat-head": flat_head,
    "flush": flush,
    "status": status,
    "no-date": no_date,
    "removed-date": removed_date,
    "date": date,
    "redirect": redirect,
    "connection": connection,
    "trailers": trailers,
    "hints": hints,
    "push": push,
    "misuse": misuse,
}


def on_request(request: ServerRequest, response: ServerResponse) -> None:
    name, *argument = re.split("[/?]", request.url)[1:] or [""]
    route = ROUTES.get(name)
    if route is None:
        response.status_code = 404
        response.end(b"no such route")
    else:
        route(request, response, *argument[:1] or [""])


def on_check_continue(request: ServerRequest, response: ServerResponse) -> None:
    if request.url == "/refused":
        response.write_head(403).end(b"not wanted")
    else:
        response.write_continue()
        on_request(request, response)
