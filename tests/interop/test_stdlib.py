"""The standard library's interfaces and other people's programs: `http.server`'s own handler for curl and nghttp,
`HTTP2Connection` and `urllib.request` against nghttpd and Node.
"""

from __future__ import annotations

import functools
import http.client
import http.server
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.octets import bodies
from support.peers.connect_proxy import connect_proxy
from support.peers.stdlib_http import http2_connection, http2_server
from support.programs.others import curl, h2load, nghttp
from support.tls.certificates import Certificate
from sync_h2 import compat

TIMEOUT = 60.0


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


# -- handlers


@pytest.fixture
def files(server_certificate: Certificate | None, document_root: Path) -> Iterator[str]:
    """Where `http.server`'s handler of files answers: /SIZE is a pattern."""
    (document_root / "sub").mkdir(exist_ok=True)
    with http2_server(functools.partial(Quiet, directory=document_root), server_certificate) as port:
        yield f"https://localhost:{port}" if server_certificate else f"http://localhost:{port}"


@pytest.mark.parametrize("size", bodies.SIZES)
def test_curl_downloads_a_file(files: str, ca_file: str, size: int):
    downloaded = curl(f"{files}/{size}", cafile=ca_file)
    assert (downloaded.http_version, downloaded.status) == ("2", 200)
    assert downloaded.body == bodies.pattern_digest(size)
    assert f"content-length: {size}\n" in downloaded.header_text


def test_nghttp_downloads_a_file(files: str):
    assert bodies.digest([nghttp(f"{files}/16385")]) == bodies.pattern_digest(16385)


