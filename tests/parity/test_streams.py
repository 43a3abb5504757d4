"""What a request and a stream promise where no other test has looked: defaults of files' timeouts, priorities of a
request on the wire, attributes in either role.
"""

from __future__ import annotations

import inspect
import queue
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hyperframe.frame import HeadersFrame, RstStreamFrame

from support.connections.pairs import Connections, Ends
from support.octets.fields import REQUEST, RESPONSE
from support.peers.raw_peer import client_and_raw_server, server_and_raw_client
from support.threads.background import eventually
from support.tls.certificates import Certificate
from sync_h2 import (
    ErrorCode,
    InvalidState,
    Pong,
    StreamReset,
    ThreadingServer,
    Timeout,
    connect,
    create_secure_server,
    create_server,
    serve_socket,
)

both_roles = pytest.mark.parametrize("role", ["client", "server"])


@pytest.fixture
def ends(plain_connections: Connections) -> Ends:
    return plain_connections.ends()


def sides(ends: Ends, role: str, stream: Any, served: Any) -> tuple[Any, Any]:
    """The stream's end in this role, and the other one."""
    return (stream, served) if role == "client" else (served, stream)


@both_roles
def test_files_use_the_sessions_timeouts(plain_connections: Connections, role: str) -> None:
    ends = plain_connections.ends(**{role: {"read_timeout": 0.1, "write_timeout": 0.1}})
    ours, theirs = sides(ends, role, *ends.exchange())
    with pytest.raises(TimeoutError):
        ours.rfile.read(1)
    with pytest.raises(TimeoutError) as raised:
        ours.wfile.write(bytes(1_000_000))
    assert isinstance(raised.value, Timeout)
    eventually(lambda: not theirs.session.pending_settings_ack)
    assert raised.value.bytes_written == theirs.session.local_settings.initial_window_size
    theirs.write(b"x")
    assert ours.rfile.read(1) == b"x"


@both_roles
def test_every_blocking_call_of_a_stream_takes_a_timeout(ends: Ends, role: str) -> None:
    ours, _ = sides(ends, role, *ends.exchange())
    calls = [
        lambda: ours.read(timeout=0.01),
        lambda: ours.read(1, timeout=0.01),
        lambda: ours.readinto(bytearray(1), timeout=0.01),
        lambda: ours.readline(timeout=0.01),
        lambda: ours.wait_trailers(timeout=0.01),
        lambda: ours.wait_closed(timeout=0.01),
        lambda: ours.write(bytes(1_000_000), timeout=0.01),
        lambda: ours.end(bytes(1_000_000), timeout=0.01),
    ]
    if role == "client":
        calls += [
            lambda: ours.wait_response(timeout=0.01),
            lambda: ours.wait_continue(timeout=0.01),
            lambda: ours.wait_push(timeout=0.01),
        ]
    for call in calls:
        with pytest.raises(Timeout):
            call()
    assert not ours.closed


@both_roles
def test_a_timeout_callback_is_a_listener(ends: Ends, role: str) -> None:
    stream, served = ends.exchange()
    fired = [threading.Event() for _ in range(2)]
    for target, event in zip((sides(ends, role, stream, served)[0], getattr(ends, role)), fired, strict=True):
        target.set_timeout(0.05, event.set)
        assert event.wait(5)
        target.set_timeout(None)
        assert not target.closed
        target.off("timeout", event.set)


def test_a_requests_priority_goes_with_its_headers() -> None:
    with client_and_raw_server() as (session, peer):
        first = session.request()
        second = session.request(exclusive=True, parent=1, weight=200)
        plain, prioritised = peer.expect(HeadersFrame, 1), peer.expect(HeadersFrame, 3)
        assert "PRIORITY" not in plain.flags
        assert "PRIORITY" in prioritised.flags
        assert (prioritised.exclusive, prioritised.depends_on, prioritised.stream_weight) == (True, 1, 199)
        for stream in (first, second):
            stream.close(ErrorCode.CANCEL)


