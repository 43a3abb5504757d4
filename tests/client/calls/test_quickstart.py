"""What the quickstart page of requests shows, with `import sync_h2 as requests`: a test for each of its examples, in
its order, against httpbin's routes.
"""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

import sync_h2 as requests

pytestmark = pytest.mark.usefixtures("trusted")


@pytest.fixture
def url(httpbin_url: str) -> str:
    return httpbin_url


# Make a request


def test_get(url: str) -> None:
    r = requests.get(f"{url}/get")
    assert (r.status_code, r.http_version) == (200, "HTTP/2")


def test_post(url: str) -> None:
    r = requests.post(f"{url}/post", data={"key": "value"})
    assert r.json()["form"] == {"key": "value"}


def test_other_methods(url: str) -> None:
    r = requests.put(f"{url}/put", data={"key": "value"})
    assert r.json()["form"] == {"key": "value"}
    r = requests.delete(f"{url}/delete")
    assert r.json()["url"] == f"{url}/delete"
    r = requests.head(f"{url}/get")
    assert (r.status_code, r.content) == (200, b"")
    r = requests.options(f"{url}/get")
    assert "GET" in r.headers["allow"]


# Passing parameters in URLs


def test_params(url: str) -> None:
    payload = {"key1": "value1", "key2": "value2"}
    r = requests.get(f"{url}/get", params=payload)
    assert r.url == f"{url}/get?key1=value1&key2=value2"
    assert r.json()["args"] == payload


def test_a_list_as_a_parameter(url: str) -> None:
    r = requests.get(f"{url}/get", params={"key1": "value1", "key2": ["value2", "value3"]})
    assert r.url == f"{url}/get?key1=value1&key2=value2&key2=value3"


# Response content


def test_text_and_encoding(url: str) -> None:
    r = requests.get(f"{url}/encoding/utf8")
    assert "∮ E⋅da = Q" in r.text
    assert r.encoding == "utf-8"
    r.encoding = "ISO-8859-1"
    assert "â\x88® E" in r.text


def test_binary_content(url: str) -> None:
    r = requests.get(f"{url}/image/png")
    assert r.content.startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(("coding", "key"), [("gzip", "gzipped"), ("deflate", "deflated"), ("brotli", "brotli")])
def test_compressed_content_is_decoded(url: str, coding: str, key: str) -> None:
    r = requests.get(f"{url}/{coding}")
    assert r.json()[key] is True


def test_json(url: str) -> None:
    r = requests.get(f"{url}/json")
    assert r.json()["slideshow"]["title"] == "Sample Slide Show"


def test_what_is_no_json(url: str) -> None:
    r = requests.get(f"{url}/html")
    with pytest.raises(requests.exceptions.JSONDecodeError):
        r.json()
    with pytest.raises(ValueError, match="Expecting value"):
        r.json()


def test_raw(url: str) -> None:
    r = requests.get(f"{url}/gzip", stream=True)
    start = r.raw.read(10)
    assert start[:2] == b"\x1f\x8b"
    assert gzip.decompress(start + r.raw.read()).startswith(b"{")
    r = requests.get(f"{url}/deflate", stream=True)
    assert zlib.decompress(r.raw.read()).startswith(b"{")


def test_streaming_to_a_file(url: str, tmp_path: Path) -> None:
    r = requests.get(f"{url}/bytes/100000", params={"seed": 1}, stream=True)
    with (tmp_path / "file").open("wb") as file:
        for chunk in r.iter_content(chunk_size=128):
            assert len(chunk) <= 128
            file.write(chunk)
    assert (tmp_path / "file").read_bytes() == requests.get(f"{url}/bytes/100000", params={"seed": 1}).content


# Custom headers


def test_headers(url: str) -> None:
    r = requests.get(f"{url}/headers", headers={"user-agent": "my-app/0.0.1"})
    assert r.json()["headers"]["User-Agent"] == "my-app/0.0.1"


# More complicated POST requests


def test_a_form_with_a_key_several_times(url: str) -> None:
    as_pairs = requests.post(f"{url}/post", data=[("key1", "value1"), ("key1", "value2")])
    as_dict = requests.post(f"{url}/post", data={"key1": ["value1", "value2"]})
    assert as_pairs.json()["form"] == {"key1": ["value1", "value2"]}
    assert as_pairs.json()["form"] == as_dict.json()["form"]


