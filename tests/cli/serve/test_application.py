"""`sync-h2 serve module:app`: WSGI applications, found by name."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import pytest

import sync_h2
from support.programs.command_line import PATIENCE, Running, run, serving
from support.programs.others import curl
from support.tls.certificates import Certificate
from sync_h2.cli.serve.signals import STOPPING

APPLICATION = '''
"""Applications, and what is none."""
import json


def app(environ, start_response):
    start_response("200 OK", [("content-type", "application/json")])
    names = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "wsgi.url_scheme", "wsgi.multiprocess", "SERVER_PROTOCOL")
    told = {name: environ[name] for name in names}
    return [json.dumps({**told, "body": environ["wsgi.input"].read().decode()}).encode()]


def slow(environ, start_response):
    start_response("200 OK", [])
    yield b"first "
    environ["wsgi.input"].read()  # to the end, which comes when the client wants it
    yield b"second"


class Shop:
    application = staticmethod(app)


number = 5
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project's folder: modules, and a package."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "wsgi.py").write_text(APPLICATION)
    (tmp_path / "wrong.py").write_text("\nprint(\n")
    (tmp_path / "broken.py").write_text("\n\nraise ValueError('not today')\n")
    return tmp_path


@pytest.mark.parametrize("name", ["shop.wsgi:app", "shop.wsgi:Shop.application"])
def test_an_application(folder: Path, certificate: Certificate, name: str) -> None:
    files = ["--cert", certificate.certfile, "--key", certificate.keyfile]
    with serving(name, *files, cwd=folder) as (server, url):
        result = curl(f"{url}/a%20path?a=1", "--data", "the body", cafile=str(certificate.cafile))
        server.match(r'"POST /a%20path\?a=1 HTTP/2" 200 ')
    assert (result.http_version, result.status) == ("2", 200)
    assert json.loads(result.text or "") == {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/a path",
        "QUERY_STRING": "a=1",
        "SERVER_PROTOCOL": "HTTP/2",
        "wsgi.url_scheme": "https",
        "wsgi.multiprocess": False,
        "body": "the body",
    }


def test_an_application_in_several_processes(folder: Path, ca_file: str) -> None:
    with serving("shop.wsgi:app", "--h2c", "--workers", 2, cwd=folder) as (_, url):
        answers = [json.loads(curl(f"{url}/{number}", cafile=ca_file).text or "") for number in range(4)]
    assert [answer["PATH_INFO"] for answer in answers] == ["/0", "/1", "/2", "/3"]
    assert {answer["wsgi.multiprocess"] for answer in answers} == {True}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_lets_the_application_finish(folder: Path, workers: int) -> None:
    draining = threading.Event()
    listeners = {"goaway": lambda *_: draining.set()}
    with (
        serving("shop.wsgi:slow", "--h2c", "--workers", workers, cwd=folder) as (server, url),
        sync_h2.connect(url, listeners=listeners) as session,
    ):
        stream = session.request({":method": "POST", "content-length": 3})
        assert stream.read(6, timeout=PATIENCE) == b"first "
        server.signal(signal.SIGTERM)
        assert draining.wait(PATIENCE)
        stream.end(b"now")
        assert stream.read(timeout=PATIENCE) == b"second"
        assert server.end() == 0


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "missing:app",
            "cannot import missing:app: ModuleNotFoundError: No module named 'missing' (looked in {folder})\n",
        ),
        ("wrong:app", "cannot import wrong:app: SyntaxError: '(' was never closed (wrong.py, line 2)\n"),
        ("shop.wsgi:missing", "cannot import shop.wsgi:missing: AttributeError: module 'shop.wsgi' has no attribute"),
        ("broken:app", "cannot import broken:app: ValueError: not today ({folder}/broken.py, line 3)"),
        ("shop.wsgi:number", "shop.wsgi:number is no WSGI application: it can't be called"),
        (":app", "':app' is no folder, and no module:app either"),
        ("shop:", "'shop:' is no folder, and no module:app either"),
    ],
)
def test_what_is_no_application(folder: Path, name: str, line: str, workers: int) -> None:
    finished = run("serve", name, "--h2c", "--port=0", "--workers", workers, cwd=folder)
    (said,) = finished.stderr.decode().splitlines()
    assert f"{said}\n".startswith(f"sync-h2: {line.format(folder=folder)}")
    assert finished.returncode == (2 if "no folder" in line else 1)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("shop.py", "shop:app"),
        ("./shop.py", "shop:app"),
        ("shop", "shop:app"),
        ("shop.py:app", "shop:app"),
        ("shop:aplication", "shop:app"),
        ("shop:", "shop:app"),
        ("other/site.py", "other.site:application"),
        ("other.site:app", "other.site:application"),
        ("imported.py", "imported:wsgi"),
        ("wrong.py", "wrong:app"),
    ],
)
def test_a_module_is_told_how_it_is_served(tmp_path: Path, name: str, meant: str) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "shop.py").write_text("def app(environ, start_response): ...")
    (tmp_path / "other" / "site.py").write_text("import flask_or_so as flask\n\napplication: object = None\n")
    (tmp_path / "other" / "flask_or_so.py").touch()
    (tmp_path / "flask_or_so.py").touch()
    (tmp_path / "imported.py").write_text("from other.site import application as wsgi")
    (tmp_path / "wrong.py").write_text("def app(")
    finished = run("serve", name, "--h2c", "--port=0", cwd=tmp_path)
    (said,) = finished.stderr.decode().splitlines()
    assert said.endswith(f"; did you mean {meant!r}?")
    assert finished.returncode in (1, 2)


@pytest.mark.parametrize(
    "name", ["missing.py", "shop.wsgi:missing.app", "../outside.py", "broken:app", "shop.wsgi:nothing"]
)
def test_no_guess_where_there_is_none(folder: Path, name: str) -> None:
    (folder.parent / "outside.py").write_text("app = None")
    (folder / "shop" / "wsgi.py").write_text("number = 5")
    said = run("serve", name, "--h2c", "--port=0", cwd=folder).stderr.decode()
    assert len(said.splitlines()) == 1
    assert "did you mean" not in said


@pytest.mark.parametrize(("workers", "status"), [(1, 130), (2, 0)])
def test_an_interrupt_while_the_application_is_imported(tmp_path: Path, workers: int, status: int) -> None:
    imports = "import sys, threading\nprint('importing', file=sys.stderr, flush=True)\nthreading.Event().wait()\n"
    (tmp_path / "shop.py").write_text(imports)
    server = Running("serve", "shop:app", "--h2c", "--port", 0, "--workers", workers, cwd=tmp_path)
    try:
        server.match("^importing$")
        server.signal(signal.SIGINT, to_group=True)
        assert server.end() == status
    finally:
        server.kill()
    assert server.lines in (["importing"], ["importing", f"sync-h2: {STOPPING}"])


def test_a_folder_with_a_colon_is_a_folder(folder: Path, ca_file: str) -> None:
    (folder / "shop.wsgi:app").mkdir()
    (folder / "shop.wsgi:app" / "index.html").write_text("a page")
    with serving("shop.wsgi:app", "--h2c", cwd=folder) as (_, url):
        assert curl(f"{url}/", cafile=ca_file).text == "a page"
