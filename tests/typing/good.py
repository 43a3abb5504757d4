"""Typical use of everything, as it is written where types are checked: no checker finds anything here.

`check.py` has it checked; nothing of it runs.
"""

# pyright: strict

from __future__ import annotations

import contextlib
import http.server
import io
import json
import os
import shutil
import socket
import ssl
import urllib.request
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import requests

import sync_h2
import sync_h2.testing
from sync_h2 import compat
from sync_h2.adapters import HTTPAdapter, HTTPXTransport, RequestsAdapter
from sync_h2.auth import HTTPBasicAuth
from sync_h2.cookies import RequestsCookieJar

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


# -- handlers


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    if headers[":method"] not in ("GET", "HEAD") or not headers[":path"].startswith("/news"):
        stream.respond({":status": 404, "content-type": "text/plain", "content-length": 9})
        stream.end(b"not found")
        return
    if "no-cache" in headers.get("cache-control", ""):
        stream.respond({"content-type": "text/html", "set-cookie": ["a=1", "b=2"]}, end_stream=True)
        return
    language = headers.get("accept-language")
    stream.respond([("content-type", "text/plain"), ("content-length", "2")])
    stream.end((language or "en")[:2].encode())


def add(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    numbers: list[int] = json.load(stream.rfile)
    with io.TextIOWrapper(stream.wfile) as text:
        json.dump({"sum": sum(numbers)}, text)


def upper(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    stream.respond(wait_for_trailers=True)
    for line in io.TextIOWrapper(stream.rfile, encoding="utf-8"):
        stream.write(line.upper().encode())
    stream.send_trailers({"x-lines": 3})


def copy(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    shutil.copyfileobj(stream.rfile, stream.wfile)
    with io.BufferedReader(stream.rfile) as source, io.BufferedWriter(stream.wfile) as target:
        target.write(source.read(10))


def page(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    stream.additional_headers({":status": 103, "link": "</style.css>; rel=preload"})
    if stream.push_allowed:
        with stream.push_stream({":path": "/style.css"}) as pushed:
            pushed.respond({"content-type": "text/css"})
            pushed.end(b"body { color: green }")
    stream.session.altsvc('h2=":8443"', stream)
    stream.session.origin("https://example.org")
    address: Any = stream.session.socket.getpeername()
    stream.respond_with_file(Path("page.html"), {"x-client": str(address)}, stat_check=check, on_error=print)


def check(status: os.stat_result, headers: sync_h2.Headers, part: sync_h2.FileRange) -> bool:
    headers["last-modified"] = str(status.st_mtime)
    part.offset, part.length = 0, 100
    return True


def forward(upstream: sync_h2.ClientSession) -> Callable[[sync_h2.ServerStream, sync_h2.Headers], None]:
    def forward_one(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        request = upstream.request({**headers, ":authority": "example.org"}, end_stream=False)
        with request.wfile as body:
            shutil.copyfileobj(stream.rfile, body)
        fields = {name: value for name, value in request.wait_response().items() if not name.startswith("x-")}
        stream.respond(fields)
        for chunk in request:
            stream.write(chunk)
        stream.end()

    return forward_one


def on_request(request: sync_h2.ServerRequest, response: sync_h2.ServerResponse) -> None:
    if request.method != "POST":
        response.write_head(405, {"allow": "POST"}).end(b"only POST")
        return
    response.set_header("content-type", "text/plain")
    response.set_header("set-cookie", ["a=1", "b=2"])
    body = json.load(request)
    for line in request:
        print(line.decode())
    response.end(f"{request.path}: {body}".encode())


# -- sessions and streams


def sessions() -> None:
    with sync_h2.connect("http://localhost", timeout=5, read_timeout=30, settings={"enable_push": False}) as session:

        @session.on("goaway")
        def goaway(code: int, last_stream_id: int, opaque_data: bytes) -> str:
            return f"{code} {last_stream_id} {opaque_data!r}"

        said: str = goaway(0, 1, b"")
        session.on("close", print)
        session.once("remote_settings", print)
        session.off("close", print)

        stream = session.request({":method": "POST", ":path": "/", "content-length": 3}, listeners={"response": print})
        stream.end(b"abc", timeout=3.5)
        response = stream.wait_response()
        if response[":status"] == "200" and int(response.get("content-length", "0")) > 0:
            print(stream.read().decode(), len(stream.read(10, timeout=1)))
        cookies: list[str] = response["set-cookie"]
        first: str | None = response.get("etag")
        everything: dict[str, str | list[str]] = {**response}
        the_same = dict(response)
        pairs: list[tuple[str, str]] = response.pairs()
        marked = sync_h2.Headers({":path": "/account"})
        marked.add("x-api-key", "secret", sensitive=True)
        marked["x-many"] = ["a", "b"]
        marked["x-number"] = 3
        marked.setdefault("x-other", "text")
        session.request(marked).close(sync_h2.ErrorCode.CANCEL)
        session.request(sync_h2.Headers(pairs)).read()
        session.request(response.items()).read()
        session.request((name, value) for name, value in pairs)
        trailers: sync_h2.Headers = stream.wait_trailers()
        for pushed in stream.pushes():
            print(pushed.request_headers[":path"].partition("?"), pushed.read())
        print([early[":status"] for early in stream.informational], trailers.get_all("x-lines"))
        print(f"{session.ping().duration:.3f} s")
        session.settings({"max_concurrent_streams": 10}, wait=True)
        print(session.remote_settings.max_frame_size, session.state, session.stats.stream_count, session.dump())
        print(said, cookies, first, everything, the_same)
    context = ssl.create_default_context()
    sync_h2.connect("https://localhost", context=context, keepalive_interval=None, padding_strategy="max").destroy()
    with contextlib.suppress(sync_h2.HTTP2Error), sync_h2.connect("unix:/run/app.sock", sock=socket.socket()):
        pass
    try:
        sync_h2.connect("https://localhost:1", cafile=Path("authority.pem"), certfile=b"---", trace=print)
    except sync_h2.StreamReset as error:
        code: int | None = error.code
        print(code, error.stream_id, error.retryable, error.partial)


def in_parallel(session: sync_h2.ClientSession, paths: Iterable[str]) -> list[bytes]:
    def get(path: str) -> bytes:
        return session.request({":path": path}).read(timeout=10)

    with ThreadPoolExecutor(20) as threads:
        return list(threads.map(get, paths))


# -- servers


def servers() -> None:
    server = sync_h2.create_server(handler, port=8080, max_workers=16, allow_http1=True, max_session_memory=2**20)

    @server.on("session")
    def new_session(session: sync_h2.ServerSession) -> None:
        print(session.socket.getpeername())

    server.start()
    with server, sync_h2.create_server(on_request=on_request, listeners={"close": print}) as other:
        print(other.url, other.address, [session.peer_certificate for session in other.sessions])
    with sync_h2.create_secure_server(
        add, "", 8443, certfile="server.pem", keyfile=b"---", origins=["https://example.org"], idle_timeout=None
    ) as secure:
        secure.reload_certificate("server.pem")
        secure.update_settings(sync_h2.Settings(max_concurrent_streams=10))
        secure.serve_forever()
    near, far = socket.socketpair()
    session: sync_h2.ServerSession = sync_h2.serve_socket(far, upper, read_timeout=5)
    sync_h2.connect("http://localhost", sock=near).close()
    session.close()
    sync_h2.create_server(sync_h2.static_files(Path("public"), listings=False)).close()
    with ThreadPoolExecutor(2) as executor:
        sync_h2.create_server(forward(sync_h2.connect("http://localhost:9000")), executor=executor).close()


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]


def plain_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [])
    return []


class Folder(http.server.SimpleHTTPRequestHandler):
    pass


def standard_library() -> None:
    sync_h2.create_server(compat.wsgi(app, environ={"SCRIPT_NAME": "/app"}), read_timeout=3)
    sync_h2.serve_wsgi(plain_app, port=8080, max_workers=4, write_timeout=10)
    sync_h2.serve_wsgi(app, certfile="server.pem", keyfile="server.key", cafile="clients.pem")
    sync_h2.create_server(compat.handler_for(Folder, directory="."))
    connection = compat.HTTP2Connection("localhost", 8443, timeout=10)
    connection.request("GET", "/")
    print(connection.getresponse().read())
    with urllib.request.build_opener(compat.HTTP2Handler(h2c=True)).open("http://localhost") as response:
        print(response.read())


# -- calls with URLs


def calls() -> None:
    print(sync_h2.get("https://example.org", params={"q": "1"}, timeout=10).json()["key"])
    sync_h2.post("https://example.org", json={"a": 1}, headers={"x-app": "report"}, allow_redirects=False)
    sync_h2.request("PATCH", "https://example.org", data=b"abc", verify=False)
    timeouts = sync_h2.Timeouts(connect=3, total=30)
    limits = sync_h2.PoolLimits(max_connections=3)
    with sync_h2.Client(
        base_url="http://localhost:8080",
        h2c=True,
        headers={"x-app": "report"},
        timeout=timeouts,
        limits=limits,
        retries=3,
        retry_statuses=[503],
        resolve={"example.org": "127.0.0.1:8443"},
        read_timeout=3,
        settings={"enable_push": False},
        auth=("name", "password"),
        verify=Path("authority.pem"),
    ) as client:
        response = client.get("/", headers={"accept": None}, auth=HTTPBasicAuth("name", "password"))
        response.raise_for_status()
        status: int = response.status_code
        text: str = response.text
        content: bytes = response.content
        kind: str = response.headers["content-type"].lower()
        with open("report.csv", "rb") as file:
            client.post("/reports", data=file, on_upload=lambda sent, total: print(sent, total))
            client.put("/reports", file, timeout=(3, None))
        client.post("/reports", files={"file": ("name", b"abc")}, cookies={"a": "b"})
        client.head("/", timeout=None).close()
        with client.stream("GET", "/large", on_download=print) as large, open("large", "wb") as target:
            for chunk in large.iter_content(65536):
                target.write(chunk)
            print([line.partition(b":") for line in large.iter_lines()], large.url.partition("?"), large.reason)
            text_lines: list[str] = list(large.iter_lines(decode_unicode=True))
            print(text_lines, large.cookies.get("a"), large.headers.get("etag"))
        for one in client.map([f"/{number}" for number in range(20)], max_workers=8):
            print(one.status_code, one.http_version, one.elapsed.total_seconds())
        client.map([{"method": "GET", "url": "/"}, sync_h2.Request("GET", "/")], return_exceptions=True)
        client.mount("https://", HTTPAdapter(pool_maxsize=3, h2c=True, read_timeout=3))
        client.send(client.prepare_request(sync_h2.Request("GET", "/")), stream=True, timeout=3)
        client.cookies = RequestsCookieJar()
        client.headers["x-more"] = "text"
        print(status, text, content, kind)
    try:
        sync_h2.get("https://example.org", cert=("client.pem", "client.key"))
    except sync_h2.exceptions.ConnectTimeout as error:
        print(error.request, error.processed)
    except sync_h2.RequestException as error:
        print(error.response)


def other_clients() -> None:
    with requests.Session() as session:
        session.mount("https://", RequestsAdapter(max_retries=3, read_timeout=10))
        print(session.get("https://example.org").text)
    with httpx.Client(transport=HTTPXTransport(verify=False, keepalive_interval=10)) as client:
        print(client.get("https://example.org").http_version)


# -- tests


@contextlib.contextmanager
def connected() -> Generator[sync_h2.ClientSession, None, None]:
    client, _server = sync_h2.testing.pair(handler, on_request=None, read_timeout=5)
    with client:
        yield client


def scripted() -> None:
    with sync_h2.testing.ScriptedServer() as server:
        server.route("/news").respond(200, {"content-type": "text/plain"}, b"hello")
        server.route("/reset").reset(sync_h2.ErrorCode.ENHANCE_YOUR_CALM)
        server.route("/cut", "POST").respond(200, {"content-length": "100"}).data(b"x" * 10).drop()
        server.goaway_after(3)
        with server.client(timeout=10) as client:
            client.get("/news")
        assert server.wait_request().path == "/news"


def in_process() -> None:
    with sync_h2.Client() as client:
        client.mount("https://api.example.org", sync_h2.testing.HandlerTransport(handler))
        client.mount("https://app.example.org", sync_h2.testing.WSGITransport(app))
