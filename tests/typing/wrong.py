"""Uses that checkers must refuse: each line that ends with `# mypy: …; pyright: …` has these errors, no other has any.

`check.py` has it checked; nothing of it runs.
"""

from __future__ import annotations

import io

import sync_h2
from sync_h2 import compat, testing
from sync_h2.adapters import HTTPAdapter, HTTPXTransport, RequestsAdapter


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    if headers[":status"] == 200:  # mypy: comparison-overlap
        pass
    headers["accept"].append("text/html")  # mypy: attr-defined; pyright: reportAttributeAccessIssue
    headers.get("accept").lower()  # mypy: union-attr; pyright: reportOptionalMemberAccess
    headers["set-cookie"].lower()  # mypy: attr-defined; pyright: reportAttributeAccessIssue
    headers["x-number"] = 3.5  # mypy: assignment; pyright: reportArgumentType
    stream.respond({"x-octets": b"octets"})  # mypy: dict-item; pyright: reportArgumentType
    stream.respond({"x-none": None})  # mypy: dict-item; pyright: reportArgumentType
    stream.respond("text/html")  # mypy: arg-type; pyright: reportArgumentType
    stream.respond({}, 200)  # mypy: arg-type, call-arg; pyright: reportCallIssue
    stream.respond(status=200)  # mypy: call-arg; pyright: reportCallIssue
    stream.write("text")  # mypy: arg-type; pyright: reportArgumentType
    stream.end({"a": 1})  # mypy: arg-type; pyright: reportArgumentType
    stream.respond_with_file(3)  # mypy: arg-type; pyright: reportArgumentType
    io.TextIOWrapper(stream)  # mypy: type-var; pyright: reportArgumentType
    stream.session.altsvc(1)  # mypy: arg-type, call-arg; pyright: reportCallIssue


def no_handler(stream: sync_h2.ServerStream) -> None:
    pass


def on_request(request: sync_h2.ServerRequest, response: sync_h2.ServerResponse) -> None:
    response.set_header("x-octets", b"octets")  # mypy: arg-type; pyright: reportArgumentType
    response.end("text")  # mypy: arg-type; pyright: reportArgumentType
    response.status_code = "404"  # mypy: assignment; pyright: reportAttributeAccessIssue


def sessions() -> None:
    sync_h2.connect("http://localhost", red_timeout=3)  # mypy: call-arg; pyright: reportCallIssue
    sync_h2.connect("http://localhost", read_timeout="3")  # mypy: arg-type; pyright: reportArgumentType
    sync_h2.connect("http://localhost", 3)  # mypy: call-arg; pyright: reportCallIssue
    sync_h2.connect(8080)  # mypy: arg-type; pyright: reportArgumentType
    session = sync_h2.connect("http://localhost", http1_early_hints=1)  # mypy: arg-type; pyright: reportArgumentType
    session.request({":path": "/"}, read_timeout=3)  # mypy: call-arg; pyright: reportCallIssue
    session.request({":path": 3.5})  # mypy: dict-item; pyright: reportArgumentType
    session.request("/")  # mypy: arg-type; pyright: reportArgumentType
    session.on("close", "function")  # mypy: call-overload; pyright: reportArgumentType, reportCallIssue
    session.wait_response()  # mypy: attr-defined; pyright: reportAttributeAccessIssue

    @session.on("goaway")
    def goaway(code: int) -> str:
        return str(code)

    goaway("text")  # mypy: arg-type; pyright: reportArgumentType


def servers() -> None:
    sync_h2.create_server(no_handler)  # mypy: arg-type; pyright: reportArgumentType
    sync_h2.create_server(on_request)  # mypy: arg-type; pyright: reportArgumentType
    sync_h2.create_server(handler, 8080)  # mypy: arg-type; pyright: reportArgumentType
    sync_h2.create_server(handler, "", 8080, certfile="server.pem")  # mypy: call-arg; pyright: reportCallIssue
    sync_h2.create_server(handler, max_worker=3)  # mypy: call-arg; pyright: reportCallIssue
    sync_h2.create_secure_server(handler, certfil="server.pem")  # mypy: call-arg; pyright: reportCallIssue
    sync_h2.create_secure_server(handler, certfile=3)  # mypy: arg-type; pyright: reportArgumentType
    sync_h2.serve_socket(handler)  # mypy: arg-type; pyright: reportArgumentType
    sync_h2.serve_wsgi(handler)  # mypy: arg-type; pyright: reportArgumentType
    sync_h2.serve_wsgi(lambda *_: [b""], max_worker=3)  # mypy: call-arg; pyright: reportCallIssue
    compat.wsgi("shop:app")  # mypy: arg-type; pyright: reportArgumentType


def calls() -> None:
    client = sync_h2.Client(red_timeout=3)  # mypy: call-arg; pyright: reportCallIssue
    sync_h2.Client("http://localhost")  # mypy: call-arg; pyright: reportCallIssue
    sync_h2.Client(timeout="3")  # mypy: arg-type; pyright: reportArgumentType
    client.post("/", jsn={})  # mypy: call-arg; pyright: reportCallIssue
    client.get("/", data=b"", json={}, parms={})  # mypy: call-arg; pyright: reportCallIssue
    client.get("/", timeout="3")  # mypy: arg-type; pyright: reportArgumentType
    client.put("/", jsn={})  # mypy: call-arg; pyright: reportCallIssue
    client.request("GET", "/", red_timeout=3)  # mypy: call-arg; pyright: reportCallIssue
    client.stream("GET", "/", stream=True)  # mypy: call-arg; pyright: reportCallIssue
    client.delete("/", headers={"x-number": 3})  # mypy: dict-item; pyright: reportArgumentType
    client.map([3])  # mypy: list-item; pyright: reportArgumentType
    client.get("/").status_code.lower()  # mypy: attr-defined; pyright: reportAttributeAccessIssue
    sync_h2.get("/", parms={})  # mypy: call-arg; pyright: reportCallIssue
    sync_h2.post("/", jsn={})  # mypy: call-arg; pyright: reportCallIssue
    sync_h2.request("GET", "/", verfy=False)  # mypy: call-arg; pyright: reportCallIssue
    client.mount("https://", HTTPAdapter(red_timeout=3))  # mypy: call-arg; pyright: reportCallIssue
    HTTPXTransport(red_timeout=3)  # mypy: call-arg; pyright: reportCallIssue
    RequestsAdapter(red_timeout=3)  # mypy: call-arg; pyright: reportCallIssue


def tests() -> None:
    testing.pair(handler, tsl=True)  # mypy: call-arg; pyright: reportCallIssue
    testing.pair(handler, red_timeout=3)  # mypy: call-arg; pyright: reportCallIssue
    testing.HandlerTransport(handler, red_timeout=3)  # mypy: call-arg; pyright: reportCallIssue
    testing.WSGITransport(handler)  # mypy: arg-type; pyright: reportArgumentType
    testing.ScriptedServer().route("/").respond("200")  # mypy: arg-type; pyright: reportArgumentType
