"""niquests."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import niquests
from asked import Halves, Places, answer, application


def http1(at: Places) -> Any:
    return niquests.get(f"{at.plain}/version").text


def http2(at: Places) -> Any:
    return niquests.get(f"{at.url}/version", verify=at.cafile).text


def h2c(at: Places) -> Any:
    with niquests.Session(disable_http1=True) as session:
        return session.get(f"{at.plain}/version").text


def http3(at: Places) -> Any:
    with niquests.Session() as session:
        return [session.get(at.http3, verify=at.cafile).text for _ in range(3)][-1]


def together(at: Places) -> Any:
    with niquests.Session(multiplexed=True) as session:
        session.get(f"{at.url}/version", verify=at.cafile).text  # noqa: B018 - it waits
        lazy = [session.get(f"{at.url}/together", verify=at.cafile) for _ in range(3)]
        session.gather()
        answers = [response.text for response in lazy]
    return [answers[0].split()[0], len(set(answers))]


def threads(at: Places) -> Any:
    with niquests.Session(pool_maxsize=1) as session, ThreadPoolExecutor(3) as pool:
        session.get(f"{at.url}/version", verify=at.cafile)
        answers = list(pool.map(lambda _: session.get(f"{at.url}/together", verify=at.cafile).text, range(3)))
    return len({answer.split()[1] for answer in answers})


def blocking(at: Places) -> Any:
    return niquests.get(f"{at.url}/version", verify=at.cafile).status_code


def asyncio_calls(at: Places) -> Any:
    async def get() -> list[str]:
        async with niquests.AsyncSession() as session:
            return [(await session.get(f"{at.url}/version", verify=at.cafile)).text]

    return asyncio.run(get())


def push(at: Places) -> Any:
    return [name for name in dir(niquests.get(f"{at.url}/push", verify=at.cafile)) if "push" in name]


def trailers(at: Places) -> Any:
    return dict(niquests.get(f"{at.url}/trailers", verify=at.cafile).trailers)


def hints(at: Places) -> Any:
    early = []
    hooks = {"early_response": [lambda response: early.append(response.status_code)]}
    return [niquests.get(f"{at.url}/hints", verify=at.cafile, hooks=hooks).status_code, early]


def websockets(at: Places) -> Any:
    with niquests.Session() as session:
        try:
            response = session.get(at.url.replace("https:", "wss+rfc8441:") + "/chat", verify=at.cafile)
        except niquests.ConnectionError as error:
            return "Sec-Websocket-Accept" in str(error)
        response.extension.send_payload("hello")
        return [response.extension.next_payload()]


def repeated(at: Places) -> Any:
    try:
        return niquests.post(f"{at.url}/refused", data=b"x", verify=at.cafile).text
    except niquests.ConnectionError:
        return None


def told_apart(at: Places) -> Any:
    try:
        niquests.post(f"{at.url}/unprocessed", data=b"x", verify=at.cafile)
    except niquests.ConnectionError as error:
        return getattr(error, "processed", None)


def both_ways(at: Places) -> Any:
    body = Halves()
    response = niquests.post(f"{at.url}/echo", data=iter(body), verify=at.cafile, stream=True)
    for _ in response.iter_content(3):
        body.came_back.set()
    return body.in_time


def in_process(at: Places) -> Any:
    with niquests.Session(app=application) as session:
        return session.get("/apples").text


def proxy(at: Places) -> Any:
    return niquests.get(f"{at.url}/version", verify=at.cafile, proxies={"https": at.proxy}).status_code


def socks(at: Places) -> Any:
    return niquests.get(f"{at.url}/version", verify=at.cafile, proxies={"https": f"socks5h://{at.socks}"}).status_code


def ping(at: Places) -> Any:
    return [name for name in (*dir(niquests.Session), *dir(niquests.Response)) if "ping" in name.split("_")] or None


if __name__ == "__main__":
    answer(globals())
