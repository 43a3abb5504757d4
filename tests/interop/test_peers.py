"""The peers among themselves: what they and our scripts for them do, before sync_h2 is one of the two sides."""

from __future__ import annotations

import pytest

from support.octets import bodies
from support.programs.others import curl, h2load, nghttp, node_client


@pytest.mark.parametrize("size", bodies.SIZES)
def test_curl_and_the_node_server_exchange_bodies(node_origin, ca_file, upload_files, size):
    assert curl(f"{node_origin}/bytes/{size}", cafile=ca_file).body == bodies.pattern_digest(size)
    uploaded = curl(f"{node_origin}/sha256", "--upload-file", upload_files[size], cafile=ca_file)
    assert uploaded.http_version == "2"
    assert bodies.pattern_digest(size).sha256 in uploaded.text
    echoed = curl(f"{node_origin}/echo", "--upload-file", upload_files[size], cafile=ca_file)
    assert echoed.body == bodies.pattern_digest(size)


@pytest.mark.parametrize("size", bodies.SIZES)
def test_the_node_client_and_nghttpd_exchange_bodies(nghttpd_origin, ca_file, size):
    result = node_client(
        nghttpd_origin,
        [{"headers": {":path": f"/{size}"}}, {"headers": {":path": "/", ":method": "POST"}, "body": size}],
        ca_file,
        parallel=2,
    )
    assert result["error"] is None
    for response in result["responses"]:
        assert (response["status"], response["error"]) == (200, None)
        assert (response["length"], response["sha256"]) == bodies.pattern_digest(size)


def test_the_node_client_sees_trailers_and_pushes_of_nghttpd(nghttpd_origin, ca_file):
    result = node_client(nghttpd_origin, [{"headers": {":path": "/index.html"}}], ca_file, ping=True)
    [response] = result["responses"]
    assert response["trailers"] == {"x-trailer": "from nghttpd"}
    [push] = response["pushes"]
    assert (push["requestHeaders"][":path"], push["status"], push["text"]) == ("/style.css", 200, "style")
    assert result["ping"]["payload"] == "pingpong"


def test_the_node_client_sees_everything_the_node_server_does(node_origin, ca_file):
    paths = ["/trailers", "/informational", "/slow/1", "/status/204", "/reset/8", "/ping-me", "/no-such-route"]
    requests = [{"headers": {":path": path}} for path in paths]
    requests.append({"headers": {":path": "/sha256", ":method": "POST"}, "body": 5, "trailers": {"x-sent": "yes"}})
    requests.append({"headers": {":path": "/echo", ":method": "POST", "expect": "100-continue"}, "body": "ping"})
    result = node_client(node_origin, requests, ca_file)
    trailers, informational, slow, no_content, reset, ping, not_found, checksum, echo = result["responses"]
    assert trailers["trailers"] == {"x-checksum": "abc", "x-second": "2"}
    assert [headers["link"] for headers in informational["informational"]] == [
        "</style.css>; rel=preload",
        "</script.js>; rel=preload",
    ]
    assert slow["text"] == "first half, second half"
    assert no_content["status"] == 204
    assert (reset["rstCode"], reset["error"]) == (8, None)
    assert '"payload":"pingpong"' in ping["text"]
    assert not_found["status"] == 404
    assert '"trailers":{"x-sent":"yes"}' in checksum["text"]
    assert bodies.pattern_digest(5).sha256 in checksum["text"]
    assert echo["text"] == "ping"
    assert echo["informational"] == [{":status": 100}]


def test_the_node_client_sees_a_push_and_a_goaway_of_the_node_server(node_origin, ca_file):
    [response] = node_client(node_origin, [{"headers": {":path": "/push"}}], ca_file)["responses"]
    [push] = response["pushes"]
    assert push["requestHeaders"][":path"] == "/bytes/16385"
    assert push["headers"]["x-pushed"] == "yes"
    assert (push["length"], push["sha256"]) == bodies.pattern_digest(16385)

    result = node_client(node_origin, [{"headers": {":path": "/goaway/0"}}], ca_file)
    assert result["responses"][0]["text"] == "goodbye"
    assert result["goaways"][0] == {"code": 0, "lastStreamID": 1, "data": "see you"}


def test_nghttp_and_h2load_work_with_nghttpd(nghttpd_origin):
    assert nghttp(f"{nghttpd_origin}/style.css") == b"style"
    summary = h2load(f"{nghttpd_origin}/1", requests=100, connections=2, streams=4)
    assert summary.succeeded == summary.status_2xx == 100
    assert summary.failed == summary.errored == summary.timeout == 0
