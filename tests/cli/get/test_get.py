"""`sync-h2 get` from other people's servers, nghttpd and Node, and from ours; files, failures, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import queue
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hyperframe.frame import HeadersFrame, SettingsFrame

import sync_h2
from cli.conftest import LARGE
from support.octets.bodies import digest, file_digest, pattern_digest
from support.octets.fields import RESPONSE
from support.peers.raw_peer import RawPeer
from support.peers.scripted_server import playing
from support.programs import others
from support.programs.command_line import PATIENCE, Running, command, environment, get, run
from support.threads.background import Background, background, eventually
from support.tls.certificates import Certificate
from sync_h2 import ErrorCode, Headers, ServerStream
from sync_h2.cli.get import waterfall
from sync_h2.testing import ScriptedServer

__all__ = ["background"]


@pytest.fixture(scope="module")
def nghttpd(site: Path, certificate: Certificate) -> Iterator[str]:
    """nghttpd on the same folder as ours."""
    with others.nghttpd(site, certificate) as port:
        yield f"https://localhost:{port}"


@pytest.fixture(scope="module")
def node(certificate: Certificate) -> Iterator[str]:
    """Node with tests/interop/node/server.js."""
    with others.node_server(certificate) as port:
        yield f"https://localhost:{port}"


@pytest.fixture(scope="module")
def plain_node() -> Iterator[str]:
    with others.node_server(None) as port:
        yield f"http://localhost:{port}"


@pytest.fixture(scope="module")
def origins(nghttpd: str, node: str, server: tuple[Running, str]) -> dict[str, str]:
    """Where the servers with TLS answer."""
    return {"nghttpd": nghttpd, "node": node, "ours": server[1]}


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts a server with a handler of the test's, and gives its URL."""
    servers: list[sync_h2.ThreadingServer] = []

    def start(handler: Callable[[ServerStream, Headers], object], **options: Any) -> str:
        servers.append(sync_h2.create_server(handler, **options))
        servers[-1].start()
        return servers[-1].url

    yield start
    for server in servers:
        server.close(timeout=1)


def failure(*arguments: object, **options: Any) -> tuple[int, str]:
    """Exit status of a command that fails, and what it says, which is one line."""
    finished = run("get", *arguments, **options)
    (line,) = finished.stderr.decode().splitlines()
    assert line.startswith("sync-h2: ")
    return finished.returncode, line.removeprefix("sync-h2: ")


# -- one and many


@pytest.mark.parametrize("peer", ["nghttpd", "ours"])
def test_a_file(origins: dict[str, str], peer: str, ca_file: str, site: Path) -> None:
    origin = origins[peer]
    assert get("--cacert", ca_file, f"{origin}/page.html") == b"<h1>Hello</h1>"
    assert digest([get("--cacert", ca_file, f"{origin}/large")]) == file_digest(site / "large")


def test_from_node(node: str, plain_node: str, ca_file: str) -> None:
    for origin in (node, plain_node):
        assert digest([get("--cacert", ca_file, f"{origin}/bytes/1000000")]) == pattern_digest(1_000_000)


@pytest.mark.parametrize("peer", ["nghttpd", "node", "ours"])
def test_many_come_in_order_on_one_connection(origins: dict[str, str], peer: str, ca_file: str) -> None:
    origin = origins[peer]
    large, small = ("/bytes/3000000", "/informational") if peer == "node" else ("/large", "/page.html")
    paths = [small, large, small, large, *[small] * 30]
    finished = run("get", "-v", "--cacert", ca_file, *[f"{origin}{path}" for path in paths])
    assert finished.returncode == 0
    expected = b"after two 103" if peer == "node" else b"<h1>Hello</h1>"
    body = get("--cacert", ca_file, f"{origin}{large}")
    assert digest([finished.stdout]) == digest([expected, body, expected, body, expected * 30])
    lines = finished.stderr.decode().splitlines()
    assert sum(line.startswith(f"connected to {origin}: ") for line in lines) == 1
    requests = [line for line in lines if " sent HEADERS " in line]
    assert {line.split()[0] for line in requests} == {"client-1"}
    assert len(requests) == len(paths)


