"""Bodies that come without a length: frameworks that read no further than CONTENT_LENGTH get them whole."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import a2wsgi
import bottle
import falcon
import fastapi
import flask
import pytest

import sync_h2
from support.octets.fields import UPLOAD
from support.peers.raw_peer import server_and_raw_client
from support.programs.gunicorns import Gunicorn, gunicorn
from support.programs.others import program
from support.threads.background import PATIENCE, eventually
from sync_h2.testing import pair

__all__ = ["gunicorn"]

FORM = "application/x-www-form-urlencoded"
SIZES = [0, 3, 65_535, 65_536, 65_537, 3_000_000]


def django_app() -> Any:
    from compat.applications import polls  # importing it configures Django

    return polls.get_wsgi_application()


def bottle_app() -> Any:
    app = bottle.Bottle()

    @app.put("/")  # type: ignore[untyped-decorator]
    def put() -> str:
        with bottle.request.body as file:  # Bottle's own copy, which it forgets to close
            return hashlib.sha256(file.read()).hexdigest()

    app.post("/")(lambda: repr(dict(bottle.request.forms)))
    return app


def falcon_app() -> Any:
    class Resource:
        def on_put(self, request: Any, response: Any) -> None:
            response.text = hashlib.sha256(request.bounded_stream.read()).hexdigest()

        def on_post(self, request: Any, response: Any) -> None:
            response.text = repr(request.get_media())

    app = falcon.App()
    app.add_route("/", Resource())
    return app


def fastapi_app(loop: asyncio.AbstractEventLoop) -> Any:
    app = fastapi.FastAPI()

    @app.put("/")
    async def put(request: fastapi.Request) -> Any:
        return fastapi.Response(hashlib.sha256(await request.body()).hexdigest())

    @app.post("/")
    async def post(request: fastapi.Request) -> Any:
        return fastapi.Response(repr(dict(item.split("=") for item in (await request.body()).decode().split("&"))))

    # The loop that a2wsgi makes itself has no end.
    return a2wsgi.ASGIMiddleware(app, loop=loop)


def flask_app() -> Any:
    app = flask.Flask(__name__)
    app.put("/", endpoint="put")(lambda: hashlib.sha256(flask.request.get_data()).hexdigest())
    app.post("/", endpoint="post")(lambda: repr(dict(flask.request.form)))
    return app


FRAMEWORKS = [django_app, bottle_app, falcon_app, fastapi_app, flask_app]


@pytest.fixture(params=FRAMEWORKS, ids=lambda make: make.__name__)
def app(request: pytest.FixtureRequest) -> Iterator[Any]:
    """An application of each framework: PUT answers with the body's hash, POST with the form that it is."""
    if request.param is not fastapi_app:
        yield request.param()
        return
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield fastapi_app(loop)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def url_of() -> Iterator[Callable[..., str]]:
    servers = []

    def start(app: Any, **options: Any) -> str:
        server = sync_h2.create_server(sync_h2.compat.wsgi(app, **options), allow_http1=True)
        servers.append(server)
        server.start()
        return server.url

    yield start
    for server in servers:
        server.close(timeout=5)


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_curl_uploads_from_a_pipe(app: Any, version: str, url_of: Any) -> None:
    url = url_of(app)
    for size in SIZES:
        body = b"x" * size
        command = [program("curl"), "-sS", "--max-time", "20", version, "--upload-file", "-", f"{url}/"]
        done = subprocess.run(command, input=body, capture_output=True, check=True)
        assert done.stdout.decode() == hashlib.sha256(body).hexdigest(), size


@pytest.mark.parametrize("http1", [False, True])
def test_a_form_in_pieces(app: Any, http1: bool, url_of: Any) -> None:
    url = url_of(app)
    if http1:
        connection = http.client.HTTPConnection(*url.removeprefix("http://").split(":"), timeout=10)
        connection.request("POST", "/", iter([b"a=b&", b"c=d"]), {"content-type": FORM})
        answer = connection.getresponse().read()
        connection.close()
    else:
        with sync_h2.connect(url) as session:
            stream = session.request({":method": "POST", "content-type": FORM})
            stream.write(b"a=b&")
            stream.end(b"c=d")
            answer = stream.read(timeout=PATIENCE)
    assert answer == b"{'a': 'b', 'c': 'd'}"


def test_node_uploads(app: Any, url_of: Any) -> None:
    url = url_of(app)
    script = """
        const session = require("http2").connect(process.argv[1]);
        const stream = session.request({":method": "PUT", ":path": "/"});
        stream.setEncoding("latin1");
        stream.on("data", data => process.stdout.write(data)).on("end", () => session.close());
        for (let i = 0; i < 30; i++) stream.write(Buffer.alloc(10000, "x"));
        stream.end();
    """
    done = subprocess.run([program("node"), "-e", script, url], capture_output=True, check=True, timeout=20)
    assert done.stdout.decode() == hashlib.sha256(b"x" * 300_000).hexdigest()


def test_under_gunicorn(gunicorn: Any) -> None:
    server: Gunicorn = gunicorn(app="compat.test_wsgi_bodies:bottle_app()")
    (url,) = server.addresses()
    for version in ("--http1.1", "--http2-prior-knowledge"):
        command = [program("curl"), "-sS", "--max-time", "20", version, "--upload-file", "-", f"{url}/"]
        done = subprocess.run(command, input=b"x" * 200_000, capture_output=True, check=True)
        assert done.stdout.decode() == hashlib.sha256(b"x" * 200_000).hexdigest()


# -- what the application finds


