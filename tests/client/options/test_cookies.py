"""Jars of all kinds: what the standard library calls one is used as it is, and filled in place."""

from __future__ import annotations

import copy
import http.client
import http.cookiejar
import http.cookies
import itertools
import pickle
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import sync_h2
from sync_h2 import Client
from sync_h2.client.messages.prepared_request import PreparedRequest
from sync_h2.client.options.cookies import take_cookies
from sync_h2.client.values.structures import ResponseHeaders
from sync_h2.cookies import CookieJar


def handler(stream: Any, headers: Any) -> None:
    path = headers[":path"]
    fields = [(":status", "302"), ("location", "/echo")] if path == "/redirect" else [(":status", "200")]
    if path != "/echo":
        fields += [("set-cookie", f"from={path[1:]}; Path=/"), ("set-cookie", "second=2; Path=/")]
    stream.respond(fields)
    stream.end(headers.get("cookie", "").encode())


@pytest.fixture
def url() -> Iterator[str]:
    with sync_h2.create_server(handler, allow_http1=True) as server:
        yield server.url


@pytest.fixture(params=["given", "set"])
def client_with(request: Any) -> Any:
    def make(jar: Any) -> sync_h2.Client:
        if request.param == "given":
            return sync_h2.Client(h2c=True, trust_env=False, cookies=jar)
        client = sync_h2.Client(h2c=True, trust_env=False)
        client.cookies = jar
        return client

    return make


class Counting(http.cookiejar.CookieJar):
    """Somebody's own, which notes what is put into it."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[str] = []

    def set_cookie(self, cookie: http.cookiejar.Cookie) -> None:
        self.noted.append(cookie.name)
        super().set_cookie(cookie)


def told(jar: Any) -> list[tuple[str, Any]]:
    return sorted((cookie.name, cookie.value) for cookie in jar)


def test_a_jar_is_filled_and_used(client_with: Any, url: str, tmp_path: Path) -> None:
    file = str(tmp_path / "cookies.txt")
    jars: list[Any] = [
        http.cookiejar.CookieJar(),
        http.cookiejar.MozillaCookieJar(file),
        Counting(),
        CookieJar(),
        requests.cookies.RequestsCookieJar(),
    ]
    for jar in jars:
        jar.set_cookie(sync_h2.cookies.create_cookie("own", "1"))
        with client_with(jar) as client:
            assert client.cookies is jar
            assert client.get(f"{url}/first").text == "own=1"
            assert told(jar) == [("from", "first"), ("own", "1"), ("second", "2")]
            assert client.get(f"{url}/redirect").text == "own=1; from=redirect; second=2"
            assert client.get(f"{url}/echo", cookies={"once": "x", "second": "y"}).text.count("second") == 2
        assert told(jar) == [("from", "redirect"), ("own", "1"), ("second", "2")]
    jars[1].save(ignore_discard=True)
    assert "redirect" in Path(file).read_text()
    assert jars[2].noted == ["own", "from", "second", "from", "second"]


def test_an_empty_jar_is_no_missing_one(client_with: Any, url: str) -> None:
    jar = http.cookiejar.CookieJar()
    with client_with(jar) as client:
        client.get(f"{url}/first")
    assert len(jar) == 2


def test_a_requests_own_jar_is_used_as_in_requests(url: str) -> None:
    jar = http.cookiejar.MozillaCookieJar()
    jar.set_cookie(sync_h2.cookies.create_cookie("own", "1"))
    found = []
    for module in (requests, sync_h2):
        session: Any = module.Session()  # type: ignore[attr-defined]
        with session:
            found.append((session.get(f"{url}/redirect", cookies=jar).text, told(jar), told(session.cookies)))
    assert found[0] == found[1]
    assert found[0][1] == [("own", "1")]


def test_the_policy_is_the_jars(client_with: Any, url: str) -> None:
    none_taken = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    with client_with(none_taken) as client:
        assert client.get(f"{url}/redirect").text == ""
        assert len(none_taken) == 0
        none_taken.set_cookie(sync_h2.cookies.create_cookie("own", "1"))
        assert client.get(f"{url}/echo").text == ""


def test_a_mapping_becomes_a_jar(client_with: Any, url: str) -> None:
    with client_with({"own": "1"}) as client:
        assert isinstance(client.cookies, CookieJar)
        assert client.get(f"{url}/first").text == "own=1"
        assert dict(client.cookies) == {"own": "1", "from": "first", "second": "2"}


@pytest.mark.parametrize("value", ["a=b", b"a=b", 1, object()])
def test_what_is_no_jar(client_with: Any, url: str, value: Any) -> None:
    with pytest.raises(TypeError, match="cookies are"):
        client_with(value)
    with sync_h2.Client(h2c=True) as client, pytest.raises(TypeError, match="cookies are"):
        client.get(url, cookies=value)


def test_a_prepared_request_keeps_the_jar_that_it_was_given() -> None:
    jar = http.cookiejar.CookieJar()
    jar.set_cookie(sync_h2.cookies.create_cookie("own", "1"))
    for module in (requests, sync_h2):
        prepared: Any = module.Request("GET", "http://localhost/", cookies=jar).prepare()  # type: ignore[attr-defined]
        assert prepared._cookies is jar
        assert prepared.headers["Cookie"] == "own=1"
        other = prepared.copy()
        assert told(other._cookies) == told(jar)
        assert type(other._cookies) is http.cookiejar.CookieJar
        assert other._cookies is not jar


def test_threads_share_a_jar_of_the_standard_library(url: str) -> None:
    """Which can't be iterated over while another thread adds to it."""
    jar = http.cookiejar.CookieJar()
    failures: list[BaseException] = []
    stopped = threading.Event()

    def fill() -> None:
        for number in range(20_000):
            jar.set_cookie(sync_h2.cookies.create_cookie(f"a{number % 50}", "b", path=f"/{number}"))
            jar.clear("", f"/{number}", f"a{number % 50}")
            if stopped.is_set():
                return

    filling = threading.Thread(target=fill)
    with sync_h2.Client(h2c=True, cookies=jar) as client:
        filling.start()
        try:
            for _ in range(30):
                client.get(f"{url}/echo")
        except RuntimeError as error:
            failures.append(error)
        stopped.set()
        filling.join()
    assert failures == []


