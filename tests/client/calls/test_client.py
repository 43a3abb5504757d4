"""What the client has that requests has not: map, progress, base URLs, parts of timeouts, and what HTTP/2 brings."""

from __future__ import annotations

import io
import os
import pickle
import queue
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sync_h2
from support.connections.clients import client_of, serving
from support.threads.background import PATIENCE
from support.tls.certificates import Certificate
from sync_h2 import Client, Headers, Request, Timeouts, exceptions


def handle(stream: Any, headers: Any) -> None:
    path = headers[":path"]
    if path == "/full":
        stream.additional_headers({":status": 103, "link": "</style.css>; rel=preload"})
        with stream.push_stream({":path": "/style.css"}) as pushed:
            pushed.end(b"style")
        stream.respond({"content-length": 4}, wait_for_trailers=True)
        stream.write(b"full")
        stream.send_trailers({"x-sum": "1"})
    elif path == "/reset":
        stream.close(sync_h2.ErrorCode.INTERNAL_ERROR)
    elif path == "/unread":
        stop.wait(10)
    else:
        body = stream.read()
        stream.respond({"content-length": len(body) + len(path)})
        stream.end(path.encode() + body)


stop = threading.Event()


@pytest.fixture
def server(certificate: Certificate) -> Iterator[Any]:
    stop.clear()
    with serving(certificate, handle) as server:
        yield server
        stop.set()


@pytest.fixture
def client(server: Any, certificate: Certificate) -> Iterator[Client]:
    with client_of(certificate, base_url=f"{server.url}/base/") as client:
        yield client


def test_session_is_its_name_in_requests() -> None:
    assert sync_h2.Session is Client


def test_a_base_url(server: Any, client: Client) -> None:
    assert [client.get(url).text for url in ("", "a", "/b", f"{server.url}/c")] == [
        "/base/",
        "/base/a",
        "/base/b",
        "/c",
    ]


def test_map_yields_responses_as_they_finish(server: Any, client: Client) -> None:
    asked: list[int] = []

    def requests() -> Iterator[Any]:
        for number in range(100):
            asked.append(number)
            yield (f"{number}", {"url": f"{number}"}, Request("GET", f"{number}"))[number % 3]

    answers = client.map(requests(), max_workers=8)
    first = next(answers)
    assert first.ok
    assert len(asked) <= 2 * 8 + 1  # they are taken as there is room
    texts = {first.text, *(response.text for response in answers)}
    assert texts == {f"/base/{number}" for number in range(100)}


def test_map_raises_or_yields_what_requests_raise(server: Any, client: Client) -> None:
    urls = ["a", f"{server.url}/reset", "b"]
    with pytest.raises(exceptions.ConnectionError):
        list(client.map(urls))
    found = list(client.map(urls, return_exceptions=True))
    assert sorted(type(outcome).__name__ for outcome in found) == ["ConnectionError", "Response", "Response"]
    with pytest.raises(TypeError, match="map takes URLs"):
        list(client.map([1]))


def test_map_that_is_left_early_ends(client: Client) -> None:
    answers = client.map(["a"] * 50, max_workers=4)
    assert next(answers).ok
    answers.close()  # type: ignore[attr-defined]  # a generator
    assert client.get("after").text == "/base/after"


def test_progress_of_uploads_and_downloads(client: Client) -> None:
    up: list[tuple[int, int | None]] = []
    down: list[tuple[int, int | None]] = []
    body = b"x" * 200_000
    response = client.post(
        "",
        data=io.BytesIO(body),
        on_upload=lambda *so_far: up.append(so_far),
        on_download=lambda *so_far: down.append(so_far),
    )
    assert response.content == b"/base/" + body
    assert up[-1] == (200_000, 200_000)
    assert down[-1] == (200_006, 200_006)
    assert len(up) > 2
    assert sorted(up) == up
    assert sorted(down) == down
    client.post("", data=iter([b"a", b"bc"]), on_upload=lambda *so_far: up.append(so_far))
    assert up[-2:] == [(1, None), (3, None)]


def test_what_http2_brings(server: Any, client: Client) -> None:
    response = client.get(f"{server.url}/full")
    assert (response.content, response.http_version, response.reason) == (b"full", "HTTP/2", "OK")
    assert [(status, headers["link"]) for status, headers in response.informational] == [
        (103, "</style.css>; rel=preload")
    ]
    assert dict(response.trailers) == {"x-sum": "1"}
    assert [pushed.read() for pushed in response.pushes] == [b"style"]


def test_the_sessions_of_a_client() -> None:
    with sync_h2.create_server(handle, allow_http1=True) as server:
        with Client(h2c=True, trust_env=False) as client:
            assert client.sessions == ()
            client.get(server.url)
            client.get(server.url)
            [session] = client.sessions
            assert session.stats.stream_count == 2
            session.close(timeout=PATIENCE)
            assert client.sessions == ()
            client.get(server.url)
            [other] = client.sessions
            assert other is not session
        with Client(trust_env=False) as client:
            assert client.get(server.url).http_version == "HTTP/1.1"
            assert client.sessions == ()


