"""`HTTP2Connection`: what is not the same as over HTTP/1.1, and what goes wrong."""

from __future__ import annotations

import contextlib
import gc
import http.client
import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sync_h2
from support.peers.connect_proxy import connect_proxy
from support.peers.stdlib_http import http2_connection
from support.threads.background import eventually
from support.tls.certificates import Certificate
from sync_h2 import compat
from sync_h2.testing import ScriptedServer

Handler = Callable[[sync_h2.ServerStream, sync_h2.Headers], object]
Serve = Callable[..., compat.HTTP2Connection]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server with a handler, and gives a connection to it; `connection.server` is the server."""
    with contextlib.ExitStack() as stack:

        def start(handler: Handler, certificate: Certificate | None = None, **options: Any) -> compat.HTTP2Connection:
            options.setdefault("timeout", 10)
            if certificate is None:
                server = sync_h2.create_server(handler)
            else:
                server = sync_h2.create_secure_server(
                    handler, certfile=certificate.certfile, keyfile=certificate.keyfile
                )
            stack.enter_context(server)
            connection = http2_connection(server.address[1], certificate, **options)
            stack.callback(connection.close)
            connection.server = server  # type: ignore[attr-defined]
            return connection

        yield start


def echo(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    body = stream.read()
    stream.respond({"x-request": " ".join(f"{name}={value}" for name, value in headers.pairs())})
    stream.end(body)


def ask(connection: http.client.HTTPConnection, *request: Any, **named: Any) -> tuple[str, bytes]:
    """What `echo` saw of a request's headers, and its body."""
    connection.request(*request, **named)
    response = connection.getresponse()
    return response.headers["x-request"], response.read()


def sessions(connection: compat.HTTP2Connection) -> list[sync_h2.ServerSession]:
    server: sync_h2.ThreadingServer = connection.server  # type: ignore[attr-defined]
    return server.sessions


# -- requests as they go out


def test_the_request_line_becomes_pseudo_fields(serve: Serve):
    connection = serve(echo)
    name = f"127.0.0.1:{connection.port}"
    assert (
        ask(connection, "GET", "/a?b=c")[0]
        == (f":method=GET :authority={name} :path=/a?b=c :scheme=http accept-encoding=identity")
        or ":path=/a?b=c" in ask(connection, "GET", "/a?b=c")[0]
    )
    seen = dict(field.split("=", 1) for field in ask(connection, "GET", "/a?b=c")[0].split())
    assert seen == {
        ":method": "GET",
        ":authority": f"127.0.0.1:{connection.port}",
        ":path": "/a?b=c",
        ":scheme": "http",
        "accept-encoding": "identity",
    }


def test_urls_of_every_form(serve: Serve):
    connection = serve(echo)

    def target(method: str, url: str, **headers: str) -> tuple[str, ...]:
        fields = dict(field.split("=", 1) for field in ask(connection, method, url, headers=headers)[0].split())
        return fields[":scheme"], fields[":authority"], fields[":path"]

    ours = f"127.0.0.1:{connection.port}"
    assert target("GET", "") == ("http", ours, "/")
    assert target("OPTIONS", "*") == ("http", ours, "*")
    assert target("GET", "https://example.org/x") == ("https", "example.org", "/x")
    assert target("GET", "http://example.org:81?x") == ("http", "example.org:81", "/?x")
    assert target("GET", "/", Host="example.org") == ("http", "example.org", "/")
    with pytest.raises(ValueError, match="does not begin with a slash"):
        connection.request("GET", "relative")


def test_fields_of_http1_connections_stay_behind(serve: Serve):
    headers = {"Connection": "close, X-Hop", "X-Hop": "1", "TE": "gzip", "Keep-Alive": "1", "X-End": "2"}
    seen, body = ask(serve(echo), "POST", "/", iter([b"a", b"b"]), headers)
    assert body == b"ab"
    assert "x-end=2" in seen
    for name in ("connection", "x-hop", "te=", "keep-alive", "transfer-encoding", "content-length", "host"):
        assert name not in seen


def test_a_request_without_a_body_ends_with_its_headers(serve: Serve):
    ended: list[bool] = []

    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        ended.append(stream.end_after_headers)
        stream.end()

    connection = serve(handler)
    for method, body in [("GET", None), ("POST", None), ("POST", b""), ("POST", b"x"), ("GET", b"x"), ("PUT", [b"x"])]:
        connection.request(method, "/", body)
        connection.getresponse().read()
    assert ended == [True, True, True, False, False, False]


