"""Authentication by digest: which of a server's challenges is answered, and with what."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

import sync_h2
from sync_h2.client.options.auth import HTTPDigestAuth
from sync_h2.client.values.fields import challenges, named_values, split_outside_quotes

USER, WORD = 'ü"s\\er', "w,or d"


def checked(algorithm: str, given: str, method: str, path: str) -> bool:
    """RFC 7616 section 3.4.1, from the server's side."""
    fields = named_values(split_outside_quotes(given.removeprefix("Digest "), ","))
    function = algorithm.upper().removesuffix("-SESS").replace("SHA-512-256", "SHA512_256").replace("-", "").lower()

    def digest(*parts: str) -> str:
        return hashlib.new(function, ":".join(parts).encode()).hexdigest()

    secret = digest(USER, 'r"ealm, Basic x', WORD)
    if algorithm.upper().endswith("-SESS"):
        secret = digest(secret, fields["nonce"], fields["cnonce"])
    parts = [fields["nonce"], fields["nc"], fields["cnonce"], "auth"] if "qop" in fields else [fields["nonce"]]
    return (
        fields["username"] == USER
        and fields["uri"] == path
        and fields["response"] == digest(secret, *parts, digest(method, path))
    )


REALM = 'realm="r\\"ealm, Basic x"'


def challenge(algorithm: str = "", qop: str = "auth") -> str:
    of_algorithm = f", algorithm={algorithm}" if algorithm else ""
    return f'Digest {REALM}, nonce="n{algorithm}"{of_algorithm}' + (f', qop="{qop}"' if qop else "")


def asking(fields: list[str], algorithm: str, seen: list[str]) -> Callable[[Any, Any], None]:
    """A handler that wants this algorithm's digest, and whose /docs is /docs/."""

    def handler(stream: Any, headers: Any) -> None:
        given, path = headers.get("authorization", ""), headers[":path"]
        seen.append(given)
        if not given or not checked(algorithm, given, headers[":method"], path):
            pairs = [("www-authenticate", field) for field in fields]
            stream.respond([(":status", "401"), *pairs], end_stream=True)
        elif path == "/docs":
            stream.respond({":status": 301, "location": "/docs/"}, end_stream=True)
        else:
            stream.end(b"in")

    return handler


ANSWERED: list[tuple[list[str], str]] = [
    ([challenge()], "MD5"),
    ([challenge(qop="")], "MD5"),
    ([f'{challenge(qop="")}, qop=""'], "MD5"),
    ([challenge("md5-sess")], "MD5-sess"),
    ([challenge("SHA-256")], "SHA-256"),
    ([challenge("SHA-512-256")], "SHA-512-256"),
    ([challenge(qop="auth-int, AUTH")], "MD5"),
    ([f"Basic {REALM}, {challenge()}"], "MD5"),
    ([f"{challenge()}, Basic {REALM}"], "MD5"),
    ([f"Negotiate abc==, {challenge('SHA-256')}", "Bearer"], "SHA-256"),
    (["Basic realm=b", challenge("SHAKE256"), challenge("SHA-256"), challenge()], "SHA-256"),
    ([f"{challenge('unknown')}, {challenge('MD5')}"], "MD5"),
    ([f"{challenge(qop='auth-int')}, {challenge('SHA-256')}"], "SHA-256"),
]


@pytest.mark.parametrize(("fields", "algorithm"), ANSWERED)
@pytest.mark.parametrize("http1", [False, True])
def test_the_first_challenge_that_can_be_answered(fields: list[str], algorithm: str, http1: bool) -> None:
    seen: list[str] = []
    with (
        sync_h2.create_server(asking(fields, algorithm, seen), allow_http1=True) as server,
        sync_h2.Client(h2c=not http1, trust_env=False) as client,
    ):
        response = client.get(f"{server.url}/docs?a=1", auth=HTTPDigestAuth(USER, WORD))
        assert (response.status_code, response.text, len(seen)) == (200, "in", 2)