def test_curl_gets_what_http_server_says(files: str, ca_file: str):
    listing = curl(f"{files}/sub/", cafile=ca_file)
    assert listing.status == 200
    assert listing.text is not None
    assert "Directory listing for /sub/" in listing.text

    redirect = curl(f"{files}/sub?a=1", cafile=ca_file)
    assert redirect.status == 301
    assert "location: /sub/?a=1\n" in redirect.header_text

    missing = curl(f"{files}/absent", cafile=ca_file)
    assert missing.status == 404
    assert missing.text is not None
    assert "Message: File not found." in missing.text

    later = curl(f"{files}/index.html", "--header", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT", cafile=ca_file)
    assert (later.status, later.body.length) == (304, 0)

    head = curl(f"{files}/16385", "--head", cafile=ca_file)
    assert (head.status, head.body.length > 0) == (200, True)  # curl writes the headers where the body would be
    assert "content-length: 16385\n" in head.header_text

    post = curl(f"{files}/index.html", "--data", "a=1", cafile=ca_file)
    assert post.status == 501
    assert post.text is not None
    assert "Unsupported method ('POST')" in post.text


def test_nghttp_sees_no_fields_of_http1(files: str):
    frames = nghttp(f"{files}/absent", "--verbose", "--null-out").decode()
    assert ":status: 404" in frames
    assert "connection: close" not in frames
    assert "transfer-encoding" not in frames


def test_h2load_has_no_failures(files: str):
    summary = h2load(f"{files}/index.html", requests=500, connections=4, streams=16)
    assert summary.status_2xx == summary.total == 500


@pytest.mark.parametrize("protocol", ["HTTP/1.0", "HTTP/1.1"])
def test_curl_expects_a_100(server_certificate: Certificate | None, ca_file: str, tmp_path: Path, protocol: str):
    class Echo(Quiet):
        protocol_version = protocol

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

    bodies.write_pattern(tmp_path / "body", 3_000_000)
    with http2_server(Echo, server_certificate) as port:
        url = f"https://localhost:{port}/" if server_certificate else f"http://localhost:{port}/"
        arguments = ("--upload-file", str(tmp_path / "body"), "--header", "Expect: 100-continue")
        echoed = curl(url, *arguments, cafile=ca_file)
    assert echoed.header_text.startswith("HTTP/2 100 \n\nHTTP/2 200 ")
    assert echoed.body == bodies.pattern_digest(3_000_000)


# -- connections


@pytest.fixture
def nghttpd(nghttpd_origin: str, server_certificate: Certificate | None) -> Iterator[compat.HTTP2Connection]:
    connection = http2_connection(urlsplit(nghttpd_origin).port or 0, server_certificate, timeout=TIMEOUT)
    yield connection
    connection.close()


@pytest.fixture
def node(node_origin: str, server_certificate: Certificate | None) -> Iterator[compat.HTTP2Connection]:
    connection = http2_connection(urlsplit(node_origin).port or 0, server_certificate, timeout=TIMEOUT)
    yield connection
    connection.close()


def ask(connection: compat.HTTP2Connection, *request: Any, **named: Any) -> http.client.HTTPResponse:
    connection.request(*request, **named)
    return connection.getresponse()


def pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while piece := response.read(100_000):
        yield piece


@pytest.mark.parametrize("size", bodies.SIZES)
def test_downloads_from_nghttpd(nghttpd: compat.HTTP2Connection, size: int):
    """With trailers behind the body, and on one connection."""
    for _ in range(2):
        response = ask(nghttpd, "GET", f"/{size}")
        assert (response.status, response.version, response.length) == (200, 20, size)
        assert bodies.digest(pieces(response)) == bodies.pattern_digest(size)


@pytest.mark.parametrize("size", bodies.SIZES)
def test_downloads_and_uploads_with_node(node: compat.HTTP2Connection, size: int):
    """Without a length one way, and in both framings the other."""
    assert bodies.digest(pieces(ask(node, "GET", f"/bytes/{size}"))) == bodies.pattern_digest(size)
    framed = iter(bodies.pattern(size))
    counted = json.loads(ask(node, "POST", "/sha256", framed).read())
    assert counted == {**bodies.pattern_digest(size)._asdict(), "trailers": {}}


def test_uploads_to_nghttpd(nghttpd: compat.HTTP2Connection, upload_files: dict[int, str]):
    for method in ("POST", "PUT"):
        with open(upload_files[16385], "rb") as file:
            response = ask(nghttpd, method, "/", file)
        assert bodies.digest(pieces(response)) == bodies.pattern_digest(16385)


def test_nodes_answers(node: compat.HTTP2Connection):
    assert ask(node, "GET", "/informational").read() == b"after two 103"
    assert ask(node, "GET", "/trailers").read() == b"trailers follow"
    assert ask(node, "GET", "/slow/1").read() == b"first half, second half"
    for status in (200, 204, 304, 404, 500):
        response = ask(node, "GET", f"/status/{status}")
        assert (response.status, response.read()) == (status, b"")
    head = ask(node, "HEAD", "/bytes/100")
    assert (head.getheader("content-length"), head.length, head.read()) == ("100", 0, b"")


def test_nodes_reset_and_goaway(node: compat.HTTP2Connection):
    with pytest.raises(http.client.RemoteDisconnected):
        ask(node, "GET", "/reset/2")
    assert ask(node, "GET", "/slow/1").status == 200
    node.close()
    assert ask(node, "GET", "/goaway/0").read() == b"goodbye"
    assert ask(node, "GET", "/trailers").read() == b"trailers follow"


def test_nghttpd_through_a_proxy(nghttpd_origin: str, server_certificate: Certificate | None):
    """Without TLS, nghttpd's first frames come together with the proxy's answer."""
    port = urlsplit(nghttpd_origin).port
    with connect_proxy(waits=server_certificate is None) as (proxy_port, asked):
        connection = http2_connection(proxy_port, server_certificate, timeout=TIMEOUT)
        connection.set_tunnel("localhost", port)
        response = ask(connection, "GET", "/16385")
        assert bodies.digest(pieces(response)) == bodies.pattern_digest(16385)
        connection.close()
    assert len(asked) == 1


def test_urllib_and_other_peoples_servers(nghttpd_origin: str, node_origin: str, ca_file: str):
    context = ssl.create_default_context(cafile=ca_file)
    opener = urllib.request.build_opener(
        compat.HTTP2Handler(context=context, h2c=True), urllib.request.ProxyHandler({})
    )
    with opener.open(f"{nghttpd_origin}/index.html", timeout=TIMEOUT) as response:
        assert (response.version, response.read()) == (20, b"index")
    with opener.open(f"{node_origin}/sha256", b"data", timeout=TIMEOUT) as response:
        assert json.load(response)["length"] == 4
    with pytest.raises(urllib.error.HTTPError) as caught:
        opener.open(f"{nghttpd_origin}/absent", timeout=TIMEOUT)
    with caught.value as error:
        assert error.code == 404