def test_what_was_announced_is_held_to(serve: Serve):
    connection = serve(echo)
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", "3")
    connection.endheaders()
    with pytest.raises(http.client.ImproperConnectionState, match="more than content-length allows") as caught:
        connection.send(b"four")
    assert isinstance(caught.value.__cause__, sync_h2.InvalidState)
    connection.close()
    connection.putrequest("GET", "/")
    connection.endheaders()
    with pytest.raises(http.client.ImproperConnectionState, match="has ended already"):
        connection.send(b"a body that no field announced")


def test_sending_before_a_request(serve: Serve):
    connection = serve(echo)
    with pytest.raises(http.client.ImproperConnectionState):
        connection.send(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(http.client.ResponseNotReady):
        connection.sock.makefile("rb")


NO_CHUNKS: list[Any] = [
    b"no chunks",
    b"5\r\nhello",
    b"",
    b"abc",
    [b"ab", b"cd"],
    io.BytesIO(b"x"),
    b"5\r\nhello\r\n0\r\n",
]


@pytest.mark.parametrize("body", NO_CHUNKS)
def test_a_body_that_is_not_in_the_chunks_that_its_field_announces(serve: Serve, body: Any):
    """Over HTTP/1.1 the server waits for their end, or answers 400."""
    connection = serve(echo)
    with pytest.raises(ValueError, match=r"chunked.*encode_chunked=True"):
        connection.request("POST", "/", body, {"Transfer-Encoding": "chunked"})
    connection.close()
    assert ask(connection, "POST", "/", b"5\r\nhello\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"})[1] == b"hello"


@pytest.mark.parametrize("piece", [b"no chunks", b"5\r\nhel", b"5\r\nhello"])
def test_chunks_that_break_off_before_the_response(serve: Serve, piece: bytes):
    connection = serve(echo)
    connection.putrequest("POST", "/")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    connection.send(piece)
    with pytest.raises(ValueError, match="chunked"):
        connection.getresponse()
    connection.close()


def test_trailers_behind_chunks_are_refused(serve: Serve):
    connection = serve(echo)
    connection.putrequest("POST", "/")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    with pytest.raises(sync_h2.InvalidArgument, match="trailers"):
        connection.send(b"0\r\nX-A: 1\r\n\r\n")


def test_a_request_given_up_leaves_nothing_behind(serve: Serve):
    connection = serve(echo)
    connection.putrequest("GET", "/given-up")
    connection.close()
    assert "given-up" not in ask(connection, "GET", "/")[0]


def test_a_large_file_goes_both_ways(serve: Serve):
    body = bytes(range(256)) * 20_000
    connection = serve(echo, blocksize=100_000)
    assert ask(connection, "POST", "/", io.BytesIO(body))[1] == body


def test_debuglevel_prints(serve: Serve, capsys: pytest.CaptureFixture[str]):
    connection = serve(lambda stream, headers: stream.end(b"x"))
    connection.set_debuglevel(1)
    connection.request("POST", "/path", b"body")
    connection.getresponse().read()
    printed = capsys.readouterr().out
    assert "send: b'POST /path HTTP/1.1\\r\\nHost: " in printed
    assert "send: b'body'" in printed
    assert "reply: 'HTTP/2 200'" in printed
    assert "header: date: " in printed


# -- responses


def test_a_response(serve: Serve, certificate: Certificate):
    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        stream.additional_headers({":status": 103, "link": "</a.css>; rel=preload"})
        stream.respond({":status": 299, "x-a": "1"})
        stream.end(b"body")

    connection = serve(handler, certificate)
    connection.request("GET", "/")
    response = connection.getresponse()
    assert isinstance(response, http.client.HTTPResponse)
    assert isinstance(response.headers, http.client.HTTPMessage)
    assert (response.status, response.reason, response.version) == (299, "", 20)
    assert (response.chunked, response.will_close, response.length) == (False, False, None)
    assert response.getheader("X-A") == "1"
    assert ":status" not in response.headers
    for file in (response, response.fp):
        with pytest.raises(io.UnsupportedOperation):
            file.fileno()
    assert response.read() == b"body"
    with pytest.raises(io.UnsupportedOperation):
        response.fileno()
    assert connection.sock.selected_alpn_protocol() == "h2"