def test_several_origins(url: str, plain_url: str, plain_node: str, ca_file: str) -> None:
    urls = [f"{plain_url}/page.html", f"{url}/docs/", f"{plain_node}/trailers", f"{plain_url}/docs/"]
    assert get("--cacert", ca_file, *urls) == b"<h1>Hello</h1>indextrailers followindex"


def test_more_than_the_server_takes_at_once(serve: Callable[..., str]) -> None:
    url = serve(lambda stream, headers: stream.end(headers[":path"].encode()), max_concurrent_streams=2)
    assert get(*[f"{url}/{number:02}" for number in range(50)]) == b"".join(b"/%02d" % n for n in range(50))


def test_what_has_come_is_shown_at_once(serve: Callable[..., str]) -> None:
    go_on = threading.Event()

    def handler(stream: ServerStream, headers: Headers) -> None:
        stream.write(b"first ")
        go_on.wait(PATIENCE)
        stream.end(b"second ")

    url = serve(handler)
    with subprocess.Popen(command("get", url, url), env=environment(), bufsize=0, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(6) == b"first "
        go_on.set()
        assert process.stdout.read(100) + process.stdout.read() == b"second first second "
        assert process.wait(PATIENCE) == 0


# -- requests


def test_headers_and_methods(serve: Callable[..., str]) -> None:
    def handler(stream: ServerStream, headers: Headers) -> None:
        stream.end(json.dumps(headers.pairs()).encode())

    url = serve(handler)

    def sent(*arguments: str) -> dict[str, str]:
        return dict(json.loads(get(url, *arguments)))

    fields = sent()
    assert (fields[":method"], fields[":path"], fields["user-agent"], fields["accept"]) == (
        "GET",
        "/",
        "sync-h2",
        "*/*",
    )
    assert "content-length" not in fields
    assert sent("-X", "DELETE")[":method"] == "DELETE"
    assert sent("-X", "POST")[":method"] == "POST"
    fields = sent("-H", "X-Name: a: b ", "-H", "ACCEPT: text/html", "-H", "user-agent:", "-H", "Host: example.net")
    assert (fields["x-name"], fields["accept"], fields[":authority"]) == ("a: b", "text/html", "example.net")
    assert "user-agent" not in fields
    assert sent("-H", "x-name: caf\xe9")["x-name"].encode("latin-1").decode() == "caf\xe9"
    fields = sent("--data", "a=1")
    assert (fields[":method"], fields["content-length"]) == ("POST", "3")
    assert fields["content-type"] == "application/x-www-form-urlencoded"
    assert sent("-d", "{}", "-X", "PUT", "-H", "content-type: text/json")["content-type"] == "text/json"


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        ("", "/"),
        ("/", "/"),
        ("?a=b", "/?a=b"),
        ("/a b/\xe9?x=\u2615&y=%20#part", "/a%20b/%C3%A9?x=%E2%98%95&y=%20"),
        ("/%7Euser/{1}[2]", "/%7Euser/%7B1%7D[2]"),
        ("/..", "/.."),
    ],
)
def test_urls_as_people_type_them(serve: Callable[..., str], typed: str, path: str) -> None:
    assert get(serve(lambda stream, headers: stream.end(headers[":path"].encode())) + typed) == path.encode()


def test_bodies(node: str, ca_file: str, site: Path) -> None:
    assert get("--cacert", ca_file, "-d", "caf\xe9", f"{node}/echo") == "caf\xe9".encode()
    # Up and down at once, several times.
    sent = file_digest(site / "large")
    echoed = get("--cacert", ca_file, "-d", f"@{site / 'large'}", f"{node}/echo", f"{node}/echo")
    assert len(echoed) == 2 * LARGE
    assert digest([echoed[:LARGE]]) == digest([echoed[LARGE:]]) == sent
    from_stdin = json.loads(get("--cacert", ca_file, "-d", "@-", f"{node}/sha256", input=b"x" * 100_000))
    assert from_stdin["length"] == 100_000


def test_a_body_that_is_not_wanted(serve: Callable[..., str], site: Path) -> None:
    def handler(stream: ServerStream, headers: Headers) -> None:
        stream.respond({":status": 413})
        stream.end(b"too much")

    assert get("-d", f"@{site / 'large'}", serve(handler)) == b"too much"


