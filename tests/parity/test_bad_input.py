"""Bad input is refused by the call that made it: the error is of the promised type and names the argument, nothing has
changed, and stream and session go on. (Headers that are too long to be sent are the one exception: they end their
stream.)
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from support.connections.pairs import Connections, Ends
from sync_h2 import (
    ClientStream,
    ErrorCode,
    HTTP2Error,
    InvalidArgument,
    InvalidState,
    ServerStream,
    SessionClosed,
    StreamReset,
    connect,
    create_secure_server,
    create_server,
    pack_settings,
    serve_socket,
    unpack_settings,
)


@pytest.fixture
def ends(plain_connections: Connections) -> Ends:
    return plain_connections.ends()


class Bad(NamedTuple):
    """One mistake: what makes it, the error, and what its message says."""

    call: Callable[[Any], object]
    error: type[Exception]
    says: str


def cases(mistakes: dict[str, Bad]) -> Any:
    return pytest.mark.parametrize("bad", mistakes.values(), ids=mistakes.keys())


def refuses(bad: Bad, target: Any) -> None:
    with pytest.raises(bad.error, match=bad.says) as raised:
        bad.call(target)
    if bad.error is InvalidArgument:
        assert isinstance(raised.value, ValueError)


def exchange_works(ends: Ends, stream: ClientStream, served: ServerStream) -> None:
    """A whole exchange on a stream that has not begun its bodies, and one on a new stream of the same session."""
    for _ in range(2):
        stream.write(b"question")
        stream.end()
        assert served.read() == b"question"
        served.end(b"answer")
        assert stream.wait_response()[":status"] == "200"
        assert stream.read() == b"answer"
        assert stream.wait_closed() == served.wait_closed() == 0
        stream, served = ends.exchange()
    assert ends.client.ping().payload
    assert ends.server.ping().payload
    assert not ends.client.closed
    assert not ends.server.closed


# -- header fields, in every call that sends some

HEADER_CALLS: dict[str, Callable[[Ends, ClientStream, ServerStream, Any], object]] = {
    "request": lambda ends, stream, served, headers: ends.client.request(headers),
    "respond": lambda ends, stream, served, headers: served.respond(headers),
    "additional_headers": lambda ends, stream, served, headers: served.additional_headers(
        [(":status", 103), *(headers.items() if isinstance(headers, dict) else headers)]
    ),
    "push_stream": lambda ends, stream, served, headers: served.push_stream(headers),
    "send_trailers": lambda ends, stream, served, headers: stream.send_trailers(headers),
}


@pytest.mark.parametrize("call", HEADER_CALLS.values(), ids=HEADER_CALLS.keys())
@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"bad name": "x"}, "'bad name'"),
        ({"": "x"}, "''"),
        ({"na\xefve": "x"}, "na\xefve"),
        ({"x-value": "two\r\nlines"}, "'x-value'"),
        ({"x-value": "nul\0"}, "'x-value'"),
        ({"x-value": " padded"}, "'x-value'"),
        ({"x-value": "\u20ac"}, "'x-value'"),
        ({"x-value": None}, "'x-value'"),
        ({"x-value": b"bytes"}, "'x-value'"),
        ({b"x-name": "x"}, "b'x-name'"),
        ({":unknown": "x"}, "':unknown'"),
        ({"connection": "close"}, "'connection'"),
        ({"transfer-encoding": "chunked"}, "'transfer-encoding'"),
        ({"te": "gzip"}, "te may only say trailers"),
        ({"content-type": ["a", "b"]}, "'content-type'"),
        ({"content-length": "x"}, "content-length"),
        ([("x-triple", "x", "y")], "x-triple"),
    ],
)
def test_header_fields(ends: Ends, call: Any, headers: Any, says: str) -> None:
    stream, served = ends.exchange({":method": "POST"}, wait_for_trailers=True)
    with pytest.raises(InvalidArgument, match=says) as raised:
        call(ends, stream, served, headers)
    assert isinstance(raised.value, ValueError)
    stream.write(b"question")
    stream.send_trailers({"x": "1"})
    assert served.read() == b"question"
    assert served.wait_trailers() == {"x": "1"}
    served.end(b"answer")
    assert stream.read() == b"answer"
    assert stream.informational == []
    assert stream.wait_push() is None
    assert stream.wait_closed() == 0
    exchange_works(ends, *ends.exchange())


@pytest.mark.parametrize("call", HEADER_CALLS.values(), ids=HEADER_CALLS.keys())
def test_header_fields_that_are_too_long(ends: Ends, call: Any) -> None:
    """They end their stream, as with Node (`frame_error`); the session goes on."""
    stream, served = ends.exchange({":method": "POST"}, wait_for_trailers=True)
    with pytest.raises(InvalidArgument, match="max_send_header_block_length") as raised:
        call(ends, stream, served, {"x-long": "x" * 70_000})
    assert isinstance(raised.value, ValueError)
    if call is HEADER_CALLS["request"]:  # the stream that it would have opened is none; this is another
        stream.send_trailers({"x": "1"})
        assert served.wait_trailers() == {"x": "1"}
        served.end(b"answer")
        assert stream.read() == b"answer"
    else:
        assert stream.wait_closed() == served.wait_closed() == ErrorCode.INTERNAL_ERROR
        assert (stream if call is HEADER_CALLS["send_trailers"] else served).destroyed
    exchange_works(ends, *ends.exchange())


@pytest.mark.parametrize(
    "call", [HEADER_CALLS[name] for name in ("request", "respond", "push_stream", "send_trailers")]
)
def test_what_are_no_header_fields(ends: Ends, call: Any) -> None:
    stream, served = ends.exchange({":method": "POST"}, wait_for_trailers=True)
    with pytest.raises(TypeError, match=r"headers are a mapping or .* not int"):
        call(ends, stream, served, 5)
    assert not ends.client.closed
    exchange_works(ends, *ends.exchange())


@pytest.mark.parametrize("status", ["", "20", 99, 1000, -200, "abc", 101])
def test_a_status_out_of_range(ends: Ends, status: Any) -> None:
    stream, served = ends.exchange()
    for call in (served.respond, served.additional_headers):
        with pytest.raises(InvalidArgument, match=":status"):
            call({":status": status})
    exchange_works(ends, stream, served)


def test_a_status_of_the_other_kind(ends: Ends) -> None:
    stream, served = ends.exchange()
    with pytest.raises(InvalidArgument, match=":status 103"):
        served.respond({":status": 103})
    with pytest.raises(InvalidArgument, match=":status 200"):
        served.additional_headers({":status": 200})
    exchange_works(ends, stream, served)


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("name", [":status", ":path", ":method"])
def test_a_pseudo_header_in_trailers(ends: Ends, role: str, name: str) -> None:
    stream, served = ends.exchange({":method": "POST"}, wait_for_trailers=True)
    served.respond(wait_for_trailers=True)
    sender, receiver = (stream, served) if role == "client" else (served, stream)
    sender.write(b"body")
    with pytest.raises(InvalidArgument, match=name):
        sender.send_trailers({name: "200"})
    sender.send_trailers({"x": "1"})
    assert receiver.read() == b"body"
    assert receiver.wait_trailers() == {"x": "1"}
    exchange_works(ends, *ends.exchange())


@pytest.mark.parametrize("role", ["client", "server"])
def test_trailers_that_are_too_long_behind_data_that_waits(ends: Ends, background: Any, role: str) -> None:
    """They would be sent by whoever reads the peer's WINDOW_UPDATE: the caller must hear of it, nobody else."""
    stream, served = ends.exchange({":method": "POST"}, wait_for_trailers=True)
    served.respond(wait_for_trailers=True)
    sender, receiver = (stream, served) if role == "client" else (served, stream)
    writing = background(sender.end, b"x" * 1_000_000)
    assert receiver.read(1)
    with pytest.raises(InvalidArgument, match="max_send_header_block_length"):
        sender.send_trailers({"x": "y" * 70_000})
    assert isinstance(writing.exception(5), StreamReset)
    assert sender.destroyed
    assert sender.wait_closed() == receiver.wait_closed() == ErrorCode.INTERNAL_ERROR
    exchange_works(ends, *ends.exchange())