Serve = Callable[..., sync_h2.ClientSession]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(app)` gives a client's session with a server that runs `app`."""
    sessions = []

    def make(app: Any, server: Any = None, **options: Any) -> sync_h2.ClientSession:
        client, _ = pair(sync_h2.compat.wsgi(app, **options), server=server)
        sessions.append(client)
        return client

    yield make
    for session in sessions:
        session.destroy()


def length_and_body(environ: Any, start_response: Any) -> list[bytes]:
    file = environ["wsgi.input"]
    assert environ["wsgi.input_terminated"] is True
    assert "HTTP_TRANSFER_ENCODING" not in environ
    body = file.read()
    assert file.read() == file.read(1) == file.readline() == b""
    start_response("200 OK", [("content-type", "text/plain")])
    return [environ.get("CONTENT_LENGTH", "none").encode(), b" ", hashlib.sha256(body).hexdigest().encode()]


@pytest.mark.parametrize("size", SIZES)
def test_the_length_is_what_came(size: int, serve: Serve) -> None:
    stream = serve(length_and_body).request({":method": "PUT"})
    stream.end(b"x" * size)
    assert stream.read(timeout=PATIENCE) == f"{size} {hashlib.sha256(b'x' * size).hexdigest()}".encode()


def test_who_has_no_body_has_no_length(serve: Serve) -> None:
    stream = serve(length_and_body).request({":method": "GET"})
    assert stream.read(timeout=PATIENCE).startswith(b"none ")


def test_a_body_with_a_length_is_read_as_it_comes(serve: Serve) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield environ["wsgi.input"].readline()
        yield environ["wsgi.input"].readline()

    stream = serve(app).request({":method": "PUT", "content-length": 4})
    stream.write(b"1\n")
    assert stream.read(2, timeout=PATIENCE) == b"1\n"
    stream.end(b"2\n")
    assert stream.read(timeout=PATIENCE) == b"2\n"


def test_trailers_of_a_body_that_was_received_first(serve: Serve) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        trailers = environ["sync_h2.trailers"]()
        start_response("200 OK", [])
        return [environ["wsgi.input"].read(), trailers["x-sum"].encode()]

    stream = serve(app).request({":method": "POST"}, wait_for_trailers=True)
    stream.end(b"body ")
    stream.send_trailers({"x-sum": "42"})
    assert stream.read(timeout=PATIENCE) == b"body 42"


# -- bounds


@pytest.mark.parametrize("bound", [10, 65_535, 65_536, 65_537, 200_000])
def test_a_longer_body_is_too_long(bound: int, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    session = serve(length_and_body, max_buffered_body=bound)
    fits = session.request({":method": "PUT"})
    fits.end(b"x" * bound)
    assert fits.wait_response(timeout=PATIENCE)[":status"] == "200"
    fits.read()
    assert not caplog.records
    one_more = session.request({":method": "PUT"})
    one_more.end(b"x" * (bound + 1))
    assert one_more.wait_response(timeout=PATIENCE)[":status"] == "413"
    assert one_more.read(timeout=PATIENCE) == b""
    (record,) = caplog.records
    assert "max_buffered_body" in record.getMessage()
    announced = session.request({":method": "PUT", "content-length": bound + 1})
    announced.end(b"x" * (bound + 1))
    assert announced.wait_response(timeout=PATIENCE)[":status"] == "200"
    announced.read()


def test_what_is_too_long_together(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Sixteen times the bound of one; as soon as one has been answered there is room again."""
    proceed = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        assert proceed.wait(PATIENCE)
        start_response("200 OK", [])
        return [environ["CONTENT_LENGTH"].encode()]

    session = serve(app, max_buffered_body=100_000)
    streams = [session.request({":method": "PUT"}) for _ in range(16)]
    for stream in streams:
        stream.end(b"x" * 100_000)
    late = session.request({":method": "PUT"})
    late.end(b"x" * 100_000)
    answers = [late]
    eventually(lambda: "max_buffered_body" in caplog.text)
    proceed.set()
    answers += streams
    statuses = sorted(stream.wait_response(timeout=PATIENCE)[":status"] for stream in answers)
    assert statuses == ["200"] * 16 + ["503"]
    for stream in answers:
        stream.read(timeout=PATIENCE)
    again = session.request({":method": "PUT"})
    again.end(b"x" * 100_000)
    assert again.read(timeout=PATIENCE) == b"100000"


def test_a_body_that_does_not_come(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    session = serve(length_and_body, server={"read_timeout": 0.3})
    for sent in (b"", b"x" * 100_000):
        stream = session.request({":method": "PUT"})
        stream.write(sent)
        assert stream.wait_response(timeout=PATIENCE)[":status"] == "408"
        stream.close()
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_client_that_goes_before_its_body_has_come(size: int, caplog: pytest.LogCaptureFixture) -> None:
    called: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with server_and_raw_client(sync_h2.compat.wsgi(lambda *arguments: called.put(arguments))) as (session, peer):
        peer.headers(1, UPLOAD)
        for _ in range(size // 10_000):
            while peer.credit(1) < 10_000:
                peer.receive()
            peer.data(1, b"x" * 10_000)
        peer.settled()
        peer.reset(1, sync_h2.ErrorCode.CANCEL)
        eventually(lambda: not session._jobs)
    assert called.empty()
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("bound", [-1, None, "1", True, 1.5])
def test_what_is_no_bound(bound: Any) -> None:
    with pytest.raises(sync_h2.InvalidArgument, match="max_buffered_body"):
        sync_h2.compat.wsgi(length_and_body, max_buffered_body=bound)
    with pytest.raises(sync_h2.InvalidArgument, match="max_buffered_body"):
        sync_h2.serve_wsgi(length_and_body, max_buffered_body=bound)