def test_head(url: str, ca_file: str) -> None:
    answer = get("-i", "-X", "HEAD", "--cacert", ca_file, f"{url}/large").decode()
    assert f"content-length: {LARGE}\r\n" in answer
    assert answer.endswith("\r\n\r\n")


def test_headers_of_the_answer(node: str, ca_file: str) -> None:
    answer = get("-i", "--cacert", ca_file, f"{node}/informational").decode()
    early, late, final, body = answer.split("\r\n\r\n")
    assert early == "HTTP/2 103\r\nlink: </style.css>; rel=preload"
    assert late == "HTTP/2 103\r\nlink: </script.js>; rel=preload"
    assert final.startswith("HTTP/2 200\r\ndate: ")
    assert body == "after two 103"


def test_a_request_that_was_not_looked_at_is_sent_again(serve: Callable[..., str]) -> None:
    seen: list[ServerStream] = []

    def handler(stream: ServerStream, headers: Headers) -> None:
        seen.append(stream)
        if len(seen) == 1:
            stream.close(ErrorCode.REFUSED_STREAM)
        else:
            stream.end(b"now")

    assert get("-d", "body", serve(handler)) == b"now"
    assert len(seen) == 2


def test_a_server_that_goes_away_is_asked_on_another_connection(serve: Callable[..., str]) -> None:
    """What is asked for while the session is drained waits for a slot, and is never sent on it."""
    sessions: set[Any] = set()

    def handler(stream: ServerStream, headers: Headers) -> None:
        sessions.add(stream.session)
        if len(sessions) == 1:
            stream.session.close(wait=False)
        stream.end(b".")

    url = serve(handler, max_concurrent_streams=1)
    assert get(*[url] * 10) == b"." * 10
    assert len(sessions) == 2


# -- files


def test_to_a_file(url: str, ca_file: str, site: Path, tmp_path: Path) -> None:
    (tmp_path / "here").write_text("something longer than a page")
    assert get("--cacert", ca_file, "-o", tmp_path / "here", f"{url}/page.html") == b""
    assert (tmp_path / "here").read_text() == "<h1>Hello</h1>"
    get("--cacert", ca_file, "-o", "empty", "-X", "HEAD", f"{url}/page.html", cwd=tmp_path)
    assert (tmp_path / "empty").read_bytes() == b""
    assert sorted(os.listdir(tmp_path)) == ["empty", "here"]


def test_to_what_is_no_file(url: str, ca_file: str) -> None:
    get("--cacert", ca_file, "-o", os.devnull, f"{url}/page.html")
    assert not os.path.isfile(os.devnull)
    assert get("--cacert", ca_file, "-o", "-", f"{url}/page.html") == b"<h1>Hello</h1>"


def test_to_a_folder(url: str, nghttpd: str, ca_file: str, site: Path, tmp_path: Path) -> None:
    paths = ["/large", "/page.html?query", "/caf%C3%A9%20%E2%98%95.txt", "/docs/", "/page.html", "/"]
    for origin, folder in ((url, "ours"), (nghttpd, "nghttpd")):
        get("--cacert", ca_file, "-o", folder, *[origin + path for path in paths[:-1]], cwd=tmp_path)
        names = {"large", "page.html", "page.html.1", "index.html", "caf\xe9 \u2615.txt"}
        assert set(os.listdir(tmp_path / folder)) == names
        assert file_digest(tmp_path / folder / "large") == file_digest(site / "large")
        assert (tmp_path / folder / "page.html").read_text() == "<h1>Hello</h1>"
        assert (tmp_path / folder / "page.html.1").read_text() == "<h1>Hello</h1>"
        assert (tmp_path / folder / "index.html").read_text() == "index"
        assert (tmp_path / folder / "caf\xe9 \u2615.txt").read_text() == "coffee"