def test_a_refused_response_leaves_no_content_length_behind(ends: Ends) -> None:
    stream, served = ends.exchange()
    with pytest.raises(InvalidArgument, match="'x'"):
        served.respond({"content-length": 2, "x": "two\r\nlines"})
    exchange_works(ends, stream, served)


# -- arguments of a session's calls, in both roles


@pytest.mark.parametrize("role", ["client", "server"])
@cases(
    {
        "unknown event": Bad(lambda session: session.on("bogus", print), InvalidArgument, "'bogus'.*there are .*close"),
        "Node's event": Bad(lambda session: session.once("data", print), InvalidArgument, r"'data'.*read\(\)"),
        "no listener": Bad(lambda session: session.on("ping", "function"), TypeError, "callable, not str"),
        "ping of 7 bytes": Bad(lambda session: session.ping(b"1234567"), InvalidArgument, "payload.*8 bytes"),
        "ping of text": Bad(lambda session: session.ping("12345678"), InvalidArgument, "payload.*8 bytes"),
        "ping's timeout": Bad(lambda session: session.ping(timeout="1"), TypeError, "timeout.*not str"),
        "unknown setting": Bad(lambda session: session.settings({"bogus": 1}), InvalidArgument, "'bogus'"),
        "setting too small": Bad(
            lambda session: session.settings({"max_frame_size": 1}), InvalidArgument, "max_frame_size.*16384"
        ),
        "setting too large": Bad(
            lambda session: session.settings({"initial_window_size": 2**31}), InvalidArgument, "initial_window_size"
        ),
        "setting of text": Bad(
            lambda session: session.settings({"header_table_size": "1"}), InvalidArgument, "header_table_size"
        ),
        "custom id": Bad(lambda session: session.settings({"custom": {2**16: 1}}), InvalidArgument, "custom"),
        "custom value": Bad(lambda session: session.settings({"custom": {0xF000: -1}}), InvalidArgument, "0xf000"),
        "custom mapping": Bad(lambda session: session.settings({"custom": 5}), TypeError, "custom.*mapping.*int"),
        "settings number": Bad(lambda session: session.settings(5), TypeError, "settings.*mapping.*int"),
        "setting's name": Bad(lambda session: session.settings({1: 1}), InvalidArgument, "named 1"),
        "settings' timeout": Bad(
            lambda session: session.settings({}, timeout=-1, wait=True), InvalidArgument, "timeout"
        ),
        "error code": Bad(lambda session: session.goaway(2**32), InvalidArgument, "error code"),
        "error code of text": Bad(lambda session: session.goaway("CANCEL"), TypeError, "error code.*str"),
        "last id": Bad(lambda session: session.goaway(0, -1), InvalidArgument, "last_stream_id"),
        "last id of text": Bad(lambda session: session.goaway(0, "1"), TypeError, "last_stream_id.*str"),
        "last id with a fraction": Bad(lambda session: session.goaway(0, 1.5), TypeError, "last_stream_id.*float"),
        "opaque text": Bad(lambda session: session.goaway(0, None, "text"), TypeError, "opaque_data.*str"),
        "opaque data too long": Bad(lambda session: session.goaway(0, None, bytes(20_000)), InvalidArgument, "20000"),
        "timeout of text": Bad(lambda session: session.set_timeout("1"), TypeError, "timeout.*str"),
        "negative timeout": Bad(lambda session: session.set_timeout(-1), InvalidArgument, "timeout.*-1"),
        "timeout not a number": Bad(lambda session: session.set_timeout(math.nan), InvalidArgument, "timeout"),
        "timeout's callback": Bad(lambda session: session.set_timeout(1, "call"), TypeError, "callable, not str"),
        "close's timeout": Bad(lambda session: session.close(timeout=-1), InvalidArgument, "timeout"),
        "destroy's error": Bad(lambda session: session.destroy("no more"), TypeError, "error.*str"),
        "destroy's code": Bad(lambda session: session.destroy(code=-1), InvalidArgument, "error code"),
    }
)
def test_arguments_of_a_session(ends: Ends, role: str, bad: Bad) -> None:
    stream, served = ends.exchange()
    refuses(bad, getattr(ends, role))
    exchange_works(ends, stream, served)


