"""Answers that are whole before their requests are: nobody hangs, nobody's thread waits, and there is an end to it."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest
from hyperframe.frame import DataFrame, Frame, HeadersFrame, PingFrame, RstStreamFrame, WindowUpdateFrame

from support.octets.fields import UPLOAD
from support.peers.raw_peer import RawPeer, server_and_raw_client
from support.programs.others import program
from support.threads.background import eventually
from support.tls.certificates import Certificate
from sync_h2 import ErrorCode, HTTP2Error, StreamReset, compat, connect, create_secure_server, create_server
from sync_h2.connection.server_side import early_answers
from sync_h2.constants import SettingId
from sync_h2.server.handlers.static_files import static_files
from sync_h2.testing import pair

SIZES = [90_000, 1_000_000, 6_000_000]  # curl's and httpx's windows for them are 84 kB at first
BOUND = 4_000_000  # of what is thrown away, in these tests


def application(environ: Any, start_response: Any) -> list[bytes]:
    status = environ["PATH_INFO"].strip("/")
    start_response(f"{status} Some Phrase", [] if status == "204" else [("Content-Length", "2")])
    return [] if status == "204" else [b"ok"]


def generator(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b"o"
    yield b"k"


def handler(stream: Any, headers: Any) -> None:
    status = headers[":path"].strip("/")
    if status == "204":
        stream.respond({":status": status}, end_stream=True)
    else:
        stream.respond({":status": status})
        stream.end(b"ok")


def writes_its_length(stream: Any, headers: Any) -> None:
    stream.respond({"content-length": 2})
    stream.write(b"ok")


def says_there_is_nothing(stream: Any, headers: Any) -> None:
    stream.respond({"content-length": 0})


def listener(request: Any, response: Any) -> None:
    response.status_code = int(request.url.strip("/"))
    response.end(b"" if response.status_code == 204 else b"ok")


class OldHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        status = int(self.path.strip("/"))
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "2")
        self.end_headers()
        if status != 204:
            self.wfile.write(b"ok")

    do_PUT = do_POST

    def log_message(self, *arguments: Any) -> None:
        """Says nothing."""


KINDS: dict[str, dict[str, Any]] = {
    "wsgi": {"handler": compat.wsgi(application)},
    "handler": {"handler": handler},
    "request": {"on_request": listener},
    "http.server": {"handler": compat.handler_for(OldHandler)},
}


@pytest.fixture
def server_of() -> Iterator[Callable[..., str]]:
    servers = []

    def make(**options: Any) -> str:
        server = create_server(**options)
        servers.append(server)
        server.start()
        return server.url

    yield make
    for server in servers:
        server.close(timeout=5)


def curl(url: str, size: int, *options: str) -> subprocess.CompletedProcess[bytes]:
    """An upload of `size` octets; 28 is what curl returns when it would hang."""
    body = ["--upload-file", "-"] if "-T" in options else ["--data-binary", "@-"]
    options = tuple(option for option in options if option != "-T")
    write_out = ["--write-out", "%{http_code} %{size_upload}", "--output", "/dev/null", "--max-time", "20"]
    command = [program("curl"), "-sS", "--http2-prior-knowledge", *write_out, *body, *options, url]
    return subprocess.run(command, input=b"x" * size, capture_output=True, check=False)


# -- other people's clients


@pytest.mark.parametrize("how", [(), ("-T",), ("-H", "Expect: 100-continue")], ids=["length", "no length", "expect"])
@pytest.mark.parametrize("status", ["200", "204"])
@pytest.mark.parametrize("kind", KINDS)
def test_curl_sends_all_and_gets_the_answer(server_of: Any, kind: str, status: str, how: tuple[str, ...]) -> None:
    url = server_of(**KINDS[kind], max_discarded_body=BOUND)
    for size in SIZES[:2]:
        done = curl(f"{url}/{status}", size, *how)
        assert (done.returncode, done.stdout.decode()) == (0, f"{status} {size}"), done.stderr


@pytest.mark.parametrize("status", ["302", "401", "413", "500"])
@pytest.mark.parametrize("kind", KINDS)
def test_curl_stops_at_what_is_no_success(server_of: Any, kind: str, status: str) -> None:
    url = server_of(**KINDS[kind], max_discarded_body=BOUND)
    for size in SIZES:
        for how in ((), ("-T",), ("-H", "Expect: 100-continue")):
            done = curl(f"{url}/{status}", size, *how)
            assert (done.returncode, done.stdout.decode().split()[0]) == (0, status), (size, how, done.stderr)


@pytest.mark.parametrize("size", [65_537, 131_072, 2_000_000])
@pytest.mark.parametrize("status", ["302", "307"])
@pytest.mark.parametrize("pieces", [1, 3, 2000])
def test_curl_follows_a_redirect_that_has_a_body(certificate: Certificate, status: str, size: int, pieces: int) -> None:
    """It reads nothing behind the redirect's head, over TLS, and would hang with a window that is shut."""

    def handler(stream: Any, headers: Any) -> None:
        if headers[":path"] == "/there":
            stream.end(b"%d" % len(stream.read()))
            return
        stream.respond({":status": status, "location": "/there"})
        for _ in range(pieces):
            stream.write(b"it has moved to another place ")

    with create_secure_server(handler, certfile=certificate.certfile, keyfile=certificate.keyfile) as server:
        options = ["-L", "--http2", "-sS", "--max-time", "20", "--cacert", str(certificate.cafile)]
        command = [program("curl"), *options, "--data-binary", "@-", f"https://localhost:{server.address[1]}/"]
        result = subprocess.run(command, input=bytes(size), capture_output=True, check=False)
    assert (result.returncode, result.stdout) == (0, b"%d" % (size if status == "307" else 0)), result.stderr