def test_one_session_for_all_requests(serve: Serve):
    opened: list[sync_h2.ServerSession] = []

    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        opened.append(stream.session)
        echo(stream, headers)

    connection = serve(handler)
    for _ in range(5):
        ask(connection, "GET", "/")
    assert len(set(map(id, opened))) == 1


def test_a_response_closed_early_leaves_the_session_usable(serve: Serve):
    codes: list[int] = []
    seen = threading.Event()

    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        try:
            while headers[":path"] == "/endless":
                stream.write(b"x" * 10_000)
            echo(stream, headers)
        except sync_h2.StreamReset as error:
            assert error.code is not None
            codes.append(error.code)
            seen.set()

    connection = serve(handler)
    connection.request("GET", "/endless")
    with connection.getresponse() as response:
        assert response.read(5) == b"xxxxx"
    assert seen.wait(10)
    assert codes == [sync_h2.ErrorCode.CANCEL]
    assert ask(connection, "POST", "/", b"next")[1] == b"next"
    assert len(sessions(connection)) == 1


def test_a_response_read_up_to_its_length_is_not_cancelled(serve: Serve):
    read_whole = threading.Event()
    codes: list[int] = []

    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        stream.on("close", codes.append)
        stream.respond({"content-length": 4})
        stream.write(b"body")
        if headers[":path"] == "/late":
            read_whole.wait(10)  # END_STREAM is still to come
        stream.end()

    connection = serve(handler)
    connection.request("GET", "/late")
    assert connection.getresponse().read() == b"body"
    read_whole.set()
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"body"
    connection.request("GET", "/")
    connection.getresponse().read()
    [session] = sessions(connection)
    session.ping()
    eventually(lambda: codes[:2] == [0, 0], "that both have ended as they should")


def test_only_one_stream_waits_for_its_end(serve: Serve):
    codes: list[int] = []
    over = threading.Event()

    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        stream.on("close", codes.append)
        stream.respond({"content-length": 4})
        stream.write(b"body")
        over.wait(10)

    connection = serve(handler)
    for _ in range(3):
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"body"
    [session] = sessions(connection)
    session.ping()
    assert session.stats.stream_count == 3
    over.set()
    connection.close()


def test_an_answer_before_the_body_was_sent(serve: Serve):
    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        stream.respond({":status": 413})
        stream.end(b"too large")

    connection = serve(handler)
    connection.request("POST", "/", (b"x" * 10_000 for _ in range(1000)))
    response = connection.getresponse()
    assert (response.status, response.read()) == (413, b"too large")
    connection.request("GET", "/")
    assert connection.getresponse().status == 413


def test_an_answer_to_half_a_body(serve: Serve):
    connection = serve(lambda stream, headers: stream.respond({":status": 401}, end_stream=True))
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", "1000")
    connection.endheaders()
    connection.send(b"half")
    response = connection.getresponse()
    assert (response.status, response.read()) == (401, b"")
    connection.request("GET", "/")
    assert connection.getresponse().read() == b""


def test_pushes_are_refused(serve: Serve):
    allowed: list[bool] = []

    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        allowed.append(stream.push_allowed)
        stream.end()

    connection = serve(handler)
    connection.request("GET", "/")
    connection.getresponse().read()
    assert allowed == [False]


# -- the session's end


def test_a_session_that_has_ended_is_replaced(serve: Serve):
    connection = serve(echo)
    for how in ("close", "destroy", "goaway"):
        ask(connection, "GET", "/")
        [session] = sessions(connection)
        ended = threading.Event()
        ours: sync_h2.ClientSession = connection.sock.session
        ours.on("goaway", lambda *arguments: ended.set())  # noqa: B023
        getattr(session, how)(**({"wait": False} if how == "close" else {}))
        assert ended.wait(10)
        assert ask(connection, "POST", "/", b"again")[1] == b"again"
        assert connection.sock.session is not ours


def test_without_auto_open_it_is_not(serve: Serve):
    connection = serve(echo)
    connection.auto_open = 0
    connection.connect()
    ended = threading.Event()
    connection.sock.session.on("close", ended.set)
    connection.sock.session.destroy()
    assert ended.wait(10)
    connection.putrequest("GET", "/")
    with pytest.raises(http.client.NotConnected):
        connection.endheaders()