@cases(
    {
        "weight": Bad(lambda session: session.request(weight=0), InvalidArgument, "weight.*256"),
        "weight too large": Bad(lambda session: session.request(weight=257), InvalidArgument, "weight.*256"),
        "weight with a fraction": Bad(lambda session: session.request(weight=1.5), TypeError, "weight.*float"),
        "weight of text": Bad(lambda session: session.request(weight="16"), TypeError, "weight.*str"),
        "parent": Bad(lambda session: session.request(parent=-1), InvalidArgument, "parent"),
        "parent with a fraction": Bad(lambda session: session.request(parent=1.5), TypeError, "parent.*float"),
        "timeout": Bad(lambda session: session.request(timeout="1"), TypeError, "timeout.*str"),
        "trailers and no body": Bad(
            lambda session: session.request(end_stream=True, wait_for_trailers=True), InvalidArgument, "end_stream"
        ),
        "content-length and no body": Bad(
            lambda session: session.request({"content-length": 5}), InvalidArgument, "content-length 5"
        ),
        "unknown event": Bad(lambda session: session.request(listeners={"bogus": print}), InvalidArgument, "'bogus'"),
        "listeners": Bad(lambda session: session.request(listeners=5), TypeError, "listeners.*mapping.*int"),
        "path": Bad(lambda session: session.request({":path": "no slash"}), InvalidArgument, ":path"),
        "method": Bad(lambda session: session.request({":method": "G T"}), InvalidArgument, ":method"),
        "CONNECT with a path": Bad(
            lambda session: session.request({":method": "CONNECT", ":authority": "far:25", ":path": "/"}),
            InvalidArgument,
            ":path",
        ),
    }
)
def test_arguments_of_a_request(ends: Ends, bad: Bad) -> None:
    stream, served = ends.exchange()
    refuses(bad, ends.client)
    assert stream.id == 1
    exchange_works(ends, stream, served)
    assert ends.exchange()[0].id == 7  # no id was used up: 3 and 5 are those of the exchanges that worked


