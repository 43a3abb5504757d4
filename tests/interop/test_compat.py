"""Requests and responses next to Node's: one client, one small app written with each, equal answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import sync_h2
from support.connections import compat_app
from support.octets import bodies
from support.programs.others import curl, nghttp, node_client, node_server
from support.tls.certificates import Certificate


def origin(port: int, certificate: Certificate | None) -> str:
    return f"https://localhost:{port}" if certificate else f"http://127.0.0.1:{port}"


def create_server(certificate: Certificate | None, **options: Any) -> sync_h2.ThreadingServer:
    if certificate is None:
        return sync_h2.create_server(on_request=compat_app.on_request, **options)
    return sync_h2.create_secure_server(
        on_request=compat_app.on_request, certfile=certificate.certfile, keyfile=certificate.keyfile, **options
    )


Origins = tuple[str, str]
"""Where our app and Node's answer."""


@pytest.fixture(scope="module")
def node_origin(server_certificate: Certificate | None) -> Iterator[str]:
    with node_server(server_certificate, "compat_server.js") as port:
        yield origin(port, server_certificate)


@pytest.fixture(scope="module")
def checking_node_origin(server_certificate: Certificate | None) -> Iterator[str]:
    with node_server(server_certificate, "compat_server.js", checkContinue=True) as port:
        yield origin(port, server_certificate)


@pytest.fixture
def origin_of_ours(server_certificate: Certificate | None) -> Iterator[str]:
    with create_server(server_certificate) as server:
        yield origin(server.address[1], server_certificate)


@pytest.fixture
def origins(origin_of_ours: str, node_origin: str) -> Origins:
    return origin_of_ours, node_origin


@pytest.fixture
def checking_origins(server_certificate: Certificate | None, checking_node_origin: str) -> Iterator[Origins]:
    """The same with listeners for `check_continue`."""
    with create_server(server_certificate, listeners={"check_continue": compat_app.on_check_continue}) as server:
        yield origin(server.address[1], server_certificate), checking_node_origin


def answers(where: str, requests: list[dict[str, Any]], cafile: str) -> list[dict[str, Any]]:
    """What Node's client gets, less what differs from one moment to the next."""
    result = node_client(where, requests, cafile)
    assert result["error"] is None
    for response in result["responses"]:
        for message in (response, *response["pushes"]):
            headers = message["headers"]
            if headers.get("date", "").endswith("GMT") and "1970" not in headers["date"]:
                headers["date"] = "now"
            # Ours says the length of a body that it knows; Node says none by itself.
            headers.pop("content-length", None)
        for push in response["pushes"]:
            push["requestHeaders"][":authority"] = "the server"
    responses: list[dict[str, Any]] = result["responses"]
    return responses


POST = {":method": "POST"}
REQUESTS = [
    {"headers": {":path": "/describe?a=1&b=%20"}},
    {"headers": {":path": "/describe", "x-b": "1", "x-A": "2", "cookie": "a=1; b=2"}},
    {"headers": {":path": "/describe", "x-many": ["1", "2"], **POST}, "body": 16385, "trailers": {"x-sent": "yes"}},
    {"headers": {":path": "/describe", ":method": "DELETE"}},
    {"headers": {":path": "/describe", ":method": "HEAD"}},
    {"headers": {":path": "*", ":method": "OPTIONS"}},
    {"headers": {":path": "/echo", "content-type": "text/x-echo", **POST}, "body": "a body"},
    {"headers": {":path": "/echo", **POST}, "body": 100_000},
    {"headers": {":path": "/headers"}},
    {"headers": {":path": "/head"}},
    {"headers": {":path": "/head", ":method": "HEAD"}},
    {"headers": {":path": "/head-with-message"}},
    {"headers": {":path": "/head-of-pairs"}},
    {"headers": {":path": "/flat-head"}},
    {"headers": {":path": "/flush"}},
    *({"headers": {":path": f"/status/{status}"}} for status in (200, 204, 205, 304, 404, 500, 599)),
    {"headers": {":path": "/status/200", ":method": "HEAD"}},
    {"headers": {":path": "/no-date"}},
    {"headers": {":path": "/removed-date"}},
    {"headers": {":path": "/date"}},
    {"headers": {":path": "/redirect"}},
    {"headers": {":path": "/connection"}},
    {"headers": {":path": "/trailers"}},
    {"headers": {":path": "/hints"}},
    {"headers": {":path": "/misuse"}},
    {"headers": {":path": "/misuse", ":method": "HEAD"}},
    {"headers": {":path": "/no/such/route"}},
    {"headers": {":path": "/describe", "expect": "100-continue", **POST}, "body": "expected"},
    {"headers": {":path": "/describe", "expect": "something else", **POST}, "body": "unexpected"},
    {"headers": {":path": "/describe", "expect": "", **POST}, "body": "unexpected"},
]