def test_a_request_that_meets_the_end_is_sent_again(serve: Serve, monkeypatch: pytest.MonkeyPatch):
    connection = serve(echo)
    ask(connection, "GET", "/")
    first: sync_h2.ClientSession = connection.sock.session
    request = first.request

    def ending(*arguments: Any, **named: Any) -> sync_h2.ClientStream:
        first.destroy()
        return request(*arguments, **named)

    monkeypatch.setattr(first, "request", ending)
    assert ask(connection, "POST", "/", b"body")[1] == b"body"
    assert connection.sock.session is not first


def test_a_response_that_is_being_read_survives_the_next_session(serve: Serve):
    go_on = threading.Event()

    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        if headers[":path"] == "/slow":
            stream.write(b"first ")
            stream.session.goaway()
            go_on.wait(10)
        stream.end(b"second")

    connection = serve(handler)
    connection.request("GET", "/slow")
    goaway = threading.Event()
    connection.sock.session.on("goaway", lambda *arguments: goaway.set())
    slow = connection.getresponse()
    assert goaway.wait(10)
    connection.request("GET", "/")
    with pytest.raises(http.client.ResponseNotReady):
        connection.getresponse()
    go_on.set()
    assert slow.read() == b"first second"
    assert connection.getresponse().read() == b"second"


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (lambda stream: stream.close(sync_h2.ErrorCode.REFUSED_STREAM), sync_h2.StreamUnprocessed),
        (lambda stream: stream.close(sync_h2.ErrorCode.INTERNAL_ERROR), sync_h2.StreamReset),
        (lambda stream: stream.session.destroy(), sync_h2.ConnectionLost),
    ],
)
def test_no_response_is_remote_disconnected(serve: Serve, end: Callable[[Any], None], cause: type[Exception]):
    connection = serve(lambda stream, headers: echo(stream, headers) if headers[":path"] == "/" else end(stream))
    connection.request("GET", "/end")
    with pytest.raises(http.client.RemoteDisconnected) as caught:
        connection.getresponse()
    assert isinstance(caught.value.__cause__, cause)
    assert ask(connection, "POST", "/", b"again")[1] == b"again"


def test_a_server_that_goes_away_at_once_sees_one_connection() -> None:
    with ScriptedServer() as server:
        server.on_connect().goaway()
        for count in range(1, 6):
            connection = http2_connection(server.port, None)
            with contextlib.closing(connection), pytest.raises(OSError):
                connection.request("POST", "/", b"body")
                connection.getresponse()
            assert server.connection_count == count


@pytest.mark.parametrize(
    "fields", [((":status", "200"), ("Name", "x")), (("server", "x"),), ((":status", "200"), *[("a", "b" * 99)] * 1000)]
)
@pytest.mark.parametrize("comes_first", [True, False])
def test_a_broken_response_is_no_disconnection(comes_first: bool, fields: Any) -> None:
    """After that `xmlrpc.client` and others would ask again. It can come before the request has been sent."""

    with (
        ScriptedServer() as server,
        contextlib.closing(http2_connection(server.port, None)) as connection,
        pytest.raises(http.client.HTTPException, match="can't be understood") as caught,
    ):
        server.route().read(0).headers(fields).stall()
        connection.putrequest("POST", "/")
        connection.putheader("content-length", "4")
        connection.endheaders()
        if comes_first:
            eventually(lambda: connection.sock.exchange.stream.closed)
        connection.send(b"body")
        connection.getresponse()
    assert not isinstance(caught.value, OSError)


@pytest.mark.parametrize("most", [None, 3, 2, 0])
def test_a_limit_for_the_number_of_fields(serve: Serve, most: int | None) -> None:
    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        stream.respond({"x-a": ["1", "2"]})  # and a date
        stream.end(b"body")

    connection = serve(handler, max_response_headers=most)
    for _ in range(2):
        connection.request("GET", "/")
        if most is None or most == 3:
            assert connection.getresponse().read() == b"body"
        else:
            with pytest.raises(http.client.HTTPException, match=f"got more than {most} headers"):
                connection.getresponse()
            connection.close()


