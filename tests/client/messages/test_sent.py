"""What is sent says what was given, over both versions of HTTP: nothing in it ends a line, a field or a part early."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import requests

import sync_h2
from sync_h2 import Client, exceptions
from sync_h2.adapters import HTTPXTransport, RequestsAdapter
from sync_h2.cli import main
from sync_h2.client.options.auth import HTTPBearerAuth

Told = list[dict[str, str]]
ENDS = ["x\r\nEvil: 1", "x\r\n Evil: 1", "x\n\tEvil: 1", "x\rEvil: 1", "x\0Evil"]
VERSIONS = pytest.mark.parametrize("h2c", [True, False], ids=["http2", "http1"])


@pytest.fixture
def server() -> Iterator[Any]:
    """A server of both versions; `told` are the fields of the requests that have come."""
    told: Told = []

    def handler(request: Any, response: Any) -> None:
        told.append({":method": request.method, ":path": request.path, **dict(request.headers)})
        response.end(request.read())

    with sync_h2.create_server(on_request=handler, allow_http1=True) as server:
        server.told = told
        yield server


def send_changed(client: Client, first_url: str, **changes: Any) -> None:
    request = client.prepare_request(sync_h2.Request("GET", first_url))
    for name, value in changes.items():
        setattr(request, name, value)
    client.send(request)


CALLS: dict[str, Callable[[Client, str, str], object]] = {
    "value": lambda client, url, odd: client.get(url, headers={"a": odd}),
    "bytes": lambda client, url, odd: client.get(url, headers={"a": odd.encode()}),
    "name": lambda client, url, odd: client.get(url, headers={odd: "b"}),
    "host": lambda client, url, odd: client.get(url, headers={"Host": odd}),
    "cookie": lambda client, url, odd: client.get(url, cookies={"a": odd}),
    "cookie's name": lambda client, url, odd: client.get(url, cookies={odd: "a"}),
    "cookie's host": lambda client, url, odd: client.get(url, cookies={"a": "b"}, headers={"Host": odd}),
    "token": lambda client, url, odd: client.get(url, auth=HTTPBearerAuth(odd)),
    "method": lambda client, url, odd: client.request(odd, url),
    "method later": lambda client, url, odd: send_changed(client, url, method=odd),
    "header later": lambda client, url, odd: send_changed(client, url, headers={"a": odd}),
    "part's type": lambda client, url, odd: client.post(url, files={"a": ("b", b"c", odd)}),
    "part's field": lambda client, url, odd: client.post(url, files={"a": ("b", b"c", "d/e", {"f": odd})}),
    "part's field's name": lambda client, url, odd: client.post(url, files={"a": ("b", b"c", "d/e", {odd: "f"})}),
}


@VERSIONS
@pytest.mark.parametrize("name", CALLS)
def test_what_would_end_a_field_is_refused(name: str, h2c: bool, server: Any) -> None:
    with Client(h2c=h2c, trust_env=False) as client:
        for odd in [*ENDS, "a b c" if name in ("name", "method", "part's field's name") else "\n"]:
            with pytest.raises(exceptions.InvalidHeader) as raised:
                CALLS[name](client, server.url, odd)
            assert raised.value.processed is not True
        assert server.told == []
        assert client.get(server.url).ok


@VERSIONS
@pytest.mark.parametrize("fields", [["content-length", "1_0"], ["content-length", "1", "2"], ["range", "a", "b"]])
def test_what_would_be_understood_differently_is_refused(fields: Any, h2c: bool, server: Any) -> None:
    name, *values = fields
    with HTTPXTransport(h2c=h2c) as transport, pytest.raises(httpx.LocalProtocolError):
        transport.handle_request(httpx.Request("GET", server.url, headers=[(name, value) for value in values]))
    assert server.told == []


@VERSIONS
def test_spaces_around_a_value_are_no_part_of_it(h2c: bool, server: Any) -> None:
    with Client(h2c=h2c, trust_env=False) as client:
        client.get(server.url, headers={"a": "b \t"})
    assert server.told[0]["a"] == "b"


@VERSIONS
def test_what_would_end_a_target_is_quoted(h2c: bool, server: Any) -> None:
    ways = ("/a\r\nEvil: 1", "/a b\tc", "/\x00\x7f", "/é?\u2028", "/%0d%2F?%zz=[]|^")
    adapter = RequestsAdapter(h2c=h2c)
    with Client(h2c=h2c, trust_env=False) as client, contextlib.closing(adapter), requests.Session() as session:
        for path in ways:
            url = server.url + path
            client.get(url)
            send_changed(client, server.url, url=url)
            request = requests.Request("GET", server.url).prepare()
            request.url = url
            adapter.send(request)
            session.get(url, headers={"theirs": "1"})
    found = [told[":path"] for told in server.told]
    assert all(path.isascii() and path.isprintable() and " " not in path for path in found)
    assert len(found) == 4 * len(ways)
    assert found[::4] == [*(path for path in found[3::4][:-1]), "/%0D%2F?%25zz=[]|^".replace("|^", "%7C%5E")]
    assert found[1::4] == found[2::4]
    assert found[-2] == "/%0d%2F?%zz=[]|^"


@VERSIONS
def test_a_name_in_a_form_can_have_anything_but_nul(h2c: bool, server: Any) -> None:
    with Client(h2c=h2c, trust_env=False) as client:
        body = client.post(server.url, files={'a"\r\nb': ('ü"\r\n.txt', b"x", "text/plain", {"x": b"y"})}).content
        with pytest.raises(exceptions.InvalidHeader):
            client.post(server.url, files={"a\0": b"x"})
    assert (
        b'name="a%22%0D%0Ab"; filename="\xc3\xbc%22%0D%0A.txt"\r\nContent-Type: text/plain\r\nx: y\r\n\r\nx\r\n' in body
    )


@VERSIONS
@pytest.mark.parametrize("host", ["[::ffff:127.0.0.1]", "[::FFFF:127.0.0.1]", "[::1]", "[::1%251]", "[::1%1]"])
def test_an_ipv6_address_is_named_without_its_zone(host: str, h2c: bool) -> None:
    """The last group of most has letters, and what is behind the last colon is no port then."""
    told: list[str] = []

    def handler(request: Any, response: Any) -> None:
        told.append(request.authority)
        response.end()

    with sync_h2.create_server(on_request=handler, host="::", allow_http1=True) as server:
        port = server.address[1]
        url = f"http://{host}:{port}"
        with Client(h2c=h2c, trust_env=False) as client, requests.Session() as session:
            client.get(url).raise_for_status()
            session.mount("http://", RequestsAdapter(h2c=h2c))
            session.get(url).raise_for_status()
        if h2c:
            with sync_h2.connect(url) as http2:
                http2.request().read()
            assert main(["get", url]) == 0
    named = f"{host.partition('%')[0].rstrip(']').lower()}]:{port}"
    assert told == [named] * len(told)
    assert len(told) == (4 if h2c else 2)


@VERSIONS
def test_a_name_of_other_letters_is_refused(h2c: bool, server: Any) -> None:
    """Of these, a Kelvin sign has a small letter that is ASCII's k."""
    with Client(h2c=h2c, trust_env=False) as client, contextlib.closing(RequestsAdapter(h2c=h2c)) as adapter:
        for name in ("näme", "coo\u212aie"):
            with pytest.raises(exceptions.InvalidHeader, match="ASCII"):
                client.get(server.url, headers={name: "x"})
            request = requests.Request("GET", server.url, headers={name: "x"}).prepare()
            with pytest.raises(requests.exceptions.InvalidHeader, match="ASCII"):
                adapter.send(request)
    assert server.told == []


@VERSIONS
def test_a_length_without_a_body_is_refused(h2c: bool, server: Any) -> None:
    """The server would wait for the body, and take the connection's next request for it."""
    with Client(h2c=h2c, trust_env=False, timeout=20) as client, requests.Session() as session:
        with pytest.raises(exceptions.InvalidHeader, match="content-length 5"):
            client.get(server.url, headers={"Content-Length": "5"})
        session.mount("http://", RequestsAdapter(h2c=h2c))
        request = session.prepare_request(requests.Request("POST", server.url))
        request.headers["Content-Length"] = "5"
        with pytest.raises(requests.exceptions.InvalidHeader, match="content-length 5"):
            session.send(request, timeout=20)
        for length, data in (("5", b"12345"), ("0", None)):
            request = client.prepare_request(sync_h2.Request("POST", server.url, data=data))
            request.headers["Content-Length"] = length
            assert client.send(request).content == (data or b"")
        request.body, request.headers["Content-Length"] = b"12345", "9" * 5000
        with pytest.raises(exceptions.InvalidHeader):
            client.send(request)
    assert len(server.told) == 2
