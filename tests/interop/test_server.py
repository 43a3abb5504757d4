"""Our server and other people's clients: curl, nghttp, h2load and Node, over h2c and TLS."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator

import pytest

import sync_h2
from support.connections import app
from support.octets import bodies
from support.programs.others import curl, h2load, nghttp, node_client
from support.tls.certificates import Certificate

Handler = Callable[[sync_h2.ServerStream, sync_h2.Headers], None]


def create_server(handler: Handler, certificate: Certificate | None) -> sync_h2.ThreadingServer:
    if certificate is None:
        return sync_h2.create_server(handler)
    return sync_h2.create_secure_server(handler, certfile=str(certificate.certfile), keyfile=str(certificate.keyfile))


def origin_of(server: sync_h2.ThreadingServer, certificate: Certificate | None) -> str:
    return f"https://localhost:{server.address[1]}" if certificate else f"http://127.0.0.1:{server.address[1]}"


@pytest.fixture
def origin(server_certificate: Certificate | None) -> Iterator[str]:
    """Where our server answers with the routes of tests/support/connections/app.py."""
    with create_server(app.handler, server_certificate) as server:
        yield origin_of(server, server_certificate)


# -- bodies


@pytest.mark.parametrize("size", bodies.SIZES)
def test_curl_downloads(origin, ca_file, size):
    downloaded = curl(f"{origin}/bytes/{size}", cafile=ca_file)
    assert (downloaded.http_version, downloaded.status) == ("2", 200)
    assert downloaded.body == bodies.pattern_digest(size)


@pytest.mark.parametrize("size", bodies.SIZES)
def test_curl_uploads(origin, ca_file, upload_files, size):
    uploaded = curl(f"{origin}/sha256", "--upload-file", upload_files[size], cafile=ca_file)
    assert json.loads(uploaded.text) == {**bodies.pattern_digest(size)._asdict(), "trailers": {}}


@pytest.mark.parametrize("size", bodies.SIZES)
def test_curl_uploads_and_downloads_at_once(origin, ca_file, upload_files, size):
    echoed = curl(f"{origin}/echo", "--upload-file", upload_files[size], cafile=ca_file)
    assert echoed.body == bodies.pattern_digest(size)


@pytest.mark.parametrize("size", bodies.SIZES)
def test_node_uploads_and_downloads(origin, ca_file, size):
    requests = [
        {"headers": {":path": f"/bytes/{size}"}},
        {"headers": {":path": "/echo", ":method": "POST"}, "body": size},
        {"headers": {":path": "/sha256", ":method": "POST"}, "body": size},
    ]
    result = node_client(origin, requests, ca_file, parallel=3)
    assert result["error"] is None
    *both_ways, checksum = result["responses"]
    for response in both_ways:
        assert (response["status"], response["error"]) == (200, None)
        assert (response["length"], response["sha256"]) == bodies.pattern_digest(size)
    assert json.loads(checksum["text"])["sha256"] == bodies.pattern_digest(size).sha256


@pytest.mark.parametrize("size", bodies.SIZES[:-1])
def test_nghttp_downloads_and_uploads(origin, upload_files, size):
    assert bodies.digest([nghttp(f"{origin}/bytes/{size}")]) == bodies.pattern_digest(size)
    uploaded = json.loads(nghttp(f"{origin}/sha256", f"--data={upload_files[size]}", "--trailer=x-sent: yes"))
    assert uploaded == {**bodies.pattern_digest(size)._asdict(), "trailers": {"x-sent": "yes"}}


# -- many requests


def test_h2load_has_no_failures(origin):
    requests = 2_000 if "coverage" in sys.modules else 20_000  # each takes ten times as long when lines are counted
    summary = h2load(f"{origin}/bytes/12", requests=requests, connections=8, streams=16)
    assert summary.total == summary.succeeded == summary.status_2xx == requests
    assert summary.failed == summary.errored == summary.timeout == 0


def test_node_sends_many_requests_on_one_connection(origin, ca_file):
    sizes = range(0, 40_000, 200)
    requests = [{"headers": {":path": f"/bytes/{size}"}} for size in sizes]
    responses = node_client(origin, requests, ca_file, parallel=50)["responses"]
    assert [(response["length"], response["sha256"]) for response in responses] == [
        bodies.pattern_digest(size) for size in sizes
    ]


# -- what else a stream can do


def test_node_sees_trailers(origin, ca_file):
    [response] = node_client(origin, [{"headers": {":path": "/trailers"}}], ca_file)["responses"]
    assert response["text"] == "trailers follow"
    assert response["trailers"] == {"x-checksum": "abc", "x-second": "2"}


def test_node_sends_trailers(origin, ca_file):
    request = {"headers": {":path": "/sha256", ":method": "POST"}, "body": 16385, "trailers": {"x-sent": "yes"}}
    [response] = node_client(origin, [request], ca_file)["responses"]
    assert json.loads(response["text"]) == {**bodies.pattern_digest(16385)._asdict(), "trailers": {"x-sent": "yes"}}


def test_node_sees_informational_responses(origin, ca_file):
    [response] = node_client(origin, [{"headers": {":path": "/informational"}}], ca_file)["responses"]
    links = ["</style.css>; rel=preload", "</script.js>; rel=preload"]
    assert [(headers[":status"], headers["link"]) for headers in response["informational"]] == [
        (103, link) for link in links
    ]
    assert (response["status"], response["text"]) == (200, "after two 103")


def test_node_sees_100_continue(origin, ca_file):
    request = {"headers": {":path": "/echo", ":method": "POST", "expect": "100-continue"}, "body": "ping"}
    [response] = node_client(origin, [request], ca_file)["responses"]
    assert response["informational"] == [{":status": 100}]
    assert (response["status"], response["text"]) == (200, "ping")


def test_node_receives_a_push(origin, ca_file):
    [response] = node_client(origin, [{"headers": {":path": "/push"}}], ca_file)["responses"]
    assert response["text"] == "one push"
    [push] = response["pushes"]
    assert push["requestHeaders"][":method"] == "GET"
    assert push["requestHeaders"][":path"] == "/bytes/16385"
    assert push["requestHeaders"][":authority"] == origin.partition("://")[2]
    assert push["headers"]["x-pushed"] == "yes"
    assert (push["length"], push["sha256"]) == bodies.pattern_digest(16385)


def test_node_sees_a_body_in_two_halves(origin, ca_file):
    [response] = node_client(origin, [{"headers": {":path": "/slow/1"}}], ca_file)["responses"]
    assert response["text"] == "first half, second half"


@pytest.mark.parametrize("status", [200, 204, 304, 404, 500, 599])
def test_node_sees_a_status(origin, ca_file, status):
    [response] = node_client(origin, [{"headers": {":path": f"/status/{status}"}}], ca_file)["responses"]
    assert (response["status"], response["length"], response["error"]) == (status, 0, None)


def test_node_sends_head(origin, ca_file):
    request = {"headers": {":path": "/bytes/16385", ":method": "HEAD"}}
    [response] = node_client(origin, [request], ca_file)["responses"]
    assert (response["headers"]["content-length"], response["length"]) == ("16385", 0)


@pytest.mark.parametrize("code", [int(code) for code in sync_h2.ErrorCode])
def test_node_sees_a_reset_and_its_session_goes_on(origin, ca_file, code):
    requests = [{"headers": {":path": f"/reset/{code}"}}, {"headers": {":path": "/bytes/1"}}]
    reset, after = node_client(origin, requests, ca_file)["responses"]
    assert reset["rstCode"] == code
    assert (after["status"], after["length"]) == (200, 1)


def test_node_resets_a_stream_and_its_session_goes_on(origin, ca_file):
    cancel = int(sync_h2.ErrorCode.CANCEL)
    requests = [{"headers": {":path": "/bytes/100000000"}, "abort": cancel}, {"headers": {":path": "/bytes/1"}}]
    reset, after = node_client(origin, requests, ca_file)["responses"]
    assert reset["rstCode"] == cancel
    assert (after["status"], after["length"]) == (200, 1)


# -- what else a session can do


def test_node_sees_settings_and_pings(origin, ca_file):
    result = node_client(
        origin, [{"headers": {":path": "/ping-me"}}], ca_file, ping=True, settings={"enablePush": False}
    )
    assert result["alpn"] == ("h2" if origin.startswith("https:") else "h2c")
    assert result["remoteSettings"]["maxConcurrentStreams"] == 100
    assert result["ping"]["payload"] == "pingpong"
    assert json.loads(result["responses"][0]["text"])["payload"] == "pingpong"


def test_node_with_small_windows_and_no_header_table(origin, ca_file):
    settings = {"initialWindowSize": 100, "maxFrameSize": 16384, "headerTableSize": 0}
    requests = [{"headers": {":path": "/bytes/16385"}}] * 3
    responses = node_client(origin, requests, ca_file, settings=settings, parallel=3)["responses"]
    assert [(response["length"], response["sha256"]) for response in responses] == [bodies.pattern_digest(16385)] * 3


def test_node_sees_a_goaway(origin, ca_file):
    result = node_client(origin, [{"headers": {":path": "/goaway/0"}}], ca_file)
    assert result["responses"][0]["text"] == "goodbye"
    assert result["goaways"][0] == {"code": 0, "lastStreamID": 1, "data": "see you"}


def test_node_finishes_its_request_while_the_server_closes(server_certificate, ca_file):
    def close_and_finish(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        stream.respond()
        stream.write(b"begun, ")
        server.close()
        stream.end(b"finished")

    with create_server(close_and_finish, server_certificate) as server:
        result = node_client(origin_of(server, server_certificate), [{"headers": {":path": "/"}}], ca_file)
    assert (result["error"], result["responses"][0]["text"]) == (None, "begun, finished")
    # The first of two steps, which announces the end without refusing what is on its way (RFC 9113 section 6.8).
    assert result["goaways"][0] == {"code": 0, "lastStreamID": 2**31 - 1, "data": ""}


# -- what curl and nghttp show of it


def test_curl_shows_informational_responses_and_trailers(origin, ca_file):
    informational = curl(f"{origin}/informational", cafile=ca_file)
    assert informational.header_text.count("HTTP/2 103") == 2
    assert "link: </script.js>; rel=preload" in informational.header_text
    assert informational.text == "after two 103"
    trailers = curl(f"{origin}/trailers", cafile=ca_file)
    assert "x-checksum: abc" in trailers.header_text
    assert trailers.text == "trailers follow"


def test_curl_sends_head(origin, ca_file):
    head = curl(f"{origin}/bytes/16385", "--head", cafile=ca_file)
    assert head.status == 200
    assert "content-length: 16385" in head.header_text


def test_nghttp_shows_a_push_in_order(origin):
    shown = nghttp(f"{origin}/push", "--verbose", "--null-out").decode()
    promise = shown.index("recv PUSH_PROMISE frame")
    response = shown.index("recv (stream_id=13) :status: 200")
    assert promise < response  # RFC 9113 section 8.4.1: before what refers to the promised resource
    assert "recv (stream_id=2) x-pushed: yes" in shown


def test_nghttp_with_padding_and_continuation_frames(origin, upload_files):
    options = ["--padding=255", "--continuation", f"--data={upload_files[16385]}"]
    assert json.loads(nghttp(f"{origin}/sha256", *options))["sha256"] == bodies.pattern_digest(16385).sha256


def test_nghttp_waits_for_100_continue(origin, upload_files):
    shown = nghttp(f"{origin}/sha256", "--expect-continue", "--verbose", f"--data={upload_files[1]}").decode()
    assert shown.index(":status: 100") < shown.index("send DATA frame")
    assert bodies.pattern_digest(1).sha256 in shown
