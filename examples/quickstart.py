"""A tour of HTTP/2 over real sockets: two servers on free ports of the loopback, one with TLS, and a client."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import sync_h2

try:
    import trustme
except ImportError:
    sys.exit("The quickstart makes a TLS certificate with the package trustme. To get it: pip install trustme")

THREADS = 20
SIZE = 20_000_000
CHUNK = bytes(100_000)
everyone_has_asked = threading.Barrier(THREADS)


# The server: a function that is called for each request, on a thread of its own.
def serve(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    PAGES[headers[":path"]](stream)


def hello(stream: sync_h2.ServerStream) -> None:
    stream.respond({"content-type": "text/plain"})
    stream.end(b"Hello, HTTP/2")


def meet(stream: sync_h2.ServerStream) -> None:
    everyone_has_asked.wait(timeout=10)
    stream.end(b"here")


def echo(stream: sync_h2.ServerStream) -> None:
    stream.respond()
    for chunk in stream:
        stream.write(chunk)
    stream.end()


def tour(stream: sync_h2.ServerStream) -> None:
    stream.additional_headers({":status": 103, "link": "</style.css>; rel=preload"})
    with stream.push_stream({":path": "/style.css"}) as pushed:
        pushed.respond({"content-type": "text/css"})
        pushed.end(b"body { color: green }")
    stream.respond({"content-type": "text/html"}, wait_for_trailers=True)
    stream.end(b"<p>A page</p>")
    stream.send_trailers({"x-rendered-in": "2 ms"})


PAGES = {"/": hello, "/meet": meet, "/echo": echo, "/tour": tour}


# The client: a session is one connection, a stream is one request on it and its answer.
def say_hello(session: sync_h2.ClientSession) -> None:
    with session.request() as stream:
        status = stream.wait_response()[":status"]
        report(f"GET over {session.alpn_protocol}", f"{status} {stream.read().decode()}")


def ask_from_many_threads(session: sync_h2.ClientSession) -> None:
    def ask(number: int) -> bytes:
        with session.request({":path": "/meet"}) as stream:
            return stream.read()

    started = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(ask, range(THREADS)))
    assert answers == [b"here"] * THREADS
    report("requests at once", f"{THREADS}, from as many threads, in {time.perf_counter() - started:.3f} s")


def transfer_both_ways(session: sync_h2.ClientSession) -> None:
    def upload() -> None:
        for _ in range(SIZE // len(CHUNK)):
            stream.write(CHUNK)
        stream.end()

    started = time.perf_counter()
    with session.request({":method": "POST", ":path": "/echo"}) as stream:
        uploading = threading.Thread(target=upload)
        uploading.start()
        assert sum(len(chunk) for chunk in stream) == SIZE
        uploading.join()
    seconds = time.perf_counter() - started
    report("up and down at once", f"{SIZE // 10**6} MB each way in {seconds:.2f} s, {SIZE / 1e6 / seconds:.0f} MB/s")


def take_the_tour(session: sync_h2.ClientSession) -> None:
    with session.request({":path": "/tour"}) as stream:
        status = stream.wait_response()[":status"]
        report("103 Early Hints", f"{stream.informational[0]['link']} (before the {status})")
        for pushed in stream.pushes():
            report("pushed stream", f"{pushed.id}: {pushed.read().decode()}")
        report("the page", stream.read().decode())
        report("trailers", f"x-rendered-in: {stream.wait_trailers()['x-rendered-in']}")


def measure_round_trip(session: sync_h2.ClientSession) -> None:
    fastest = min(session.ping().duration for _ in range(10))
    report("PING", f"{fastest * 1e6:.0f} microseconds")


def close_gracefully(session: sync_h2.ClientSession, server: sync_h2.ThreadingServer) -> None:
    with session.request({":method": "POST", ":path": "/echo"}) as stream:
        session.close(wait=False)  # no new requests from here on, but this one may finish
        stream.end(b"still answered")
        report("while it closes", stream.read().decode())
    session.close()  # waits for the end of the connection
    server.close()
    report("closed", f"{len(server.sessions)} sessions are left on the server")


def report(what: str, outcome: str) -> None:
    print(f"{what:>20}   {outcome}")


def main() -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes()
    with (
        sync_h2.create_secure_server(serve, certfile=certificate) as secure_server,
        sync_h2.connect(secure_server.url, cafile=authority.cert_pem.bytes()) as session,
    ):
        for show in (say_hello, ask_from_many_threads, transfer_both_ways, take_the_tour, measure_round_trip):
            show(session)
        close_gracefully(session, secure_server)

    with sync_h2.create_server(serve) as server, sync_h2.connect(server.url) as session:
        for show in (say_hello, transfer_both_ways, measure_round_trip):
            show(session)
        close_gracefully(session, server)


if __name__ == "__main__":
    main()
