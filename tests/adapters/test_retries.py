"""`RequestsAdapter` with HTTPAdapter's arguments: what is sent again is what requests sends again."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

import sync_h2
from sync_h2 import exceptions
from sync_h2.adapters import RequestsAdapter
from sync_h2.client.pool.limits import PoolLimits


class Site:
    """A server whose first answers have these statuses; "lost" hangs up instead."""

    def __init__(self) -> None:
        self.plan: list[Any] = []
        self.asked: list[str] = []
        self.fields: dict[str, str] = {}

    def __call__(self, stream: Any, headers: Any) -> None:
        stream.read()
        self.asked.append(headers[":method"])
        step = self.plan.pop(0) if self.plan else 200
        if step == "lost":
            stream.session.destroy()
        else:
            stream.respond({":status": step, **self.fields}, end_stream=True)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def url(site: Site) -> Iterator[str]:
    with sync_h2.create_server(site, allow_http1=True) as server:
        yield server.url


ADAPTERS: list[Callable[..., Any]] = [
    lambda retries: HTTPAdapter(max_retries=retries),
    lambda retries: RequestsAdapter(max_retries=retries),
    lambda retries: RequestsAdapter(max_retries=retries, h2c=True),
]

CASES: list[tuple[str, Any, list[Any]]] = [
    ("GET", 0, [503]),
    ("GET", 0, ["lost"]),
    ("GET", 2, ["lost", "lost"]),
    ("GET", 2, ["lost"] * 3),
    ("POST", 2, ["lost"]),
    ("GET", Retry(3, status_forcelist=[500, 503], backoff_factor=0), [500, 503, 500]),
    ("GET", Retry(2, status_forcelist=[500]), [500] * 3),
    ("GET", Retry(2, status_forcelist=[500], raise_on_status=False), [500] * 3),
    ("POST", Retry(3, status_forcelist=[500]), [500]),
    ("POST", Retry(3, status_forcelist=[500], allowed_methods=None), [500, 500]),
    ("POST", Retry(3, allowed_methods=["POST"]), ["lost"]),
    ("PUT", Retry(3, read=False), ["lost"]),
    ("GET", Retry(total=None, read=1, status=1, status_forcelist=[500]), [500, "lost"]),
    ("GET", Retry(total=False), ["lost"]),
    ("GET", Retry(3, status=0, status_forcelist=[500]), [500]),
]


@pytest.mark.parametrize(("method", "retries", "plan"), CASES)
def test_what_is_sent_again(site: Site, url: str, method: str, retries: Any, plan: list[Any]) -> None:
    found = []
    for make in ADAPTERS:
        site.plan, site.asked = list(plan), []
        outcome: Any = None
        with requests.Session() as session:
            session.trust_env = False
            session.mount("http://", make(retries))
            try:
                data = b"x" if method != "GET" else None
                with session.request(method, url, data=data, stream=True) as response:
                    outcome = response.status_code
                    response.raw.close()  # urllib3 forgets connections behind others that were lost
            except requests.RequestException as error:
                assert error.request is not None
                outcome = type(error).__name__
        found.append((outcome, len(site.asked)))
    assert found[1:] == found[:1] * 2


@pytest.mark.parametrize("retries", [0, 2, Retry(2), Retry(2, connect=0), Retry(2, connect=1, read=0)])
def test_where_nobody_listens(retries: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Any] = []
    connect = sync_h2.client.opening.opener.connect_tcp
    monkeypatch.setattr(
        sync_h2.client.opening.opener, "connect_tcp", lambda *arguments: tried.append(1) or connect(*arguments)
    )
    with requests.Session() as session:
        session.mount("http://", RequestsAdapter(max_retries=retries))
        with pytest.raises(requests.ConnectionError):
            session.get("http://127.0.0.1:1/")
    made = Retry.from_int(retries)
    assert len(tried) == 1 + min(made.total, made.total if made.connect is None else made.connect)


def test_retry_after_is_waited_for(site: Site, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", waits.append)
    for value in ("3", "nonsense", "9" * 30, "9" * 5000):
        site.plan, site.fields = [429], {"retry-after": value}
        with requests.Session() as session:
            session.mount("http://", RequestsAdapter(max_retries=2))
            assert session.get(url).status_code == 200
    assert waits[0] == 3


@pytest.mark.parametrize(
    ("plan", "expected"), [([503, 200], 503), (["lost"] * 3, exceptions.ConnectionError)], ids=["answered", "lost"]
)
def test_no_pause_goes_beyond_a_total(
    plan: list[Any], expected: Any, site: Site, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", waits.append)
    site.plan, site.fields = plan, {"retry-after": "3000"}
    with sync_h2.Client(trust_env=False) as client:
        client.mount("http://", sync_h2.adapters.HTTPAdapter(max_retries=Retry(3, backoff_factor=1000)))
        outcome: Any = None
        try:
            outcome = client.get(url, timeout=sync_h2.Timeouts(total=60)).status_code
        except exceptions.RequestException as error:
            outcome = type(error)
    assert (outcome, [pause for pause in waits if pause > 60]) == (expected, [])
    assert len(site.asked) == (1 if expected == 503 else 2)


def test_a_post_that_was_lost_may_have_been_processed_whatever_comes_later(site: Site, url: str) -> None:
    places = iter([url.rpartition("/")[2], "127.0.0.1:1"])
    site.plan = ["lost"]
    adapter = sync_h2.adapters.HTTPAdapter(
        max_retries=Retry(1, allowed_methods=["POST"]), resolve=lambda host, port: next(places)
    )
    with sync_h2.Client(trust_env=False) as client:
        client.mount("http://", adapter)
        with pytest.raises(exceptions.ConnectionError, match="cannot connect") as raised:
            client.post("http://example.org", data=b"x")
    assert (raised.value.processed, raised.value.retryable) == (None, False)


def test_a_body_that_can_be_had_once_is_sent_once(site: Site, url: str) -> None:
    site.plan = [500]
    with requests.Session() as session:
        session.mount("http://", RequestsAdapter(max_retries=Retry(3, status_forcelist=[500], allowed_methods=None)))
        assert session.post(url, data=iter([b"a"])).status_code == 500
    assert site.asked == ["POST"]


def test_certificates_are_not_tried_again(certificate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Any] = []
    connect = sync_h2.client.opening.opener.connect_tcp
    monkeypatch.setattr(
        sync_h2.client.opening.opener, "connect_tcp", lambda *arguments: tried.append(1) or connect(*arguments)
    )
    server = sync_h2.create_secure_server(certfile=certificate.certificate_pem, keyfile=certificate.key_pem)
    with server, requests.Session() as session:
        session.trust_env = False
        session.mount("https://", RequestsAdapter(max_retries=3))
        with pytest.raises(requests.exceptions.SSLError):
            session.get(f"https://localhost:{server.address[1]}")
    assert len(tried) == 1


def test_the_arguments_of_http_adapter() -> None:
    adapter = RequestsAdapter(10, 20, Retry(3), True)
    assert adapter._pool._connections._limits == PoolLimits(max_connections=200, max_connections_per_origin=20)
    assert adapter.max_retries is not None
    assert adapter.max_retries.total == 3
    assert RequestsAdapter(pool_maxsize=2)._pool._connections._limits.max_connections_per_origin == 2
    assert RequestsAdapter().max_retries is None
    with pytest.raises(TypeError, match="pool_maxsize"):
        RequestsAdapter(pool_maxsize=2, limits=PoolLimits())


def test_pool_maxsize_bounds_the_connections(url: str, site: Site) -> None:
    sessions: list[Any] = []
    with (
        sync_h2.create_server(site, allow_http1=True, listeners={"session": sessions.append}) as server,
        requests.Session() as session,
    ):
        session.mount("http://", RequestsAdapter(pool_maxsize=2))
        threads = [threading.Thread(target=session.get, args=(server.url,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 1 <= len(sessions) <= 2


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_an_adapter_is_copied(url: str, copied: Any) -> None:
    adapter = RequestsAdapter(max_retries=Retry(2), h2c=True)
    other = copied(adapter)
    adapter.close()
    with requests.Session() as session:
        session.mount("http://", other)
        assert session.get(url).raw.version == 20
    assert other.max_retries.total == 2
