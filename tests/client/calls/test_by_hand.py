"""What scripts for requests do by hand: they fill in responses and requests, hang hooks in, follow redirects step by
step, and use its names.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import pytest
import requests

import sync_h2


@pytest.mark.parametrize("module", [requests, sync_h2], ids=["requests", "sync_h2"])
def test_a_session_can_say_what_redirects(server: sync_h2.ThreadingServer, module: Any) -> None:
    class Session(module.Session):  # type: ignore[misc]
        def get_redirect_target(self, resp: Any) -> Any:
            if resp.url.endswith("/first"):
                return "/second"
            return super().get_redirect_target(resp)

    with Session() as session:
        response = session.get(f"{server.url}/first")
    assert (response.url, [past.status_code for past in response.history]) == (f"{server.url}/second", [200])


@pytest.mark.parametrize("module", [requests, sync_h2], ids=["requests", "sync_h2"])
@pytest.mark.parametrize(
    "content",
    [
        bytes.fromhex("00f1 6601 b03c 7daf f3a9"),
        bytes.fromhex("f100 0166 3cb0 af7d a9f3"),
        bytes.fromhex("f1f2 0066"),
        bytes.fromhex("ff00 00fe 66"),
        b"{no json",
        b"\xff{no json",
    ],
)
def test_what_is_no_json_is_told_as_the_text(module: Any, content: bytes) -> None:
    """Octets that may look like UTF-16 to who looks for a NUL among the first."""
    response = module.Response()
    response._content = content
    with pytest.raises(module.exceptions.JSONDecodeError) as raised:
        response.json()
    assert raised.value.doc == response.text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_json_in_any_utf(encoding: str) -> None:
    response = sync_h2.Response()
    response._content = '{"中": "é"}'.encode(encoding)
    assert response.json() == {"中": "é"}


def test_a_response_by_hand() -> None:
    for module in (requests, sync_h2):
        response: Any = module.Response()  # type: ignore[attr-defined]
        assert (response.status_code, response.url, response.reason, response.encoding) == (None, None, None, None)
        assert (response.headers, response.history, response.request) == ({}, [], None)
        response.status_code, response.url, response.reason = 404, "http://a/", "Not Found"
        response._content, response.encoding = '{"a": "ü"}'.encode(), "utf-8"
        assert (response.ok, response.json(), response.text) == (False, {"a": "ü"}, '{"a": "ü"}')
        with pytest.raises(module.exceptions.HTTPError) as raised:  # type: ignore[attr-defined]
            response.raise_for_status()
        assert str(raised.value) == "404 Client Error: Not Found for url: http://a/"
        assert pickle.loads(pickle.dumps(response)).json() == {"a": "ü"}


def test_a_response_from_a_file() -> None:
    for module in (requests, sync_h2):
        for read, expected in (
            (lambda response: response.content, b"one\ntwo"),
            (lambda response: list(response.iter_lines()), [b"one", b"two"]),
            (lambda response: b"".join(response.iter_content(2)), b"one\ntwo"),
            (lambda response: response.raw.read(3), b"one"),
        ):
            response: Any = module.Response()  # type: ignore[attr-defined]
            response.raw = io.BytesIO(b"one\ntwo")
            assert read(response) == expected
            response.close()


def test_a_response_from_an_empty_file_of_text_ends() -> None:
    for module in (requests, sync_h2):
        response: Any = module.Response()  # type: ignore[attr-defined]
        response.raw = io.StringIO("")
        assert response.content == b""


def test_a_prepared_request_by_hand(server: sync_h2.ThreadingServer) -> None:
    for module in (requests, sync_h2):
        prepared: Any = module.PreparedRequest()  # type: ignore[attr-defined]
        prepared.method, prepared.url = "PUT", f"{server.url}/by-hand"
        prepared.headers, prepared.body = {"Content-Length": "4"}, b"body"
        with module.Session() as session:  # type: ignore[attr-defined]
            response = session.send(prepared)
        assert response.text.endswith("/by-hand body")
        other = prepared.copy()
        assert (other.method, other.url, other.body, dict(other.headers)) == (
            "PUT",
            prepared.url,
            b"body",
            prepared.headers,
        )


def test_hooks_come_and_go() -> None:
    def hook(response: Any, **_: Any) -> None: ...

    for module in (requests, sync_h2):
        request: Any = module.Request("GET", "http://a/")  # type: ignore[attr-defined]
        request.register_hook("response", hook)
        assert request.prepare().hooks["response"] == [hook]
        assert request.deregister_hook("response", hook) is True
        assert request.deregister_hook("response", hook) is False
        prepared = request.prepare()
        prepared.register_hook("response", [hook, hook])
        assert prepared.hooks["response"] == [hook, hook]
        with pytest.raises(ValueError, match="event"):
            prepared.register_hook("request", hook)


# -- redirects, step by step


def test_redirects_one_after_the_other(server: sync_h2.ThreadingServer) -> None:
    def handler(stream: Any, headers: Any) -> None:
        number = int(headers[":path"][1:])
        stream.respond({":status": 302 if number else 200, "location": f"/{number - 1}"})
        stream.end(b"%d" % number)

    with sync_h2.create_server(handler, allow_http1=True) as server:
        found = []
        for module in (requests, sync_h2):
            with module.Session() as session:  # type: ignore[attr-defined]
                first = session.get(f"{server.url}/3", allow_redirects=False, stream=True)
                coming = session.resolve_redirects(first, first.request)
                second = next(coming)
                rest = list(coming)
                requested = next(session.resolve_redirects(second, second.request, yield_requests=True))
                found.append(([second.text, *(answer.text for answer in rest)], requested.method, requested.path_url))
                assert list(session.resolve_redirects(rest[-1], rest[-1].request, yield_requests=True)) == []
    assert found[0] == found[1] == (["2", "1", "0"], "GET", "/1")


def test_authorization_that_is_taken_off_and_what_the_environment_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/authorities")
    monkeypatch.setenv("https_proxy", "http://proxy")
    monkeypatch.delenv("no_proxy", raising=False)
    found = []
    for module in (requests, sync_h2):
        with module.Session() as session:  # type: ignore[attr-defined]
            settings = session.merge_environment_settings("https://a/", {}, None, None, None)
            assert settings["proxies"]["https"] == "http://proxy"
            urls = ("https://a/", "http://b/", "http://a:81/")
            stripped = [session.should_strip_auth("http://a/", url) for url in urls]
            found.append((settings["verify"], settings["cert"], bool(settings["stream"]), stripped))
    assert found[0] == found[1]


def test_times_and_methods_as_requests_takes_them(server: sync_h2.ThreadingServer) -> None:
    from urllib3.util import Timeout

    with sync_h2.Client(trust_env=False) as client:
        assert client.request(b"get", server.url, timeout=Timeout(connect=5, read=None)).text.startswith("GET")


# -- names


def test_names_at_the_top() -> None:
    names = [
        "ConnectTimeout",
        "ConnectionError",
        "HTTPError",
        "JSONDecodeError",
        "ReadTimeout",
        "RequestException",
        "TooManyRedirects",
        "URLRequired",
    ]
    for name in names:
        assert getattr(sync_h2, name) is getattr(sync_h2.exceptions, name)
        assert hasattr(requests, name)
    assert issubclass(sync_h2.exceptions.Timeout, sync_h2.Timeout)
    missing = [
        name
        for name, kind in vars(requests.exceptions).items()
        if isinstance(kind, type)
        and issubclass(kind, requests.RequestException)
        and not hasattr(sync_h2.exceptions, name)
    ]
    assert missing == []
    with sync_h2.session() as session:
        assert isinstance(session, sync_h2.Session)