def test_the_attributes_of_a_servers_stream(ends: Ends) -> None:
    stream, served = ends.exchange({":method": "POST", ":path": "/a"})
    assert (served.id, served.pending, served.session) == (1, False, ends.server)
    assert not (served.closed or served.destroyed or served.aborted or served.headers_sent or served.end_after_headers)
    assert (served.rst_code, served.sent_headers, served.sent_trailers, served.trailers) == (None, None, None, None)
    assert served.request_headers is not None
    assert served.request_headers[":path"] == "/a"
    assert served.sent_info_headers == []
    assert served.push_allowed
    served.respond({"x": "1"}, wait_for_trailers=True)
    assert served.headers_sent
    served.send_trailers({"x": "2"})
    assert served.sent_headers is not None
    assert served.sent_headers["x"] == "1"
    assert served.sent_trailers == {"x": "2"}
    stream.close(ErrorCode.CANCEL)
    assert served.wait_closed(timeout=5) == ErrorCode.CANCEL
    assert served.closed
    assert served.destroyed
    assert not served.aborted  # its side had ended
    assert served.session is ends.server
    assert not served.push_allowed or served.closed


def test_a_response_that_ends_with_its_headers(ends: Ends) -> None:
    stream, served = ends.exchange()
    served.respond({":status": 404}, end_stream=True)
    assert stream.wait_response()[":status"] == "404"
    assert stream.end_after_headers
    assert stream.read() == b""
    with pytest.raises(InvalidState):
        served.write(b"more")


@both_roles
def test_sessions_and_streams_of_both_roles_are_context_managers(plain_connections: Connections, role: str) -> None:
    ends = plain_connections.ends()
    stream, served = ends.exchange()
    ours, theirs = sides(ends, role, stream, served)
    with pytest.raises(KeyError), ours as entered:
        assert entered is ours
        raise KeyError
    assert theirs.wait_closed(timeout=5) == ErrorCode.CANCEL
    with pytest.raises(StreamReset):
        theirs.read()
    session = getattr(ends, role)
    with session as entered_session:
        assert entered_session is session
    assert session.destroyed


def test_a_pong_has_a_duration_and_the_payload(ends: Ends) -> None:
    pong = ends.server.ping(b"12345678", timeout=5)
    assert isinstance(pong, Pong)
    assert pong.duration > 0
    assert pong.payload == b"12345678"


def test_types_and_names_of_sessions(connections: Connections) -> None:
    ends = connections.ends()
    assert ends.client.ping()
    for session, role in ((ends.client, "client"), (ends.server, "server")):
        assert session.type == role
        assert session.encrypted is connections.tls
        assert session.alpn_protocol == ("h2" if connections.tls else "h2c")
        assert not (session.connecting or session.closed or session.destroyed)
    certificate = ends.client.peer_certificate
    assert (certificate is not None) is connections.tls
    if certificate is not None:
        assert ("DNS", "localhost") in certificate["subjectAltName"]
    assert ends.server.peer_certificate is None  # the client has shown none


def test_a_servers_idle_time_is_two_minutes_unless_told_otherwise() -> None:
    assert inspect.signature(ThreadingServer.set_timeout).parameters["seconds"].default == 120.0
    with create_server() as server:
        assert server._idle_timeout == 120.0
        server.set_timeout(None)
        assert server._idle_timeout is None


def test_a_secure_server_takes_a_servers_options(certificate: Certificate) -> None:
    assert set(inspect.signature(create_server).parameters) <= set(inspect.signature(create_secure_server).parameters)
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()
    with (
        ThreadPoolExecutor(1, thread_name_prefix="mine") as executor,
        socket.create_server(("127.0.0.1", 0)) as free,
        create_secure_server(
            lambda stream, headers: stream.end(threading.current_thread().name.encode()),
            "localhost",
            0,
            certfile=certificate.certfile,
            keyfile=certificate.keyfile,
            settings={"max_frame_size": 20_000},
            executor=executor,
            max_workers=5,
            reuse_port=True,
            listeners={"listening": lambda: heard.put("listening")},
        ) as server,
        create_secure_server(
            sock=free.dup(), certfile=certificate.certfile, keyfile=certificate.keyfile, listeners={"stream": answer}
        ) as other,
    ):
        assert heard.get(timeout=5) == "listening"
        with connect(f"https://localhost:{server.address[1]}", cafile=certificate.cafile) as session:
            assert session.request().read().startswith(b"mine")
            assert session.remote_settings.max_frame_size == 20_000
        assert other.address == free.getsockname()
        with connect(f"https://localhost:{other.address[1]}", cafile=certificate.cafile) as session:
            assert session.request().read() == b"answer"


