"""requests and httpx over our connections: what each is known for works as it does over its own."""

from __future__ import annotations

import contextlib
import io
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpbin
import httpx
import pytest
import requests
import urllib3
from hyperframe.frame import Frame, GoAwayFrame, HeadersFrame

import sync_h2
from support.octets.fields import RESPONSE
from support.peers.raw_peer import RawPeer
from support.peers.scripted_server import playing, received, request_head
from support.threads.background import eventually
from support.tls.certificates import Certificate
from sync_h2 import ErrorCode
from sync_h2.adapters import HTTPXTransport, RequestsAdapter
from sync_h2.compat import wsgi
from sync_h2.testing import Script, ScriptedServer

THREADS = 16


@pytest.fixture
def server(certificate: Certificate) -> Iterator[Any]:
    """httpbin over TLS; `sessions` are the connections that it has accepted."""
    sessions: list[Any] = []
    application = wsgi(httpbin.app)

    def handler(stream: Any, headers: Any) -> None:
        if headers[":path"] == "/reset":
            stream.close(ErrorCode.INTERNAL_ERROR)
        elif headers[":path"] == "/cut":
            stream.respond({})
            stream.write(b"some")
            stream.close(ErrorCode.INTERNAL_ERROR)
        else:
            application(stream, headers)

    with sync_h2.create_secure_server(
        handler,
        certfile=certificate.certificate_pem,
        keyfile=certificate.key_pem,
        allow_http1=True,
        listeners={"session": sessions.append},
    ) as server:
        server.accepted = sessions
        yield server


@pytest.fixture
def session(server: Any, certificate: Certificate) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(certificate.cafile)
        session.mount("https://", RequestsAdapter())
        session.mount("http://", RequestsAdapter(h2c=True))
        yield session


@pytest.fixture
def client(server: Any, certificate: Certificate) -> Iterator[httpx.Client]:
    with httpx.Client(transport=HTTPXTransport(verify=str(certificate.cafile)), base_url=server.url) as client:
        yield client


def test_requests_from_16_threads_on_one_connection(server: Any, session: requests.Session) -> None:
    def make(number: int) -> int:
        response = session.post(f"{server.url}/anything/{number}", json={"number": number})
        assert response.raw.version == 20
        return int(response.json()["json"]["number"])

    with ThreadPoolExecutor(THREADS) as threads:
        assert list(threads.map(make, range(320))) == list(range(320))
    assert len(server.accepted) == 1


def test_httpx_from_16_threads_on_one_connection(server: Any, client: httpx.Client) -> None:
    def make(number: int) -> int:
        response = client.post(f"/anything/{number}", json={"number": number})
        assert response.http_version == "HTTP/2"
        return int(response.json()["json"]["number"])

    with ThreadPoolExecutor(THREADS) as threads:
        assert list(threads.map(make, range(320))) == list(range(320))
    assert len(server.accepted) == 1


def test_what_requests_is_known_for(server: Any, session: requests.Session) -> None:
    url = server.url
    assert session.get(f"{url}/gzip").json()["gzipped"] is True
    assert session.get(f"{url}/cookies/set/a/1").json() == {"cookies": {"a": "1"}}
    assert [past.status_code for past in session.get(f"{url}/redirect/2").history] == [302, 302]
    assert session.get(f"{url}/basic-auth/u/p", auth=("u", "p")).status_code == 200
    assert session.get(f"{url}/digest-auth/auth/u/p", auth=requests.auth.HTTPDigestAuth("u", "p")).status_code == 200
    sent = session.post(f"{url}/post", files={"f": ("name", io.BytesIO(b"content"))}, data={"a": "1"}).json()
    assert (sent["files"], sent["form"]) == ({"f": "content"}, {"a": "1"})
    assert session.put(f"{url}/put", data=(piece for piece in (b"a", b"b"))).json()["data"] == "ab"
    assert session.head(f"{url}/get").headers["content-type"] == "application/json"
    with session.get(f"{url}/bytes/100000?seed=1", stream=True) as response:
        assert len(b"".join(response.iter_content(1000))) == 100_000
    assert session.get(f"{url}/status/404").reason == "Not Found"
    with pytest.raises(requests.HTTPError, match="404 Client Error"):
        session.get(f"{url}/status/404").raise_for_status()


