"""gunicorn with our worker: its settings, its signals, and no request that is lost."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sync_h2
from support.certificates import Certificate
from support.gunicorns import Gunicorn, gunicorn
from support.peers import curl
from support.retrying import RetryingClient
from support.threads import PATIENCE, Background, background, eventually

__all__ = ["background", "gunicorn"]

Start = Callable[..., Gunicorn]


@pytest.fixture
def visit() -> Iterator[Callable[..., RetryingClient]]:
    clients = []

    def make(url: str, **options: Any) -> RetryingClient:
        clients.append(RetryingClient(url, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def pids(bodies: list[bytes]) -> set[int]:
    return {int(body.split()[0]) for body in bodies}


# -- nothing is lost

REQUESTS = [f"/{number}?sleep={0.002 * (number % 10)}" for number in range(1000)]


def expected() -> list[str]:
    return [request.partition("?")[0] for request in REQUESTS]


def paths(bodies: list[bytes]) -> list[str]:
    return [body.decode().split()[1] for body in bodies]


@pytest.mark.timeout(100)
@pytest.mark.parametrize("connections", [1, 4])
def test_no_request_is_lost_when_hup_replaces_the_workers(
    connections: int, gunicorn: Start, visit: Any, background: Background
) -> None:
    process = gunicorn("--workers=2")
    (url,) = process.addresses()
    clients = [visit(url) for _ in range(connections)]
    share = len(REQUESTS) // connections
    working = [
        background(client.get_all, REQUESTS[number * share : (number + 1) * share], 8)
        for number, client in enumerate(clients)
    ]
    clients[0].has(share // 3)
    process.signal(signal.SIGHUP)
    bodies = [body for future in working for body in future.result(90)]
    assert paths(bodies) == expected()
    process.says("Worker exiting", 2)
    first, second = set(process.workers()[:2]), set(process.workers()[2:])
    assert pids(bodies) & first
    assert pids(bodies) & second
    assert pids(bodies) <= first | second


@pytest.mark.timeout(100)
@pytest.mark.parametrize("tls", [False, True])
def test_no_request_is_lost_when_term_ends_it_and_another_takes_over(
    tls: bool, gunicorn: Start, visit: Any, certificate: Certificate, background: Background
) -> None:
    options = ["--workers=2"]
    if tls:
        options += [f"--certfile={certificate.certfile}", f"--keyfile={certificate.keyfile}"]
    process = gunicorn(*options)
    (url,) = process.addresses()
    client = visit(url, **({"cafile": certificate.cafile} if tls else {}))
    working = background(client.get_all, REQUESTS, 8)
    client.has(300)
    process.signal(signal.SIGTERM)
    assert process.end() == 0
    successor = gunicorn("--bind=" + url.partition("//")[2], *options)
    bodies = working.result(90)
    assert paths(bodies) == expected()
    assert pids(bodies) & set(process.workers())
    assert pids(bodies) & set(successor.workers())


@pytest.mark.timeout(100)
def test_no_request_is_lost_when_workers_end_by_themselves(gunicorn: Start, visit: Any) -> None:
    process = gunicorn("--workers=2", "--max-requests=150")
    client = visit(*process.addresses())
    bodies = client.get_all(REQUESTS, 8)
    assert paths(bodies) == expected()
    assert len(pids(bodies)) > 3
    assert "Autorestarting worker" in process.log


def test_a_request_under_way_is_answered_after_term(gunicorn: Start) -> None:
    process = gunicorn()
    with sync_h2.connect(*process.addresses()) as session:
        heard: list[Any] = []
        session.on("goaway", lambda *arguments: heard.append(arguments))
        session.request({":path": "/warm"}).read(timeout=PATIENCE)
        stream = session.request({":path": "/slow?sleep=1"})
        session.ping(timeout=PATIENCE)  # it has arrived
        process.signal(signal.SIGTERM)
        assert stream.read(timeout=PATIENCE).endswith(b"/slow")
        eventually(lambda: len(heard) == 2)
    assert [(code, last) for code, last, _ in heard] == [(0, 2**31 - 1), (0, stream.id)]
    assert process.end() == 0


def test_the_graceful_timeout_is_the_end(gunicorn: Start) -> None:
    process = gunicorn("--graceful-timeout=4")
    with sync_h2.connect(*process.addresses()) as session:
        stream = session.request({":path": "/slow?sleep=60"})
        session.ping(timeout=PATIENCE)
        process.signal(signal.SIGTERM)
        with pytest.raises(sync_h2.HTTP2Error):
            stream.read(timeout=PATIENCE)
    assert process.end() == 0
    assert "did not finish in time" in process.log
    assert "SIGKILL" not in process.log


def test_quit_does_not_wait(gunicorn: Start) -> None:
    process = gunicorn()
    with sync_h2.connect(*process.addresses()) as session:
        stream = session.request({":path": "/slow?sleep=60"})
        session.ping(timeout=PATIENCE)
        process.signal(signal.SIGQUIT)
        with pytest.raises(sync_h2.HTTP2Error):
            stream.read(timeout=PATIENCE)
    assert process.end() == 0


def test_a_slow_request_is_no_reason_to_kill_its_worker(gunicorn: Start, visit: Any) -> None:
    process = gunicorn("--timeout=1")
    assert visit(*process.addresses()).get("/slow?sleep=3").endswith(b"/slow")
    assert "WORKER TIMEOUT" not in process.log


# -- settings


def test_several_addresses_unix_sockets_too(gunicorn: Start, visit: Any, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    process = gunicorn("--workers=2", "--bind=127.0.0.1:0", f"--bind=unix:{path}")
    url, _ = process.addresses()
    for _ in range(2):
        assert visit(url).get("/a").endswith(b"/a")
        assert visit(f"unix:{path}").get("/b").endswith(b"/b")
        process.signal(signal.SIGHUP)
        process.says("Worker exiting", 2)
    process.signal(signal.SIGTERM)
    assert process.end() == 0
    assert not path.exists()


def test_the_environ_under_gunicorn(gunicorn: Start) -> None:
    process = gunicorn("--workers=2", "--preload", SCRIPT_NAME="/mounted")
    with sync_h2.connect(*process.addresses()) as session:

        def look(*headers: tuple[str, str]) -> Any:
            stream = session.request([(":path", "/mounted/environ"), *headers])
            return eval(stream.read(timeout=PATIENCE))

        environ = look()
        assert environ["SCRIPT_NAME"] == "/mounted"
        assert environ["SERVER_PROTOCOL"] == "HTTP/2"
        assert environ["SERVER_SOFTWARE"].startswith("gunicorn/")
        assert environ["wsgi.multiprocess"] is True
        assert environ["wsgi.url_scheme"] == "http"
        assert look(("x-forwarded-proto", "https"))["wsgi.url_scheme"] == "https"
        assert look(("x-forwarded-proto", "ftp"))["wsgi.url_scheme"] == "http"
        contradiction = session.request({"x-forwarded-proto": "https", "x-forwarded-ssl": "off"})
        assert contradiction.wait_response(timeout=PATIENCE)[":status"] == "400"
        assert contradiction.read() == b""


@pytest.mark.parametrize("tls", [False, True])
def test_http1_on_the_same_port(tls: bool, gunicorn: Start, certificate: Certificate) -> None:
    options = ["--access-logfile=-", "--access-logformat=ACCESS %(r)s %(s)s %(b)s"]
    if tls:
        options += [f"--certfile={certificate.certfile}", f"--keyfile={certificate.keyfile}"]
    process = gunicorn(*options)
    (url,) = process.addresses()
    for option, version in (("--http1.1", "1.1"), ("--http1.0", "1.0"), ("--http2-prior-knowledge", "2")):
        answer = curl(f"{url}/environ", option, cafile=str(certificate.cafile))
        assert answer.status == 200
        environ = eval(answer.text or "")
        assert environ["SERVER_PROTOCOL"] == f"HTTP/{version}"
        assert environ["wsgi.url_scheme"] == url.partition(":")[0]
        process.says(f"ACCESS GET /environ HTTP/{version} 200 {len(answer.text or '')}")


def test_a_request_of_http1_under_way_is_answered_after_term(gunicorn: Start, tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text("def pre_request(worker, request): worker.log.info('begins ' + request.path)")
    process = gunicorn(f"--config={tmp_path / 'config.py'}")
    (url,) = process.addresses()
    with contextlib.closing(http.client.HTTPConnection(url.partition("//")[2], timeout=PATIENCE)) as connection:
        connection.request("GET", "/warm")
        connection.getresponse().read()
        connection.request("GET", "/slow?sleep=1")
        process.says("begins /slow")
        process.signal(signal.SIGTERM)
        response = connection.getresponse()
        assert response.read().endswith(b"/slow")
        assert response.getheader("connection") == "close"
    assert process.end() == 0


def test_the_scheme_is_the_word_of_trusted_proxies_only(gunicorn: Start, visit: Any) -> None:
    process = gunicorn("--forwarded-allow-ips=10.0.0.0/8,192.0.2.1")
    with sync_h2.connect(*process.addresses()) as session:
        stream = session.request({":path": "/environ", "x-forwarded-proto": "https"})
        assert b"'wsgi.url_scheme': 'http'" in stream.read(timeout=PATIENCE)


CONFIGURATION = """
import ssl, sys

