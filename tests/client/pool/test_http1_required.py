"""Servers that answer some of what they are asked over HTTP/1.1 only (HTTP_1_1_REQUIRED, RFC 9113 section 7): IIS does
so for Windows authentication and for client certificates.
"""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

import sync_h2
from support.tls.certificates import Certificate
from sync_h2 import Client, ErrorCode, exceptions
from sync_h2.adapters import RequestsAdapter

PATIENCE = 20.0


class Server:
    """Counts requests by version; those for /old are refused over HTTP/2, by a reset or by the session's end."""

    def __init__(self, by: str) -> None:
        self.asked: collections.Counter[str] = collections.Counter()
        self._by = by
        self._lock = threading.Lock()

    def __call__(self, stream: Any, headers: Any) -> None:
        with self._lock:
            self.asked[stream.http_version] += 1
        if stream.http_version == "2.0" and headers[":path"] == "/old":
            if self._by == "goaway":
                stream.session.goaway(ErrorCode.HTTP_1_1_REQUIRED)
            stream.close(ErrorCode.HTTP_1_1_REQUIRED)
        else:
            stream.end(b"%s %d" % (stream.http_version.encode(), len(stream.read())))


@contextlib.contextmanager
def serving(certificate: Certificate, handler: Server, *, tls: bool) -> Iterator[str]:
    if tls:
        paths = {"certfile": certificate.certificate_pem, "keyfile": certificate.key_pem}
        with sync_h2.create_secure_server(handler, allow_http1=True, **paths) as server:
            yield f"https://localhost:{server.address[1]}"
    else:
        with sync_h2.create_server(handler, allow_http1=True) as server:
            yield server.url


@pytest.mark.parametrize("by", ["reset", "goaway"])
@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "cleartext"])
def test_it_is_asked_over_http1_from_then_on(certificate: Certificate, by: str, tls: bool) -> None:
    handler = Server(by)
    with (
        serving(certificate, handler, tls=tls) as url,
        Client(verify=str(certificate.cafile), h2c=True, trust_env=False) as client,
    ):
        assert client.get(f"{url}/new", timeout=PATIENCE).text == "2.0 0"
        response = client.post(f"{url}/old", data=b"body", timeout=PATIENCE)
        assert (response.text, response.http_version) == ("1.1 4", "HTTP/1.1")
        assert client.get(f"{url}/old", timeout=PATIENCE).text == "1.1 0"
        assert client.get(f"{url}/new", timeout=PATIENCE).text == "1.1 0"
    assert handler.asked == {"2.0": 2, "1.1": 3}


def test_many_at_once(certificate: Certificate) -> None:
    handler = Server("reset")
    with (
        serving(certificate, handler, tls=True) as url,
        Client(verify=str(certificate.cafile), trust_env=False) as client,
        ThreadPoolExecutor(16) as threads,
    ):

        def ask(number: int) -> str:
            path = "old" if number % 2 else "new"
            return client.post(f"{url}/{path}", data=bytes(number), timeout=PATIENCE).text.partition(" ")[2]

        assert list(threads.map(ask, range(200))) == [str(number) for number in range(200)]
    assert handler.asked["1.1"] >= 100


def test_requests_own_session_with_the_adapter(certificate: Certificate) -> None:
    with serving(certificate, Server("reset"), tls=True) as url, requests.Session() as session:
        session.trust_env = False
        session.verify = str(certificate.cafile)
        session.mount("https://", RequestsAdapter())
        assert session.post(f"{url}/old", data=b"body", timeout=PATIENCE).text == "1.1 4"


def test_a_client_that_speaks_http2_alone_says_why(certificate: Certificate) -> None:
    handler = Server("reset")
    with (
        serving(certificate, handler, tls=True) as url,
        Client(verify=str(certificate.cafile), http1=False, trust_env=False) as client,
        pytest.raises(exceptions.ConnectionError, match="HTTP_1_1_REQUIRED"),
    ):
        client.get(f"{url}/old", timeout=PATIENCE)
    assert handler.asked == {"2.0": 1}


def test_a_body_that_is_gone_is_not_sent_again(certificate: Certificate) -> None:
    handler = Server("reset")
    with (
        serving(certificate, handler, tls=True) as url,
        Client(verify=str(certificate.cafile), trust_env=False) as client,
        pytest.raises(exceptions.ConnectionError, match="HTTP_1_1_REQUIRED"),
    ):
        client.post(f"{url}/old", data=iter([b"once"]), timeout=PATIENCE)
    assert handler.asked == {"2.0": 1}
