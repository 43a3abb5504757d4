"""ALTSVC and ORIGIN with Node at the other end, both ways; nghttp as a client that does not know ORIGIN."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import sync_h2
from support.programs.others import NODE_SCRIPTS, nghttp, node_script_client, program, running_server
from support.tls.certificates import Certificate

PATIENCE = 10.0


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    session = stream.session
    session.altsvc('h2=":8000"', "https://Example.org:443/path")
    session.altsvc("clear", stream)
    session.altsvc("h2", SimpleNamespace(origin="https://bücher.example:8443"))
    session.origin("https://third.example", "https://bücher.example")
    stream.end(b"answered")


@pytest.fixture
def server(server_certificate: Certificate | None) -> Iterator[Any]:
    if server_certificate is None:
        server: sync_h2.ThreadingServer = sync_h2.create_server(handler)
    else:
        server = sync_h2.create_secure_server(
            handler,
            certfile=server_certificate.certfile,
            keyfile=server_certificate.keyfile,
            origins=["https://first.example/path", "https://second.example:8443"],
        )
    with server:
        yield server


def url(server: Any, certificate: Certificate | None) -> str:
    return f"{'https' if certificate else 'http'}://localhost:{server.address[1]}"


def test_node_hears_ours(server: Any, server_certificate: Certificate | None, ca_file: str) -> None:
    authority = url(server, server_certificate)
    heard = node_script_client("altsvc_client.js", {"authority": authority, "cafile": ca_file})
    assert heard["altsvc"] == [
        ['h2=":8000"', "https://example.org", 0],
        ["clear", "", 1],
        ["h2", "https://xn--bcher-kva.example:8443", 0],
    ]
    if server_certificate is None:
        assert (heard["origin"], heard["originSet"]) == ([], None)
    else:
        first = ["https://first.example", "https://second.example:8443"]
        then = ["https://third.example", "https://xn--bcher-kva.example"]
        assert heard["origin"] == [first, then]
        assert heard["originSet"] == [authority, *first, *then]


def test_nghttp_is_not_disturbed(server: Any, server_certificate: Certificate | None) -> None:
    assert nghttp(url(server, server_certificate)) == b"answered"


@pytest.fixture(scope="module")
def node_port(server_certificate: Certificate | None) -> Iterator[int]:
    def command(port: int) -> list[str]:
        options: dict[str, Any] = {"port": port}
        if server_certificate:
            options.update(certfile=str(server_certificate.certfile), keyfile=str(server_certificate.keyfile))
        return [program("node"), str(NODE_SCRIPTS / "altsvc_server.js"), json.dumps(options)]

    with running_server(command) as port:
        yield port


def test_we_hear_node(node_port: int, server_certificate: Certificate | None, ca_file: str) -> None:
    altsvc: queue.SimpleQueue[Any] = queue.SimpleQueue()
    origin: queue.SimpleQueue[Any] = queue.SimpleQueue()
    scheme = "https" if server_certificate else "http"
    with sync_h2.connect(
        f"{scheme}://localhost:{node_port}",
        cafile=ca_file,
        listeners={"altsvc": lambda *event: altsvc.put(event), "origin": lambda origins: origin.put(origins)},
    ) as session:
        assert session.request().read(timeout=PATIENCE) == b"answered"
        assert altsvc.get(timeout=PATIENCE) == ('h2=":8000"', "https://example.org", 0)
        assert altsvc.get(timeout=PATIENCE) == ("clear", "", 1)
        if server_certificate is None:
            assert session.origin_set is None
        else:
            first = ["https://first.example", "https://second.example:8443"]
            then = ["https://third.example", "https://xn--bcher-kva.example"]
            assert origin.get(timeout=PATIENCE) == first
            assert origin.get(timeout=PATIENCE) == then
            assert session.origin_set == [f"https://localhost:{node_port}", *first, *then]
    assert altsvc.empty()
    assert origin.empty()
