"""Every example runs as its reader would run it: a process of its own, real sockets, and nothing on stderr."""

from __future__ import annotations

import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import sync_h2
from support.programs.others import accepts, curl, free_port
from support.threads.background import PATIENCE, Background, background, eventually
from support.tls.certificates import Certificate

__all__ = ["background"]

EXAMPLES = Path(__file__).parent.parent / "examples"


def command(name: str, *arguments: object) -> list[str]:
    # The development mode reports what was left open.
    return [sys.executable, "-X", "dev", "-W", "error", str(EXAMPLES / name), *map(str, arguments)]


def run(name: str, *arguments: object) -> str:
    finished = subprocess.run(command(name, *arguments), capture_output=True, text=True)
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout


@contextmanager
def running(name: str, *arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server, and the URL that it prints first."""
    with subprocess.Popen(
        command(name, *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            yield process, url
        except BaseException:
            process.kill()
            raise


@contextmanager
def serving(name: str) -> Iterator[str]:
    """The URL of a server that Ctrl-C ends, without a word."""
    with running(name) as (process, url):
        yield url
        process.send_signal(signal.SIGINT)  # what Ctrl-C sends
        output, errors = process.communicate()
        assert (process.returncode, output, errors) == (0, "", "")


@pytest.fixture
def server_url() -> Iterator[str]:
    with serving("serve.py") as url:
        yield url


def test_no_example_is_forgotten():
    source = Path(__file__).read_text()
    assert [path.name for path in EXAMPLES.glob("*.py") if f'"{path.name}"' not in source] == []


NEED_ARGUMENTS = {
    "download.py": 2,
    "files.py": 1,
    "get.py": 1,
    "http_client.py": 2,
    "http_server.py": 1,
    "post_file.py": 2,
    "tls_server.py": 2,
    "upload_progress.py": 2,
    "urllib_get.py": 1,
}


@pytest.mark.parametrize(("name", "least"), NEED_ARGUMENTS.items())
def test_without_arguments_they_say_how_they_are_used(name: str, least: int):
    for count in range(least):
        finished = subprocess.run(command(name, *["argument"] * count), capture_output=True, text=True)
        assert (finished.returncode, finished.stdout) == (1, "")
        assert re.search(rf"^(.*: )?{name} [A-Z]", finished.stderr, re.MULTILINE)
        assert "Traceback" not in finished.stderr


def test_the_others_need_none():
    for path in EXAMPLES.glob("*.py"):
        usage = re.search(rf"{path.name}((?: [A-Z:\[\]…]+)*)", path.read_text().split('"""')[1])
        needed = [word for word in (usage[1].split() if usage else []) if not word.startswith("[")]
        assert len(needed) == NEED_ARGUMENTS.get(path.name, 0) or needed in (["LINE"], ["WORD"]), path.name


def test_quickstart():
    lines = dict(line.split("   ", 1) for line in map(str.strip, run("quickstart.py").splitlines()))
    assert lines["GET over h2"] == lines["GET over h2c"] == "200 Hello, HTTP/2"
    assert lines["requests at once"].startswith("20, from as many threads, in ")
    assert lines["up and down at once"].startswith("20 MB each way in ")
    assert lines["103 Early Hints"] == "</style.css>; rel=preload (before the 200)"
    assert lines["pushed stream"] == "2: body { color: green }"
    assert lines["trailers"] == "x-rendered-in: 2 ms"
    assert lines["PING"].endswith(" microseconds")
    assert lines["while it closes"] == "still answered"
    assert lines["closed"] == "0 sessions are left on the server"


def test_quickstart_says_what_it_lacks(tmp_path: Path):
    (tmp_path / "trustme.py").write_text("raise ImportError")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); exec(open({str(EXAMPLES / 'quickstart.py')!r}).read())"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert finished.returncode == 1
    assert finished.stderr.strip().endswith("To get it: pip install trustme")


def test_get_from_serve(server_url: str):
    finished = subprocess.run(command("get.py", f"{server_url}/page?a=1"), capture_output=True, text=True)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "GET /page?a=1 with 0 bytes\n", "200\n")


