"""Answers and URLs that make no sense: exceptions of `sync_h2.exceptions`, and nothing is left behind. What nobody has
thought of is in tests/fuzz/test_client_fields.py.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest

import sync_h2
from support.peers.scripted_server import request_head, scripted_server
from sync_h2 import Client, compat, exceptions
from sync_h2.client.options.auth import HTTPDigestAuth
from sync_h2.client.pool.retries import retry_after


def answering(stream: Any, headers: Any) -> None:
    """Answers with the request's own fields that begin with x-, without that."""
    fields = [(name[2:], value) for name, value in headers.items() if name.startswith("x-") and name != "x-status"]
    stream.respond([(":status", headers.get("x-status", "200")), *fields])
    stream.end(stream.read())


@pytest.fixture
def client() -> Any:
    with sync_h2.create_server(answering) as server, Client(h2c=True, trust_env=False, base_url=server.url) as client:
        yield client


@pytest.mark.parametrize(
    "location", ["http://[", "//[::1", "//[:@:1", "http://h:99999/", "http://h:0/", "http://a\\@b/", "http://a\tb/"]
)
@pytest.mark.parametrize("follows", [True, False])
@pytest.mark.parametrize("stream", [True, False])
def test_a_location_that_is_none(location: str, follows: bool, stream: bool, client: Client) -> None:
    headers = {"x-status": "302", "x-location": location}
    with pytest.raises(exceptions.InvalidURL, match="Failed to parse") as raised:
        client.post("/", data=b"content", headers=headers, allow_redirects=follows, stream=stream)
    assert (raised.value.response.status_code, raised.value.response.content) == (302, b"content")
    assert (raised.value.processed, raised.value.retryable) == (True, False)
    assert [session.state.next_stream_id for session in client._pool.sessions()] == [3]
    assert [shared.active for group in client._pool._connections._groups.values() for shared in group.shared] == [0]


@pytest.mark.parametrize("challenge", ["Digest foo", "Digest", "Digest =,,", 'Digest realm="', "Digest nonce", "x"])
def test_a_challenge_that_is_none(challenge: str, client: Client) -> None:
    headers = {"x-status": "401", "x-www-authenticate": challenge}
    assert client.get("/", headers=headers, auth=HTTPDigestAuth("user", "word")).status_code == 401


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5_000, b"[1,", b"\xff"])
def test_what_is_no_json(body: bytes, client: Client) -> None:
    for headers in ({}, {"x-content-type": "application/json"}, {"x-content-type": "text/plain; charset=latin-1"}):
        with pytest.raises(exceptions.JSONDecodeError):
            client.put("/", data=body, headers=headers).json()


def test_a_charset_whose_name_is_not_ascii(client: Client) -> None:
    """Python looks some up without what is no letter, and warns of it."""
    response = client.put("/", data="é".encode(), headers={"x-content-type": "text/x; charset=latin-1\xb2"})
    assert response.text == "é"


def test_a_charset_that_takes_a_mark_which_is_not_there(client: Client) -> None:
    for charset in ("utf-16", "utf-32"):
        response = client.put("/", data=b"abcdefgh", headers={"x-content-type": f"text/x; charset={charset}"})
        with pytest.raises(exceptions.ContentDecodingError, match=charset):
            list(response.iter_content(4, decode_unicode=True))


@pytest.mark.parametrize(
    "field", ["a=b; expires=Wed, 99 Foo 9999 99:99:99 GMT", "a=b; max-age", "a=b; Max-Age; Expires=1 Foo 1"]
)
def test_one_cookie_with_a_date_that_is_none_is_a_cookie_nevertheless(field: str, client: Client) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond([("set-cookie", "first=1"), ("set-cookie", field), ("set-cookie", "last=1")], end_stream=True)

    with sync_h2.create_server(handler) as server:
        assert dict(client.get(server.url).cookies.items()) == {"first": "1", "a": "b", "last": "1"}


@pytest.mark.parametrize("size", [b"f" * 18, b"-1", b"+1", b"0x1", b"1_0", b"", b" 1", b"1 2", b"\xb2"])
def test_a_chunk_whose_size_is_none(size: bytes) -> None:
    def play(sock: socket.socket) -> None:
        request_head(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\nabc")
        sock.recv(1)

    with (
        scripted_server(play) as port,
        Client(trust_env=False) as client,
        pytest.raises(exceptions.ChunkedEncodingError, match="no chunk's size"),
    ):
        client.get(f"http://127.0.0.1:{port}/", timeout=20)


def test_a_length_of_thousands_of_digits_beside_chunks() -> None:
    def play(sock: socket.socket) -> None:
        request_head(sock)
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: " + b"9" * 5000
        sock.sendall(head + b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        sock.recv(1)

    told: list[Any] = []
    with scripted_server(play) as port, Client(trust_env=False) as client:
        url = f"http://127.0.0.1:{port}/"
        assert client.get(url, timeout=20, on_download=lambda *counts: told.append(counts)).content == b"abc"
    assert told == [(3, None)]


@pytest.mark.parametrize(
    "url", ["http://[", "http://h:99999", "http://h:0", b"http://\xff/", "http://a b/", "http://u@", "http://*.a/"]
)
def test_a_url_that_is_none(url: Any) -> None:
    with Client() as client, pytest.raises(exceptions.InvalidURL):
        client.get(url)
    with Client(base_url="http://h") as client, pytest.raises(exceptions.InvalidURL):
        client.get(url)
    if isinstance(url, str) and "*" not in url:
        with Client(trust_env=False, proxies={"http": url}) as client, pytest.raises(exceptions.InvalidProxyURL):
            client.get("http://127.0.0.1:1/")


@pytest.mark.parametrize(
    "value",
    ["Wed, 21 Oct 2015 07:28:00 +9999", "Wed, 21 Oct 99999 07:28:00 GMT", "\xb2", "9" * 5000, "1 Jan 1 0:0 -2500"],
)
def test_when_to_try_again_is_a_time_or_nothing(value: str) -> None:
    seconds = retry_after([("retry-after", value)])
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("host", "expected"), [("straße.de", "xn--strae-oqa.de"), ("Bücher.example:8", "xn--bcher-kva.example")]
)
def test_http_client_knows_names_as_the_others_do(host: str, expected: str) -> None:
    connection = compat.HTTP2Connection(host)
    assert connection.host == expected
    connection.set_tunnel(host)
    assert connection._tunnel_host == expected
    for bad in ("☃.net", "a\r\nb", "a\\b"):
        with pytest.raises(compat.http_client.http.client.InvalidURL):
            compat.HTTP2Connection(bad)
    with pytest.raises(ValueError, match="x"):
        connection.set_tunnel(host, headers={"x": "a\r\nEvil: 1"})