@pytest.mark.parametrize("given", [writes_its_length, says_there_is_nothing, compat.wsgi(generator)])
def test_curl_and_answers_that_nobody_has_ended(server_of: Any, given: Any) -> None:
    url = server_of(handler=given)
    for how in ((), ("-T",)):
        done = curl(url, SIZES[1], *how)
        assert (done.returncode, done.stdout.decode()) == (0, f"200 {SIZES[1]}"), done.stderr


def test_curl_fails_at_once_beyond_the_bound(server_of: Any) -> None:
    url = server_of(**KINDS["handler"], max_discarded_body=BOUND)  # WSGI's would wait for a body without a length
    for how in ((), ("-T",)):
        # "Stream error in the HTTP/2 framing layer", as a rule; if it sees the reset late, it takes the answer.
        assert curl(f"{url}/200", 30_000_000, *how).returncode in (0, 92)


@pytest.mark.parametrize("size", SIZES[:2])
@pytest.mark.parametrize("status", ["200", "204", "302", "413", "500"])
@pytest.mark.parametrize("kind", KINDS)
def test_httpx_sends_all_and_gets_the_answer(server_of: Any, kind: str, status: str, size: int) -> None:
    url = server_of(**KINDS[kind], max_discarded_body=BOUND)
    with httpx.Client(http1=False, http2=True, timeout=20) as client:
        for content in (b"x" * size, iter([b"x" * (size // 2)] * 2)):
            answer = client.post(f"{url}/{status}", content=content)
            assert (answer.status_code, answer.content) == (int(status), b"" if status == "204" else b"ok")


def test_httpx_fails_at_once_beyond_the_bound(server_of: Any) -> None:
    url = server_of(**KINDS["wsgi"], max_discarded_body=BOUND)
    with httpx.Client(http1=False, http2=True, timeout=20) as client:
        with pytest.raises(httpx.LocalProtocolError):  # no ReadTimeout
            client.post(f"{url}/200", content=b"x" * 30_000_000)
        assert client.post(f"{url}/200", content=b"x").content == b"ok"


@pytest.mark.parametrize("size", SIZES)
def test_static_files_refuses_uploads(server_of: Any, tmp_path: Path, size: int) -> None:
    url = server_of(handler=static_files(tmp_path), max_discarded_body=BOUND)
    for how in ((), ("-T",)):
        done = curl(f"{url}/", size, *how)
        assert (done.returncode, done.stdout.decode().split()[0]) == (0, "405"), done.stderr
    if size < BOUND:
        with httpx.Client(http1=False, http2=True, timeout=20) as client:
            assert client.post(url, content=b"x" * size).status_code == 405


def test_a_file_that_answers_an_upload(server_of: Any, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"y" * 700_000)
    url = server_of(handler=lambda stream, headers: stream.respond_with_file(file))
    for how in ((), ("-T",)):
        done = curl(url, SIZES[1], *how)
        assert (done.returncode, done.stdout.decode()) == (0, f"200 {SIZES[1]}"), done.stderr


# -- on the wire


@pytest.fixture
def raw() -> Iterator[Callable[..., RawPeer]]:
    """A client that the test plays, of a session with this handler."""
    contexts = []

    def make(handler: Any, **options: Any) -> RawPeer:
        context = server_and_raw_client(handler, **options)
        contexts.append(context)
        session, peer = context.__enter__()
        peer.session = session
        return peer

    yield make
    for context in contexts:
        context.__exit__(None, None, None)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the test is, the server does not take its client for one that has stopped to send."""
    monkeypatch.setattr(early_answers, "_PAUSE", 60.0)


def returned(peer: RawPeer, stream_id: int = 1) -> None:
    """Wait until the stream's handler has returned: now what comes is thrown away, and its credit given back."""
    eventually(lambda: peer.session._streams[stream_id].declined)


def ended(frames: list[Frame]) -> bool:
    return any("END_STREAM" in frame.flags for frame in frames if isinstance(frame, DataFrame | HeadersFrame))


def early(stream: Any, headers: Any) -> None:
    stream.respond({"content-length": 5})
    stream.end(b"early")


def answer_of(peer: RawPeer, stream_id: int = 1) -> bytes:
    """The rest of the answer, up to its END_STREAM."""
    body = b""
    while True:
        frame = peer.expect(DataFrame, stream_id)
        body += frame.data
        if "END_STREAM" in frame.flags:
            return body


def test_the_last_octet_of_a_length_waits_for_the_end_of_the_request(raw: Any, patient: None) -> None:
    peer = raw(early)
    peer.headers(1, UPLOAD)
    assert dict(peer.expect(HeadersFrame, 1).fields)["content-length"] == "5"
    assert peer.expect(DataFrame, 1).data == b"earl"
    returned(peer)
    for _ in range(20):
        peer.data(1, b"x" * 10_000)
        assert not ended(peer.settled())
    peer.data(1, b"", end_stream=True)
    assert answer_of(peer) == b"y"
    assert not [frame for frame in peer.settled() if isinstance(frame, RstStreamFrame)]


def test_without_a_length_only_the_end_waits(raw: Any, patient: None) -> None:
    peer = raw(lambda stream, headers: stream.end(b"early"))
    peer.headers(1, UPLOAD)
    assert peer.expect(DataFrame, 1).data == b"early"
    peer.data(1, b"x", end_stream=True)
    assert answer_of(peer) == b""


def test_no_thread_waits(raw: Any, patient: None) -> None:
    peer = raw(early, max_workers=1)
    for stream_id in range(1, 21, 2):
        peer.headers(stream_id, UPLOAD)
    answers = [peer.expect(DataFrame) for _ in range(10)]  # whose comes first is the scheduler's choice
    assert {frame.stream_id: frame.data for frame in answers} == dict.fromkeys(range(1, 21, 2), b"earl")
    peer.headers(21, UPLOAD, end_stream=True)
    assert answer_of(peer, 21) == b"early"


def test_beyond_the_bound_the_window_opens_and_then_comes_the_reset(raw: Any, patient: None) -> None:
    answered = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        early(stream, headers)
        answered.set()

    peer = raw(handler, max_discarded_body=50_000)
    peer.headers(1, UPLOAD)
    assert peer.expect(DataFrame, 1).data == b"earl"
    assert answered.wait(20)
    for _ in range(6):
        peer.data(1, b"x" * 10_000)
    frames = []
    while not isinstance(frame := peer.receive(), RstStreamFrame):
        frames.append(frame)
    assert frame.error_code == ErrorCode.NO_ERROR
    of_stream = [frame for frame in frames if frame.stream_id == 1]
    kinds = [type(frame) for frame in of_stream]
    assert WindowUpdateFrame in kinds
    # A window that was opened before may come behind it.
    [end] = [frame for frame in of_stream if isinstance(frame, DataFrame)]
    assert end.data == b"y"
    assert "END_STREAM" in end.flags
    peer.data(1, b"was on its way")
    assert not [frame for frame in peer.settled() if isinstance(frame, RstStreamFrame)]


@pytest.mark.parametrize("status", ["200", "413"])
def test_when_time_is_up_comes_the_reset(raw: Any, status: str) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond({":status": status, "content-length": 5})
        stream.end(b"early")

    peer = raw(handler, discard_timeout=0.3)
    peer.headers(1, UPLOAD)
    assert answer_of(peer) in (b"early", b"earl" + b"y")
    assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.NO_ERROR


def test_a_client_that_sends_nothing_waits_for_the_answer(raw: Any) -> None:
    peer = raw(early)
    peer.headers(1, UPLOAD)
    assert answer_of(peer) == b"early"  # after a second or so
    peer.data(1, b"x" * 16_000)
    assert not [frame for frame in peer.settled() if isinstance(frame, RstStreamFrame)]
    peer.data(1, b"", end_stream=True)
    assert not [frame for frame in peer.settled() if isinstance(frame, RstStreamFrame)]


def test_who_goes_on_after_a_pause_needs_no_window(raw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """curl reads nothing any more."""
    monkeypatch.setattr(early_answers, "_PAUSE", 0.2)
    peer = raw(early, max_discarded_body=500_000)
    peer.headers(1, UPLOAD)
    answer_of(peer)
    for _ in range(45):
        peer.data(1, b"x" * 10_000)
    peer.data(1, b"", end_stream=True)
    assert not [frame for frame in peer.settled() if isinstance(frame, RstStreamFrame)]


def test_curl_goes_on_after_a_pause(server_of: Any) -> None:
    url = server_of(**KINDS["wsgi"])
    body = "(head -c 70000 /dev/zero; sleep 1.5; head -c 2000000 /dev/zero)"
    command = f"{body} | {program('curl')} -sS -m 20 -T - --http2-prior-knowledge {url}/200"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"ok"), done.stderr


def test_nothing_is_thrown_away_if_that_is_what_was_asked_for(raw: Any) -> None:
    peer = raw(early, max_discarded_body=0)
    peer.headers(1, UPLOAD)
    assert answer_of(peer) == b"early"
    assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.NO_ERROR


@pytest.mark.parametrize("status", ["301", "413", "500"])
@pytest.mark.parametrize("returned", [True, False])
def test_what_is_no_success_is_said_at_once(raw: Any, status: str, returned: bool) -> None:
    proceed = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        stream.respond({":status": status, "content-length": 5})
        assert returned or proceed.wait(10)
        stream.end(b"early")

    peer = raw(handler)
    peer.headers(1, [*UPLOAD, ("content-length", "100000")])
    peer.data(1, b"x" * 1000)
    assert dict(peer.expect(HeadersFrame, 1).fields)[":status"] == status
    # As curl does: it stops, whatever length it has announced, and wants the end of the answer behind its own.
    peer.data(1, b"", end_stream=True)
    if not returned:
        peer.settled()
    proceed.set()
    body = b""
    while True:
        frame = peer.receive()
        assert not isinstance(frame, RstStreamFrame)
        if isinstance(frame, DataFrame):
            body += frame.data
            if "END_STREAM" in frame.flags:
                break
    assert body == b"early"
    assert not [frame for frame in peer.settled() if isinstance(frame, RstStreamFrame)]


@pytest.mark.parametrize("reads", [lambda stream: stream.read(), lambda stream: stream.read(1)])
def test_a_body_that_an_answer_cut_short_does_not_look_whole(raw: Any, reads: Any) -> None:
    seen: queue.SimpleQueue[Any] = queue.SimpleQueue()
    proceed = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        stream.respond({":status": 413})
        assert proceed.wait(10)
        try:
            seen.put(reads(stream))
        except StreamReset as error:
            seen.put(error)

    peer = raw(handler)
    peer.headers(1, [*UPLOAD, ("content-length", "100000")])
    peer.expect(HeadersFrame, 1)
    peer.data(1, b"x", end_stream=True)
    peer.settled()
    proceed.set()
    assert isinstance(seen.get(timeout=5), StreamReset)


@pytest.mark.parametrize("status", ["200", "413"])
def test_an_early_end_of_a_body_that_is_read_is_still_an_error(raw: Any, status: str) -> None:
    seen: queue.SimpleQueue[Exception] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        stream.respond({":status": status})
        try:
            stream.read()
        except HTTP2Error as error:
            seen.put(error)
            raise

    peer = raw(handler)
    peer.headers(1, [*UPLOAD, ("content-length", "100000")])
    peer.expect(HeadersFrame, 1)
    peer.data(1, b"x")
    eventually(lambda: peer.session._streams[1].reader_waits)
    peer.data(1, b"x", end_stream=True)
    assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.PROTOCOL_ERROR
    assert seen.get(timeout=5).code == ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize(
    "answer",
    [
        lambda stream: stream.respond({":status": 204}, end_stream=True),
        lambda stream: stream.respond({"content-length": 0}, end_stream=True),
        lambda stream: stream.respond({"content-length": 0}),
        lambda stream: stream.respond({":status": 204}),
    ],
)
def test_of_an_answer_without_octets_all_waits(raw: Any, answer: Any, patient: None) -> None:
    peer = raw(lambda stream, headers: answer(stream))
    peer.headers(1, UPLOAD)
    peer.data(1, b"x" * 1000)
    assert not [frame for frame in peer.settled() if isinstance(frame, HeadersFrame)]
    peer.data(1, b"x", end_stream=True)
    frame = peer.expect(HeadersFrame, 1)
    assert "END_STREAM" in frame.flags or answer_of(peer) == b""


def test_who_asks_whether_to_send_is_told_to(raw: Any) -> None:
    peer = raw(early)
    peer.headers(1, [*UPLOAD, ("expect", "100-continue")])
    assert dict(peer.expect(HeadersFrame, 1).fields) == {":status": "100"}
    assert dict(peer.expect(HeadersFrame, 1).fields)[":status"] == "200"
    peer.data(1, b"x", end_stream=True)
    assert answer_of(peer) == b"early"


def test_who_asks_whether_to_send_is_told_not_to(raw: Any) -> None:
    peer = raw(lambda stream, headers: stream.respond({":status": 413}, end_stream=True))
    for stream_id in (1, 3):
        peer.headers(stream_id, [*UPLOAD, ("expect", "100-continue"), ("content-length", "5")])
        assert dict(peer.expect(HeadersFrame, stream_id).fields)[":status"] == "413"
    peer.data(1, b"", end_stream=True)
    assert answer_of(peer) == b""
    # Who sends nothing at all, not even an end, will not.
    assert answer_of(peer, 3) == b""
    assert peer.expect(RstStreamFrame, 3).error_code == ErrorCode.NO_ERROR


def test_calls_that_go_both_ways_end_when_they_end(raw: Any) -> None:
    peer = raw(early)
    peer.headers(1, [*UPLOAD, ("te", "trailers")])
    assert peer.expect(DataFrame, 1).flags == {"END_STREAM"}


def test_trailers_wait_for_nobody(raw: Any) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond({}, wait_for_trailers=True)
        stream.end(b"x")
        stream.send_trailers({"grpc-status": "5"})

    peer = raw(handler)
    peer.headers(1, UPLOAD)
    peer.expect(HeadersFrame, 1)
    assert "END_STREAM" in peer.expect(HeadersFrame, 1).flags


def test_a_handler_that_reads_on_lets_its_answer_go(raw: Any) -> None:
    read: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        early(stream, headers)
        read.put(stream.read())

    peer = raw(handler)
    peer.headers(1, UPLOAD)
    assert answer_of(peer) == b"early"
    peer.data(1, b"the body", end_stream=True)
    assert read.get(timeout=5) == b"the body"


def test_a_handler_that_reads_on_has_time(raw: Any) -> None:
    read: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        early(stream, headers)
        while piece := stream.read(10):
            read.put(piece)
        read.put(b"the end")

    peer = raw(handler, discard_timeout=0.2, max_discarded_body=100)
    peer.headers(1, UPLOAD)
    assert answer_of(peer) == b"early"
    for _ in range(20):
        peer.data(1, b"x" * 10)
        assert read.get(timeout=5) == b"x" * 10
        time.sleep(0.05)  # longer together than what nobody reads may take
    peer.data(1, b"", end_stream=True)
    assert read.get(timeout=5) == b"the end"
    assert not [frame for frame in peer.settled() if isinstance(frame, RstStreamFrame)]


def test_a_handler_that_goes_on_without_reading(raw: Any) -> None:
    proceed = threading.Event()
    read: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        early(stream, headers)
        assert proceed.wait(10)
        read.put(stream.read())

    peer = raw(handler, discard_timeout=0.2)
    peer.headers(1, UPLOAD)
    peer.data(1, b"the body")
    assert answer_of(peer) == b"early"  # after a second, in which nothing came
    proceed.set()
    peer.data(1, b"", end_stream=True)
    assert read.get(timeout=5) == b"the body"
    assert not [frame for frame in peer.settled() if isinstance(frame, RstStreamFrame)]


def test_an_answer_whose_end_waits_for_a_window(raw: Any, patient: None) -> None:
    """It goes out when there is one, however long that takes: the request has ended."""
    peer = raw(early, peer_settings={SettingId.INITIAL_WINDOW_SIZE: 4}, discard_timeout=0.2)
    peer.headers(1, UPLOAD)
    assert peer.expect(DataFrame, 1).data == b"earl"
    peer.data(1, b"x", end_stream=True)
    session = peer.session
    eventually(lambda: not session._early_answers._rests)
    until = time.monotonic() + 0.5
    eventually(lambda: time.monotonic() > until)
    assert not [frame for frame in peer.settled() if isinstance(frame, RstStreamFrame)]
    peer.open_window(1, 1)
    assert answer_of(peer) == b"y"


def test_who_kept_the_stream_is_told_that_its_body_is_not_there() -> None:
    streams: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        streams.put(stream)
        early(stream, headers)

    client, server = pair(handler)
    with client, server:
        request = client.request({":method": "POST"})
        request.write(b"x" * 1000)
        served = streams.get(timeout=5)
        eventually(lambda: served._state.declined)
        for read in (served.read, lambda: served.read(1), served.readline, served.wait_trailers):
            with pytest.raises(StreamReset):
                read()
        request.end()
        assert request.read() == b"early"


def test_a_handler_that_fails_behind_its_answer(raw: Any, caplog: Any) -> None:
    def handler(stream: Any, headers: Any) -> None:
        early(stream, headers)
        raise RuntimeError("on purpose")

    peer = raw(handler)
    peer.headers(1, UPLOAD)
    assert answer_of(peer) == b"early"
    assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.INTERNAL_ERROR
    eventually(lambda: "on purpose" in caplog.text)


def test_what_fails_behind_an_answer_without_octets(raw: Any, caplog: Any) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond({":status": 204}, end_stream=True)
        raise RuntimeError("on purpose")

    peer = raw(handler)
    peer.headers(1, UPLOAD)
    assert dict(peer.expect(HeadersFrame, 1).fields)[":status"] == "204"
    assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.INTERNAL_ERROR
    eventually(lambda: "on purpose" in caplog.text)


def test_close_lets_the_answer_go(raw: Any) -> None:
    def handler(stream: Any, headers: Any) -> None:
        early(stream, headers)
        stream.close()

    peer = raw(handler)
    peer.headers(1, UPLOAD)
    assert answer_of(peer) == b"early"
    assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.NO_ERROR


def test_the_end_of_a_with_block_is_the_end_of_reading(raw: Any, patient: None) -> None:
    proceed = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        with stream:
            early(stream, headers)
        assert proceed.wait(10)

    peer = raw(handler)
    peer.headers(1, UPLOAD)
    assert peer.expect(DataFrame, 1).data == b"earl"
    returned(peer)
    for _ in range(30):
        peer.data(1, b"x" * 10_000)
        peer.settled()
    peer.data(1, b"x", end_stream=True)
    assert answer_of(peer) == b"y"
    proceed.set()


def test_a_tunnel_is_not_read_in_secret(raw: Any) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond()
        stream.end()

    peer = raw(handler)
    peer.headers(1, [(":method", "CONNECT"), (":authority", "localhost:1")])
    assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.NO_ERROR


def test_credit_goes_back_on_the_connection_too(raw: Any, patient: None) -> None:
    """What several streams throw away together is more than the connection's window."""
    peer = raw(early, max_session_memory=1_000_000)
    connection, streams = 65_535, dict.fromkeys(range(1, 9, 2), 0)
    window = None
    for frame in peer.settled():
        if isinstance(frame, WindowUpdateFrame):
            connection += frame.window_increment
    for stream_id in streams:
        peer.headers(stream_id, UPLOAD)
    window = dict.fromkeys(streams, 16_384)  # the least that a stream begins with
    while min(streams.values()) < 600_000:
        for stream_id in streams:
            if streams[stream_id] < 600_000 and min(window[stream_id], connection) >= 8000:
                peer.data(stream_id, b"x" * 8000)
                streams[stream_id] += 8000
                window[stream_id] -= 8000
                connection -= 8000
        for frame in peer.settled():
            if isinstance(frame, WindowUpdateFrame):
                if frame.stream_id:
                    window[frame.stream_id] += frame.window_increment
                else:
                    connection += frame.window_increment
    for stream_id in streams:
        peer.data(stream_id, b"", end_stream=True)
        assert peer.expect(DataFrame, stream_id, lambda frame: "END_STREAM" in frame.flags).data == b"y"


def test_a_server_that_closes_waits_a_second_for_bodies_that_nobody_reads() -> None:
    server = create_server(early, discard_timeout=None)
    server.start()
    with connect(server.url) as session:
        stream = session.request({":method": "POST"})
        assert stream.wait_response()[":status"] == "200"
        server.close(timeout=20)
        assert stream.read() == b"early"


def test_the_answers_of_a_peer_that_goes_away(raw: Any, patient: None) -> None:
    peer = raw(early)
    peer.headers(1, UPLOAD)
    assert peer.expect(DataFrame, 1).data == b"earl"
    peer.reset(1, ErrorCode.CANCEL)
    peer.send(PingFrame(0, b"are you "))
    assert not [frame for frame in peer.settled() if isinstance(frame, RstStreamFrame | DataFrame)]