# -- arguments of a stream's calls, in both roles


@pytest.mark.parametrize("role", ["client", "server"])
@cases(
    {
        "unknown event": Bad(
            lambda stream: stream.on("goaway", print), InvalidArgument, "'goaway'.*there are .*response"
        ),
        "Node's event": Bad(lambda stream: stream.on("drain", print), InvalidArgument, r"'drain'.*write\(\)"),
        "no listener": Bad(lambda stream: stream.on("close", 5), TypeError, "callable, not int"),
        "body of text": Bad(lambda stream: stream.write("text"), TypeError, "bytes.*str"),
        "end of text": Bad(lambda stream: stream.end("text"), TypeError, "bytes.*str"),
        "body of a number": Bad(lambda stream: stream.write(5), TypeError, "bytes-like.*int"),
        "write's timeout": Bad(lambda stream: stream.write(b"x", timeout=-1), InvalidArgument, "timeout"),
        "read's timeout": Bad(lambda stream: stream.read(timeout="1"), TypeError, "timeout.*str"),
        "read of text": Bad(lambda stream: stream.read("1"), TypeError, "str"),
        "read into bytes": Bad(lambda stream: stream.readinto(b"bytes"), TypeError, "writable buffer, not bytes"),
        "line of text": Bad(lambda stream: stream.readline("1"), TypeError, "str"),
        "error code": Bad(lambda stream: stream.close(2**32), InvalidArgument, "error code"),
        "error code of text": Bad(lambda stream: stream.close("CANCEL"), TypeError, "error code.*str"),
        "destroy's error": Bad(lambda stream: stream.destroy("no more"), TypeError, "error.*str"),
        "timeout": Bad(lambda stream: stream.set_timeout(-1), InvalidArgument, "timeout"),
        "timeout of text": Bad(lambda stream: stream.set_timeout("1"), TypeError, "timeout.*str"),
        "wait_closed's timeout": Bad(lambda stream: stream.wait_closed(math.nan), InvalidArgument, "timeout"),
        "wait_trailers' timeout": Bad(lambda stream: stream.wait_trailers("1"), TypeError, "timeout.*str"),
    }
)
def test_arguments_of_a_stream(ends: Ends, role: str, bad: Bad) -> None:
    stream, served = ends.exchange()
    refuses(bad, stream if role == "client" else served)
    assert not stream.destroyed
    assert not served.destroyed
    exchange_works(ends, stream, served)


