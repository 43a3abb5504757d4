"""What meets who tries the package for the first time: its names, its version, and what it says of mistakes that
beginners make.
"""

from __future__ import annotations

import configparser
import http.server
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sync_h2
from sync_h2 import InvalidArgument
from sync_h2.protocol.fields.headers import encode_informational, encode_push, encode_request, encode_response

REPOSITORY = Path(__file__).parent.parent


def handler(stream: Any, headers: Any) -> None:
    stream.respond()


# -- headers without the colon


def request(headers: dict[str, Any]) -> object:
    return encode_request(headers, scheme="http", authority="localhost")


def push(headers: dict[str, Any]) -> object:
    return encode_push(headers, scheme="http", authority="localhost")


@pytest.mark.parametrize(
    ("encode", "headers", "name"),
    [
        (encode_response, {"status": 404}, "status"),
        (encode_response, {"Status": "404", "content-type": "text/html"}, "status"),
        (encode_informational, {"status": 103, "link": "</style.css>"}, "status"),
        (request, {"path": "/news"}, "path"),
        (request, {"method": "POST"}, "method"),
        (request, {":method": "POST", "path": "/news"}, "path"),
        (request, {"scheme": "https"}, "scheme"),
        (request, {"authority": "example.org"}, "authority"),
        (request, {":method": "CONNECT", ":path": "/chat", "protocol": "websocket"}, "protocol"),
        (request, {":method": "CONNECT", ":protocol": "websocket", "path": "/chat"}, "path"),
        (push, {"path": "/style.css"}, "path"),
    ],
)
def test_a_forgotten_colon(encode: Callable[[Any], object], headers: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidArgument, match=f"header '{name}': did you mean ':{name}'"):
        encode(headers)
    with pytest.raises(InvalidArgument, match=f"header '{name}': did you mean ':{name}'"):
        encode(list(headers.items()))


@pytest.mark.parametrize(
    ("encode", "headers"),
    [
        (encode_response, {":status": 404, "status": "404 Not Found"}),
        (encode_informational, {":status": 103, "status": "103"}),
        (request, {":path": "/news", ":method": "GET", "path": "a", "method": "b", "scheme": "c", "authority": "d"}),
        (request, {":path": "/", "scheme": "c", "authority": "d", "protocol": "e"}),
        (request, {"protocol": "e", "status": "f"}),
        (request, {":method": "CONNECT", ":authority": "example.org:443", "protocol": "e"}),
        (request, {":method": "CONNECT", ":authority": "example.org:443", "path": "a"}),
        (push, {":path": "/", ":method": "GET", "path": "a", "method": "b"}),
    ],
)
def test_fields_that_are_called_so_can_be_sent(encode: Callable[[Any], Any], headers: dict[str, Any]) -> None:
    fields = encode(headers)
    assert {name.decode() for name, _ in fields} >= headers.keys()


