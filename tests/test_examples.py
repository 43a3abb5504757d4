"""Every example runs as its reader would run it: a process of its own, real sockets, and nothing on stderr."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import sync_h2
from support.certificates import Certificate

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


@pytest.fixture
def server_url() -> Iterator[str]:
    with running("serve.py") as (process, url):
        yield url
        process.send_signal(signal.SIGINT)  # what Ctrl-C sends
        output, errors = process.communicate()
        assert (process.returncode, output, errors) == (0, "", "")


def test_no_example_is_forgotten():
    source = Path(__file__).read_text()
    assert [path.name for path in EXAMPLES.glob("*.py") if f'"{path.name}"' not in source] == []


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
