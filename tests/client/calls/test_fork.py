"""A client that was used before `os.fork` works in the child. Each test is a process."""

from __future__ import annotations

from typing import Any

import pytest

from support.programs.processes import start, succeeds

__all__ = ["start"]

SERVER = """
import contextlib
from sync_h2.adapters import HTTPXTransport, RequestsAdapter
def handler(stream, headers):
    stream.end(stream.read() or b"answer")
server = sync_h2.create_server(handler, allow_http1=True)
server.start()
url = server.url
"""


@pytest.mark.parametrize("h2c", [True, False])
def test_a_client_works_in_parent_and_child(start: Any, h2c: bool) -> None:
    succeeds(
        start,
        SERVER
        + f"""
client = sync_h2.Client(h2c={h2c}, trust_env=False)
def ask():
    for _ in range(3):
        assert client.post(url, data=b"mine", timeout=10).content == b"mine"
        assert [response.content for response in client.map([url] * 10)] == [b"answer"] * 10

ask()
unread = client.get(url, stream=True)

def grandchild():
    ask()

def child():
    ask()
    ended(fork(grandchild))
    unread.close()
    ask()
    client.close()

ended(fork(child))
ask()
assert unread.content == b"answer"
client.close()
server.close(10)
""",
    )


def test_locks_that_are_held_elsewhere(start: Any) -> None:
    succeeds(
        start,
        SERVER
        + """
from sync_h2.client.options.auth import HTTPDigestAuth
auth = HTTPDigestAuth("me", "word")
client = sync_h2.Client(h2c=True, trust_env=False, cookies={"a": "b"}, auth=auth)
client.get(url)
pool = client._pool
holding, release = threading.Event(), threading.Event()

def hold():
    with pool._connections._lock, pool._connections._alternatives._lock, pool._opener._making_context:
        with client.cookies._cookies_lock, auth._lock:
            holding.set()
            release.wait(15)

thread = in_background(hold)
holding.wait(15)

def child():
    assert client.get(url, timeout=10).content == b"answer"

ended(fork(child))
release.set()
thread.join(15)
assert client.get(url).content == b"answer"
client.close()
server.close(10)
""",
    )


def test_the_adapters_and_http_client_too(start: Any) -> None:
    succeeds(
        start,
        SERVER
        + """
import httpx, requests
from sync_h2.compat import HTTP2Connection
session = requests.Session()
session.mount("http://", RequestsAdapter(h2c=True))
client = httpx.Client(transport=HTTPXTransport(h2c=True))
connection = HTTP2Connection("127.0.0.1", server.address[1], h2c=True)

def ask():
    assert session.get(url).content == b"answer"
    assert client.get(url).content == b"answer"
    for _ in range(2):
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"answer"

ask()
ended(fork(ask))
ask()
session.close(), client.close(), connection.close()
server.close(10)
""",
    )