# -- calls that do not fit the state of the stream


def test_respond_twice(ends: Ends) -> None:
    stream, served = ends.exchange()
    served.respond()
    with pytest.raises(InvalidState, match="headers have been sent already"):
        served.respond({":status": 404})
    exchange_works(ends, stream, served)


@pytest.mark.parametrize(
    "call", [lambda served: served.respond(), lambda served: served.additional_headers({":status": 103})]
)
def test_headers_after_the_body(ends: Ends, call: Any) -> None:
    stream, served = ends.exchange()
    served.write(b"begun, ")
    with pytest.raises(InvalidState, match=r"response|final") as raised:
        call(served)
    assert raised.value.stream_id == 1
    served.end(b"ended")
    assert stream.read() == b"begun, ended"
    exchange_works(ends, *ends.exchange())


@pytest.mark.parametrize("role", ["client", "server"])
def test_trailers_without_the_option(ends: Ends, role: str) -> None:
    stream, served = ends.exchange()
    served.respond()
    with pytest.raises(InvalidState, match="wait_for_trailers=True"):
        (stream if role == "client" else served).send_trailers({"x": "1"})
    exchange_works(ends, stream, served)


def test_trailers_too_early(ends: Ends) -> None:
    stream, served = ends.exchange()
    with pytest.raises(InvalidState, match="after the headers"):
        served.send_trailers({"x": "1"})
    exchange_works(ends, stream, served)


@pytest.mark.parametrize("role", ["client", "server"])
def test_trailers_twice_and_a_body_after_them(ends: Ends, role: str) -> None:
    stream, served = ends.exchange({":method": "POST"}, wait_for_trailers=True)
    served.respond(wait_for_trailers=True)
    sender, receiver = (stream, served) if role == "client" else (served, stream)
    sender.send_trailers({"x": "1"})
    with pytest.raises(InvalidState, match="trailers have been sent already"):
        sender.send_trailers({"x": "2"})
    with pytest.raises(InvalidState, match="ended already"):
        sender.write(b"body")
    assert receiver.wait_trailers() == {"x": "1"}
    exchange_works(ends, *ends.exchange())


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_body_after_the_end(ends: Ends, role: str) -> None:
    stream, served = ends.exchange()
    sender, receiver = (stream, served) if role == "client" else (served, stream)
    sender.end(b"all")
    for call in (sender.write, sender.end):
        with pytest.raises(InvalidState, match="ended already"):
            call(b"more")
    assert receiver.read() == b"all"
    exchange_works(ends, *ends.exchange())


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_body_of_another_length_than_announced(ends: Ends, role: str) -> None:
    headers = {":method": "POST", "content-length": 4} if role == "client" else {":method": "POST"}
    stream, served = ends.exchange(headers)
    if role == "server":
        served.respond({"content-length": 4})
    sender, receiver = (stream, served) if role == "client" else (served, stream)
    with pytest.raises(InvalidState, match="1 more than content-length"):
        sender.write(b"12345")
    sender.write(b"123")
    with pytest.raises(InvalidState, match="1 bytes of content-length are missing"):
        sender.end()
    sender.end(b"4")
    assert receiver.read() == b"1234"
    exchange_works(ends, *ends.exchange())


def test_push_from_a_pushed_stream(ends: Ends) -> None:
    stream, served = ends.exchange()
    pushed = served.push_stream({":path": "/pushed"})
    with pytest.raises(InvalidState, match="a pushed stream can't push"):
        pushed.push_stream({":path": "/again"})
    pushed.end(b"pushed")
    promised = stream.wait_push()
    assert promised is not None
    assert promised.read() == b"pushed"
    with pytest.raises(InvalidState, match="ended already"):
        promised.write(b"a client's body on a pushed stream")
    exchange_works(ends, stream, served)