@pytest.mark.parametrize(
    "field",
    [
        "Digest foo",
        "Digest",
        "digest realm=r",
        'Digest nonce="n"',
        challenge("SHAKE256"),
        challenge(qop="auth-int"),
        "",
    ],
)
def test_a_challenge_that_can_not_be_answered(field: str) -> None:
    seen: list[str] = []
    with (
        sync_h2.create_server(asking([field], "MD5", seen)) as server,
        sync_h2.Client(h2c=True, trust_env=False) as client,
    ):
        assert client.get(server.url, auth=HTTPDigestAuth(USER, WORD)).status_code == 401
    assert seen == [""]


def test_a_redirect_takes_an_answer_for_its_own_uri_along() -> None:
    """Servers answer 400 or 401 to one for another URI; requests asks for a new challenge."""
    seen: list[str] = []
    auth = HTTPDigestAuth(USER, WORD)
    with (
        sync_h2.create_server(asking([challenge()], "MD5", seen)) as server,
        sync_h2.Client(h2c=True, trust_env=False) as client,
    ):
        response = client.get(f"{server.url}/docs", auth=auth)
        assert [past.status_code for past in response.history] == [301]
        assert [past.status_code for past in response.history[0].history] == [401]
        assert (response.status_code, response.request.path_url) == (200, "/docs/")
        assert client.get(f"{server.url}/docs", auth=auth).status_code == 200
    counts = [named_values(split_outside_quotes(given, ",")).get("nc") for given in seen]
    assert counts == [None, *(f"{count:08x}" for count in range(1, 5))]


def test_another_nonce_counts_anew_and_the_same_goes_on() -> None:
    seen: list[str] = []
    nonces = iter("aabc")

    def handler(stream: Any, headers: Any) -> None:
        seen.append(headers.get("authorization", ""))
        field = f'Digest realm=r, qop=auth, nonce="{next(nonces)}"'
        stream.respond({":status": 401, "www-authenticate": field}, end_stream=True)

    auth = HTTPDigestAuth(USER, WORD)
    with sync_h2.create_server(handler) as server, sync_h2.Client(h2c=True, trust_env=False) as client:
        assert client.get(server.url, auth=auth).status_code == 401
        assert client.get(server.url, auth=auth).status_code == 401
    values = [named_values(split_outside_quotes(given.removeprefix("Digest "), ",")) for given in seen[1:]]
    assert [(given["nonce"], int(given["nc"])) for given in values] == [("a", 1), ("a", 2), ("b", 1)]


def test_challenges_are_taken_apart_in_linear_time() -> None:
    began_at = time.perf_counter()
    challenges(["a " * 200_000])
    challenges(["Digest a=b, " * 100_000])
    once = time.perf_counter() - began_at
    began_at = time.perf_counter()
    challenges(["a " * 400_000])
    challenges(["Digest a=b, " * 200_000])
    assert time.perf_counter() - began_at < 20 * once


def test_authentication_of_requests() -> None:
    challenge = 'Digest realm="r", nonce="n", qop="auth"'

    def handler(stream: Any, headers: Any) -> None:
        given = headers.get("authorization", "")
        if not given or f'uri="{headers[":path"]}"' not in given + f'uri="{headers[":path"]}"' * given.startswith("B"):
            fields = {":status": 401, "www-authenticate": challenge, "set-cookie": "a=b"}
            stream.respond(fields, end_stream=True)
        elif headers[":path"] == "/old":
            stream.respond({":status": 307, "location": "/new"}, end_stream=True)
        else:
            stream.end(f"{given.split()[0]} {headers.get('cookie')} ".encode() + stream.read())

    with sync_h2.create_server(handler) as server, sync_h2.Client(h2c=True, trust_env=False) as client:
        basic = client.get(server.url, auth=requests.auth.HTTPBasicAuth("ü", "word"))
        assert basic.text == "Basic None "
        assert client.get(server.url, auth=requests.auth.HTTPProxyAuth("a", "b")).status_code == 401
        digest = client.post(f"{server.url}/old", data=b"x", auth=requests.auth.HTTPDigestAuth("user", "word"))
        assert digest.text == "Digest a=b x"