def test_pushes_are_those_promised_so_far() -> None:
    """However often they are looked at; who looks waits for none."""
    go_on = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        for path in ("/1", "/2"):
            with stream.push_stream({":path": path}) as pushed:
                pushed.end(path.encode())
            if path == "/1":
                stream.respond({})
                stream.write(b"begun")
                assert go_on.wait(PATIENCE)

    with sync_h2.create_server(handler) as server, Client(h2c=True, trust_env=False) as client:
        with client.stream("GET", server.url) as response:
            [pushed] = response.pushes
            assert response.pushes == [pushed]
            go_on.set()
            assert response.content == b"begun"
            first, second = response.pushes
            assert first is pushed
        assert [one.read() for one in response.pushes] == [b"/1", b"/2"]
        assert response.pushes == [first, second]


def test_a_stream_is_read_as_it_is_wanted(client: Client) -> None:
    with client.stream("POST", "", data=b"y" * 100_000) as response:
        assert response.raw.read(7) == b"/base/y"
        assert b"".join(response.iter_content(None)) == b"y" * 99_999


def test_parts_of_timeouts(server: Any, client: Client) -> None:
    assert Timeouts.of(3) == Timeouts(3, 3, 3, 3)
    assert Timeouts.of((1, 2)) == Timeouts(1, 2, 2, None)
    assert Timeouts.of(None) == Timeouts()
    with pytest.raises(exceptions.ReadTimeout):
        client.get(f"{server.url}/unread", timeout=Timeouts(read=0.05))
    with pytest.raises(exceptions.WriteTimeout) as raised:
        client.post(f"{server.url}/unread", data=b"x" * 10_000_000, timeout=Timeouts(write=0.05))
    assert raised.value.stream_id is not None
    for wrong in (0, -1, (1, 2, 3), "1", (1, 0)):
        with pytest.raises((ValueError, TypeError)):
            client.get("", timeout=wrong)


def test_an_exception_is_one_of_ours_and_says_where() -> None:
    with Client(trust_env=False) as client, pytest.raises(sync_h2.HTTP2Error) as raised:
        client.get("http://localhost:1/")
    error: Any = raised.value
    assert isinstance(error, exceptions.ConnectionError)
    assert (error.processed, error.request.url) == (False, "http://localhost:1/")
    assert isinstance(pickle.loads(pickle.dumps(exceptions.HTTPError("a", processed=True))), exceptions.HTTPError)


def test_a_response_can_be_pickled(client: Client) -> None:
    response = client.get("pickled")
    copy = pickle.loads(pickle.dumps(response))
    assert (copy.text, copy.status_code, dict(copy.headers)) == (response.text, 200, dict(response.headers))


def test_a_prepared_request_can_be_changed_and_copied() -> None:
    prepared = Request("POST", "http://example.org/a b?c#d", params={"e": "f"}, data={"g": "h"}).prepare()
    assert (prepared.url, prepared.path_url) == ("http://example.org/a%20b?c&e=f#d", "/a%20b?c&e=f")
    copy = prepared.copy()
    copy.prepare_headers({"X-A": "1"})
    copy.prepare_body(b"body", None)
    copy.prepare_auth(("user", "word"))
    copy.prepare_cookies({"a": "1"})
    copy.register_hook("response", print)
    assert (copy.body, dict(copy.headers)) == (
        b"body",
        {"X-A": "1", "Content-Length": "4", "Authorization": "Basic dXNlcjp3b3Jk", "Cookie": "a=1"},
    )
    assert (prepared.body, prepared.headers["content-length"], prepared.hooks) == ("g=h", "3", {"response": []})
    copy.check_rewindable()


def test_netrc(server: Any, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert "authorization" not in client.get("").request.headers  # it does not trust the environment
    client.trust_env = True
    assert client.get("").request.headers["authorization"] == "Basic dXNlcjp3b3Jk"
    assert client.get("", headers={"x-a": "1"}, auth=("a", "b")).request.headers["authorization"] == "Basic YTpi"


def test_a_client_that_is_closed(certificate: Certificate) -> None:
    client = client_of(certificate)
    client.close()
    with pytest.raises(exceptions.ConnectionError, match="the client is closed"):
        client.get("https://localhost/")


def test_a_forked_child_has_connections_of_its_own(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.cafile))
    with serving(certificate) as server:
        assert sync_h2.get(server.url).ok
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads
            child = os.fork()
        if not child:  # pragma: no cover - another process
            os._exit(0 if sync_h2.get(server.url).text == "GET / 0" else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert sync_h2.get(server.url).ok
        sync_h2.client.calls.api.close_connections()


def test_headers_that_are_not_of_http2_are_left_out(server: Any, certificate: Certificate) -> None:
    seen: queue.SimpleQueue[Headers] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        seen.put(headers)
        stream.end()

    fields = {"Connection": "close", "Keep-Alive": "1", "TE": "gzip", "Host": "other.example", "X-Own": "1"}
    with serving(certificate, handler) as other, client_of(certificate) as client:
        assert client.post(other.url, headers=fields, data=iter([b"x"])).ok
    headers = seen.get(timeout=5)
    assert headers[":authority"] == "other.example"
    assert {"connection", "keep-alive", "te", "host", "transfer-encoding"}.isdisjoint(headers)
    assert headers["x-own"] == "1"
