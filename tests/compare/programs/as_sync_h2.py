"""sync_h2's client."""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asked import Halves, Places, answer, application
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

import sync_h2
import sync_h2.testing


def http1(at: Places) -> Any:
    return sync_h2.get(f"{at.plain}/version").text


def http2(at: Places) -> Any:
    return sync_h2.get(f"{at.url}/version", verify=at.cafile).text


def h2c(at: Places) -> Any:
    with sync_h2.Client(h2c=True) as client:
        return client.get(f"{at.plain}/version").text


def http3(at: Places) -> Any:
    with sync_h2.Client(verify=at.cafile) as client:
        return [client.get(at.http3).text for _ in range(3)][-1]


def together(at: Places) -> Any:
    with sync_h2.Client(verify=at.cafile) as client, ThreadPoolExecutor(3) as threads:
        client.get(f"{at.url}/version")
        answers = list(threads.map(lambda _: client.get(f"{at.url}/together").text, range(3)))
    return [answers[0].split()[0], len(set(answers))]


def threads(at: Places) -> Any:
    return together(at)[1]


def blocking(at: Places) -> Any:
    return sync_h2.get(f"{at.url}/version", verify=at.cafile).status_code


def asyncio_calls(at: Places) -> Any:
    return [name for name, value in vars(sync_h2).items() if inspect.iscoroutinefunction(value) or "Async" in name]


def push(at: Places) -> Any:
    with sync_h2.Client(verify=at.cafile) as client:
        return [pushed.read().decode() for pushed in client.get(f"{at.url}/push").pushes]


def trailers(at: Places) -> Any:
    return dict(sync_h2.get(f"{at.url}/trailers", verify=at.cafile).trailers)


def hints(at: Places) -> Any:
    response = sync_h2.get(f"{at.url}/hints", verify=at.cafile)
    return [response.status_code, [status for status, _ in response.informational]]


def websockets(at: Places) -> Any:
    with sync_h2.connect(at.url, cafile=at.cafile) as session:
        stream = session.request({":method": "CONNECT", ":protocol": "websocket", ":path": "/chat"})
        protocol = Connection(ConnectionType.CLIENT)
        stream.write(protocol.send(TextMessage("hello")))
        protocol.receive_data(stream.read(100))
        return [event.data for event in protocol.events()]


def repeated(at: Places) -> Any:
    return sync_h2.post(f"{at.url}/refused", data=b"x", verify=at.cafile).text


def told_apart(at: Places) -> Any:
    try:
        sync_h2.post(f"{at.url}/unprocessed", data=b"x", verify=at.cafile)
    except sync_h2.exceptions.ConnectionError as error:
        return error.processed


def both_ways(at: Places) -> Any:
    with sync_h2.connect(at.url, cafile=at.cafile) as session:
        stream = session.request({":method": "POST", ":path": "/echo"})
        body = Halves()
        for piece in body:
            stream.write(piece)
            if stream.read(3, timeout=30) == b"one":
                body.came_back.set()
        stream.end()
    return body.in_time


def in_process(at: Places) -> Any:
    with sync_h2.Client() as client:
        client.mount("https://shop.example", sync_h2.testing.WSGITransport(application))
        return client.get("https://shop.example/apples").text


def proxy(at: Places) -> Any:
    return sync_h2.get(f"{at.url}/version", verify=at.cafile, proxies={"https": at.proxy}).status_code


def socks(at: Places) -> Any:
    return sync_h2.get(f"{at.url}/version", verify=at.cafile, proxies={"https": f"socks5h://{at.socks}"}).status_code


def ping(at: Places) -> Any:
    with sync_h2.connect(at.url, cafile=at.cafile) as session:
        return session.ping().duration > 0 and session.remote_settings.enable_connect_protocol


if __name__ == "__main__":
    answer(globals())
