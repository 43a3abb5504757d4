"""Clients, adapters and responses that are copied or pickled."""

from __future__ import annotations

import copy
import http.cookiejar
import pickle
from typing import Any

import pytest

import sync_h2
from sync_h2.adapters import HTTPAdapter


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_client_is_copied(server: sync_h2.ThreadingServer, copied: Any) -> None:
    auth = sync_h2.auth.HTTPDigestAuth("user", "word")
    with sync_h2.Client(h2c=True, headers={"x-a": "1"}, auth=auth, cookies={"a": "b"}, trust_env=False) as client:
        assert client.get(server.url).ok
        other = copied(client)
    with other:
        assert other.get(server.url).http_version == "HTTP/2"
        assert (other.headers, other.auth, dict(other.cookies)) == (client.headers, auth, {"a": "b"})
    assert client.headers is not other.headers or copied is copy.copy


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_client_with_a_jar_of_the_standard_library_is_copied(copied: Any) -> None:
    jar = http.cookiejar.CookieJar()
    jar.set_cookie(sync_h2.cookies.create_cookie("a", "b"))
    with sync_h2.Client(cookies=jar) as client, copied(client) as other:
        assert [(cookie.name, cookie.value) for cookie in other.cookies] == [("a", "b")]
        assert client.cookies is jar


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_an_adapter_is_copied(server: sync_h2.ThreadingServer, copied: Any) -> None:
    adapter = HTTPAdapter(h2c=True, retries=1)
    other = copied(adapter)
    adapter.close()
    with sync_h2.Client(trust_env=False) as client:
        client.mount("http://", other)
        assert client.get(server.url).http_version == "HTTP/2"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_response_is_copied(server: sync_h2.ThreadingServer, copied: Any) -> None:
    auth = sync_h2.auth.HTTPDigestAuth("user", "word")
    with sync_h2.Client(h2c=True, trust_env=False) as client:
        response = client.post(server.url, data=b"x", stream=True, auth=auth)
        other = copied(response)
    assert other.content == response.content
    assert (other.status_code, other.url, dict(other.headers)) == (200, response.url, dict(response.headers))
    assert (other.request.method, other.request.body, other.request.headers) == ("POST", b"x", response.request.headers)