def test_wsgi(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"line\n" * 100)
    with running("wsgi.py", free_port()) as (process, url):
        eventually(lambda: accepts(int(url.rpartition(":")[2])))
        answer = run("post_file.py", tmp_path / "file", f"{url}/inbox")
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    assert output == ""
    assert errors == f"sync_h2: serving at {url}, Ctrl-C ends it\nsync_h2: finishing what is under way\n"
    assert answer == "200 POST /inbox with 500 bytes over HTTP/2\n\n"
    assert process.returncode == 0


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_post_file(server_url: str, tmp_path: Path, size: int):
    (tmp_path / "file").write_bytes(b"x" * size)
    assert run("post_file.py", tmp_path / "file", f"{server_url}/inbox") == f"200 POST /inbox with {size} bytes\n\n"


def test_upload_progress(server_url: str, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"x" * (4 << 20))
    answer = f"200 PUT /inbox with {4 << 20} bytes\n"
    assert run("upload_progress.py", tmp_path / "file", f"{server_url}/inbox") == f"25%\n50%\n75%\n100%\n{answer}\n"


def test_tls_server(certificate: Certificate):
    with running("tls_server.py", certificate.certfile, certificate.keyfile) as (process, url):
        get = command("get.py", url, certificate.cafile)
        first = subprocess.run(get, capture_output=True, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "reloaded\n"
        second = subprocess.run(get, capture_output=True, text=True)
        output, errors = process.communicate()  # ends its input, and with that the server
    authority = url.removeprefix("https://")
    assert (first.stdout, first.stderr) == (second.stdout, second.stderr) == (f"Hello, {authority}\n", "200\n")
    assert (process.returncode, output, errors) == (0, "", "")


def test_guestbook():
    with serving("guestbook.py") as url:
        written = curl(f"{url}/entries", "--data", '{"name": "Zoë"}', cafile="")
        assert (written.status, written.text) == (201, "")
        read = curl(f"{url}/entries", cafile="")
        assert (read.status, read.text) == (200, '[{"name": "Zo\\u00eb"}]\n')
        assert curl(f"{url}/entries", "--request", "DELETE", cafile="").status == 405
        missing = curl(url, "--head", cafile="")
        assert (missing.http_version, missing.status) == ("2", 404)


def test_trailers():
    assert run("trailers.py", 20_000) == "20000 lines, whole\n"


def test_push():
    assert run("push.py").splitlines() == [
        "pushed: /style.css body { color: green }",
        "asked for: <link rel=stylesheet href=/style.css>",
    ]


def test_early_hints():
    assert run("early_hints.py").splitlines() == [
        "early: 103 </style.css>; rel=preload; as=style",
        "final: 200 <p>Finished</p>",
    ]


def test_echo():
    assert run("echo.py", "hello", "you").splitlines() == ["hello -> HELLO", "you -> YOU", "goodbye"]


def test_server_sent_events():
    assert run("server_sent_events.py", "one", "two").splitlines() == ["data: one", "data: two", "the end"]


def test_files(tmp_path: Path):
    (tmp_path / "page.html").write_text("<h1>Hello</h1>")
    (tmp_path / "folder").mkdir()
    with running("files.py", tmp_path) as (process, url), sync_h2.connect(url) as session:

        def get(path: str, **headers: str) -> tuple[sync_h2.Headers, bytes]:
            stream = session.request({":path": path} | {name.replace("_", "-"): headers[name] for name in headers})
            return stream.wait_response(), stream.read()

        whole, body = get("/page.html")
        assert (whole[":status"], whole["content-type"], body) == ("200", "text/html", b"<h1>Hello</h1>")
        for wanted, start, end in (("4-8", 4, 8), ("4-", 4, 13), ("-5", 9, 13), ("9-99", 9, 13)):
            answer, body = get("/page.html", range=f"bytes={wanted}")
            assert (answer[":status"], answer["content-range"]) == ("206", f"bytes {start}-{end}/14")
            assert body == b"<h1>Hello</h1>"[start : end + 1]
        assert get("/page.html", range="bytes=99-")[0][":status"] == "416"
        assert get("/page.html", if_modified_since=whole["last-modified"])[0][":status"] == "304"
        for path in ("/missing", "/folder", "/", "/../etc/passwd", "/%2e%2e/etc/passwd"):
            assert get(path)[0][":status"] == "404"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")


def test_long_poll():
    assert run("long_poll.py", "one", "two", "three").splitlines() == ["news 1: one", "news 2: two", "news 3: three"]


def test_websocket_echo():
    assert run("websocket_echo.py", "hello", "caf\xe9 \u2615", "x" * 100_000).splitlines() == [
        "answer: 200",
        "hello -> HELLO",
        "caf\xe9 \u2615 -> CAF\xc9 \u2615",
        f"{'x' * 100_000} -> {'X' * 100_000}",
        "closed",
    ]


def test_websocket_echo_says_what_it_lacks(tmp_path: Path):
    (tmp_path / "wsproto.py").write_text("raise ImportError")
    script = EXAMPLES / "websocket_echo.py"
    start = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); exec(open({str(script)!r}).read())"
    finished = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr.strip().endswith("To get it: pip install wsproto")


