"""httpx, with its extra for HTTP/2."""

from __future__ import annotations

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from asked import Halves, Places, answer, application


def client_of(at: Places, **options: Any) -> httpx.Client:
    return httpx.Client(verify=ssl.create_default_context(cafile=at.cafile), http2=True, **options)


def http1(at: Places) -> Any:
    return httpx.get(f"{at.plain}/version").text


def http2(at: Places) -> Any:
    with client_of(at) as client:
        return client.get(f"{at.url}/version").text


def h2c(at: Places) -> Any:
    with httpx.Client(http1=False, http2=True) as client:
        return client.get(f"{at.plain}/version").text


def http3(at: Places) -> Any:
    with client_of(at) as client:
        return [client.get(at.http3).text for _ in range(3)][-1]


def together(at: Places) -> Any:
    with client_of(at) as client, ThreadPoolExecutor(3) as threads:
        client.get(f"{at.url}/version")
        answers = list(threads.map(lambda _: client.get(f"{at.url}/together").text, range(3)))
    return [answers[0].split()[0], len(set(answers))]


def threads(at: Places) -> Any:
    return together(at)[1]


def blocking(at: Places) -> Any:
    with client_of(at) as client:
        return client.get(f"{at.url}/version").status_code


def asyncio_calls(at: Places) -> Any:
    async def get() -> list[str]:
        async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=at.cafile), http2=True) as client:
            return [(await client.get(f"{at.url}/version")).text]

    return asyncio.run(get())


def push(at: Places) -> Any:
    with client_of(at) as client:
        response = client.get(f"{at.url}/push")
    return [name for name in (*dir(response), *response.extensions) if "push" in name]


def trailers(at: Places) -> Any:
    with client_of(at) as client:
        response = client.get(f"{at.url}/trailers")
    return next((name for name in (*dir(response), *response.extensions) if "trailer" in name), None)


def hints(at: Places) -> Any:
    with client_of(at) as client:
        told = []
        response = client.get(f"{at.url}/hints", extensions={"trace": lambda *step: told.append(repr(step))})
    return [response.status_code, [103 for step in told if "103" in step]]


def repeated(at: Places) -> Any:
    with client_of(at) as client:
        try:
            return client.post(f"{at.url}/refused", content=b"x").text
        except httpx.RemoteProtocolError:
            return None


def told_apart(at: Places) -> Any:
    with client_of(at) as client:
        try:
            client.post(f"{at.url}/unprocessed", content=b"x")
        except httpx.RemoteProtocolError as error:
            return getattr(error, "processed", None)


def both_ways(at: Places) -> Any:
    body = Halves()
    with client_of(at) as client, client.stream("POST", f"{at.url}/echo", content=iter(body)) as response:
        for _ in response.iter_raw():
            body.came_back.set()
    return body.in_time


def in_process(at: Places) -> Any:
    with httpx.Client(transport=httpx.WSGITransport(application)) as client:
        return client.get("https://shop.example/apples").text


def proxy(at: Places) -> Any:
    with client_of(at, proxy=at.proxy) as client:
        return client.get(f"{at.url}/version").status_code


def socks(at: Places) -> Any:
    with client_of(at, proxy=f"socks5h://{at.socks}") as client:
        return client.get(f"{at.url}/version").status_code


def ping(at: Places) -> Any:
    return [name for name in (*dir(httpx.Client), *dir(httpx.Response)) if "ping" in name.split("_")] or None


if __name__ == "__main__":
    answer(globals())