def test_a_string_is_posted_as_it_is(url: str) -> None:
    r = requests.post(f"{url}/post", data=json.dumps({"some": "data"}))
    assert r.json()["data"] == '{"some": "data"}'
    assert "Content-Type" not in r.json()["headers"]


def test_json_is_posted(url: str) -> None:
    r = requests.post(f"{url}/post", json={"some": "data"})
    assert (r.json()["json"], r.json()["headers"]["Content-Type"]) == ({"some": "data"}, "application/json")


# POST a multipart-encoded file


def test_a_file(url: str, tmp_path: Path) -> None:
    (tmp_path / "report.txt").write_text("a report")
    with (tmp_path / "report.txt").open("rb") as file:
        r = requests.post(f"{url}/post", files={"file": file})
    assert r.json()["files"] == {"file": "a report"}


def test_a_file_with_its_name_type_and_headers(url: str, tmp_path: Path) -> None:
    (tmp_path / "report.xls").write_bytes(b"cells")
    with (tmp_path / "report.xls").open("rb") as file:
        files = {"file": ("report.xls", file, "application/vnd.ms-excel", {"Expires": "0"})}
        r = requests.post(f"{url}/post", files=files)
    assert r.json()["files"] == {"file": "cells"}


def test_a_string_as_a_file(url: str) -> None:
    files = {"file": ("report.csv", "some,data,to,send\nanother,row,to,send\n")}
    r = requests.post(f"{url}/post", files=files)
    assert r.json()["files"] == {"file": "some,data,to,send\nanother,row,to,send\n"}


# Response status codes


def test_status_codes(url: str) -> None:
    r = requests.get(f"{url}/get")
    assert r.status_code == requests.codes.ok
    assert r.raise_for_status() is None


def test_raise_for_status(url: str) -> None:
    bad_r = requests.get(f"{url}/status/404")
    assert bad_r.status_code == 404
    with pytest.raises(requests.exceptions.HTTPError, match="404 Client Error: Not Found for url: https://localhost"):
        bad_r.raise_for_status()


# Response headers


def test_response_headers(url: str) -> None:
    r = requests.get(f"{url}/get")
    assert r.headers["Content-Type"] == "application/json"
    assert r.headers.get("content-type") == "application/json"


# Cookies


def test_cookies_of_a_response(url: str) -> None:
    r = requests.get(f"{url}/cookies/set?example_cookie_name=example_cookie_value", allow_redirects=False)
    assert r.cookies["example_cookie_name"] == "example_cookie_value"


def test_cookies_are_sent(url: str) -> None:
    r = requests.get(f"{url}/cookies", cookies={"cookies_are": "working"})
    assert r.json() == {"cookies": {"cookies_are": "working"}}


def test_a_jar(url: str) -> None:
    jar = requests.cookies.RequestsCookieJar()
    jar.set("tasty_cookie", "yum", domain="localhost.local", path="/cookies")
    jar.set("gross_cookie", "blech", domain="localhost.local", path="/elsewhere")
    r = requests.get(f"{url}/cookies", cookies=jar)
    assert r.json() == {"cookies": {"tasty_cookie": "yum"}}


# Redirection and history


def test_history(url: str) -> None:
    r = requests.get(f"{url}/redirect-to", params={"url": f"{url}/get"})
    assert (r.url, r.status_code) == (f"{url}/get", 200)
    assert [past.status_code for past in r.history] == [302]


def test_no_redirects(url: str) -> None:
    r = requests.get(f"{url}/redirect/1", allow_redirects=False)
    assert (r.status_code, r.history) == (302, [])


def test_head_with_redirects(url: str) -> None:
    r = requests.head(f"{url}/redirect/1", allow_redirects=True)
    assert (r.url, len(r.history)) == (f"{url}/get", 1)


# Timeouts


def test_a_timeout(url: str) -> None:
    with pytest.raises(requests.exceptions.Timeout):
        requests.get(f"{url}/delay/1", timeout=0.001)
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(f"{url}/delay/1", timeout=(5, 0.05))


# Errors and exceptions


def test_exceptions(url: str) -> None:
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get("https://localhost:1/")
    with pytest.raises(requests.exceptions.TooManyRedirects):
        requests.get(f"{url}/redirect/31")
    with pytest.raises(requests.exceptions.MissingSchema):
        requests.get("localhost/get")
    for name in ("ConnectionError", "HTTPError", "Timeout", "TooManyRedirects", "MissingSchema"):
        kind: Any = getattr(requests.exceptions, name)
        assert issubclass(kind, requests.exceptions.RequestException)