# -- the proxy, and servers that it is to reach


@pytest.fixture
def proxy_url() -> Iterator[str]:
    with serving("connect_proxy.py") as url:
        yield url


@pytest.fixture
def target() -> Iterator[socket.socket]:
    """A listening socket, of a server that the test plays."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        yield listener


def authority(listener: socket.socket) -> str:
    return "{}:{}".format(*listener.getsockname())


def accept(listener: socket.socket) -> socket.socket:
    connection, _ = listener.accept()
    connection.settimeout(PATIENCE)
    return connection


def test_connect_proxy(proxy_url: str, target: socket.socket, background: Background):
    def send_all_back() -> None:
        with accept(target) as connection, connection.makefile("rb") as file:
            connection.sendall(file.read())  # to its end: the tunnel can end in one direction first

    serving_target = background(send_all_back)
    body = bytes(range(256)) * 8000
    finished = subprocess.run(
        command("connect_proxy.py", proxy_url, authority(target)), input=body, capture_output=True
    )
    assert (finished.returncode, finished.stderr) == (0, b"")
    assert finished.stdout == body
    serving_target.result(PATIENCE)


def test_connect_proxy_when_the_target_ends_first(proxy_url: str, target: socket.socket, background: Background):
    def greet() -> None:
        with accept(target) as connection:
            connection.sendall(b"220 here\n")

    greeting = background(greet)
    with subprocess.Popen(
        command("connect_proxy.py", proxy_url, authority(target)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:  # its input does not end before it does
        assert process.stdout is not None
        assert process.stdout.read() == b"220 here\n"
        assert process.wait(PATIENCE) == 0
    greeting.result(PATIENCE)


def test_connect_proxy_when_the_target_refuses(proxy_url: str):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # so that nobody else can have the port
        arguments = command("connect_proxy.py", proxy_url, authority(closed))
        finished = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert finished.returncode == 1
        assert finished.stderr.startswith(f"refused: {authority(closed)}: ")


def test_connect_proxy_when_the_target_breaks(proxy_url: str, target: socket.socket, background: Background):
    def break_off() -> None:
        with accept(target) as connection:
            assert connection.recv(1)
            # Closing sends RST then, not FIN.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    breaking = background(break_off)
    with subprocess.Popen(
        command("connect_proxy.py", proxy_url, authority(target)), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b"?")
        process.stdin.flush()
        assert process.stderr is not None
        assert b"broken: the peer reset the stream [stream 1, CONNECT_ERROR]" in process.stderr.read()
        assert process.wait(PATIENCE) == 1
    breaking.result(PATIENCE)


def test_connect_proxy_with_many_tunnels(proxy_url: str, target: socket.socket):
    with sync_h2.connect(proxy_url) as session:
        streams = [session.request({":method": "CONNECT", ":authority": authority(target)}) for _ in range(10)]
        for number, stream in enumerate(streams):
            stream.write(b"tunnel %d" % number)
        connections = [accept(target) for _ in streams]
        for connection in connections:
            connection.sendall(b"to " + connection.recv(100))
        assert [stream.read(100) for stream in streams] == [b"to tunnel %d" % number for number in range(10)]
        for stream in streams:
            stream.close(sync_h2.ErrorCode.CANCEL)
        assert [connection.recv(1) for connection in connections] == [b""] * 10
        for connection in connections:
            connection.close()


def test_connect_proxy_is_no_web_server(proxy_url: str):
    finished = subprocess.run(command("get.py", proxy_url), capture_output=True, text=True)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "405\n")


# -- gRPC, with a client of grpcio's in a process of its own: its threads and descriptors stay

GRPC_CLIENT = """
import queue, sys
import grpc

