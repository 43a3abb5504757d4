"""requests."""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
import responses
from asked import Halves, Places, answer


def http1(at: Places) -> Any:
    return requests.get(f"{at.plain}/version").text


def http2(at: Places) -> Any:
    return requests.get(f"{at.url}/version", verify=at.cafile).text


def h2c(at: Places) -> Any:
    return requests.get(f"{at.plain}/version").text


def http3(at: Places) -> Any:
    with requests.Session() as session:
        return [session.get(at.http3, verify=at.cafile).text for _ in range(3)][-1]


def together(at: Places) -> Any:
    with requests.Session() as session, ThreadPoolExecutor(3) as threads:
        get = lambda _: session.get(f"{at.url}/together", verify=at.cafile).text  # noqa: E731
        answers = list(threads.map(get, range(3)))
    return [answers[0].split()[0], len(set(answers))]


def threads(at: Places) -> Any:
    return together(at)[1]


def blocking(at: Places) -> Any:
    return requests.get(f"{at.url}/version", verify=at.cafile).status_code


def asyncio_calls(at: Places) -> Any:
    return [name for name, value in vars(requests).items() if inspect.iscoroutinefunction(value) or "Async" in name]


def push(at: Places) -> Any:
    return [name for name in dir(requests.get(f"{at.url}/push", verify=at.cafile)) if "push" in name]


def trailers(at: Places) -> Any:
    response = requests.get(f"{at.url}/trailers", verify=at.cafile)
    return getattr(response, "trailers", None) or getattr(response.raw, "trailers", None)


def hints(at: Places) -> Any:
    """Over HTTP/1.1, as nothing else is spoken."""
    return [requests.get(f"{at.url}/hints", verify=at.cafile).status_code, []]


def repeated(at: Places) -> Any:
    return requests.post(f"{at.url}/refused", data=b"x", verify=at.cafile).text


def told_apart(at: Places) -> Any:
    try:
        requests.post("http://localhost:1/", data=b"x")
    except requests.ConnectionError as error:
        return getattr(error, "processed", None)


def both_ways(at: Places) -> Any:
    body = Halves()
    with requests.post(f"{at.url}/echo", data=iter(body), verify=at.cafile, stream=True) as response:
        for _ in response.iter_content(3):
            body.came_back.set()
    return body.in_time


def in_process(at: Places) -> Any:
    with responses.RequestsMock() as answers:
        answers.get("https://shop.example/apples", body="called /apples")
        return requests.get("https://shop.example/apples").text


def proxy(at: Places) -> Any:
    return requests.get(f"{at.url}/version", verify=at.cafile, proxies={"https": at.proxy}).status_code


def socks(at: Places) -> Any:
    return requests.get(f"{at.url}/version", verify=at.cafile, proxies={"https": f"socks5h://{at.socks}"}).status_code


def ping(at: Places) -> Any:
    return [name for name in (*dir(requests.Session), *dir(requests.Response)) if "ping" in name.split("_")] or None


if __name__ == "__main__":
    answer(globals())