def test_push_to_a_client_that_takes_none(plain_connections: Connections) -> None:
    ends = plain_connections.ends(client={"settings": {"enable_push": False}})
    stream, served = ends.exchange()
    with pytest.raises(InvalidState, match="disabled push"):
        served.push_stream({":path": "/pushed"})
    exchange_works(ends, stream, served)


@pytest.mark.parametrize("headers", [{":method": "POST"}, {"content-length": 5}, {":status": 200}])
def test_a_request_that_cant_be_pushed(ends: Ends, headers: Any) -> None:
    stream, served = ends.exchange()
    with pytest.raises(InvalidArgument, match=r":method 'POST'|content-length|:status"):
        served.push_stream(headers)
    exchange_works(ends, stream, served)


def test_extended_connect_that_the_server_has_not_enabled(ends: Ends) -> None:
    stream, served = ends.exchange()
    with pytest.raises(InvalidState, match="extended CONNECT"):
        ends.client.request({":method": "CONNECT", ":protocol": "websocket"})
    exchange_works(ends, stream, served)


# -- use after the end


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("how", ["finished", "reset"])
def test_use_of_a_stream_after_its_end(ends: Ends, role: str, how: str) -> None:
    stream, served = ends.exchange({":method": "POST"}, wait_for_trailers=True)
    if how == "reset":
        stream.close(ErrorCode.CANCEL)
    else:
        served.end()
        stream.send_trailers({})
    assert stream.wait_closed() == served.wait_closed() == (ErrorCode.CANCEL if how == "reset" else ErrorCode.NO_ERROR)
    calls: list[Callable[[], object]] = []
    for end in (stream,) if role == "client" else (served,):
        calls += [lambda end=end: end.write(b"x"), lambda end=end: end.end(b"x"), lambda end=end: end.send_trailers({})]
    if role == "server":
        calls += [
            lambda: served.respond(),
            lambda: served.additional_headers({":status": 103}),
            lambda: served.push_stream({":path": "/"}),
        ]
    for call in calls:
        with pytest.raises(StreamReset if how == "reset" else InvalidState) as raised:
            call()
        assert raised.value.stream_id == 1
    for end in (stream, served):
        end.close(ErrorCode.CANCEL)
        end.destroy()
        end.set_timeout(None)
    exchange_works(ends, *ends.exchange())


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("how", ["closed", "destroyed"])
def test_use_of_a_session_after_its_end(ends: Ends, role: str, how: str) -> None:
    session = getattr(ends, role)
    session.close(timeout=5) if how == "closed" else session.destroy()
    calls = [session.ping, session.goaway, lambda: session.settings({})]
    if role == "client":
        calls.append(session.request)
    for call in calls:
        with pytest.raises(SessionClosed):
            call()
    session.close(timeout=5)
    session.destroy()
    session.set_timeout(1)
    session.set_timeout(None)
    assert session.closed
    assert session.destroyed
    assert session.local_settings is not None
    assert session.remote_settings is not None


# -- what opens connections and serves them


def nothing(stream: Any, headers: Any) -> None:
    """Serves nobody."""


@cases(
    {
        "unknown option": Bad(lambda make: make(max_stream=1), TypeError, "'max_stream'; did you mean 'max_"),
        "limit of text": Bad(lambda make: make(max_settings="32"), InvalidArgument, "max_settings.*'32'"),
        "negative limit": Bad(lambda make: make(read_timeout=-1), InvalidArgument, "read_timeout.*-1"),
        "no limit where one must be": Bad(lambda make: make(max_settings=None), InvalidArgument, "max_settings.*None"),
        "unknown padding": Bad(lambda make: make(padding_strategy="some"), InvalidArgument, "padding_strategy.*'some'"),
        "setting": Bad(lambda make: make(settings={"max_frame_size": 1}), InvalidArgument, "max_frame_size"),
        "settings number": Bad(lambda make: make(settings=5), TypeError, "settings.*mapping.*int"),
        "unknown event": Bad(lambda make: make(listeners={"bogus": print}), InvalidArgument, "'bogus'"),
        "listener": Bad(lambda make: make(listeners={"close": "call"}), TypeError, "callable, not str"),
    }
)
@pytest.mark.parametrize("kind", ["connect", "create_server", "create_secure_server", "serve_socket"])
def test_options(certificate: Any, bad: Bad, kind: str) -> None:
    near, far = socket.socketpair()
    with near, far:
        makers: dict[str, Callable[..., Any]] = {
            "connect": lambda **options: connect("http://localhost", sock=near, **options),
            "create_server": lambda **options: create_server(nothing, **options),
            "create_secure_server": lambda **options: create_secure_server(
                nothing, certfile=certificate.certfile, keyfile=certificate.keyfile, **options
            ),
            "serve_socket": lambda **options: serve_socket(near, nothing, **options),
        }
        refuses(bad, makers[kind])