def test_names_from_urls_stay_in_the_folder(serve: Callable[..., str], tmp_path: Path) -> None:
    url = serve(lambda stream, headers: stream.end(b"content"))
    (tmp_path / "folder").mkdir()
    get(
        "-O",
        f"{url}/..",
        f"{url}/%2e%2e",
        f"{url}/a%2f..%2f..%2fb",
        f"{url}/%00",
        f"{url}/%FF",
        cwd=tmp_path / "folder",
    )
    assert sorted(os.listdir(tmp_path)) == ["folder"]
    expected = [b"_", b"\xff", b"a_.._.._b", b"index.html", b"index.html.1"]
    assert sorted(os.listdir(os.fsencode(tmp_path / "folder"))) == sorted(expected)


def test_a_file_that_is_cut_short_is_no_file(serve: Callable[..., str], tmp_path: Path) -> None:
    def handler(stream: ServerStream, headers: Headers) -> None:
        stream.respond({"content-length": 1000})
        stream.write(b"half")
        stream.close(ErrorCode.INTERNAL_ERROR)

    (tmp_path / "old").write_text("old")
    url = serve(handler)
    status, line = failure("-o", "old", url, cwd=tmp_path)
    assert (status, line) == (16, f"{url}/: the peer reset the stream [INTERNAL_ERROR]")
    assert os.listdir(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text() == "old"


def test_a_file_that_is_not_whole_takes_nobodys_name(serve: Callable[..., str], tmp_path: Path) -> None:
    """Neither that of another download, nor that of a file that is there."""
    other_has_come = threading.Event()

    def handler(stream: ServerStream, headers: Headers) -> None:
        stream.respond()
        stream.write(b"this is ")
        if headers[":path"] == "/a":
            other_has_come.wait(PATIENCE)
        stream.end(headers[":path"].encode())

    url = serve(handler)
    (tmp_path / "b.part").write_text("mine")
    running = Running("get", "-O", f"{url}/a", f"{url}/a.part", f"{url}/b", cwd=tmp_path)
    try:
        eventually(lambda: {"a.part", "b"} <= set(os.listdir(tmp_path)))
        other_has_come.set()
        assert running.end() == 0
    finally:
        other_has_come.set()
        running.kill()
    contents = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert contents == {"a": "this is /a", "a.part": "this is /a.part", "b": "this is /b", "b.part": "mine"}


def test_what_cannot_be_written(url: str, ca_file: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert failure("--cacert", ca_file, "-o", "missing/file", f"{url}/page.html", cwd=tmp_path) == (
        23,
        "cannot write missing/file: No such file or directory",
    )
    assert failure("--cacert", ca_file, "-o", "file/", f"{url}/page.html", cwd=tmp_path) == (
        23,
        "cannot write file/: File exists",
    )
    status, line = failure("--cacert", ca_file, "-o", "file", f"{url}/page.html", f"{url}/", cwd=tmp_path)
    assert (status, line) == (2, "--output file: for several URLs it has to be a folder")
    assert failure("--cacert", ca_file, "-o", "/dev/full", f"{url}/large") == (
        23,
        "cannot write /dev/full: No space left on device",
    )
    with open("/dev/full", "wb") as full:
        finished = subprocess.run(
            command("get", "--cacert", ca_file, f"{url}/large"), env=environment(), stdout=full, stderr=subprocess.PIPE
        )
    assert (finished.returncode, finished.stderr) == (23, b"sync-h2: cannot write stdout: No space left on device\n")


def test_what_is_left_for_the_end_cannot_be_written() -> None:
    """Python's own last flush would fail with a status of its own, and a traceback."""
    script = (
        "import sys; from sync_h2.cli import main; sys.stdout = open(1, 'w'); sys.stdout.write('x'); "
        "sys.exit(main(['get', 'nothing://']))"
    )
    with open("/dev/full", "wb") as full:
        finished = subprocess.run(
            [sys.executable, "-c", script], env=environment(), stdout=full, stderr=subprocess.PIPE
        )
    assert finished.returncode == 2
    assert b"Traceback" not in finished.stderr and b"ignored" not in finished.stderr


# -- what goes wrong


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["localhost/"], 2, "localhost/ is no URL that begins with https:// or http:// and a host"),
        (["ftp://localhost/"], 2, "ftp://localhost/ is no URL that begins with https:// or http:// and a host"),
        (["https:///path"], 2, "https:///path is no URL that begins with"),
        (["https://[::1/"], 2, "https://[::1/ is no URL: "),
        (["https://localhost:port/"], 2, "https://localhost:port/ is no URL: "),
        (["https://a..b/"], 2, "https://a..b/ is no URL: "),
        (["https://a\\b/"], 2, "https://a\\b/ is no URL: spaces, backslashes and control characters"),
        (["https://user:password@localhost/"], 2, "https://localhost/: send a user's name and password"),
        (["http://localhost:1/x"], 7, "http://localhost:1/x: cannot connect to localhost:1 ("),
        (["http://host.invalid/"], 7, "http://host.invalid/: cannot find the address of host.invalid ("),
        (["-H", "nonsense", "http://localhost:1/"], 2, "--header 'nonsense' is no name and value with a colon between"),
        (["-d", "@missing", "http://localhost:1/"], 1, "cannot read missing: No such file or directory"),
        (["--cacert", "missing", "https://localhost:1/"], 35, "https://localhost:1/: cannot use the authorities in"),
        (["--timing-svg", "missing/w.svg", "http://localhost:1/"], 23, "cannot write missing/w.svg: No such file"),
        ([], 2, "the following arguments are required: URL (see sync-h2 get --help)"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], status: int, line: str, tmp_path: Path) -> None:
    finished = run("get", *arguments, cwd=tmp_path)
    said = finished.stderr.decode().splitlines()[-1]
    assert said.startswith(f"sync-h2: {line}")
    assert finished.returncode == status