def test_a_forgotten_colon_costs_no_stream() -> None:
    said = []

    def mistaken(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
        try:
            stream.respond({"status": 404})
        except InvalidArgument as error:
            said.append(str(error))
        stream.respond({":status": 404}, end_stream=True)

    with sync_h2.create_server(mistaken) as server, sync_h2.connect(server.url) as session:
        with pytest.raises(InvalidArgument, match="did you mean ':path'"):
            session.request({"path": "/"})
        assert session.request({":path": "/"}).wait_response(10)[":status"] == "404"
    assert said == ["header 'status': did you mean ':status'? (give ':status' too, if a field 'status' is meant)"]


CALLED_SO = ("method", "path", "scheme", "authority", "protocol", "status")


def echo_names(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    stream.respond({"x-got": ",".join(headers[name] for name in CALLED_SO)}, end_stream=True)


def test_calls_with_urls_send_any_field() -> None:
    with sync_h2.create_server(echo_names) as server, sync_h2.Client(h2c=True) as client:
        response = client.get(server.url, headers=dict.fromkeys(CALLED_SO, "x"), timeout=10)
    assert response.headers["x-got"] == "x,x,x,x,x,x"


def test_so_do_http_client_and_the_command_line() -> None:
    fields = dict.fromkeys(CALLED_SO, "x")
    with sync_h2.create_server(echo_names) as server:
        connection = sync_h2.compat.HTTP2Connection("127.0.0.1", server.address[1], h2c=True, timeout=10)
        connection.request("GET", "/", headers=fields)
        assert connection.getresponse().getheader("x-got") == "x,x,x,x,x,x"
        connection.close()
        options = [option for name in fields for option in ("-H", f"{name}: x")]
        command = [sys.executable, "-m", "sync_h2", "get", "-q", "-i", *options, server.url]
        assert "x-got: x,x,x,x,x,x" in subprocess.run(command, capture_output=True, text=True).stdout


def on_request(request: sync_h2.ServerRequest, response: sync_h2.ServerResponse) -> None:
    for name in CALLED_SO:
        response.set_header(name, "x")
    response.end()


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    start_response("200 OK", [(name, "x") for name in CALLED_SO])
    return []


class Fields(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        for name in CALLED_SO:
            self.send_header(name, "x")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.mark.parametrize(
    "options",
    [
        {"on_request": on_request},
        {"handler": sync_h2.compat.wsgi(app)},
        {"handler": sync_h2.compat.handler_for(Fields)},
    ],
    ids=["on_request", "wsgi", "http.server"],
)
def test_answers_of_http1_code_have_any_field(options: dict[str, Any]) -> None:
    with sync_h2.create_server(**options) as server, sync_h2.connect(server.url) as session:
        answer = session.request().wait_response(10)
    assert [answer[name] for name in (":status", *CALLED_SO)] == ["200", *"xxxxxx"]


# -- arguments in the wrong place


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (
            lambda: sync_h2.create_server(handler, 8080),
            TypeError,
            r"mean create_server\(handler, port=8080\)\?",
        ),
        (
            lambda: sync_h2.create_secure_server(handler, 8443, certfile="server.pem"),
            TypeError,
            r"did you mean create_secure_server\(handler, port=8443\)\?",
        ),
        (lambda: sync_h2.serve_wsgi(print, 8080), TypeError, r"did you mean serve_wsgi\(app, port=8080\)\?"),
        (lambda: sync_h2.create_server(handler, None), TypeError, "host must be a str .*, not NoneType$"),
        (
            lambda: sync_h2.create_server(handler, "0.0.0.0:8080"),
            InvalidArgument,
            r"host '0.0.0.0:8080' has a port; did you mean create_server\(handler, '0.0.0.0', 8080\)\?",
        ),
        (
            lambda: sync_h2.create_server(handler, "18081"),
            InvalidArgument,
            r"host '18081' is a port; did you mean create_server\(handler, port=18081\)\?",
        ),
        (lambda: sync_h2.serve_wsgi("shop:app"), TypeError, "not str: import it, or run sync-h2 serve shop:app$"),
        (lambda: sync_h2.connect(8080), TypeError, r"did you mean 'http://localhost:8080'\?"),
        (lambda: sync_h2.connect(None), TypeError, "an authority is a str, not NoneType$"),
        (
            lambda: sync_h2.connect("http://localhost", timout=3),
            TypeError,
            r"did you mean 'timeout'\?",
        ),
        (lambda: sync_h2.create_server(max_worker=3), TypeError, r"'max_worker'; did you mean 'max_workers'\?"),
        (lambda: sync_h2.create_server(certfile="a"), TypeError, "certfile is an option of create_secure_server"),
        (lambda: sync_h2.create_secure_server(certfil="a"), TypeError, r"did you mean 'certfile'\?"),
        (lambda: sync_h2.serve_wsgi(print, max_worker=3), TypeError, r"did you mean 'max_workers'\?"),
        (lambda: sync_h2.serve_socket(None, max_worker=3), TypeError, r"did you mean 'max_workers'\?"),
        (lambda: sync_h2.Client(verfy=False), TypeError, r"did you mean 'verify'\?"),
        (lambda: sync_h2.adapters.HTTPAdapter(retry_status=3), TypeError, r"did you mean 'retry_statuses'\?"),
        (lambda: sync_h2.adapters.RequestsAdapter(retry_status=3), TypeError, r"did you mean 'retry_statuses'\?"),
        (lambda: sync_h2.adapters.HTTPXTransport(verfy=3), TypeError, r"did you mean 'verify'\?"),
        (
            lambda: sync_h2.Client(xyz=3),
            TypeError,
            "no option 'xyz'; there are base_url, .*write_timeout",
        ),
    ],
)
def test_a_mistake_says_what_was_meant(call: Callable[[], object], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call()


# -- names


def test_the_modules_names_are_those_for_users() -> None:
    """In a process of its own: what the tests import does not count."""
    script = "import sync_h2; print(*dir(sync_h2))"
    names = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert names == sorted(sync_h2.__all__)
    assert {"compat", "adapters", "testing", "serve_wsgi", "Client", "connect", "create_server"} <= set(names)
    assert not {"client", "connection", "importlib", "protocol", "annotations", "TYPE_CHECKING"} & set(names)


def test_every_name_is_there_and_none_twice() -> None:
    for name in sync_h2.__all__:
        assert getattr(sync_h2, name) is not None
    assert sync_h2.__all__ == sorted(set(sync_h2.__all__))
    with pytest.raises(AttributeError, match="module 'sync_h2' has no attribute 'conect'"):
        sync_h2.conect  # noqa: B018


def test_every_error_has_a_name_here() -> None:
    from sync_h2 import errors

    assert {name for name, value in vars(errors).items() if isinstance(value, type)} <= set(sync_h2.__all__)


def test_a_star_brings_what_dir_shows() -> None:
    script = "from sync_h2 import *; print(serve_wsgi.__name__, testing.pair.__name__, adapters.HTTPAdapter.__name__)"
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (finished.stdout, finished.stderr) == ("serve_wsgi pair HTTPAdapter\n", "")


def test_the_version_is_that_of_the_distribution() -> None:
    configuration = configparser.ConfigParser()
    configuration.read(REPOSITORY / "setup.cfg")
    assert configuration["metadata"]["version"] == "attr: sync_h2.version.__version__"
    assert sync_h2.__version__ == sync_h2.version.__version__


def test_the_command_tells_its_version() -> None:
    command = [sys.executable, "-m", "sync_h2", "--version"]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, f"sync-h2 {sync_h2.__version__}\n", "")


def test_a_socket_may_be_called_as_a_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with sync_h2.create_server(handler, "unix:8080") as server, sync_h2.connect("unix:8080") as session:
        assert server.url == "unix:8080"
        assert session.request().wait_response(10)[":status"] == "200"