def test_what_httpx_is_known_for(server: Any, client: httpx.Client) -> None:
    assert client.get("/gzip").json()["gzipped"] is True
    assert client.get("/cookies/set/a/1", follow_redirects=True).json() == {"cookies": {"a": "1"}}
    assert client.get("/basic-auth/u/p", auth=("u", "p")).status_code == 200
    assert client.get("/digest-auth/auth/u/p", auth=httpx.DigestAuth("u", "p")).status_code == 200
    sent = client.post("/post", files={"f": ("name", io.BytesIO(b"content"))}, data={"a": "1"}).json()
    assert (sent["files"], sent["form"]) == ({"f": "content"}, {"a": "1"})
    assert client.put("/put", content=(piece for piece in (b"a", b"b"))).json()["data"] == "ab"
    with client.stream("GET", "/bytes/100000?seed=1") as response:
        assert sum(map(len, response.iter_bytes())) == 100_000
    assert client.get("/status/404").reason_phrase == "Not Found"


@pytest.mark.parametrize(
    ("path", "options", "expected"),
    [
        ("/delay/1", {"timeout": (5, 0.05)}, requests.exceptions.ReadTimeout),
        ("/reset", {}, requests.exceptions.ConnectionError),
        ("/cut", {}, requests.exceptions.ChunkedEncodingError),
        ("/get", {"verify": True}, requests.exceptions.SSLError),
    ],
)
def test_failures_are_those_of_requests(
    server: Any, session: requests.Session, path: str, options: Any, expected: type[Exception]
) -> None:
    if "verify" in options:
        session.verify = True
    with pytest.raises(expected) as raised:
        session.get(server.url + path, **options)
    assert isinstance(raised.value, requests.RequestException)


@pytest.mark.parametrize("h2c", [True, False])
@pytest.mark.parametrize("follows", [True, False])
def test_a_redirect_whose_body_breaks_off_is_one(h2c: bool, follows: bool) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond({} if headers[":path"] == "/found" else {":status": 302, "location": "/found"})
        stream.write(b"some")
        if headers[":path"] == "/found":
            stream.end()
        else:
            stream.close(ErrorCode.INTERNAL_ERROR)

    with sync_h2.create_server(handler, allow_http1=True) as server, requests.Session() as session:
        session.trust_env = False
        session.mount("http://", RequestsAdapter(h2c=h2c))
        response = session.get(server.url, allow_redirects=follows, stream=True)
        if follows:
            assert (response.content, [past.status_code for past in response.history]) == (b"some", [302])
        else:
            for _ in range(2):  # nor does it look whole the second time
                with pytest.raises(requests.exceptions.ChunkedEncodingError):
                    assert response.content


def test_a_body_that_does_not_come_is_told_of_with_its_url() -> None:
    over = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        stream.write(b"some")
        over.wait(20)
        stream.end()

    with sync_h2.create_server(handler) as server, requests.Session() as session:
        session.mount("http://", RequestsAdapter(h2c=True))
        url = server.url.replace("http://", "http://somebody:secret@") + "/"
        with pytest.raises(requests.exceptions.ConnectionError, match=f"^{server.url}/: Read timed out"):
            session.get(url, timeout=(20, 0.1))
        over.set()


@pytest.mark.parametrize(
    ("path", "timeout", "expected"),
    [
        ("/delay/1", httpx.Timeout(5, read=0.05), httpx.ReadTimeout),
        ("/reset", None, httpx.RemoteProtocolError),
        ("/cut", None, httpx.RemoteProtocolError),
    ],
)
def test_failures_are_those_of_httpx(
    server: Any, client: httpx.Client, path: str, timeout: Any, expected: type[Exception]
) -> None:
    with pytest.raises(expected):
        client.get(path, timeout=timeout)