def test_a_server_that_ends_the_session_is_one_line(serve: Callable[..., str]) -> None:
    def handler(stream: ServerStream, headers: Headers) -> None:
        stream.session.goaway(ErrorCode.INTERNAL_ERROR, 0, b"out of order\n\x1b[31m")
        stream.session.destroy()

    url = serve(handler)
    status, line = failure(url)
    assert (status, line.partition(": ")[0]) == (16, f"{url}/")


def test_what_is_said_leaves_the_terminal_alone() -> None:
    status, line = failure("https://a..b/\x1b]0;title\x07\x9b31m\u202e")
    assert status == 2
    assert line.startswith("https://a..b/\\x1b]0;title\\x07\\x9b31m\\u202e is no URL")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_shell_that_closes_standard_streams(closed: str, serve: Callable[..., str], tmp_path: Path) -> None:
    """As if they led to /dev/null."""
    bodies = queue.SimpleQueue[bytes]()

    def handler(stream: ServerStream, headers: Headers) -> None:
        bodies.put(stream.read())
        stream.end(b"answer")

    line = shlex.join(command("get", "--data", "@-", serve(handler)))
    shell = ["sh", "-c", f"{line} {closed}"]
    finished = subprocess.run(shell, input=b"input", capture_output=True, timeout=PATIENCE, env=environment())
    expected = b"" if ">&- " in f"{closed} ".replace("2>", "") else b"answer"
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, expected, b"")
    assert bodies.get(timeout=PATIENCE) == (b"" if "<&-" in closed else b"input")


def test_headers_that_http2_forbids(url: str, ca_file: str) -> None:
    status, line = failure("-H", "connection: close", "--cacert", ca_file, f"{url}/")
    assert status == 2
    assert "connection" in line


def test_a_certificate_that_is_not_trusted(url: str) -> None:
    status, line = failure(f"{url}/page.html")
    assert status == 35
    assert "the certificate is not accepted" in line
    assert "(--cacert FILE), or trust anybody (-k)" in line
    assert "verify=" not in line
    assert get("-k", f"{url}/page.html") == b"<h1>Hello</h1>"


def test_a_server_without_http2(certificate: Certificate, background: Background) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certfile, certificate.keyfile)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            connection, _ = listener.accept()
            with closing(connection), context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(100)

        accepting = background(accept)
        port = listener.getsockname()[1]
        status, line = failure("--cacert", certificate.cafile, f"https://localhost:{port}/")
        assert (status, "HTTP/2 was not chosen" in line) == (35, True)
        accepting.result(PATIENCE)


def test_one_failure_among_others(url: str, plain_url: str, ca_file: str) -> None:
    finished = run("get", "--cacert", ca_file, f"{url}/page.html", "http://localhost:1/", f"{plain_url}/docs/")
    assert (finished.returncode, finished.stdout) == (7, b"<h1>Hello</h1>index")
    assert finished.stderr.count(b"\n") == 1


