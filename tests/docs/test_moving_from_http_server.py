"""Each row of the tables of `docs/how-to/moving-from-http-server.md`, with the standard library over HTTP/1.1 and with
`sync_h2.compat` over HTTP/2.
"""

from __future__ import annotations

import http.client
import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import sync_h2
from support.pages.tables import row, table_after
from support.tls.certificates import Certificate
from sync_h2 import compat

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "moving-from-http-server.md"
TIMEOUT = 20.0

Case = Callable[[Any], Any]
HANDLERS: dict[str, tuple[Case, object, object]] = {}
"""The rows about handlers, by their first cells: what is done with a side, and what comes of it there and here."""
CLIENTS: dict[str, tuple[Case, object, object]] = {}
"""Those about clients."""


class Handler(http.server.BaseHTTPRequestHandler):
    """Does what the path says."""

    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT
    meeting: threading.Barrier

    def do_GET(self) -> None:
        getattr(self, self.path.strip("/"))()

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            size = int(self.rfile.readline(), 16)
            self.answer(self.rfile.read(size))
            self.rfile.read(7)  # the line's end, and the last chunk
        else:
            self.answer(self.rfile.read())

    def answer(self, body: bytes, *fields: tuple[str, str], status: int = 200, reason: str | None = None) -> None:
        self.send_response(status, reason)
        for name, value in (("Content-Length", str(len(body))), *fields):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def meet(self) -> None:
        try:
            self.meeting.wait()
        except threading.BrokenBarrierError:
            self.answer(b"alone")
        else:
            self.answer(b"together")

    def version(self) -> None:
        self.answer(self.request_version.encode())

    def whose(self) -> None:
        self.answer(f"{isinstance(self.server, http.server.HTTPServer)} {bool(self.server.server_address)}".encode())

    def fail(self) -> None:
        raise RuntimeError("a handler that fails")

    def say_nothing(self) -> None:
        self.close_connection = True

    def begin_early(self) -> None:
        self.wfile.write(b"hello\r\n\r\n")
        self.close_connection = True

    def long(self) -> None:
        self.answer(b"ab", ("X-Short", "1"))
        self.wfile.write(b"cd")

    def short(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "10")
        self.end_headers()
        self.wfile.write(b"ab")
        self.close_connection = True

    def fields(self) -> None:
        self.answer(b"", ("Connection", "close"), ("Keep-Alive", "timeout=5"))

    def words(self) -> None:
        self.answer(b"", status=404, reason="Gone Fishing")

    def switch(self) -> None:
        self.send_response(101)
        self.end_headers()

    def take(self) -> None:
        self.connection.settimeout(0.1)
        try:
            self.connection.recv(1)
        except TimeoutError:
            self.answer(b"it may read")
        except sync_h2.SocketManipulationError:
            self.answer(b"it may not")

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(http.server.HTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """On stderr it would only disturb."""


@pytest.fixture
def sides() -> Iterator[tuple[Any, Any]]:
    """Where each serves, and how it is reached."""
    with Server(("127.0.0.1", 0), Handler) as old, sync_h2.create_server(compat.handler_for(Handler)) as new:
        thread = threading.Thread(target=old.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield (
                SimpleNamespace(new=False, port=old.server_address[1], connect=connected(old.server_address[1], None)),
                SimpleNamespace(new=True, port=new.address[1], connect=connected(new.address[1], True)),
            )
        finally:
            old.shutdown()
            thread.join()


def connected(port: int, h2c: bool | None) -> Callable[[], Any]:
    if h2c is None:
        return lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    return lambda: compat.HTTP2Connection("127.0.0.1", port, h2c=True, timeout=TIMEOUT)


def get(side: Any, path: str) -> Any:
    """The status and the body, or the name of what is raised."""
    connection = side.connect()
    try:
        connection.request("GET", path)
        with connection.getresponse() as response:
            return response.status, response.read()
    except Exception as error:
        return type(error).__name__
    finally:
        connection.close()


def over_http1(side: Any, request: bytes) -> bytes:
    """What comes behind the answer's head; the new side is asked over HTTP/1.1, too."""
    with (
        sync_h2.create_server(compat.handler_for(Handler), allow_http1=True) as both,
        socket.create_connection(("127.0.0.1", both.address[1] if side.new else side.port), TIMEOUT) as sock,
    ):
        sock.sendall(request)
        with sock.makefile("rb") as answer:
            return answer.read().partition(b"\r\n\r\n")[2]


# -- handlers


@row(HANDLERS, "requests at once", {b"alone"}, {b"together"})
def _(side: Any) -> set[bytes]:
    Handler.meeting = threading.Barrier(2, timeout=TIMEOUT if side.new else 0.2)
    if not side.new:
        return {get(side, "/meet")[1]}
    with sync_h2.connect(f"http://127.0.0.1:{side.port}") as session:
        return {stream.read() for stream in [session.request({":path": "/meet"}) for _ in range(2)]}


@row(HANDLERS, "`rfile.read()` of a body without `Content-Length`", b"body", b"body")
def _(side: Any) -> bytes:
    if side.new:
        with sync_h2.connect(f"http://127.0.0.1:{side.port}") as session:
            stream = session.request({":method": "POST"})
            stream.end(b"body")
            return stream.read()
    with socket.create_connection(("127.0.0.1", side.port), TIMEOUT) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\n\r\nbody")
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):  # it waits
            sock.recv(1)
        sock.settimeout(TIMEOUT)
        sock.shutdown(socket.SHUT_WR)
        with sock.makefile("rb") as answer:
            return answer.read().rpartition(b"\r\n\r\n")[2]


@row(HANDLERS, "a request's body in chunks, over HTTP/1.1", b"body", b"body")
def _(side: Any) -> bytes:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    return over_http1(side, head + b"4\r\nbody\r\n0\r\n\r\n")


@row(HANDLERS, "`request_version`", (200, b"HTTP/1.1"), (200, b"HTTP/2.0"))
def _(side: Any) -> Any:
    return get(side, "/version")


@row(HANDLERS, "`self.server`", (200, b"True True"), (200, b"False True"))
def _(side: Any) -> Any:
    return get(side, "/whose")


@row(
    HANDLERS,
    "a handler that raises, or answers nothing",
    ["RemoteDisconnected", "RemoteDisconnected"],
    [(500, b""), (500, b"")],
)
def _(side: Any) -> list[Any]:
    return [get(side, "/fail"), get(side, "/say_nothing")]


@row(HANDLERS, "`wfile.write` before `send_response`", "BadStatusLine", (500, b""))
def _(side: Any) -> Any:
    return get(side, "/begin_early")


@row(HANDLERS, "more body than `Content-Length` says", b"abcd", b"ab")
def _(side: Any) -> bytes:
    return over_http1(side, b"GET /long HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")


@row(HANDLERS, "less", "IncompleteRead", "IncompleteRead")
def _(side: Any) -> Any:
    return get(side, "/short")


@row(HANDLERS, "`Connection` and `Keep-Alive`", ["close", "timeout=5"], [None, None])
def _(side: Any) -> list[str | None]:
    connection = side.connect()
    connection.request("GET", "/fields")
    with connection.getresponse() as response:
        found = [response.getheader("Connection"), response.getheader("Keep-Alive")]
    connection.close()
    return found


def reason(side: Any) -> str:
    connection = side.connect()
    connection.request("GET", "/words")
    with connection.getresponse() as response:
        words: str = response.reason
    connection.close()
    return words


@row(HANDLERS, 'the words in `send_response(404, "Gone Fishing")`', "Gone Fishing", "Not Found")
def _(side: Any) -> str:
    return reason(side)


@row(HANDLERS, "`send_response(101)`", (101, b""), (500, b""))
def _(side: Any) -> Any:
    return get(side, "/switch")


@row(HANDLERS, "`self.connection.recv()`", (200, b"it may read"), (200, b"it may not"))
def _(side: Any) -> Any:
    return get(side, "/take")


@row(HANDLERS, "`CGIHTTPRequestHandler`", "runs", "is refused")
def _(side: Any) -> str:
    cgi = getattr(http.server, "CGIHTTPRequestHandler", None)  # until Python 3.14
    if side.new and cgi is not None:
        with pytest.raises(sync_h2.InvalidArgument, match="CGI"):
            compat.handler_for(cgi)
    return "is refused" if side.new else "runs"


# -- clients


@row(CLIENTS, "whom TLS trusts by default", 200, "refused")
def _(side: Any) -> Any:
    with sync_h2.create_secure_server(
        lambda stream, headers: stream.end(b""),
        certfile=side.certificate.certfile,
        keyfile=side.certificate.keyfile,
        allow_http1=True,
    ) as server:
        kind: Any = compat.HTTP2Connection if side.new else http.client.HTTPSConnection
        connection = kind("localhost", server.address[1], timeout=TIMEOUT)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status
        except ssl.SSLError:
            return "refused"
        finally:
            connection.close()


@row(CLIENTS, "`response.version`", 11, 20)
def _(side: Any) -> int:
    connection = side.connect()
    connection.request("GET", "/version")
    with connection.getresponse() as response:
        version: int = response.version
    connection.close()
    return version


@row(CLIENTS, "`response.reason`", "Gone Fishing", "Not Found")
def _(side: Any) -> str:
    return reason(side)


@row(CLIENTS, "a second request before the first answer was read", "CannotSendRequest", "CannotSendRequest")
def _(side: Any) -> str:
    connection = side.connect()
    connection.request("GET", "/version")
    try:
        connection.request("GET", "/version")
    except http.client.CannotSendRequest as error:
        return type(error).__name__
    finally:
        connection.close()
    return "none"


@row(CLIENTS, "`response.close()` in its middle", False, True)
def _(side: Any) -> bool:
    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        stream.respond({"content-length": 1_000_000})
        stream.write(b"beginning")
        stream.read()

    with sync_h2.create_server(handler, allow_http1=True) as server:
        connection = connected(server.address[1], True if side.new else None)()
        ports = set()
        for _ in range(2):
            try:
                connection.request("GET", "/")
                response = connection.getresponse()
                ports.add(connection.sock.getsockname()[1])
                response.close()
            except http.client.HTTPException:
                pass
        connection.close()
        server.close(0)
        return len(ports) == 1 and side.new


@row(CLIENTS, "a server that speaks HTTP/1.1 only", (200, b"HTTP/1.1"), "HTTPException")
def _(side: Any) -> Any:
    port = side.port_of_http1
    return get(SimpleNamespace(connect=connected(port, True if side.new else None)), "/version")


@row(CLIENTS, "`sock`", [socket.socket, None], [None, sync_h2.ClientSession])
def _(side: Any) -> list[Any]:
    connection = side.connect()
    connection.connect()
    sock = connection.sock
    sock.settimeout(TIMEOUT)
    assert sock.getpeername()[0] == "127.0.0.1"
    found = [type(sock) if type(sock) is socket.socket else None, type(sock.session) if side.new else None]
    connection.close()
    return found


@pytest.fixture
def of_clients(
    sides: tuple[Any, Any], certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Any, Any]]:
    """The two sides, with what clients are tried on besides. The operating system trusts the test's authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.cafile))
    for side in sides:
        side.certificate = certificate
        side.port_of_http1 = sides[0].port
    yield sides


@pytest.mark.parametrize("name", HANDLERS)
def test_a_row_about_handlers(name: str, sides: tuple[Any, Any]) -> None:
    case, *expected = HANDLERS[name]
    assert [case(side) for side in sides] == expected


@pytest.mark.parametrize("name", CLIENTS)
def test_a_row_about_clients(name: str, of_clients: tuple[Any, Any]) -> None:
    case, *expected = CLIENTS[name]
    assert [case(side) for side in of_clients] == expected


def test_every_row_is_tried() -> None:
    assert [cells[0] for cells in table_after(PAGE, "## What is different for handlers?")] == list(HANDLERS)
    assert [cells[0] for cells in table_after(PAGE, "## What is different for clients?")] == list(CLIENTS)