def cut(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    stream.respond({"content-length": 100} if headers[":path"] == "/length" else {})
    stream.write(b"some of it\n")
    stream.session.ping()  # the client has it
    stream.close(sync_h2.ErrorCode.INTERNAL_ERROR)


@pytest.mark.parametrize("path", ["/length", "/"])
@pytest.mark.parametrize(
    "read",
    [
        lambda response: response.read(),
        lambda response: response.read(-1),
        lambda response: b"".join(iter(lambda: response.read(100), b"")),
        lambda response: b"".join(iter(lambda: response.read1(), b"")),
        lambda response: [response.readline() for _ in range(2)],
        lambda response: list(response),
        lambda response: [response.readinto(bytearray(100)) for _ in range(2)],
    ],
)
def test_a_cut_body_never_looks_whole(serve: Serve, path: str, read: Callable[[http.client.HTTPResponse], object]):
    connection = serve(cut)
    connection.request("GET", path)
    response = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead) as caught:
        read(response)
    assert isinstance(caught.value.__cause__, sync_h2.StreamReset)
    with pytest.raises(http.client.IncompleteRead):
        response.read()


def test_what_came_before_the_cut_is_in_partial(serve: Serve):
    connection = serve(cut)
    connection.request("GET", "/length")
    with pytest.raises(http.client.IncompleteRead) as caught:
        connection.getresponse().read()
    assert (caught.value.partial, caught.value.expected) == (b"some of it\n", 89)
    connection.request("GET", "/")
    with pytest.raises(http.client.IncompleteRead) as caught:
        connection.getresponse().read()
    assert caught.value.partial == b"some of it\n"


def test_a_timeout_while_reading(serve: Serve):
    go_on = threading.Event()

    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        stream.write(b"first\n")
        go_on.wait(10)
        stream.end(b"second\n")

    connection = serve(handler)
    connection.request("GET", "/")
    response = connection.getresponse()
    assert response.readline() == b"first\n"
    connection.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        response.readline()
    go_on.set()
    connection.sock.settimeout(10)
    assert response.read() == b"second\n"


def test_a_timeout_while_sending(serve: Serve):
    go_on = threading.Event()
    connection = serve(lambda stream, headers: go_on.wait(10))
    connection.connect()
    connection.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        connection.request("POST", "/", (b"x" * 100_000 for _ in range(1000)))
    go_on.set()


@pytest.mark.parametrize("length", ["1000000", None])
def test_a_buffer_is_its_callers_although_its_error_is_kept(serve: Serve, length: str | None):
    go_on = threading.Event()
    connection = serve(lambda stream, headers: go_on.wait(10))
    connection.putrequest("POST", "/")
    connection.putheader(*(("Content-Length", length) if length else ("Transfer-Encoding", "chunked")))
    connection.endheaders()
    connection.sock.settimeout(0.05)
    buffer = bytearray(b"\n" * 1_000_000)
    with pytest.raises((TimeoutError, sync_h2.InvalidArgument)) as raised:  # what has no length is no chunk either
        connection.send(buffer)
    go_on.set()
    buffer.clear()
    assert raised.value.__traceback__ is not None


def test_getresponse_again_after_a_timeout(serve: Serve):
    go_on = threading.Event()

    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        go_on.wait(10)
        stream.end(b"late")

    connection = serve(handler)
    connection.request("GET", "/")
    connection.sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    go_on.set()
    connection.sock.settimeout(10)
    assert connection.getresponse().read() == b"late"


def test_shutdown_wakes_another_thread(serve: Serve, blocked: set[int]):
    go_on = threading.Event()
    connection = serve(lambda stream, headers: go_on.wait(10))
    connection.request("GET", "/")
    failures: list[BaseException] = []

    def wait() -> None:
        try:
            connection.getresponse()
        except http.client.RemoteDisconnected as error:
            failures.append(error)

    sock = connection.sock
    waiting = threading.Thread(target=wait)
    waiting.start()
    eventually(lambda: blocked, "a thread that waits")
    sock.shutdown(socket.SHUT_RDWR)
    waiting.join(10)
    go_on.set()
    assert len(failures) == 1


def test_closing_ends_the_session_and_its_threads(serve: Serve):
    connection = serve(echo)
    ask(connection, "GET", "/")
    session: sync_h2.ClientSession = connection.sock.session
    connection.request("GET", "/unread")
    connection.getresponse()
    connection.close()
    assert session.closed
    assert connection.sock is None
    connection.close()