def test_statuses(node: str, ca_file: str) -> None:
    assert get("--cacert", ca_file, f"{node}/status/404") == b""
    assert failure("--cacert", ca_file, "--fail", f"{node}/status/404") == (
        22,
        f"{node}/status/404: the server answered 404",
    )
    assert failure("--cacert", ca_file, f"{node}/reset/8")[0] == 16


def test_what_takes_too_long(serve: Callable[..., str]) -> None:
    def handler(stream: ServerStream, headers: Headers) -> None:
        stream.detach()  # nobody answers
        kept.append(stream)

    kept: list[ServerStream] = []
    status, line = failure("--timeout", "0.2", serve(handler))
    assert status == 28
    assert "timed out" in line


# -- how it ends


def test_nobody_reads_the_output(url: str, ca_file: str) -> None:
    with subprocess.Popen(
        command("get", "--cacert", ca_file, f"{url}/large", f"{url}/large"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE) == 141


def test_ctrl_c(serve: Callable[..., str], tmp_path: Path) -> None:
    answered = threading.Semaphore(0)

    def handler(stream: ServerStream, headers: Headers) -> None:
        stream.write(b"beginning")
        answered.release()
        stream.wait_closed(timeout=PATIENCE)

    url = serve(handler)
    running = Running("get", "-v", "-o", "folder", f"{url}/a", f"{url}/b", cwd=tmp_path)
    try:
        running.match(" received DATA ", count=2)
        running.signal(signal.SIGINT)
        assert running.end() == 130
        assert not [line for line in running.lines if not line.startswith(("client-1 ", "connected "))]
        assert os.listdir(tmp_path / "folder") == []
    finally:
        running.kill()


def test_ctrl_c_while_a_server_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        running = Running("get", "--timeout", 1000, *(f"{url}/{number}" for number in range(50)))
        try:
            connection, _ = silent.accept()
            with connection:
                connection.recv(1)
                running.signal(signal.SIGINT)
                assert running.end() == 130
            assert running.lines == []
        finally:
            running.kill()


# -- servers that take few requests


@pytest.mark.parametrize("answers_first", [True, False])
def test_what_is_unprocessed_is_asked_for_again_as_long_as_the_server_takes_others(answers_first: bool) -> None:
    with ScriptedServer() as server:
        server.goaway_after(5, answers_first=answers_first)
        server.route()
        get(*(f"{server.url}/{number}" for number in range(100)))
        assert 20 <= server.connection_count <= 30


def test_nginx_with_ten_requests_a_connection(tmp_path: Path) -> None:
    with others.nginx(tmp_path, keepalive_requests=10) as port:
        assert get(*(f"http://127.0.0.1:{port}/{number}" for number in range(300))) == b"there" * 300


def test_a_server_that_takes_nothing_is_asked_a_few_times() -> None:
    with ScriptedServer() as server:
        server.on_connect().goaway()
        assert run("get", server.url).returncode != 0
        assert server.connection_count == 5


def test_a_burst_waits_for_the_settings() -> None:
    together: list[int] = []

    def play(sock: socket.socket) -> None:
        peer = RawPeer(sock, client=False)
        peer.receive_preface()
        first = peer.expect(HeadersFrame)
        with pytest.raises(TimeoutError):  # not a second one
            sock.settimeout(0.2)
            peer.expect(HeadersFrame)
        sock.settimeout(PATIENCE)
        peer.send(SettingsFrame(0, settings={SettingsFrame.MAX_CONCURRENT_STREAMS: 3}))
        peer.headers(first.stream_id, RESPONSE, end_stream=True)
        while True:
            together.append(peer.expect(HeadersFrame).stream_id)
            peer.headers(together[-1], RESPONSE, end_stream=True)

    with playing(play) as (url, accepted):
        get(*(f"{url}{number}" for number in range(20)))
    assert len(together) == 19
    assert len(accepted) == 1


# -- what it shows


def test_frames_as_they_pass(url: str, ca_file: str) -> None:
    finished = run("get", "-v", "--cacert", ca_file, "-H", "authorization: Basic c2VjcmV0", f"{url}/page.html")
    lines = finished.stderr.decode().splitlines()
    assert f"connected to {url}: 127.0.0.1, TLSv1.3, ALPN h2" in lines
    (request,) = (line for line in lines if " sent HEADERS " in line)
    assert ":path='/page.html'" in request and "authorization=<sensitive>" in request
    assert any(" received HEADERS " in line and ":status='200'" in line for line in lines)
    assert any(" received DATA stream=1 length=14 " in line for line in lines)
    assert any(" sent GOAWAY " in line for line in lines)


def test_a_waterfall(url: str, ca_file: str, tmp_path: Path) -> None:
    names = ["large", "page.html", "missing&<>"]
    urls = [f"{url}/{name}" for name in names]
    options = ["--cacert", ca_file, "--timing", "--timing-svg", "w.svg", "-o", "."]
    finished = run("get", *options, *urls, cwd=tmp_path)
    legend, connecting, *rows = finished.stderr.decode().splitlines()
    assert legend.startswith("~ connecting")
    assert connecting.startswith(f"connect {url} ") and "~" in connecting
    assert [row.split()[:2] for row in rows] == [
        [f"{url}/large", "200"], [f"{url}/page.html", "200"], [f"{url}/missing&%3C%3E", "404"],
    ]  # fmt: skip
    for row in rows:
        assert len(row) <= 100
        bar, _, duration = row[row.index("|") + 1 :].partition("|")
        assert bar.strip() and set(bar) <= set(" .-=#")  # which of these shows, how long each took decides
        assert duration.endswith(" ms")
    picture = ElementTree.parse(tmp_path / "w.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert f"{url}/missing&%3C%3E" in texts
    assert any(text is not None and text.startswith("body: ") for text in texts)


def test_the_parts_of_bars() -> None:
    parts = [
        ("waiting to be sent", 0, 1),
        ("sent, no answer yet", 1, 3),
        ("headers, no body yet", 3, 3),
        ("body", 3, 4),
    ]
    rows = [
        waterfall.Bar("connect a", "", [("connecting", 0.0, 1.0)]),
        waterfall.Bar("a/b", "200 5 B", [(name, float(begins), float(ends)) for name, begins, ends in parts]),
        waterfall.Bar("a/c", "not begun", []),
    ]
    assert waterfall.text(rows, 50).splitlines()[1:] == [
        "connect a           |~~~~~               | 1000.0 ms",
        "a/b       200 5 B   |....----------######| 4000.0 ms",
        "a/c       not begun |                    |    0.0 ms",
    ]


def test_a_waterfall_of_failures(url: str, ca_file: str) -> None:
    finished = run("get", "--cacert", ca_file, "--timing", "http://localhost:1/", f"{url}/page.html")
    assert finished.returncode == 7
    (row,) = (line for line in finished.stderr.decode().splitlines() if line.startswith("http://localhost:1/ "))
    assert row.split()[1] == "failed"


def read_terminal(master: int, until: bytes) -> bytes:
    """What appears on a terminal, until that does, or the end."""
    shown = b""
    while until not in shown:
        try:
            shown += os.read(master, 1000)
        except OSError:  # EIO: nobody has the other end any more
            return shown
    return shown


def test_a_progress_bar_on_a_terminal(serve: Callable[..., str], tmp_path: Path) -> None:
    go_on = threading.Event()

    def handler(stream: ServerStream, headers: Headers) -> None:
        stream.respond({"content-length": 1000})
        stream.write(bytes(500))
        go_on.wait(PATIENCE)
        stream.end(bytes(500))

    url = serve(handler)
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        command("get", "-o", "folder", f"{url}/1", f"{url}/2"), cwd=tmp_path, env=environment(), stderr=terminal
    )
    os.close(terminal)
    try:
        shown = read_terminal(master, b"50%")
        assert b"#." in shown and b"0 of 2" in shown
        go_on.set()
        shown = read_terminal(master, b"nothing like this")
        assert process.wait(PATIENCE) == 0
        assert shown.endswith(b"\r\x1b[K")  # gone in the end
    finally:
        os.close(master)
        process.kill()
        process.wait()
