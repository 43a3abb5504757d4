"""gunicorn with our worker: its settings, its signals, and no request that is lost."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.errors import ConfigError

import sync_h2
from support.connections.retrying_client import RetryingClient
from support.peers.http1_client import dial
from support.programs.gunicorns import Gunicorn, gunicorn
from support.programs.others import curl
from support.threads.background import PATIENCE, Background, background, eventually
from support.tls.certificates import Certificate
from sync_h2.gunicorn import Worker

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


def test_no_request_is_lost_when_workers_end_by_themselves(gunicorn: Start, visit: Any) -> None:
    process = gunicorn("--workers=2", "--max-requests=150")
    client = visit(*process.addresses())
    bodies = client.get_all(REQUESTS, 8)
    assert paths(bodies) == expected()
    assert len(pids(bodies)) > 3
    assert "Autorestarting worker" in process.log


class KeepAliveClients:
    """Threads that ask over HTTP/1.1 for as long as the block lasts, on connections that they keep, or on new ones, and
    never again for what got no answer.
    """

    def __init__(self, url: str, background: Background, *, keep: bool) -> None:
        self.answered = 0
        self._address = url.partition("//")[2]
        self._keep = keep
        self._stopping = threading.Event()
        # Pauses that make requests cross every step of an end.
        self._working = [background(self._ask, pause) for pause in (0.0, 0.001, 0.01, 0.05, 0.3, 0.7)]

    def __enter__(self) -> KeepAliveClients:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopping.set()
        for working in self._working:
            working.result(PATIENCE)

    def _ask(self, pause: float) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=PATIENCE * 2)
        with contextlib.closing(connection):
            while not self._stopping.wait(pause):
                connection.request("GET", "/a")
                assert connection.getresponse().read().endswith(b"/a")
                self.answered += 1
                if not self._keep:
                    connection.close()


@pytest.mark.parametrize("keep", [True, False])
def test_no_request_of_http1_is_lost_when_hup_replaces_the_workers(
    keep: bool, gunicorn: Start, background: Background
) -> None:
    process = gunicorn("--workers=2")
    (url,) = process.addresses()
    with KeepAliveClients(url, background, keep=keep) as clients:
        for number in range(1, 6):
            before = clients.answered
            eventually(lambda before=before: clients.answered > before + 20)  # type: ignore[misc]
            process.signal(signal.SIGHUP)
            process.says("Worker exiting", 2 * number)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("workers", [1, 2])
def test_no_request_of_http1_is_lost_when_workers_end_by_themselves(
    keep: bool, workers: int, gunicorn: Start, background: Background
) -> None:
    process = gunicorn(f"--workers={workers}", "--max-requests=30")
    (url,) = process.addresses()
    with KeepAliveClients(url, background, keep=keep):
        process.says("Worker exiting", 5)


def test_a_worker_that_has_served_its_requests_accepts_until_they_are_finished(gunicorn: Start, visit: Any) -> None:
    process = gunicorn("--workers=1", "--max-requests=1", "--graceful-timeout=1000")
    (url,) = process.addresses()
    with sync_h2.connect(url) as session:
        stream = session.request({":path": "/slow?sleep=3"})
        process.says("Autorestarting worker")
        bodies = [visit(url).get("/other") for _ in range(3)]
        slow = stream.read(timeout=PATIENCE)
    assert pids([slow, *bodies]) == {process.workers()[0]}
    process.says("Worker exiting")


def test_what_never_ends_is_cut_and_the_next_worker_takes_over(gunicorn: Start, visit: Any) -> None:
    process = gunicorn("--workers=1", "--max-requests=1", "--graceful-timeout=1")
    (url,) = process.addresses()
    with sync_h2.connect(url) as session:
        stream = session.request({":path": "/slow?sleep=60"})
        process.says("Autorestarting worker")
        with pytest.raises(sync_h2.HTTP2Error):
            stream.read(timeout=PATIENCE)
    process.says("Booting worker", 2)
    assert pids([visit(url).get("/other")]) == {process.workers()[1]}


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


LIMITS = ("--limit-request-line=60", "--limit-request-fields=3", "--limit-request-field_size=20")


@pytest.mark.parametrize(
    "fields, status",
    [
        ({":path": "/" + "a" * 59}, "200"),
        ({":path": "/" + "a" * 60}, "414"),
        ({"x-0": "", "x-1": "", "x-2": ""}, "200"),
        ({"x-0": "", "x-1": "", "x-2": "", "x-3": ""}, "431"),
        ({"x-a": "a" * 15}, "200"),
        ({"x-a": "a" * 16}, "431"),
        ({":method": "get"}, "400"),
        ({":method": "A" * 21}, "400"),
    ],
)
def test_limits_are_those_of_gunicorn(fields: dict[str, str], status: str, gunicorn: Start) -> None:
    process = gunicorn(*LIMITS, "--access-logfile=-", "--access-logformat=ACCESS %(m)s %({host}i)s %(s)s")
    (url,) = process.addresses()
    with sync_h2.connect(url) as session:
        stream = session.request(fields)
        assert stream.wait_response(timeout=PATIENCE)[":status"] == status
        stream.read(timeout=PATIENCE)
    if len(fields) < 4:  # the protocol refuses more, before there is a request
        process.says(f"ACCESS {fields.get(':method', 'GET')} {url.partition('//')[2]} {status}")


@pytest.mark.parametrize(
    "request_line, fields, status",
    [
        (b"GET /" + b"a" * 46 + b" HTTP/1.1", b"", 200),
        (b"GET /" + b"a" * 47 + b" HTTP/1.1", b"", 414),
        (b"GET / HTTP/1.1", b"x-0: 0\r\nx-1: 1\r\n", 200),
        (b"GET / HTTP/1.1", b"x-0: 0\r\nx-1: 1\r\nx-2: 2\r\n", 431),
        (b"GET / HTTP/1.1", b"x: " + b"a" * 15 + b"\r\n", 200),
        (b"GET / HTTP/1.1", b"x: " + b"a" * 16 + b"\r\n", 431),
        (b"get / HTTP/1.1", b"", 400),
    ],
)
@pytest.mark.parametrize("worker", ["gthread", "sync_h2.gunicorn.Worker"])
def test_over_http1_limits_are_counted_as_gunicorns_own_worker_does(
    worker: str, request_line: bytes, fields: bytes, status: int, gunicorn: Start
) -> None:
    process = gunicorn("--worker-class=" + worker, *LIMITS)
    (url,) = process.addresses()
    host, port = url.partition("//")[2].split(":")
    with dial((host, int(port))) as client:
        assert client.ask(request_line + b"\r\nHost: a\r\n" + fields + b"\r\n").status == status


def test_zero_is_no_limit(gunicorn: Start) -> None:
    process = gunicorn("--limit-request-line=0", "--limit-request-fields=0", "--limit-request-field_size=0")
    with sync_h2.connect(*process.addresses()) as session:
        stream = session.request({":path": "/" + "a" * 9000, "x-a": "a" * 20_000})
        assert stream.wait_response(timeout=PATIENCE)[":status"] == "200"


@pytest.mark.parametrize(
    "options, expected",
    [
        ([], ("HTTP/2 200", {"HTTP_X_A": "2"})),
        (["--header-map=dangerous"], ("HTTP/2 200", {"HTTP_X_A": "1,2"})),
        (["--header-map=refuse"], ("HTTP/2 400", {})),
        (["--header-map=refuse", "--forwarder-headers=X_A"], ("HTTP/2 200", {"HTTP_X_A": "1,2"})),
        (["--header-map=refuse", "--forwarder-headers=X_A", "--forwarded-allow-ips=192.0.2.1"], ("HTTP/2 400", {})),
    ],
)
def test_names_with_an_underscore(options: list[str], expected: Any, gunicorn: Start) -> None:
    process = gunicorn(*options)
    with sync_h2.connect(*process.addresses()) as session:
        stream = session.request([(":path", "/environ"), ("x_a", "1"), ("x-a", "2")])
        status = stream.wait_response(timeout=PATIENCE)[":status"]
        body = stream.read(timeout=PATIENCE)
    environ = eval(body) if body else {}
    found = {key: value for key, value in environ.items() if key == "HTTP_X_A"}
    assert (f"HTTP/2 {status}", found) == expected


@pytest.mark.parametrize("trusted, script_name, path", [(True, "/app", "/environ"), (False, "", "/app/environ")])
def test_script_name_is_the_word_of_trusted_proxies_only(
    trusted: bool, script_name: str, path: str, gunicorn: Start
) -> None:
    process = gunicorn("--forwarded-allow-ips=" + ("127.0.0.1" if trusted else "192.0.2.1"))
    with sync_h2.connect(*process.addresses()) as session:
        body = session.request({":path": "/app/environ", "script_name": "/app"}).read(timeout=PATIENCE)
    if trusted:
        assert eval(body)["SCRIPT_NAME"] == script_name
    else:
        assert body.decode().split()[1] == path


@pytest.mark.parametrize("setting, served", [("h2", ["2"]), ("h2,h1", ["1.1", "2"])])
def test_http_protocols(setting: str, served: list[str], gunicorn: Start, ca_file: str) -> None:
    process = gunicorn("--http-protocols=" + setting)
    (url,) = process.addresses()
    for option, version in (("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")):
        answer = curl(f"{url}/environ", option, cafile=ca_file)
        assert (answer.status == 200) == (version in served)


def test_settings_of_http2(gunicorn: Start) -> None:
    process = gunicorn("--http2-initial-window-size=70000", "--http2-max-frame-size=20000")
    with sync_h2.connect(*process.addresses()) as session:
        session.request().read(timeout=PATIENCE)
        assert session.remote_settings.initial_window_size == 70_000
        assert session.remote_settings.max_frame_size == 20_000


def test_keepalive_is_how_long_a_connection_may_be_idle_and_0_is_not_at_all(gunicorn: Start) -> None:
    process = gunicorn("--keep-alive=1")
    with sync_h2.connect(*process.addresses()) as session:
        # A request that takes long is not idleness.
        assert session.request({":path": "/slow?sleep=3"}).read(timeout=PATIENCE).endswith(b"/slow")
        eventually(lambda: session.destroyed)
    process = gunicorn("--keep-alive=0")
    (url,) = process.addresses()
    with contextlib.closing(http.client.HTTPConnection(url.partition("//")[2], timeout=PATIENCE)) as connection:
        connection.request("GET", "/a")
        assert connection.getresponse().getheader("connection") == "close"


def settings(*options: str) -> Config:
    """What gunicorn makes of its command line."""
    config = Config()
    for name, value in vars(config.parser().parse_args(options)).items():
        if value is not None and name in config.settings:
            config.set(name, value)
    return config


@pytest.mark.parametrize(
    "option",
    [
        "--proxy-protocol=v1",
        "--protocol=uwsgi",
        "--http2-cleartext=upgrade",
        "--http2-cleartext=both",
        "--http-protocols=h1,h2",
        "--http2-max-header-list-size=0",
        "--http-parser=fast",
        "--permit-obsolete-folding",
        "--strip-header-spaces",
        "--permit-unconventional-http-version",
        "--casefold-http-method",
    ],
)
def test_settings_that_cannot_be_heeded_are_refused(option: str) -> None:
    with pytest.raises(ConfigError, match=r"sync_h2\.gunicorn\.Worker"):
        Worker.check_config(settings(option), None)


def test_what_is_refused_ends_gunicorn(gunicorn: Start) -> None:
    process = gunicorn("--proxy-protocol=v1")
    assert process.end() != 0
    assert "sync_h2.gunicorn.Worker" in process.log


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_a_tmp_upload_dir_that_is_no_folder_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "uploads"
    if kind == "a file":
        path.touch()
    config = Config()
    config.set("tmp_upload_dir", str(path))
    with pytest.raises(ConfigError, match="tmp_upload_dir"):
        Worker.check_config(config, None)


def test_bodies_without_a_length_lie_in_the_tmp_upload_dir(gunicorn: Start, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (tmp_path / "settings.py").write_text(f"tmp_upload_dir = {str(folder)!r}")
    process = gunicorn("--workers=1", f"--config={tmp_path / 'settings.py'}")
    with sync_h2.connect(*process.addresses()) as session:
        stream = session.request({":method": "POST", ":path": "/upload"})
        stream.write(bytes(200_000))
        (worker,) = process.workers()
        files = Path(f"/proc/{worker}/fd")
        eventually(lambda: any(os.readlink(file).startswith(f"{folder}/") for file in files.iterdir()))
        stream.end()
        assert stream.read(timeout=PATIENCE).endswith(b"/upload")
    assert list(folder.iterdir()) == []  # they have no names