@pytest.fixture(scope="module")
def all_answers(
    server_certificate: Certificate | None, node_origin: str, ca_file: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """To each of `REQUESTS`, from ours and from Node's; Node's client is started once for all."""
    with create_server(server_certificate) as server:
        ours = answers(origin(server.address[1], server_certificate), REQUESTS, ca_file)
    return ours, answers(node_origin, REQUESTS, ca_file)


@pytest.mark.parametrize(
    "number",
    range(len(REQUESTS)),
    ids=[" ".join(str(value) for value in request["headers"].values()) for request in REQUESTS],
)
def test_an_answer_is_nodes(all_answers: tuple[list[dict[str, Any]], list[dict[str, Any]]], number: int) -> None:
    ours, nodes = all_answers
    assert ours[number] == nodes[number]


def test_a_push_is_nodes(origins: Origins, ca_file: str) -> None:
    ours, nodes = (answers(where, [{"headers": {":path": "/push"}}], ca_file) for where in origins)
    assert ours == nodes
    [response] = ours
    [push] = response["pushes"]
    assert (push["headers"][":status"], push["headers"]["x-pushed"], push["text"]) == (201, "yes", "pushed")


@pytest.mark.parametrize("path", ["/describe", "/refused"])
def test_a_checked_expectation_is_nodes(checking_origins: Origins, ca_file: str, path: str) -> None:
    request = {"headers": {":path": path, ":method": "POST", "expect": "100-continue"}, "body": "expected"}
    ours, nodes = (answers(where, [request], ca_file)[0] for where in checking_origins)
    assert (ours["status"], ours["text"], ours["informational"]) == (
        nodes["status"],
        nodes["text"],
        nodes["informational"],
    )
    assert ours["status"] == (200 if path == "/describe" else 403)


def test_connect_is_refused_as_nodes(origins: Origins, ca_file: str) -> None:
    request = {"headers": {":method": "CONNECT", ":authority": "localhost:443"}, "body": ""}
    ours, nodes = (answers(where, [request], ca_file)[0] for where in origins)
    assert (ours["status"], ours["text"]) == (nodes["status"], nodes["text"]) == (405, "")


# -- what other clients see


@pytest.mark.parametrize("size", [0, 1, 16385, 10_000_000])
def test_curl_uploads_and_downloads_at_once(origin_of_ours: str, ca_file: str, tmp_path: Any, size: int) -> None:
    upload = tmp_path / "upload"
    bodies.write_pattern(upload, size)
    echoed = curl(f"{origin_of_ours}/echo", "--upload-file", str(upload), cafile=ca_file)
    assert (echoed.http_version, echoed.status, echoed.body) == ("2", 200, bodies.pattern_digest(size))


def test_curl_sees_hints_lengths_and_trailers(origin_of_ours: str, ca_file: str) -> None:
    hinted = curl(f"{origin_of_ours}/hints", cafile=ca_file)
    assert hinted.header_text.count("HTTP/2 103") == 2
    assert "link: </a.js>; rel=preload, </b.js>; rel=preload" in hinted.header_text
    assert "content-length: 17" in hinted.header_text
    assert hinted.text == "[true,true,false]"
    with_trailers = curl(f"{origin_of_ours}/trailers", cafile=ca_file)
    assert with_trailers.text == "trailers follow"
    assert "x-first: 1\nx-second: 2\nx-third: 3" in with_trailers.header_text


def test_curl_sends_head(origin_of_ours: str, ca_file: str) -> None:
    head = curl(f"{origin_of_ours}/no-date", "--head", cafile=ca_file)
    assert head.status == 200
    assert "content-length: 8" in head.header_text


def test_nghttp_waits_for_100_continue(origin_of_ours: str, tmp_path: Any) -> None:
    (tmp_path / "upload").write_text("expected")
    shown = nghttp(f"{origin_of_ours}/echo", "--expect-continue", "--verbose", f"--data={tmp_path / 'upload'}").decode()
    assert shown.index(":status: 100") < shown.index("send DATA frame")
    assert "expected" in shown


def test_nghttp_shows_a_push(origin_of_ours: str) -> None:
    shown = nghttp(f"{origin_of_ours}/push", "--verbose").decode()
    assert "recv (stream_id=2) x-pushed: yes" in shown
    assert shown.index("recv PUSH_PROMISE frame") < shown.index("one push")