def answer(stream: Any, headers: Any) -> None:
    stream.end(b"answer")


def test_on_once_and_off_of_a_stream(ends: Ends) -> None:
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()
    stream, served = ends.exchange()

    @stream.on("headers")
    def always(headers: Any) -> None:
        heard.put("always")

    @stream.once("headers")
    def once(headers: Any) -> None:
        heard.put("once")

    for _ in range(2):
        served.additional_headers({":status": 103})
    assert [heard.get(timeout=5) for _ in range(3)] == ["always", "once", "always"]
    stream.off("headers", always)
    stream.on("headers", lambda headers: heard.put("last"))
    served.additional_headers({":status": 103})
    assert heard.get(timeout=5) == "last"


def test_on_once_and_off_of_a_server() -> None:
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()
    with create_server(answer) as server:

        @server.on("session")
        def always(session: Any) -> None:
            heard.put("always")

        @server.once("session")
        def once(session: Any) -> None:
            heard.put("once")

        for expected in (["always", "once"], ["always"]):
            with connect(server.url) as session:
                assert session.request().read() == b"answer"
            assert [heard.get(timeout=5) for _ in expected] == expected
        server.off("session", always)
        server.on("session", lambda session: heard.put("last"))
        with connect(server.url) as session:
            assert session.request().read() == b"answer"
        assert heard.get(timeout=5) == "last"
        assert heard.empty()


@both_roles
def test_destroy_closes_an_adopted_socket(role: str) -> None:
    near, far = socket.socketpair()
    with near, far:
        session = connect("http://localhost", sock=near) if role == "client" else serve_socket(near, answer)
        session.destroy()
        session.close(timeout=5)
        assert near.fileno() == -1


def test_serve_socket_takes_a_servers_options() -> None:
    parameters = inspect.signature(serve_socket).parameters
    shared = set(inspect.signature(create_server).parameters) - {
        "host",
        "port",
        "reuse_port",
        "on_request",
        "allow_http1",
    }
    assert shared <= set(parameters)


def test_a_responses_informational_headers_are_no_response(ends: Ends) -> None:
    stream, served = ends.exchange()
    served.additional_headers({":status": 103, "link": "</a>"})
    assert not served.headers_sent
    served.end()
    assert stream.wait_response()[":status"] == "200"
    assert stream.response_headers == stream.wait_response()
    assert [headers["link"] for headers in stream.informational] == ["</a>"]


def test_a_pushed_stream_says_what_it_answers(ends: Ends) -> None:
    stream, served = ends.exchange({":path": "/page"})
    pushed = served.push_stream({":path": "/style.css"})
    assert not pushed.push_allowed
    promised = stream.wait_push()
    assert promised is not None
    for end in (pushed, promised):
        assert end.request_headers is not None
        assert end.request_headers[":path"] == "/style.css"
    promised.close(ErrorCode.CANCEL)
    assert pushed.wait_closed(timeout=5) == ErrorCode.CANCEL
    served.end()


def test_a_handler_that_returns_before_the_uploads_end_declines_the_rest() -> None:
    with server_and_raw_client(lambda stream, headers: stream.end(b"early"), discard_timeout=0.1) as (_, peer):
        peer.headers(1, [(":method", "POST"), *REQUEST[1:]])
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.NO_ERROR


def test_read_of_everything_gives_what_came_before_a_reset_in_the_exception() -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        peer.headers(1, RESPONSE)
        peer.data(1, b"half")
        peer.reset(1, ErrorCode.INTERNAL_ERROR)
        with pytest.raises(StreamReset) as raised:
            stream.read()
        assert raised.value.partial == b"half"
