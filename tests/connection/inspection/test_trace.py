"""The `trace` option and SYNC_H2_TRACE: a line for each frame, both ways, in the order of the wire."""

from __future__ import annotations

import re
import socket
import struct
import threading
from typing import Any

import pytest
from hyperframe.frame import (
    AltSvcFrame,
    DataFrame,
    ExtensionFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from support.octets.fields import REQUEST, RESPONSE, UPLOAD
from support.peers.raw_peer import client_and_raw_server, server_and_raw_client
from support.rules.lock_rules import inside_a_critical_section
from support.threads.background import eventually, waits
from support.tls.certificates import Certificate
from sync_h2 import Client, ErrorCode, Headers, connect, create_secure_server, create_server, serve_socket
from sync_h2.connection.sending.outbox import Outbox
from sync_h2.testing import pair


def spoken(lines: list[str], direction: str) -> list[str]:
    """The frames of one direction, without the session's name, which has a number."""
    shown = []
    for line in list(lines):
        name, word, rest = line.split(" ", 2)
        assert re.fullmatch(r"(client|server)-\d+", name), line
        assert word in ("sent", "received"), line
        if word == direction:
            shown.append(rest)
    return shown


def answer(stream: Any, headers: Headers) -> None:
    stream.read()
    stream.end(b"answer")


class Recorder:
    """A trace function that notes what must not be: calls under the lock, and two at a time."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.mistakes: list[str] = []
        self._calling = threading.Lock()

    def __call__(self, line: str) -> None:
        if inside_a_critical_section():
            self.mistakes.append(f"under the lock: {line}")
        if not self._calling.acquire(blocking=False):
            self.mistakes.append(f"at the same time: {line}")
            return
        self.lines.append(line)
        self._calling.release()


def settle(session: Any, lines: list[str]) -> None:
    """Until nobody hands out lines: so that the next ones are those of the test's own call."""

    def handed_out() -> bool:
        if session.pending_settings_ack:
            return False
        stats = session.stats
        return len(lines) == stats.frames_sent + stats.frames_received and not session._trace._handing_out.locked()

    eventually(handed_out)


# -- what the lines say


def test_an_exchange_as_the_client_sees_it() -> None:
    lines: list[str] = []
    with client_and_raw_server(trace=lines.append, peer_settings={0x3: 7, 0xBC: 5}) as (session, peer):
        peer.settled()
        first = session.request({":path": "/x", "user-agent": "me"}, weight=200)
        second = session.request({":method": "POST"})
        second.end(b"body")
        peer.headers(3, [(":status", "103")])
        peer.headers(3, RESPONSE)
        peer.data(3, b"12345")
        peer.headers(3, [("x-trailer", "1")], end_stream=True)
        assert second.read() == b"12345"
        first.close(ErrorCode.CANCEL)
        peer.expect(RstStreamFrame)
        peer.goaway(3, ErrorCode.ENHANCE_YOUR_CALM, b"no more")
        peer.until_end()
        eventually(lambda: "GOAWAY" in lines[-1])
    assert len({line.split()[0] for line in lines}) == 1
    assert lines[0].startswith("client-")
    # PINGs may overtake.
    assert [line for line in spoken(lines, "sent") if not line.startswith("PING")] == [
        "SETTINGS stream=0 length=18 max_concurrent_streams=100 initial_window_size=262144 max_header_list_size=65536",
        "WINDOW_UPDATE stream=0 length=4 increment=8323073",
        "SETTINGS stream=0 length=0 flags=ACK",
        "HEADERS stream=1 length=23 flags=END_STREAM,END_HEADERS,PRIORITY exclusive=False depends_on=0 weight=200"
        " :path='/x' :method='GET' :scheme='http' :authority='localhost' user-agent='me'",
        "HEADERS stream=3 length=4 flags=END_HEADERS :method='POST' :scheme='http' :path='/' :authority='localhost'",
        "DATA stream=3 length=4 flags=END_STREAM",
        "RST_STREAM stream=1 length=4 error=CANCEL",
        "GOAWAY stream=0 length=8 last_stream_id=0 error=NO_ERROR",
    ]
    assert spoken(lines, "received") == [
        "SETTINGS stream=0 length=12 max_concurrent_streams=7 0xbc=5",
        "SETTINGS stream=0 length=0 flags=ACK",
        "PING stream=0 length=8 payload=b'settled?'",
        "PING stream=0 length=8 payload=b'really? '",
        "HEADERS stream=3 length=4 flags=END_HEADERS :status='103'",
        "HEADERS stream=3 length=1 flags=END_HEADERS :status='200'",
        "DATA stream=3 length=5",
        "HEADERS stream=3 length=11 flags=END_STREAM,END_HEADERS x-trailer='1'",
        "GOAWAY stream=0 length=15 last_stream_id=3 error=ENHANCE_YOUR_CALM data=b'no more'",
    ]


def test_an_exchange_as_the_server_sees_it() -> None:
    lines: list[str] = []

    def handler(stream: Any, headers: Headers) -> None:
        stream.push_stream({":path": "/pushed"}).close(ErrorCode.REFUSED_STREAM)
        stream.respond({"x-long": "~" * 40_000}, send_date=False)
        stream.end(b"answer")

    with server_and_raw_client(handler, trace=lines.append) as (_, peer):
        peer.settled()
        peer.headers(1, REQUEST, end_stream=True)
        peer.expect(DataFrame)
        eventually(lambda: "DATA" in lines[-1])
    assert lines[0].startswith("server-")
    assert spoken(lines, "received")[4:5] == [
        "HEADERS stream=1 length=11 flags=END_STREAM,END_HEADERS :method='GET' :scheme='http' :authority='localhost'"
        " :path='/'"
    ]
    sent = [line for line in spoken(lines, "sent") if "stream=0" not in line]
    assert sent[0].startswith("PUSH_PROMISE stream=1 length=")
    assert sent[0].endswith(
        " flags=END_HEADERS promised=2 :path='/pushed' :method='GET' :scheme='http' :authority='localhost'"
    )
    assert sent[1] == "RST_STREAM stream=2 length=4 error=REFUSED_STREAM"
    assert sent[2] == "HEADERS stream=1 length=16384"  # what is in a block is known at its end
    assert sent[3] == "CONTINUATION stream=1 length=16384"
    assert re.match(r"CONTINUATION stream=1 length=\d+ flags=END_HEADERS :status='200' x-long='~~~~", sent[-2])
    assert sent[-2].endswith("'...(40000 characters)")
    assert sent[-1] == "DATA stream=1 length=6 flags=END_STREAM"


def lines_of(*frames: Frame, server: bool = False) -> list[str]:
    """What a session says of these frames from its peer. Streams 1 and 3 of a client are open."""
    lines: list[str] = []
    opened = server_and_raw_client(answer, trace=lines.append) if server else client_and_raw_server(trace=lines.append)
    with opened as (session, peer):
        peer.settled()
        streams = [] if server else [session.request(), session.request({":method": "POST"})]
        eventually(lambda: len(spoken(lines, "received")) == 4)
        peer.send(*frames)
        peer.send(PingFrame(0, b"the last"))
        eventually(lambda: session.destroyed or any("the last" in line for line in lines))
        peer.close()
        eventually(lambda: session.dump()["state"] == "gone")
        del streams
    return [line for line in spoken(lines, "received")[4:] if "the last" not in line]


@pytest.mark.parametrize(
    ("frame", "line"),
    [
        (WindowUpdateFrame(1, 1000), "WINDOW_UPDATE stream=1 length=4 increment=1000"),
        (RstStreamFrame(1, 0x7), "RST_STREAM stream=1 length=4 error=REFUSED_STREAM"),
        (RstStreamFrame(1, 0xABC), "RST_STREAM stream=1 length=4 error=0xabc"),
        (
            PingFrame(0, b"\x00\x1b[31m\n\xff", flags=["ACK"]),
            r"PING stream=0 length=8 flags=ACK payload=b'\x00\x1b[31m\n\xff'",
        ),
        (
            SettingsFrame(0, settings={0x4: 100, 0x2: 0}),
            "SETTINGS stream=0 length=12 initial_window_size=100 enable_push=0",
        ),
        (
            AltSvcFrame(0, b"https://a.example", b'h3=":443"'),
            "ALTSVC stream=0 length=28 origin='https://a.example' value='h3=\":443\"'",
        ),
        (
            ExtensionFrame(0xC, 0, body=b"\0\x05a://b\0\x05c://d"),
            "ORIGIN stream=0 length=14 origin='a://b' origin='c://d'",
        ),
        (ExtensionFrame(0xFA, 3, flag_byte=0x41, body=b"\0" * 5), "0xfa stream=3 length=5 flags=0x41"),
        (
            PriorityFrame(1, depends_on=3, stream_weight=15, exclusive=True),
            "PRIORITY stream=1 length=5 exclusive=True depends_on=3 weight=16",
        ),
        (GoAwayFrame(0, 5, 0), "GOAWAY stream=0 length=8 last_stream_id=5 error=NO_ERROR"),
        (
            DataFrame(99, b"abc", pad_length=4, flags=["PADDED", "END_STREAM"]),
            "DATA stream=99 length=8 flags=END_STREAM,PADDED",
        ),
        # What the session ends for is shown too:
        (ExtensionFrame(0x3, 1, body=b"\0"), "RST_STREAM stream=1 length=1 malformed"),
        (ExtensionFrame(0x4, 0, body=b"\0" * 7), "SETTINGS stream=0 length=7 malformed"),
        (ExtensionFrame(0x7, 0, body=b"\0"), "GOAWAY stream=0 length=1 malformed"),
        (ExtensionFrame(0x8, 1, body=b"\0"), "WINDOW_UPDATE stream=1 length=1 malformed"),
        (ExtensionFrame(0x2, 1, body=b"\0"), "PRIORITY stream=1 length=1 malformed"),
        (ExtensionFrame(0xA, 0, body=b"\0"), "ALTSVC stream=0 length=1 malformed"),
        (ExtensionFrame(0xC, 0, body=b"\0"), "ORIGIN stream=0 length=1 malformed"),
        (
            ExtensionFrame(0x5, 1, flag_byte=0x4, body=b"\0"),
            "PUSH_PROMISE stream=1 length=1 flags=END_HEADERS malformed",
        ),
        (
            ExtensionFrame(0x1, 1, flag_byte=0xC, body=b"\x09a"),
            "HEADERS stream=1 length=2 flags=END_HEADERS,PADDED malformed",
        ),
        (
            ExtensionFrame(0x1, 1, flag_byte=0x24, body=b"\0"),
            "HEADERS stream=1 length=1 flags=END_HEADERS,PRIORITY malformed",
        ),
        (
            HeadersFrame(1, b"\xff\xff\xff", flags=["END_HEADERS"]),
            "HEADERS stream=1 length=3 flags=END_HEADERS fields unknown",
        ),
    ],
    ids=lambda value: value.split(" length")[0] + value[-12:] if isinstance(value, str) else "",
)
def test_what_matters_of_each_type_is_shown(frame: Frame, line: str) -> None:
    if isinstance(frame, ExtensionFrame):
        frame.body_len = len(frame.body)
    assert lines_of(frame) == [line]


def test_priority_update() -> None:
    frame = ExtensionFrame(0x10, 0, body=struct.pack(">L", 5) + b"u=1, i")
    frame.body_len = len(frame.body)
    assert lines_of(frame, server=True) == ["PRIORITY_UPDATE stream=0 length=10 prioritized=5 value='u=1, i'"]


def test_padding_and_priority_of_headers() -> None:
    block = b"\x88"
    frame = HeadersFrame(1, block, flags=["END_HEADERS", "PADDED", "PRIORITY"])
    frame.pad_length, frame.depends_on, frame.stream_weight = 3, 5, 9
    assert lines_of(frame) == [
        "HEADERS stream=1 length=10 flags=END_HEADERS,PADDED,PRIORITY exclusive=False depends_on=5 weight=10"
        " :status='200'"
    ]


def test_what_a_peer_sends_commands_no_terminal() -> None:
    block = b"\x88\x00\x04a\x1b\n=\x03b\r\x9b"
    (line,) = lines_of(HeadersFrame(1, block, flags=["END_HEADERS"]))
    assert line.endswith(r" :status='200' 'a\x1b\n='='b\r\x9b'")
    assert line.isascii()
    assert line.isprintable()


def test_a_block_that_stands_for_megabytes_makes_no_such_line() -> None:
    # One field of 4,000 octets goes into the table, and each octet after that stands for it.
    field = b"\x40\x01a\x7f\xa1\x1e" + b"v" * 4000
    (line,) = lines_of(HeadersFrame(1, b"\x88" + field + b"\xbe" * 60, flags=["END_HEADERS"]))
    assert 10_000 < len(line) < 20_000
    assert line.endswith(" more)")


def test_after_a_block_that_could_not_be_decoded_fields_stay_unknown() -> None:
    lines: list[str] = []
    with client_and_raw_server(trace=lines.append) as (session, peer):
        peer.settled()
        _streams = [session.request(), session.request()]
        bad = HeadersFrame(1, b"\xff\xff\xff", flags=["END_HEADERS"])
        peer.send(bad)
        assert peer.farewell().error_code == ErrorCode.COMPRESSION_ERROR
        # Only the trace goes on: the session ends with the first.
        assert session._trace is not None
        with session._monitor, session._lock:
            line = session._trace._frames.received(0x1, 0x4, 3, memoryview(b"\x88"))
    assert line == "received HEADERS stream=3 length=1 flags=END_HEADERS fields unknown"


def test_secrets_are_hidden_in_both_directions() -> None:
    lines: list[str] = []
    request = Headers({"authorization": "secret-1", "cookie": "secret-2" * 10, "x": "seen"})
    request.add("x-token", "secret-3", sensitive=True)

    def handler(stream: Any, headers: Headers) -> None:
        response = Headers({"set-cookie": "secret-4", "y": "shown"}, sensitive=["x-key"])
        response.add("x-key", "secret-5")
        stream.respond(response)

    expected = ["authorization=<sensitive>", "cookie=<sensitive>", "x-token=<sensitive>", "x='seen'"]
    expected += ["set-cookie=<sensitive>", "x-key=<sensitive>", "y='shown'"]
    client, server = pair(handler, trace=lines.append)
    with client, server:
        for _ in range(3):  # from the second time on most of it comes from the tables
            client.request(request).read()
        for shown in expected:
            eventually(lambda shown=shown: len([line for line in list(lines) if f" {shown}" in line]) == 6)
    assert "secret" not in "\n".join(lines)


# -- when and where they come


def test_frames_that_are_alike_have_a_line_each() -> None:
    """The session may take bulk data together."""
    lines: list[str] = []
    with server_and_raw_client(answer, trace=lines.append) as (_, peer):
        peer.headers(1, UPLOAD)
        peer.send(*[DataFrame(1, bytes(2000))] * 30)  # within the window
        peer.settled()
        peer.data(1, b"", end_stream=True)
        peer.expect(HeadersFrame)
        assert spoken(lines, "received").count("DATA stream=1 length=2000") == 30


@pytest.mark.parametrize("tls", [False, True])
def test_what_one_end_sends_the_other_receives_in_the_same_order(
    tls: bool, background: Any, tls_contexts: dict[str, Any]
) -> None:
    recorders = Recorder(), Recorder()
    client, server = pair(
        answer,
        **(tls_contexts if tls else {}),
        client={"trace": recorders[0]},
        server={"trace": recorders[1]},
    )
    with client, server:

        def exchange(number: int) -> None:
            for turn in range(5):
                stream = client.request({":method": "POST", "x-number": f"{number}-{turn}"})
                stream.end(b"x" * 50_000)
                assert stream.read() == b"answer"

        def ping_often(session: Any) -> None:
            for _ in range(20):
                session.ping()

        calls = [background(exchange, number) for number in range(8)]
        calls += [background(ping_often, session) for session in (client, server)]
        for call in calls:
            call.result(20)
        near, far = (recorder.lines for recorder in recorders)

        def complete() -> bool:
            frames = client.stats.frames_sent + server.stats.frames_sent
            return len(near) == len(far) == frames

        eventually(complete)
        assert spoken(near, "sent") == spoken(far, "received")
        assert spoken(near, "received") == spoken(far, "sent")
    assert [recorder.mistakes for recorder in recorders] == [[], []]
    assert len([line for line in near if " HEADERS " in line]) == 80


def test_a_line_comes_before_whoever_waits_is_woken(background: Any) -> None:
    lines: list[str] = []
    with client_and_raw_server(trace=lines.append) as (session, peer):
        peer.settled()
        stream = session.request()
        settle(session, lines)

        def send(*frames: Frame) -> None:
            eventually(lambda: waits(stream))
            peer.send(*frames)

        sending = background(send, HeadersFrame(1, b"\x88", flags=["END_HEADERS"]))
        stream.wait_response()
        assert "received HEADERS stream=1" in lines[-1]
        sending.result(10)
        sending = background(send, DataFrame(1, b"x", flags=["END_STREAM"]))
        assert stream.read() == b"x"
        assert "received DATA stream=1" in lines[-1]
        sending.result(10)


def test_a_function_that_blocks_holds_up_nobody_else(background: Any) -> None:
    entered, let_go = threading.Event(), threading.Event()
    recorder = Recorder()

    def trace(line: str) -> None:
        if "x-first" in line and "sent" in line:
            entered.set()
            assert let_go.wait(20)
        recorder(line)

    client, server = pair(answer, client={"trace": trace})
    with client, server:
        client.ping()
        settle(client, recorder.lines)
        request = background(client.request, {"x-first": "1"})
        assert entered.wait(10)
        assert client.ping(timeout=10)
        assert client.request().read(timeout=10) == b"answer"
        assert not request.done()
        let_go.set()
        assert request.result(10).read() == b"answer"
        eventually(lambda: len(recorder.lines) == client.stats.frames_sent + client.stats.frames_received)
    streams = [line.split()[2] for line in spoken(recorder.lines, "sent") if line.startswith("HEADERS")]
    assert len(streams) == 2
    assert [re.sub(" .*", "", line) for line in spoken(recorder.lines, "sent")].count("PING") == 2
    assert not recorder.mistakes


def test_a_function_may_call_the_session() -> None:
    sessions: list[Any] = []
    dumps: list[dict[str, Any]] = []
    recorder = Recorder()

    def trace(line: str) -> None:
        recorder(line)
        if "trailer" in line and sessions:
            dumps.append(sessions[0].dump())
            sessions.pop().goaway()

    with client_and_raw_server(trace=trace) as (session, peer):
        sessions.append(session)
        stream = session.request()
        peer.headers(1, RESPONSE)
        peer.headers(1, [("x", "trailer")], end_stream=True)
        assert stream.read() == b""
        peer.expect(GoAwayFrame)
        eventually(lambda: any("sent GOAWAY" in line for line in recorder.lines))
    assert dumps[0]["traced_as"] == recorder.lines[0].split()[0]
    assert not recorder.mistakes


@pytest.mark.parametrize("error", [ValueError("the function's own fault"), SystemExit("the function's own fault")])
def test_one_that_raises_is_logged_once_and_dropped(error: BaseException, caplog: Any) -> None:
    lines: list[str] = []

    def trace(line: str) -> None:
        lines.append(line)
        if "received PING" in line:
            raise error

    with client_and_raw_server(trace=trace) as (session, peer):
        for _ in range(3):
            peer.settled()
        stream = session.request()
        peer.headers(1, RESPONSE, end_stream=True)
        assert stream.read() == b""
    assert "received PING" in lines[-1]
    assert len(lines) < 7
    (record,) = (record for record in caplog.records if "trace function" in record.message)
    assert record.name == "sync_h2.connection"
    assert "the function's own fault" in caplog.text


def test_an_interrupt_while_it_runs_is_the_programs() -> None:
    lines: list[str] = []

    def trace(line: str) -> None:
        lines.append(line)
        if "sent PING" in line and b"question".decode() in line:
            raise KeyboardInterrupt

    with client_and_raw_server(trace=trace) as (session, peer):
        peer.settled()
        settle(session, lines)
        with pytest.raises(KeyboardInterrupt):
            session.ping(b"question")
        peer.expect(PingFrame, matching=lambda ping: ping.opaque_data == b"question")
        peer.settled()
        assert not session.destroyed
        eventually(lambda: "really? " in lines[-1])


def test_lines_for_a_function_that_is_too_slow_are_left_out(monkeypatch: pytest.MonkeyPatch, background: Any) -> None:
    monkeypatch.setattr("sync_h2.connection.inspection.trace.MOST_WAITING", 5)
    entered, let_go = threading.Event(), threading.Event()
    lines: list[str] = []

    def trace(line: str) -> None:
        if "sent HEADERS" in line and not entered.is_set():
            entered.set()
            assert let_go.wait(20)
        lines.append(line)

    with client_and_raw_server(trace=trace) as (session, peer):
        peer.settled()
        settle(session, lines)
        request = background(session.request)
        assert entered.wait(10)
        for _ in range(10):
            peer.settled()
        let_go.set()
        stream = request.result(10)
        eventually(lambda: len(lines) == 15)
        peer.headers(1, RESPONSE, end_stream=True)
        assert stream.read() == b""
        eventually(lambda: "HEADERS" in lines[-1])
        assert lines[15].endswith(" left out 35 lines: the trace function is too slow")
        assert spoken(lines[16:], "received") == [
            "HEADERS stream=1 length=1 flags=END_STREAM,END_HEADERS :status='200'"
        ]


# -- how it is asked for


def test_the_environment_traces_every_session(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("SYNC_H2_TRACE", "1")
    own: list[str] = []
    client, server = pair(answer)
    with client, server:
        assert client.request().read() == b"answer"
    client, server = pair(answer, client={"trace": own.append})
    with client, server:
        assert client.request().read() == b"answer"
    text = capsys.readouterr().err
    lines = text.splitlines()
    assert {line.split("-")[0] for line in lines} == {"client", "server"}
    assert len({line.split()[0] for line in lines}) == 3
    assert own[0].split()[0] not in text
    assert all(spoken(lines, direction) for direction in ("sent", "received"))


@pytest.mark.parametrize("value", ["", "0", None])
def test_without_being_asked_nothing_is_traced(value: str | None, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    if value is None:
        monkeypatch.delenv("SYNC_H2_TRACE", raising=False)
    else:
        monkeypatch.setenv("SYNC_H2_TRACE", value)
    client, server = pair(answer)
    with client, server:
        assert client.request().read() == b"answer"
        for session in (client, server):
            # No wrapper and no check for each frame: the plain parts.
            assert session.dump()["traced_as"] is None
            assert type(session._outbox) is Outbox
            assert session._receiver._receive_frame == session._protocol.receive_frame
    assert capsys.readouterr().err == ""


def test_every_way_to_a_session_takes_it(certificate: Certificate) -> None:
    lines: list[str] = []
    secure = {"certfile": certificate.certificate_pem, "keyfile": certificate.key_pem}
    for server in (
        create_server(answer, trace=lines.append),
        create_secure_server(answer, **secure, trace=lines.append),
    ):
        with server:
            for _ in range(2):
                url = server.url.replace("127.0.0.1", "localhost")
                with connect(url, cafile=certificate.authority_pem, trace=lines.append) as session:
                    assert session.request().read() == b"answer"
    near, far = socket.socketpair()
    with (
        serve_socket(near, answer, trace=lines.append) as served,
        connect("http://localhost", sock=far, trace=lines.append) as session,
    ):
        assert session.request().read() == b"answer"
    served.close()
    names = {line.split()[0] for line in lines}
    assert len([name for name in names if name.startswith("client-")]) == 5
    assert len([name for name in names if name.startswith("server-")]) == 5


@pytest.mark.parametrize("trace", ["print", 1, True])
def test_what_is_no_function_is_refused_before_anything_is_opened(trace: Any, certificate: Certificate) -> None:
    near, far = socket.socketpair()
    with near, far:
        for attempt in (
            lambda: connect("http://localhost:1", trace=trace),
            lambda: create_server(trace=trace),
            lambda: create_secure_server(certfile=certificate.certfile, keyfile=certificate.keyfile, trace=trace),
            lambda: serve_socket(near, trace=trace),
            lambda: Client(trace=trace),
        ):
            with pytest.raises(TypeError, match="trace must be a function"):
                attempt()
        near.send(b"still open")
        assert far.recv(100) == b"still open"


def test_bodies_are_not_shown() -> None:
    lines: list[str] = []
    client, server = pair(answer, trace=lines.append)
    with client, server:
        stream = client.request({":method": "POST"})
        stream.end(b"secret" * 10_000)
        assert stream.read() == b"answer"
    text = "\n".join(lines)
    assert "DATA" in text
    assert "secret" not in text
    assert "answer" not in text


@pytest.mark.parametrize("strategy", ["max", "aligned"])
def test_padded_frames_of_every_length(strategy: str) -> None:
    """Padding of no octets is one of the cases."""
    sizes = range(20)

    def handler(stream: Any, headers: Any) -> None:
        stream.respond()
        for size in sizes:
            stream.write(b"x" * size)
        stream.end()

    lines: list[str] = []
    client, _ = pair(handler, server={"trace": lines.append}, padding_strategy=strategy)
    with client:
        assert len(client.request().read()) == sum(sizes)
        eventually(lambda: any("END_STREAM" in line for line in lines if " sent DATA" in line))
    assert sum(" sent DATA stream=1" in line for line in lines) == len(sizes)
