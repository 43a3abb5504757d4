"""Padding, windows, weights and constants with Node and nghttp2 as the other end."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

import sync_h2
from support.connections import app
from support.octets import bodies
from support.programs.others import nghttp, node_client, program
from support.threads.background import eventually
from support.tls.certificates import Certificate

MEBIBYTE = 1024 * 1024


@pytest.fixture(params=["max", "aligned"])
def padding_strategy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def padded_origin(server_certificate: Certificate | None, padding_strategy: str) -> Iterator[str]:
    """Where our server answers with padded frames."""
    options: dict[str, Any] = {"padding_strategy": padding_strategy}
    if server_certificate is None:
        server: sync_h2.ThreadingServer = sync_h2.create_server(app.handler, **options)
    else:
        options.update(certfile=str(server_certificate.certfile), keyfile=str(server_certificate.keyfile))
        server = sync_h2.create_secure_server(app.handler, **options)
    with server:
        host = "https://localhost" if server_certificate else "http://127.0.0.1"
        yield f"{host}:{server.address[1]}"


def connect(origin: str, ca_file: str, **options: Any) -> sync_h2.ClientSession:
    if origin.startswith("https:"):
        options["cafile"] = ca_file
    return sync_h2.connect(origin, **options)


# -- padding


@pytest.mark.parametrize("size", bodies.SIZES[:-1])
def test_node_reads_padded_answers(padded_origin, ca_file, size):
    requests = [
        {"headers": {":path": f"/bytes/{size}"}},
        {"headers": {":path": "/echo", ":method": "POST"}, "body": size},
        {"headers": {":path": "/trailers"}},
        {"headers": {":path": "/push"}},
    ]
    result = node_client(padded_origin, requests, ca_file, settings={"initialWindowSize": 1000})
    assert result["error"] is None
    *both_ways, trailers, push = result["responses"]
    for response in both_ways:
        assert (response["length"], response["sha256"]) == bodies.pattern_digest(size)
    assert trailers["trailers"] == {"x-checksum": "abc", "x-second": "2"}
    assert push["text"] == "one push"


def test_nghttp_sees_the_padding(padded_origin, padding_strategy):
    shown = nghttp(f"{padded_origin}/bytes/1000", "--verbose", "--null-out").decode("latin-1")
    frame = next(line for line in shown.splitlines() if "recv DATA frame" in line and "length=0" not in line)
    length = int(frame.partition("length=")[2].partition(",")[0])
    assert (length == 1256) if padding_strategy == "max" else (length > 1000 and (9 + length) % 8 == 0)
    assert "PADDED" in shown
    assert bodies.digest([nghttp(f"{padded_origin}/bytes/16385")]) == bodies.pattern_digest(16385)


@pytest.mark.parametrize("size", bodies.SIZES[:-1])
def test_node_and_nghttpd_read_padded_requests(node_origin, nghttpd_origin, ca_file, padding_strategy, size):
    for origin, path in ((node_origin, "/echo"), (nghttpd_origin, "/")):
        with (
            connect(origin, ca_file, padding_strategy=padding_strategy) as session,
            session.request({":method": "POST", ":path": path}) as stream,
        ):
            for chunk in bodies.pattern(size):
                stream.write(chunk[:10_000])
                stream.write(chunk[10_000:])
            stream.end()
            assert bodies.digest(stream) == bodies.pattern_digest(size)


# -- windows and weights


def test_node_sees_our_window(node_origin, ca_file):
    with connect(node_origin, ca_file) as session:
        session.set_local_window_size(20 * MEBIBYTE)
        state = json.loads(session.request({":path": "/state"}).read())["session"]
        assert state["remoteWindowSize"] == 20 * MEBIBYTE
        assert state["inflateDynamicTableSize"] == session.state.deflate_dynamic_table_size > 0
        assert (state["nextStreamID"], state["lastProcStreamID"]) == (2, 1)


def test_we_see_nodes_window(node_origin, ca_file):
    with connect(node_origin, ca_file) as session:
        session.request({":path": f"/window/{3 * MEBIBYTE}"}).read()
        eventually(lambda: session.state.remote_window_size == 3 * MEBIBYTE)


def test_node_sees_our_priorities(node_origin, ca_file):
    with connect(node_origin, ca_file) as session:
        first = session.request({":method": "POST", ":path": "/state"}, weight=200)
        second = session.request({":method": "POST", ":path": "/state"}, parent=1, weight=50)
        third = session.request({":method": "POST", ":path": "/state"})
        third.priority(parent=1, weight=30)
        first.end()
        theirs = json.loads(first.read())["stream"]
        assert (theirs["weight"], theirs["sumDependencyWeight"]) == (200, 80)
        third.priority(parent=3, weight=7)
        second.end()
        assert json.loads(second.read())["stream"]["sumDependencyWeight"] == 7
        third.close(sync_h2.ErrorCode.CANCEL)


# -- constants


def test_header_names_are_nodes():
    printed = subprocess.run(
        [program("node"), "-p", "JSON.stringify(require('http2').constants)"], capture_output=True, check=True
    ).stdout
    theirs = json.loads(printed)
    ours = {name: value for name, value in vars(sync_h2.constants).items() if name.startswith("HTTP2_HEADER_")}
    assert len(ours) > 80
    assert ours.items() <= theirs.items()
