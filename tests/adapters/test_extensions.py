"""httpx and httpx2: one transport for both, with the extensions that httpcore has."""

from __future__ import annotations

import copy
import http.server
import importlib.util
import pickle
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import sync_h2
from support.tls.certificates import Certificate
from sync_h2.adapters import HTTPXTransport

LIBRARIES = [name for name in ("httpx", "httpx2") if importlib.util.find_spec(name)]  # the second from Python 3.11 on


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(request.param)


def handler(stream: Any, headers: Any) -> None:
    if headers[":path"] == "/cut":
        stream.respond({})
        stream.write(b"some")
        stream.close(sync_h2.ErrorCode.INTERNAL_ERROR)
        return
    stream.respond({"x-authority": headers[":authority"]})
    stream.end(b"got " + stream.read())


@pytest.fixture
def server(certificate: Certificate) -> Iterator[Any]:
    with sync_h2.create_secure_server(
        handler, certfile=certificate.certificate_pem, keyfile=certificate.key_pem, allow_http1=True
    ) as server:
        yield server


@pytest.fixture
def client(library: Any, certificate: Certificate) -> Iterator[Any]:
    with library.Client(transport=HTTPXTransport(verify=str(certificate.cafile))) as client:
        yield client


def test_responses_bodies_and_errors_are_the_librarys(library: Any, server: Any, client: Any) -> None:
    url = f"https://localhost:{server.address[1]}"
    response = client.post(url, content=(piece for piece in (b"a", b"b")))
    assert (response.text, response.http_version, type(response)) == ("got ab", "HTTP/2", library.Response)
    with client.stream("GET", url) as streamed:
        assert b"".join(streamed.iter_raw()) == b"got "
    with pytest.raises(library.RemoteProtocolError):
        client.get(f"{url}/cut")
    with pytest.raises(library.ConnectError) as raised:
        client.get("https://localhost:1")
    assert raised.value.request.url.port == 1
    with pytest.raises(library.UnsupportedProtocol):
        client.get("ftp://localhost")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_transport_is_copied(library: Any, server: Any, certificate: Certificate, copied: Any) -> None:
    transport = HTTPXTransport(verify=str(certificate.cafile))
    other = copied(transport)
    transport.close()
    with library.Client(transport=other) as client:
        assert client.get(f"https://localhost:{server.address[1]}").status_code == 200


def test_sni_hostname_is_what_tls_asks_for_and_checks(library: Any, server: Any, client: Any) -> None:
    url = f"https://127.0.0.1:{server.address[1]}"
    for name in ("localhost", b"localhost"):
        response = client.get(url, extensions={"sni_hostname": name})
        assert response.headers["x-authority"] == f"127.0.0.1:{server.address[1]}"
    with pytest.raises(library.ConnectError, match="mismatch"):  # no connection of another name serves this one
        client.get(url, extensions={"sni_hostname": "other.example"})


STEPS = [
    "connection.connect_tcp",
    "connection.start_tls",
    "{}.send_request_headers",
    "{}.send_request_body",
    "{}.receive_response_headers",
    "{}.receive_response_body",
    "{}.response_closed",
]


class Old(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(params=["HTTP/2", "HTTP/1.1"])
def either_url(request: pytest.FixtureRequest, server: Any, certificate: Certificate) -> Iterator[tuple[str, str]]:
    """A server over TLS, and what it speaks."""
    if request.param == "HTTP/2":
        yield request.param, f"https://localhost:{server.address[1]}"
        return
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certfile, certificate.keyfile)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Old) as old:
        old.socket = context.wrap_socket(old.socket, server_side=True, do_handshake_on_connect=False)
        serving = threading.Thread(target=old.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield request.param, f"https://localhost:{old.server_port}"
        finally:
            old.shutdown()
            serving.join()


def test_trace_is_told_of_each_step(library: Any, client: Any, either_url: tuple[str, str]) -> None:
    version, url = either_url
    seen: list[tuple[str, list[str]]] = []
    extensions = {"trace": lambda name, info: seen.append((name, sorted(info)))}
    for _ in range(2):
        assert client.post(url, content=b"x", extensions=extensions).http_version == version
    with pytest.raises(library.ConnectError):
        client.get("http://localhost:1", extensions=extensions)
    prefix = "http2" if version == "HTTP/2" else "http11"
    expected = [f"{step.format(prefix)}.{what}" for step in STEPS for what in ("started", "complete")]
    failed = ["connection.connect_tcp.started", "connection.connect_tcp.failed"]
    assert [name for name, _ in seen] == expected + expected[4:] + failed
    assert dict(seen)["connection.connect_tcp.started"] == ["host", "port", "timeout"]
    assert dict(seen)["connection.connect_tcp.failed"] == ["exception"]


def told_by(transport: Any, library: Any, url: str) -> dict[str, Any]:
    """What a trace is told besides its steps' names, as far as it does not differ from time to time."""
    seen: dict[str, Any] = {}

    def tell(name: str, info: dict[str, Any]) -> None:
        if name in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            stream = info["return_value"]
            tls = stream.get_extra_info("ssl_object")
            seen[name] = (stream.get_extra_info("server_addr")[:2], tls and (tls.version(), tls.cipher()))
        elif name.endswith("receive_response_headers.complete"):
            *others, headers = info["return_value"]
            seen[name] = (*others, [(key, value) for key, value in headers if key not in (b"Date", b"date")])
        elif name.endswith("send_request_headers.started"):
            asked = info["request"]
            seen[name] = (asked.method, asked.url.scheme, asked.url.host, asked.url.port, asked.url.target)
            seen[f"{name}, headers"] = [*asked.headers]

    with library.Client(transport=transport) as client:
        client.post(f"{url}/a?b", content=b"x", extensions={"trace": tell})
    return seen


def test_trace_is_told_what_httpcore_tells(library: Any, either_url: tuple[str, str], certificate: Certificate) -> None:
    version, url = either_url
    context = ssl.create_default_context(cafile=str(certificate.cafile))
    theirs = library.HTTPTransport(http1=version == "HTTP/1.1", http2=version == "HTTP/2", verify=context)
    told = told_by(HTTPXTransport(verify=str(certificate.cafile)), library, url)
    assert told == told_by(theirs, library, url)


def test_the_network_stream_tells_of_the_connection(library: Any, client: Any, either_url: tuple[str, str]) -> None:
    _, url = either_url
    response = client.post(url, content=b"x")
    stream = response.extensions["network_stream"]
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    assert stream.get_extra_info("server_addr")[:2] == address
    assert stream.get_extra_info("client_addr")[0] == "127.0.0.1"
    assert stream.get_extra_info("socket").getpeername()[:2] == address
    assert stream.get_extra_info("ssl_object").version() == "TLSv1.3"
    assert stream.get_extra_info("ssl_object").getpeercert()["subjectAltName"]
    assert stream.get_extra_info("something") is None


def test_a_network_stream_without_tls(library: Any) -> None:
    with sync_h2.create_server(handler, allow_http1=True) as plain:
        for h2c in (False, True):
            with library.Client(transport=HTTPXTransport(h2c=h2c)) as client:
                stream = client.get(plain.url).extensions["network_stream"]
                assert stream.get_extra_info("ssl_object") is None
                assert stream.get_extra_info("server_addr")[:2] == plain.address