MORSELS = ["a=b", "a=b; Path=/x; Domain=example.org; Secure; HttpOnly", "a=b; Max-Age=10", 'a="b c"; Version=1']


@pytest.mark.parametrize("text", MORSELS)
def test_a_morsel(text: str) -> None:
    morsel = http.cookies.SimpleCookie(text)["a"]
    found = []
    for module in (requests, sync_h2):
        jar: Any = module.cookies.RequestsCookieJar()  # type: ignore[attr-defined]
        jar["a"] = morsel
        (cookie,) = jar
        values = vars(cookie)
        values["expires"] = values["expires"] and values["expires"] // 1000
        values.pop("comment_url")
        found.append(values)
    assert found[0] == found[1]


def test_what_requests_has_for_jars() -> None:
    found = []
    for module in (requests.cookies, sync_h2.cookies):
        jar = module.cookiejar_from_dict({"a": "1"})  # type: ignore[attr-defined]
        kept = module.cookiejar_from_dict({"a": "2", "b": "3"}, cookiejar=jar, overwrite=False)  # type: ignore[attr-defined]
        assert kept is jar
        assert module.merge_cookies(jar, {"c": "4"}) is jar  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match="CookieJar"):
            module.merge_cookies({}, {})  # type: ignore[attr-defined]
        foreign = module.merge_cookies(http.cookiejar.CookieJar(), jar)  # type: ignore[attr-defined]
        copied, pickled = copy.copy(jar), pickle.loads(pickle.dumps(jar))
        found.append([told(jar), told(foreign), told(copied), told(pickled)])
    assert found[0] == found[1]


# -- bounds


def test_a_server_can_not_fill_the_jar() -> None:
    count = itertools.count()

    def handler(stream: Any, headers: Any) -> None:
        fields = [("set-cookie", f"a{next(count)}={'b' * 100}; path=/{number % 3}") for number in range(100)]
        stream.respond([(":status", "200"), ("set-cookie", "long=" + "b" * 10_000), *fields], end_stream=True)

    with sync_h2.create_server(handler) as server, Client(h2c=True, trust_env=False) as client:
        client.cookies.set("mine", "stays", domain="other.example")
        for _ in range(5):
            client.get(server.url)
        assert len(client.cookies) == 180 + 1
        assert "mine" in client.cookies
        assert "a499" in client.cookies
        assert "long" not in client.cookies


def test_servers_of_many_domains_can_not_fill_the_jar() -> None:
    jar = CookieJar()
    for number in range(1100):
        request = PreparedRequest()
        request.prepare("GET", f"https://{number}.example/")
        take_cookies(jar, types.SimpleNamespace(request=request, headers=ResponseHeaders([("set-cookie", "a=b")])))
    assert len(jar.list_domains()) == 1000
    assert "1099.example" in jar.list_domains()


def test_a_cookie_that_is_set_anew_is_no_old_one() -> None:
    paths = iter(["first", "others", "again"])

    def handler(stream: Any, headers: Any) -> None:
        fields = [("set-cookie", f"a{number}=b") for number in range(179)] if next(paths) == "others" else []
        stream.respond([(":status", "200"), *fields, ("set-cookie", "session=c")], end_stream=True)

    with sync_h2.create_server(handler) as server, Client(h2c=True, trust_env=False, max_header_pairs=1000) as client:
        for number in range(200):
            client.cookies.set(f"own{number}", "x")
        for _ in range(3):
            client.get(server.url)
        assert client.cookies.get("session", domain="127.0.0.1") == "c"
        assert sum(cookie.name.startswith("own") for cookie in client.cookies) == 200