def test_dropped_without_close_it_ends_too(serve: Serve):
    """As a socket does: with a ResourceWarning."""
    ended = threading.Event()

    def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        stream.session.on("close", ended.set)
        stream.write(b"some")
        ended.wait(10)

    port = serve(handler).port
    threads_before = set(threading.enumerate())
    connection = compat.HTTP2Connection("127.0.0.1", port, h2c=True)
    connection.request("GET", "/")
    response = connection.getresponse()
    assert response.read(4) == b"some"
    with pytest.warns(ResourceWarning, match="a session was dropped"):
        del connection, response
        gc.collect()
        assert ended.wait(10)
        for thread in set(threading.enumerate()) - threads_before:
            if thread.name == "sync_h2-reader":  # which issues the warning when the connection has ended
                thread.join(10)


# -- connecting


def test_a_certificate_that_nobody_vouches_for(serve: Serve, certificate: Certificate):
    port = serve(echo, certificate).port
    connection = compat.HTTP2Connection("localhost", port, timeout=10)
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        connection.request("GET", "/")
    assert isinstance(caught.value.__cause__, sync_h2.TLSError)
    assert caught.value.verify_code
    connection.close()


def test_a_server_that_does_not_choose_http2(certificate: Certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certfile, certificate.keyfile)
    context.set_alpn_protocols(["http/1.1"])
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                context.wrap_socket(listener.accept()[0], server_side=True).close()

        accepting = threading.Thread(target=accept)
        accepting.start()
        connection = http2_connection(listener.getsockname()[1], certificate, timeout=10)
        with pytest.raises(http.client.UnknownProtocol) as caught:
            connection.connect()
        accepting.join()
    assert isinstance(caught.value.__cause__, sync_h2.ALPNError)
    assert connection.sock is None


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    connection = compat.HTTP2Connection("127.0.0.1", port, h2c=True)
    with pytest.raises(ConnectionRefusedError):
        connection.request("GET", "/")


def test_default_ports_and_timeouts():
    assert compat.HTTP2Connection("example.org").port == 443
    assert compat.HTTP2Connection("example.org", h2c=True).port == 80
    with pytest.raises(sync_h2.InvalidArgument, match="h2c"):
        compat.HTTP2Connection("example.org", h2c=True, context=ssl.create_default_context())


def test_the_default_timeout_of_sockets(serve: Serve):
    port = serve(echo).port
    socket.setdefaulttimeout(7)
    try:
        connection = compat.HTTP2Connection("127.0.0.1", port, h2c=True)
        connection.connect()
    finally:
        socket.setdefaulttimeout(None)
    assert connection.sock.gettimeout() == 7
    connection.close()


# -- through a proxy


def test_a_tunnel_without_tls(serve: Serve):
    target = serve(echo)
    with connect_proxy() as (port, asked):
        connection = compat.HTTP2Connection("127.0.0.1", port, h2c=True, timeout=10)
        connection.set_tunnel("127.0.0.1", target.port, headers={"Proxy-Authorization": "Basic YTpi"})
        seen, body = ask(connection, "POST", "/", b"through")
        connection.close()
    assert body == b"through"
    assert f":authority=127.0.0.1:{target.port}" in seen
    assert asked[0][0].startswith(f"CONNECT 127.0.0.1:{target.port} HTTP/1.".encode())
    assert b"Proxy-Authorization: Basic YTpi" in asked[0]


def test_a_tunnel_with_tls(serve: Serve, certificate: Certificate):
    target = serve(echo, certificate)
    with connect_proxy() as (port, asked):
        connection = http2_connection(port, certificate, timeout=10)
        connection.set_tunnel("localhost", target.port)
        assert ask(connection, "POST", "/", b"through")[1] == b"through"
        assert connection.sock.getpeername() == ("127.0.0.1", port)
        connection.close()
        # As http.client does, it uses the tunnel again when it connects again.
        assert ask(connection, "POST", "/", b"again")[1] == b"again"
        connection.close()
    assert len(asked) == 2


def test_a_proxy_that_refuses():
    with connect_proxy(b"HTTP/1.1 403 No Way\r\nContent-Length: 0\r\n\r\n") as (port, _):
        connection = compat.HTTP2Connection("127.0.0.1", port, h2c=True, timeout=10)
        connection.set_tunnel("localhost", 1)
        with pytest.raises(OSError, match="Tunnel connection failed: 403 No Way"):
            connection.request("GET", "/")
        connection.close()
