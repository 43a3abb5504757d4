"""Records what other programs send: run it in the repository to make tests/fuzz/corpus anew, which is rarely wanted,
because seeds stand for mutations of just these octets.

    PYTHONPATH=.:tests python tests/fuzz/record.py

`client-*.bin` is what a client sends to our server, `server-*.bin` what a server sends to our client, who makes the
requests of REQUESTS.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from support.connections.app import handler
from support.programs.others import curl, h2load, nghttp, nghttpd, node_client, node_server
from sync_h2 import HTTP2Error, connect, create_server

CORPUS = Path(__file__).parent / "corpus"
REQUESTS = (
    {":path": "/echo", ":method": "POST"},
    {":path": "/bytes/20000"},
    {":path": "/trailers"},
    {":path": "/push"},
    {":path": "/informational"},
    {":path": "/status/404", ":method": "HEAD"},
)


@contextlib.contextmanager
def tap(port: int, name: str, *, of_client: bool) -> Iterator[int]:
    """A port in front of `port` that writes down what one side sends on the first connection."""
    kept: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def copy(source: socket.socket, target: socket.socket, keep: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if keep:
                    kept.append(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            with client, socket.create_connection(("127.0.0.1", port)) as server:
                back = threading.Thread(target=copy, args=(server, client, not of_client))
                back.start()
                copy(client, server, of_client)
                back.join()

    serving = threading.Thread(target=serve)
    serving.start()
    yield listener.getsockname()[1]
    listener.close()
    serving.join()
    path = CORPUS / f"{'client' if of_client else 'server'}-{name}.bin"
    path.write_bytes(b"".join(kept))
    print(path.name, path.stat().st_size)


def record_client(name: str, run: Callable[[str], object]) -> None:
    with create_server(handler) as server, tap(server.address[1], name, of_client=True) as port:
        run(f"http://127.0.0.1:{port}")


def record_server(name: str, port: int) -> None:
    with tap(port, name, of_client=False) as tapped, connect(f"http://127.0.0.1:{tapped}") as session:
        streams = [session.request(headers, end_stream=headers[":path"] != "/echo") for headers in REQUESTS]
        streams[0].end(b"x" * 3000)
        for stream in streams:
            with contextlib.suppress(HTTP2Error):  # nghttpd answers HEAD with a body
                stream.read(timeout=10)
                for pushed in stream.pushes():
                    pushed.read(timeout=10)
        session.ping(timeout=10)


def main() -> None:
    def with_curl(*options: str) -> Callable[[str], object]:
        return lambda url: curl(url + "/echo", *options, cafile="")

    record_client("curl-get", lambda url: curl(url + "/bytes/5000", "--http2-prior-knowledge", cafile=""))
    record_client("curl-post", with_curl("--data", "x" * 3000))
    record_client("curl-expect", with_curl("--data", "x" * 3000, "--header", "expect: 100-continue"))
    record_client("nghttp", lambda url: nghttp(url + "/push", url + "/trailers", "--weight=7", "--padding=9"))
    record_client("h2load", lambda url: h2load(url + "/bytes/100", requests=50, connections=1, streams=10))
    record_client(
        "node",
        lambda url: node_client(
            url, [{"headers": {":path": path}} for path in ("/push", "/trailers", "/informational")], ""
        ),
    )

    def ours(url: str) -> None:
        with connect(url) as session:
            streams = [session.request(headers, weight=99) for headers in REQUESTS[1:]]
            upload = session.request({":method": "POST", ":path": "/sha256"}, wait_for_trailers=True)
            upload.end(b"x" * 20_000)
            upload.send_trailers({"x-checksum": "abc"})
            for stream in (*streams, upload):
                stream.read(timeout=10)
            session.settings({"initial_window_size": 100_000}, wait=True)
            session.ping(timeout=10)
            session.request({":path": "/slow/1000"}).close(8)

    record_client("sync_h2", ours)
    with node_server(None) as port:
        record_server("node", port)
    with tempfile.TemporaryDirectory() as folder, nghttpd(Path(folder), None, "--push=/push=/trailers") as port:
        for name in ("push", "trailers", "informational"):
            Path(folder, name).write_text(name * 100)
        record_server("nghttpd", port)
    with create_server(handler) as server:
        record_server("sync_h2", server.address[1])


if __name__ == "__main__":
    main()
