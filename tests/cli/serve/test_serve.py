"""`sync-h2 serve` with other people's clients: curl, nghttp, openssl; its arguments, its log and its end."""

from __future__ import annotations

import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import sync_h2
from cli.conftest import LARGE
from support.octets.bodies import digest, file_digest
from support.programs.command_line import PATIENCE, Running, command, environment, run, serving
from support.programs.others import curl, free_port, nghttp, program
from support.tls.certificates import Certificate

# -- curl and nghttp


def fields_of(header_text: str) -> dict[str, str]:
    lines = header_text.strip().splitlines()[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def test_curl_gets_files(url: str, plain_url: str, site: Path, ca_file: str) -> None:
    for origin in (url, plain_url):
        result = curl(f"{origin}/large", cafile=ca_file)
        assert (result.http_version, result.status, result.body) == ("2", 200, file_digest(site / "large"))
        assert curl(f"{origin}/page.html", cafile=ca_file).text == "<h1>Hello</h1>"
        assert curl(f"{origin}/missing", cafile=ca_file).status == 404


def test_curl_gets_folders(url: str, ca_file: str) -> None:
    result = curl(f"{url}/docs", "--location", cafile=ca_file)
    assert (result.status, result.text) == (200, "index")
    assert "HTTP/2 301" in result.header_text
    listing = curl(f"{url}/", cafile=ca_file).text
    assert listing is not None
    assert '<a href="caf%C3%A9%20%E2%98%95.txt">' in listing
    assert curl(f"{url}/caf%C3%A9%20%E2%98%95.txt", cafile=ca_file).text == "coffee"


def test_curl_gets_ranges(url: str, site: Path, ca_file: str) -> None:
    content = (site / "large").read_bytes()
    for span, part in (("1000-200000", content[1000:200_001]), ("-1000", content[-1000:])):
        result = curl(f"{url}/large", "--range", span, cafile=ca_file)
        assert (result.status, result.body.length) == (206, len(part))
    assert curl(f"{url}/text.txt", "--range", "3-12", cafile=ca_file).text == "t text tex"
    assert curl(f"{url}/text.txt", "--range", "9999-", cafile=ca_file).status == 416


def test_curl_continues_a_download(url: str, site: Path, ca_file: str, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes((site / "large").read_bytes()[:1_234_567])
    subprocess.run(
        [program("curl"), "-sSf", "--http2", "--cacert", ca_file, "-C", "-", "-o", tmp_path / "large", f"{url}/large"],
        check=True,
    )
    assert file_digest(tmp_path / "large") == file_digest(site / "large")


def test_curl_asks_on_conditions(url: str, ca_file: str, tmp_path: Path) -> None:
    fields = fields_of(curl(f"{url}/page.html", cafile=ca_file).header_text)
    for name, value in (("If-None-Match", fields["etag"]), ("If-Modified-Since", fields["last-modified"])):
        result = curl(f"{url}/page.html", "--header", f"{name}: {value}", cafile=ca_file)
        assert (result.status, result.body.length) == (304, 0)
    # curl's own way to do that
    (tmp_path / "etag").write_text(fields["etag"])
    assert curl(f"{url}/page.html", "--etag-compare", str(tmp_path / "etag"), cafile=ca_file).status == 304


def test_curl_takes_compressed_files(url: str, ca_file: str) -> None:
    plain = curl(f"{url}/text.txt", cafile=ca_file)
    compressed = curl(f"{url}/text.txt", "--compressed", cafile=ca_file)
    assert plain.text == compressed.text == "text " * 1000
    assert "content-encoding: gzip" in compressed.header_text
    assert "content-encoding" not in plain.header_text
    for result in (plain, compressed):
        assert fields_of(result.header_text)["vary"] == "accept-encoding"


def test_curl_asks_for_the_headers_alone(url: str, ca_file: str) -> None:
    result = curl(f"{url}/large", "--head", cafile=ca_file)
    assert result.status == 200
    assert fields_of(result.header_text)["content-length"] == str(LARGE)


def test_curl_may_not_upload(url: str, site: Path, ca_file: str) -> None:
    result = curl(f"{url}/page.html", "--upload-file", str(site / "large"), cafile=ca_file)
    assert (result.status, fields_of(result.header_text)["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/../outside", "/docs/../../outside", "/%2e%2e/outside", "/..%2foutside"])
def test_curl_gets_nothing_from_outside(url: str, site: Path, ca_file: str, path: str) -> None:
    (site.parent / "outside").write_text("outside")
    assert curl(f"{url}{path}", "--path-as-is", cafile=ca_file).status == 404


def test_nghttp_gets_many_files_on_one_connection(url: str, site: Path) -> None:
    assert digest([nghttp(f"{url}/large")]) == file_digest(site / "large")
    account = nghttp(f"{url}/page.html", "--verbose", "--multiply=20", "--null-out").decode()
    assert account.count(":status: 200") == 20
    assert account.count("etag: ") == 20


# -- HTTP/1.1


@pytest.mark.parametrize("secure", [True, False], ids=["tls", "plain"])
def test_http1_gives_the_same(url: str, plain_url: str, ca_file: str, secure: bool) -> None:
    origin = url if secure else plain_url
    etag = fields_of(curl(f"{origin}/page.html", cafile=ca_file).header_text)["etag"]
    for path, *options in (
        ("/large",),
        ("/page.html",),
        ("/docs/",),
        ("/docs",),
        ("/",),
        ("/caf%C3%A9%20%E2%98%95.txt",),
        ("/missing",),
        ("/text.txt", "--compressed"),
        ("/large", "--range", "100000-2000000"),
        ("/page.html", "--range", "99-"),
        ("/page.html", "--header", f"If-None-Match: {etag}"),
        ("/page.html", "--request", "DELETE"),
        ("/page.html", "--data", "x" * 10_000),
    ):
        old = curl(f"{origin}{path}", *options, "--http1.1", cafile=ca_file)
        new = curl(f"{origin}{path}", *options, cafile=ca_file)
        assert (old.http_version, new.http_version) == ("1.1", "2")
        assert (old.status, old.body) == (new.status, new.body)
        assert fields_of(old.header_text) | {"date": ""} == fields_of(new.header_text) | {"date": ""}
    assert curl(f"{origin}/large", "--head", "--http1.1", cafile=ca_file).status == 200
    assert curl(f"{origin}/large", "--http1.0", cafile=ca_file).body == curl(f"{origin}/large", cafile=ca_file).body


def test_http1_keeps_the_connection(url: str, ca_file: str) -> None:
    finished = subprocess.run(
        [program("curl"), "-sS", "-v", "--http1.1", "--cacert", ca_file, f"{url}/page.html", f"{url}/docs/"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout == "<h1>Hello</h1>index"
    assert "Re-using existing connection" in finished.stderr


def test_http2_only(site: Path, certificate: Certificate) -> None:
    files = ["--cert", certificate.certfile, "--key", certificate.keyfile]
    with serving(site, *files, "--http2-only") as (_, url):
        arguments = [program("curl"), "-sS", "--cacert", str(certificate.cafile), f"{url}/page.html"]
        assert subprocess.run([*arguments, "--http2"], capture_output=True).stdout == b"<h1>Hello</h1>"
        refused = subprocess.run([*arguments, "--http1.1"], capture_output=True)
        assert (refused.returncode != 0, refused.stdout) == (True, b"")


# -- the certificate


def test_a_certificate_made_for_the_run(site: Path, tmp_path: Path) -> None:
    with serving(site) as (server, url):
        port = urlsplit(url).port or 0
        pem = ssl.get_server_certificate(("127.0.0.1", port))
        (tmp_path / "certificate.pem").write_text(pem)
        names = subprocess.run(
            [program("openssl"), "x509", "-noout", "-ext", "subjectAltName", "-fingerprint", "-sha256"],
            input=pem,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert {"DNS:localhost", "IP Address:127.0.0.1"} <= set(re.split(r",?\s{1,}(?=DNS|IP)", names))
        fingerprint = re.search(r"Fingerprint=(\S+)", names, re.IGNORECASE)
        assert fingerprint is not None
        assert f"(SHA-256 {fingerprint[1]})" in server.lines[0]
        # curl checks the name against it, for both names
        for host in ("localhost", "127.0.0.1"):
            result = curl(f"https://{host}:{port}/page.html", "--insecure", cafile=str(tmp_path / "certificate.pem"))
            assert result.text == "<h1>Hello</h1>"


def test_what_a_certificate_is_made_with_is_an_extra(site: Path, tmp_path: Path) -> None:
    (tmp_path / "trustme.py").write_text("raise ImportError")
    finished = subprocess.run(
        [sys.executable, "-m", "sync_h2", "serve", str(site), "--port=0"],
        capture_output=True,
        text=True,
        env=environment(PYTHONPATH=f"{tmp_path}:{environment()['PYTHONPATH']}"),
    )
    assert finished.returncode == 1
    assert finished.stderr == (
        "sync-h2: to make a certificate the extra 'cli' is needed: pip install 'sync_h2[cli]'; "
        "or give --cert and --key, or --h2c for no TLS\n"
    )


# -- the log


def test_the_access_log_is_a_line_a_request(server: tuple[Running, str], ca_file: str) -> None:
    running, url = server
    curl(f"{url}/page.html?logged", cafile=ca_file)
    curl(f"{url}/missing?logged", cafile=ca_file)
    found = running.match(r'^[-0-9]+ [:,0-9]+ 127\.0\.0\.1:\d+ "GET /page.html\?logged HTTP/2" 200 14 [.0-9]+s$')
    missed = running.match(r'"GET /missing\?logged HTTP/2" 404 14 ')
    assert (len(found), len(missed)) == (1, 1)


def test_quiet_is_without_an_access_log(site: Path, ca_file: str) -> None:
    with serving(site, "--h2c", "--quiet") as (server, url):
        curl(f"{url}/page.html", cafile=ca_file)
        server.signal(signal.SIGTERM)
        assert server.end() == 0
        assert [line for line in server.lines if not line.startswith("sync-h2: ")] == []


# -- how it ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_download_goes_on_to_its_end(site: Path, number: int, workers: int) -> None:
    """The signal comes while most of the file is still to be sent."""
    draining = threading.Event()
    listeners = {"goaway": lambda *_: draining.set()}
    with (
        serving(site, "--h2c", "--workers", workers) as (server, url),
        sync_h2.connect(url, listeners=listeners) as session,
    ):
        stream = session.request({":path": "/large"})
        start = stream.read(1000, timeout=PATIENCE)
        server.signal(number, to_group=number == signal.SIGINT)  # as a terminal sends it
        assert draining.wait(PATIENCE)
        assert digest([start, stream.read(timeout=PATIENCE)]) == file_digest(site / "large")
        assert server.end() == 0
        with pytest.raises(sync_h2.ConnectionLost):
            sync_h2.connect(url)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_download_goes_on_when_nobody_reads_the_log(site: Path, workers: int) -> None:
    draining = threading.Event()
    listeners = {"goaway": lambda *_: draining.set()}
    arguments = command("serve", site, "--h2c", "--port", 0, "--workers", workers)
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, env=environment()) as server:
        assert server.stderr is not None
        url = server.stderr.readline().split()[-1].decode()
        server.stderr.close()
        with sync_h2.connect(url, listeners=listeners) as session:
            stream = session.request({":path": "/large"})
            start = stream.read(1000, timeout=PATIENCE)
            server.send_signal(signal.SIGTERM)
            assert draining.wait(PATIENCE)
            assert digest([start, stream.read(timeout=PATIENCE)]) == file_digest(site / "large")
        assert server.wait(PATIENCE) == 0


def test_a_signal_loses_nothing_of_curls_download(tmp_path: Path) -> None:
    """More than fits into the buffers between: most is still to be sent, since curl waits for who reads its output."""
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(60_000_000)
    with serving(tmp_path, "--h2c") as (server, url):
        download = [program("curl"), "-sS", "--http2-prior-knowledge", f"{url}/sparse"]
        # Unbuffered: `communicate` would not look for what a buffer has read ahead.
        with subprocess.Popen(download, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
            assert client.stdout is not None
            start = client.stdout.read(10_000)
            server.signal(signal.SIGTERM)
            server.match("^sync-h2: finishing what is under way; a second signal ends it at once$")
            rest, errors = client.communicate(timeout=PATIENCE)
        assert (client.returncode, errors) == (0, b"")
        assert digest([start, rest]) == file_digest(tmp_path / "sparse")
        assert server.end() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_signal_ends_it_at_once(site: Path, workers: int) -> None:
    draining = threading.Event()
    listeners = {"goaway": lambda *_: draining.set()}
    with (
        serving(site, "--h2c", "--workers", workers) as (server, url),
        sync_h2.connect(url, listeners=listeners) as session,
    ):
        stream = session.request({":path": "/large"})
        stream.read(1000, timeout=PATIENCE)
        server.signal(signal.SIGTERM)
        assert draining.wait(PATIENCE)
        server.signal(signal.SIGTERM)
        assert server.end() == (-signal.SIGTERM if workers == 1 else 130)
        with pytest.raises(sync_h2.HTTP2Error):
            stream.read(timeout=PATIENCE)


def test_what_takes_too_long_is_cut(site: Path) -> None:
    with serving(site, "--h2c", "--drain-timeout", "0.2") as (server, url), sync_h2.connect(url) as session:
        stream = session.request({":path": "/large"})
        stream.read(1000, timeout=PATIENCE)
        server.signal(signal.SIGTERM)
        assert server.end() == 0
        assert "did not finish in time" in server.lines[-2] + server.lines[-1]
        with pytest.raises(sync_h2.HTTP2Error):
            stream.read(timeout=PATIENCE)


def test_what_the_end_waits_for_is_said(site: Path) -> None:
    with serving(site, "--h2c") as (server, url), sync_h2.connect(url) as session:
        stream = session.request({":path": "/large"})
        stream.read(1000, timeout=PATIENCE)
        server.signal(signal.SIGTERM)
        server.match(r"^sync-h2: waiting for GET /large of 127\.0\.0\.1:\d+$")
        stream.read(timeout=PATIENCE)
        assert server.end() == 0


# -- several processes


def test_workers_share_the_port(site: Path, ca_file: str) -> None:
    with serving(site, "--h2c", "--workers", 2) as (server, url):
        for _ in range(20):
            assert curl(f"{url}/page.html", cafile=ca_file).text == "<h1>Hello</h1>"
        assert len(server.match('"GET /page.html HTTP/2" 200', count=20)) == 20


def test_a_worker_that_dies_is_replaced(site: Path, ca_file: str) -> None:
    with serving(site, "--h2c", "--workers", 2) as (server, _):
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        assert len(children) == 2
        subprocess.run(["kill", "-KILL", children[0]], check=True)
        server.match(rf"^sync-h2: worker {children[0]} was ended by signal 9: another takes its place$")


def test_workers_do_not_outlive_the_first_process(site: Path) -> None:
    with serving(site, "--h2c", "--workers", 2) as (server, url):
        server.signal(signal.SIGKILL)
        server.end()  # which is when the last worker has closed stderr
        with pytest.raises(sync_h2.ConnectionLost):
            sync_h2.connect(url)


# -- arguments


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["missing"], 1, "cannot serve missing: Not a directory"),
        (["--key=k"], 2, "--key needs --cert"),
        (["--h2c", "--cert=c"], 2, "--h2c is without TLS: leave out --cert and --key"),
        (["--cert=missing.pem"], 1, "cannot use certificate 'missing.pem': No such file or directory"),
        (["--h2c", "--host=192.0.2.1"], 1, "cannot listen on 192.0.2.1:0: Cannot assign requested address"),
        (["--h2c", "--host=192.0.2.1", "--workers=2"], 1, "cannot listen on 192.0.2.1:0: Cannot assign requested"),
        (["--h2c", "--host=unix:s", "--workers=2"], 2, "processes can't share a Unix socket: leave out --workers"),
        (["--port=65536"], 2, "argument --port/-p: 65536 is no port (0 to 65535) (see sync-h2 serve --help)"),
        (["--port=http"], 2, "argument --port/-p: invalid port value: 'http' (see sync-h2 serve --help)"),
        (["--workers=0"], 2, "argument --workers: 0 is less than 1 (see sync-h2 serve --help)"),
        (["--drain-timeout=-1"], 2, "argument --drain-timeout: -1 is no number of seconds (see sync-h2 serve --help)"),
        (["--drain-timeout=nan"], 2, "argument --drain-timeout: nan is no number of seconds"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: list[str], status: int, line: str) -> None:
    finished = run("serve", *(["--port=0"] if "--port" not in arguments[0] else []), *arguments, cwd=tmp_path)
    (said,) = finished.stderr.decode().splitlines()
    assert said.startswith(f"sync-h2: {line}")
    assert finished.returncode == status


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_is_taken(site: Path, workers: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        finished = run("serve", site, "--h2c", "--port", port, "--workers", workers)
    assert finished.stderr.decode() == f"sync-h2: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert finished.returncode == 1


def test_the_port_that_was_asked_for(site: Path, ca_file: str) -> None:
    port = free_port()
    server = Running("serve", site, "--h2c", "--port", port, "--workers", 2)
    try:
        server.match(rf"serving .* at http://127\.0\.0\.1:{port}$")
        assert curl(f"http://127.0.0.1:{port}/page.html", cafile=ca_file).status == 200
    finally:
        server.kill()


def test_this_folder_is_the_one_that_is_served(site: Path, ca_file: str) -> None:
    with serving("--h2c", cwd=site) as (_, url):
        assert curl(f"{url}/page.html", cafile=ca_file).text == "<h1>Hello</h1>"


def test_a_unix_socket(site: Path, tmp_path: Path) -> None:
    with serving("--h2c", "--host", "unix:socket", site, cwd=tmp_path):
        page = subprocess.run(
            [
                program("curl"),
                "-sS",
                "--http2-prior-knowledge",
                "--unix-socket",
                "socket",
                "http://localhost/page.html",
            ],
            cwd=tmp_path,
            capture_output=True,
            check=True,
        )
    assert page.stdout == b"<h1>Hello</h1>"


def test_help_and_no_command() -> None:
    assert b"serve" in run("--help").stdout
    assert b"--workers" in run("serve", "--help").stdout
    finished = run()
    assert finished.returncode == 2
    assert finished.stderr.startswith(b"sync-h2: ")


def test_a_certificate_of_ones_own(url: str, certificate: Certificate) -> None:
    pem = ssl.get_server_certificate(("127.0.0.1", urlsplit(url).port or 0))
    assert pem.encode() in certificate.certificate_pem.replace(b"\r\n", b"\n")