@cases(
    {
        "no URL": Bad(lambda _: connect("localhost:80"), InvalidArgument, "'localhost:80'.*https://"),
        "a path": Bad(lambda _: connect("http://localhost/path"), InvalidArgument, "path"),
        "bytes": Bad(lambda _: connect(b"http://localhost"), TypeError, "authority.*bytes"),  # type: ignore[arg-type]
        "timeout": Bad(lambda _: connect("http://localhost:1", timeout=-1), InvalidArgument, "timeout"),
        "two sources of trust": Bad(
            lambda context: connect("https://localhost:1", context=context, cafile="x"), InvalidArgument, "cafile"
        ),
        "port": Bad(lambda _: create_server(nothing, port=70_000), InvalidArgument, "port.*70000"),
        "port of text": Bad(
            lambda _: create_server(nothing, port="80"),  # type: ignore[arg-type]
            InvalidArgument,
            "port.*'80'",
        ),
        "workers": Bad(lambda _: create_server(nothing, max_workers=0), InvalidArgument, "max_workers.*0"),
        "handler": Bad(lambda _: create_server("handler"), TypeError, "handler.*str"),  # type: ignore[arg-type]
        "handler twice": Bad(
            lambda _: create_server(nothing, listeners={"stream": nothing}), InvalidArgument, "handler.*'stream'"
        ),
        "no certificate": Bad(lambda _: create_secure_server(nothing), InvalidArgument, "certfile"),
        "two certificates": Bad(
            lambda context: create_secure_server(nothing, context=context, certfile="x"), InvalidArgument, "certfile"
        ),
        "packed settings": Bad(lambda _: unpack_settings(b"12345"), InvalidArgument, "5 octets"),
        "settings to pack": Bad(lambda _: pack_settings({"bogus": 1}), InvalidArgument, "'bogus'"),
    }
)
def test_arguments_of_functions(tls_contexts: Any, bad: Bad) -> None:
    refuses(bad, tls_contexts[0])


def test_serve_socket_with_what_is_no_handler() -> None:
    near, far = socket.socketpair()
    with near, far, pytest.raises(TypeError, match=r"handler.*str"):
        serve_socket(near, "handler")  # type: ignore[arg-type]  # that is the point


@cases(
    {
        "unknown event": Bad(lambda server: server.on("bogus", print), InvalidArgument, "'bogus'.*there are .*session"),
        "timeout of text": Bad(lambda server: server.set_timeout("1"), TypeError, "timeout.*str"),
        "negative timeout": Bad(lambda server: server.set_timeout(-1), InvalidArgument, "timeout"),
        "setting": Bad(lambda server: server.update_settings({"max_frame_size": 1}), InvalidArgument, "max_frame_size"),
        "settings number": Bad(lambda server: server.update_settings(5), TypeError, "settings.*mapping.*int"),
        "close's timeout": Bad(lambda server: server.close(timeout=-1), InvalidArgument, "timeout"),
    }
)
def test_arguments_of_a_server(bad: Bad) -> None:
    with create_server(lambda stream, headers: stream.end(stream.read())) as server, connect(server.url) as session:
        refuses(bad, server)
        stream = session.request({":method": "POST"})
        stream.end(b"question")
        assert stream.read() == b"question"
    with pytest.raises(InvalidState, match="make another"):
        server.start()


def test_errors_are_all_of_one_family() -> None:
    for error in (InvalidArgument, InvalidState, SessionClosed, StreamReset):
        assert issubclass(error, HTTP2Error)