def pre_request(worker, request):
    worker.log.info("before %s %s %s %s", request.method, request.path, request.query, dict(request.headers)["X-A"])

def post_request(worker, request, environ, response):
    worker.log.info("after %s %s %s", request.uri, response.status, response.sent)
    raise RuntimeError("a hook that fails")

def ssl_context(config, default):
    context = default()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context

accesslog = "-"
access_log_format = 'ACCESS "%(r)s" %(s)s %(b)s %({x-a}i)s %({content-type}o)s'
threads = 4
"""


def test_hooks_logs_and_a_tls_context(gunicorn: Start, certificate: Certificate, tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(CONFIGURATION)
    files = [f"--certfile={certificate.certfile}", f"--keyfile={certificate.keyfile}"]
    process = gunicorn(f"--config={tmp_path / 'config.py'}", *files)
    (url,) = process.addresses()
    with sync_h2.connect(url, cafile=certificate.cafile) as session:
        assert session.socket.version() == "TLSv1.3"
        body = session.request({":path": "/page?q", "x-a": "1"}).read(timeout=PATIENCE)
        failing = session.request({":path": "/fails", "x-a": "2"})
        assert failing.read(timeout=PATIENCE) == b""
    process.says("after", 2)
    log = process.log
    assert f'ACCESS "GET /page?q HTTP/2" 200 {len(body)} 1 text/plain' in log
    assert "before GET /page q 1" in log
    assert f"after /page?q 200 OK {len(body)}" in log
    assert "after /fails 500 Internal Server Error 0" in log
    assert "RuntimeError: as it was told" in log
    assert "a hook that fails" in log
    context = ssl.create_default_context(cafile=str(certificate.cafile))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(sync_h2.TLSError):
        sync_h2.connect(url, context=context, timeout=PATIENCE)


def test_client_certificates_as_gunicorn_asks_for_them(
    gunicorn: Start, certificate: Certificate, certificate_authority: Any
) -> None:
    files = [f"--certfile={certificate.certfile}", f"--keyfile={certificate.keyfile}", "--cert-reqs=2"]
    process = gunicorn(*files, f"--ca-certs={certificate.cafile}", "--ciphers=ECDHE+AESGCM")
    (url,) = process.addresses()
    issued = certificate_authority.issue_cert("client@example.com")
    chain, key = b"".join(blob.bytes() for blob in issued.cert_chain_pems), issued.private_key_pem.bytes()
    with sync_h2.connect(url, cafile=certificate.cafile, certfile=chain, keyfile=key) as session:
        assert session.request({":path": "/x"}).read(timeout=PATIENCE).endswith(b"/x")
    with pytest.raises(sync_h2.HTTP2Error):  # with TLS 1.3 it hears of it after its own handshake
        session = sync_h2.connect(url, cafile=certificate.cafile)
        try:
            session.request().read(timeout=PATIENCE)
        finally:
            session.destroy()


def test_an_application_that_changes_is_loaded_anew(gunicorn: Start, visit: Any, tmp_path: Path) -> None:
    source = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%s"]
"""
    module = tmp_path / "gunicorn" / "changing.py"
    module.write_text(source % "first")
    process = gunicorn("--reload", "--reload-engine=poll", app="changing:app")
    client = visit(*process.addresses())
    assert client.get("/") == b"first"
    module.write_text(source % "the second")

    def is_loaded_anew() -> bool:
        os.utime(module)  # again, for gunicorn may have looked at its time for the first time just now
        return client.get("/") == b"the second"

    eventually(is_loaded_anew)


@pytest.mark.parametrize("option", ["--proxy-protocol=v1", "--protocol=uwsgi"])
def test_settings_that_cannot_be_heeded_are_refused(option: str, gunicorn: Start) -> None:
    process = gunicorn(option)
    assert process.end() != 0
    assert "sync_h2.gunicorn.Worker" in process.log