target = sys.argv[1].removeprefix("http://")
options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", 8 << 20)]
with grpc.insecure_channel(target, options=options) as channel:
    once = channel.unary_unary("/example.Echo/Once")
    each = channel.stream_stream("/example.Echo/Each")

    assert once(b"a message", timeout=20) == b"a message"
    assert once(b"", timeout=20) == b""
    large = bytes(3_000_000)
    assert once(large, timeout=20) == large
    futures = [once.future(b"%d" % number, timeout=20) for number in range(100)]
    assert [future.result() for future in futures] == [b"%d" % number for number in range(100)]
    print("unary")

    requests = queue.SimpleQueue()
    call = each(iter(requests.get, None), timeout=20)
    for number in range(20):
        requests.put(b"%d" % number)
        assert next(call) == b"%d" % number  # before the next is sent
    requests.put(None)
    assert list(call) == []
    assert call.code() is grpc.StatusCode.OK
    assert list(each(iter([b"x"] * 1000), timeout=20)) == [b"x"] * 1000
    print("streaming")

    for method, request in (("Other", b""), ("Once", bytes(5 << 20))):
        try:
            channel.unary_unary(f"/example.Echo/{method}")(request, timeout=20)
        except grpc.RpcError as error:
            print(error.code().name, "-", error.details())

    requests = queue.SimpleQueue()
    call = each(iter(requests.get, None), timeout=20)
    requests.put(b"x")
    assert next(call) == b"x"
    call.cancel()
    requests.put(None)
    assert call.code() is grpc.StatusCode.CANCELLED
    assert once(b"after all that", timeout=20) == b"after all that"
    print("cancelled")
"""


def test_grpc_echo():
    with serving("grpc_echo.py") as url:
        finished = subprocess.run([sys.executable, "-c", GRPC_CLIENT, url], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines() == [
        "unary",
        "streaming",
        "UNIMPLEMENTED - there is no such method",
        "INTERNAL - a message that is compressed or too long",
        "cancelled",
    ]


def test_the_standard_librarys_handler_client_and_urllib(tmp_path: Path):
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "index.html").write_text("index")
    (tmp_path / "upload").write_bytes(b"x" * 1_000_000)
    with running("http_server.py", folder) as (process, url):
        created = curl(f"{url}/new", "--upload-file", str(tmp_path / "upload"), cafile="")
        assert (created.http_version, created.status) == ("2", 201)
        host = url.removeprefix("http://")
        found, absent_line = run("http_client.py", host, "/new", "/absent").splitlines()
        assert found == "200 OK: /new has 1000000 bytes, and said 1000000"
        # The page's length is the interpreter's.
        assert re.fullmatch(r"404 Not Found: /absent has (\d{3}) bytes, and said \1", absent_line)
        get = subprocess.run(command("urllib_get.py", f"{url}/sub"), capture_output=True, text=True)
        assert (get.returncode, get.stdout, get.stderr) == (0, "index", f"200 from {url}/sub/\n")
        absent = subprocess.run(command("urllib_get.py", f"{url}/absent"), capture_output=True, text=True)
        assert (absent.returncode, absent.stderr) == (1, "404 Not Found\n")
        process.send_signal(signal.SIGINT)
        _, log = process.communicate()
        assert process.returncode == 0
        assert '"PUT /new HTTP/2.0" 201 -' in log
        assert "Traceback" not in log


def test_downloads_into_a_folder(tmp_path: Path):
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    for number in range(3):
        (tmp_path / "from" / f"{number}.txt").write_bytes(b"x" * number * 100_000)
    with running("http_server.py", tmp_path / "from") as (process, url):
        urls = [f"{url}/{number}.txt" for number in range(3)]
        lines = run("download.py", tmp_path / "to", *urls).splitlines()
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert sorted(lines) == [f"200 HTTP/2 {url}/{number}.txt: {number * 100_000} bytes" for number in range(3)]
    assert (tmp_path / "to" / "2.txt").read_bytes() == b"x" * 200_000