def take_request(sock: socket.socket) -> None:
    request_head(sock)
    received(sock, len(b"pay 100"))


def reset(sock: socket.socket) -> None:
    take_request(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def half_an_answer(sock: socket.socket) -> None:
    take_request(sock)
    sock.sendall(b"HTTP/1.1 20")


def assert_that_something_was_sent(url: str, transport: HTTPXTransport, expected: type[Exception]) -> None:
    """The error is that of httpx's own transport."""
    with httpx.Client(transport=transport) as client:
        with pytest.raises(httpx.TransportError) as raised:
            client.post(url, content=b"pay 100")
        assert type(raised.value) is expected
        with pytest.raises(httpx.LocalProtocolError):
            client.post(url, content=b"pay 100", headers={"content-length": "3"})


@pytest.mark.parametrize(
    ("play", "expected"),
    [
        (take_request, httpx.RemoteProtocolError),
        (half_an_answer, httpx.RemoteProtocolError),
        (reset, httpx.ReadError),
    ],
)
def test_a_connect_error_is_a_promise_that_nothing_was_sent(
    play: Callable[[socket.socket], None], expected: type[Exception]
) -> None:
    with playing(play) as (url, _):
        assert_that_something_was_sent(url, HTTPXTransport(retries=1), expected)


@pytest.mark.parametrize(
    "play",
    [
        lambda script: script.drop(),
        lambda script: script.reset(ErrorCode.INTERNAL_ERROR),
        lambda script: script.reset(ErrorCode.REFUSED_STREAM),
        lambda script: script.goaway(last_stream_id=0),
        lambda script: script.headers({":status": ""}),
    ],
    ids=["drop", "reset", "refused", "GOAWAY", "malformed"],
)
def test_a_connect_error_is_a_promise_over_http2_too(play: Callable[[Script], object]) -> None:
    with ScriptedServer() as server:
        play(server.route())
        assert_that_something_was_sent(server.url, HTTPXTransport(h2c=True, retries=1), httpx.RemoteProtocolError)


@pytest.mark.parametrize("h2c", [True, False])
def test_a_session_that_is_closed_leaves_a_response_that_streams_alone(h2c: bool) -> None:
    """`requests.get(stream=True)` needs it. The session can be used again, too."""
    going_on = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        stream.write(b"first ")
        going_on.wait(10)
        stream.end(b"second")

    sessions: list[Any] = []
    with sync_h2.create_server(handler, allow_http1=True, listeners={"session": sessions.append}) as server:
        adapter = RequestsAdapter(h2c=h2c)
        with requests.Session() as session:
            session.mount("http://", adapter)
            response = session.get(server.url, stream=True)
        going_on.set()
        assert response.content == b"first second"
        assert session.get(server.url).content == b"first second"
        session.close()
        assert len(sessions) == 2
        eventually(lambda: all(session.closed for session in sessions), "the end of the connections")
        with HTTPXTransport(h2c=h2c) as transport:
            with httpx.Client(transport=transport).stream("GET", server.url) as streamed:
                transport.close()
                assert streamed.read() == b"first second"
            with pytest.raises(httpx.ConnectError, match="the client is closed"):
                httpx.Client(transport=transport).get(server.url)


def test_httpx_may_have_as_many_responses_open_as_over_its_own_connections() -> None:
    """Over HTTP/1.1, where each keeps a connection."""
    over = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        stream.write(b"some ")
        over.wait(20)
        stream.end(b"more")

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(sync_h2.create_server(handler, allow_http1=True))
        stack.callback(over.set)
        client = stack.enter_context(httpx.Client(transport=HTTPXTransport(), timeout=httpx.Timeout(20, pool=1)))
        responses = [stack.enter_context(client.stream("GET", server.url)) for _ in range(12)]
        over.set()
        assert [response.read() for response in responses] == [b"some more"] * 12


def test_no_goaway_goes_out_before_the_last_response_is_read() -> None:
    """hypercorn would hang up."""

    def play(sock: socket.socket) -> None:
        peer = RawPeer(sock, client=False)
        peer.handshake()
        stream_id = peer.expect(HeadersFrame).stream_id
        peer.headers(stream_id, RESPONSE)
        closed.wait(10)
        frames.extend(peer.settled())
        peer.data(stream_id, b"all of it", end_stream=True)
        frames.append(peer.expect(GoAwayFrame))

    closed = threading.Event()
    frames: list[Frame] = []
    with playing(play) as (url, _):
        with requests.Session() as session:
            session.mount("http://", RequestsAdapter(h2c=True))
            response = session.get(url, stream=True)
        closed.set()
        assert response.content == b"all of it"
        eventually(lambda: frames and isinstance(frames[-1], GoAwayFrame), "the end of the connection")
    assert not any(isinstance(frame, GoAwayFrame) for frame in frames[:-1])


def test_timeouts_of_urllib3_and_ours(server: Any, session: requests.Session) -> None:
    assert session.get(f"{server.url}/get", timeout=urllib3.Timeout(total=10)).ok
    for timeout in (
        urllib3.Timeout(total=0.05),
        urllib3.Timeout(total=0.05, connect=1, read=5),
        urllib3.Timeout(read=0.05),
        sync_h2.Timeouts(read=0.05),
    ):
        with pytest.raises(requests.exceptions.ReadTimeout, match=r"within 0\.05 s"):
            session.get(f"{server.url}/delay/1", timeout=timeout)  # type: ignore[arg-type]


def test_a_server_that_is_not_there(session: requests.Session) -> None:
    with pytest.raises(requests.exceptions.ConnectionError) as raised:
        session.get("http://127.0.0.1:1/")
    assert raised.value.request is not None
    with HTTPXTransport() as transport, pytest.raises(httpx.ConnectError):
        httpx.Client(transport=transport).get("https://127.0.0.1:1/")


def test_urls_that_nothing_can_be_sent_to() -> None:
    with HTTPXTransport() as transport, httpx.Client(transport=transport) as client:
        with pytest.raises(httpx.ConnectError, match="is not a valid host name"):
            client.get("http://a..example/")
        with pytest.raises(httpx.UnsupportedProtocol, match="'ftp://a/'"):
            client.get("ftp://a/")


def test_a_response_is_built_as_who_overrides_it_likes(server: Any, session: requests.Session) -> None:
    class Adapter(RequestsAdapter):
        def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
            response = super().build_response(req, resp)
            response.headers["x-built"] = f"{req.method} {resp.status}"
            return response

    session.mount(server.url, Adapter())
    response = session.get(f"{server.url}/status/404")
    assert (response.headers["x-built"], response.reason) == ("GET 404", "Not Found")


@pytest.mark.parametrize("url", ["http://:1/x", "https://", "http://user:word@:80/"])
def test_a_url_without_a_host_is_none(session: requests.Session, url: str) -> None:
    request = requests.Request("GET", "http://localhost/").prepare()
    request.url = url
    with pytest.raises(requests.exceptions.InvalidURL, match="No host supplied") as raised:
        session.send(request)
    assert "word" not in str(raised.value)


@pytest.mark.parametrize(("name", "package"), [("RequestsAdapter", "requests"), ("HTTPXTransport", "httpx")])
def test_what_to_install_is_said_where_it_is_missing(name: str, package: str) -> None:
    script = f"import sys, sync_h2; sys.modules.update({{{package!r}: None, 'httpx2': None}})\nsync_h2.adapters.{name}"
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert finished.stderr.splitlines()[-1].endswith(
        f"{name} needs the package {package}: pip install 'sync_h2[{package}]'"
    )
