"""One connection for several origins: who may share it, and what becomes of requests that were misdirected."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from typing import Any

import pytest

from support.connections.clients import client_of, serving
from support.threads.background import eventually
from support.tls.certificates import Certificate
from sync_h2 import exceptions
from sync_h2.client.pool.coalescing import covers, names_host
from sync_h2.client.values.origin import Origin
from sync_h2.deadline import Deadline
from sync_h2.testing import pair

ORIGIN = Origin("https", "example.org", 443)


def test_a_connection_is_shared_by_origins_with_its_address_and_certificate(certificate: Certificate) -> None:
    sessions: list[Any] = []
    with serving(certificate, listeners={"session": sessions.append}) as server, client_of(certificate) as client:
        port = server.address[1]
        assert client.get(f"https://localhost:{port}/a").text == "GET /a 0"
        assert client.get(f"https://127.0.0.1:{port}/b").text == "GET /b 0"
    assert len(sessions) == 1


def test_a_connection_is_shared_by_what_its_origin_frame_names(certificate: Certificate) -> None:
    other = "https://localhost:1"
    with serving(certificate, origins=[other]) as server, client_of(certificate) as client:
        assert client.get(server.url).ok
        session = next(client._pool.sessions())
        eventually(lambda: other in (session.origin_set or ()), "that the ORIGIN frame has come")
        assert client.get(f"{other}/there").text == "GET /there 0"


def test_a_misdirected_request_goes_out_once_more_on_a_connection_of_its_own(certificate: Certificate) -> None:
    seen: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()

    def handler(stream: Any, headers: Any) -> None:
        authority = headers[":authority"]
        seen.put((authority, id(stream.session)))
        first = "localhost" in authority or id(stream.session) != ids[0]
        if not ids:
            ids.append(id(stream.session))
            first = True
        stream.respond({":status": 200 if first else 421}, end_stream=True)

    ids: list[int] = []
    with serving(certificate, handler) as server, client_of(certificate) as client:
        port = server.address[1]
        assert client.get(f"https://localhost:{port}/").status_code == 200
        for _ in range(2):
            assert client.get(f"https://127.0.0.1:{port}/").status_code == 200
    requests_seen = [seen.get_nowait() for _ in range(seen.qsize())]
    assert [authority.split(":")[0] for authority, _ in requests_seen] == ["localhost"] + ["127.0.0.1"] * 3
    assert len({session for _, session in requests_seen}) == 2


@pytest.mark.parametrize(
    ("names", "host", "expected"),
    [
        ([("DNS", "example.org")], "example.org", True),
        ([("DNS", "example.org")], "EXAMPLE.org.", True),
        ([("DNS", "example.org")], "www.example.org", False),
        ([("DNS", "*.example.org")], "www.example.org", True),
        ([("DNS", "*.example.org")], "a.b.example.org", False),
        ([("DNS", "*.example.org")], "example.org", False),
        ([("DNS", "*")], "localhost", False),
        ([("IP Address", "127.0.0.1")], "127.0.0.1", True),
        ([("DNS", "127.0.0.1")], "127.0.0.1", False),
        ([("IP Address", "0:0:0:0:0:0:0:1")], "::1", True),
        ([], "example.org", False),
    ],
)
def test_whom_a_certificate_is_for(names: list[tuple[str, str]], host: str, expected: bool) -> None:
    assert names_host({"subject": ((("commonName", host),),), "subjectAltName": tuple(names)}, host) is expected


def test_the_look_up_of_an_address_has_the_calls_time(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_again = threading.Event()
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **named: Any) -> Any:
        if host == "localhost":
            asked_again.wait(20)
        return look_up(host, *arguments, **named)

    with serving(certificate) as server, client_of(certificate) as client:
        port = server.address[1]
        assert client.get(f"https://127.0.0.1:{port}/").ok
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        with pytest.raises(exceptions.ConnectTimeout):
            client.get(f"https://localhost:{port}/", timeout=0.05)
        asked_again.set()


def test_a_connection_that_has_no_port_covers_what_it_says_that_it_serves(
    tls_contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    session, server = pair(tls=True, client_context=tls_contexts[0], server_context=tls_contexts[1])
    with session:
        assert session.socket.getpeername() == ""
        origin = Origin("https", "localhost", 444)
        assert not covers(session, origin, Deadline(20))
        server.origin(str(origin))
        eventually(lambda: str(origin) in (session.origin_set or ()))
        assert covers(session, origin, Deadline(20))
