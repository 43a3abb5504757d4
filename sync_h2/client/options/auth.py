"""Authentication: what adds credentials to a request, as in `requests.auth`.

An object of these may be shared by threads. It runs on the thread that makes the request.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import netrc
import os
import secrets
from typing import Any

from ...exceptions import InvalidHeader, InvalidURL
from ...interpreter import Lock, SharedDict
from ...transport.fork import renew_in_forked_child
from ..values.fields import challenges, quoted_string
from ..values.origin import DEFAULT_PORTS
from ..values.urls import parts_of
from .cookies import take_cookies
from .environment import variable


class AuthBase:
    """Base of what authenticates: called with a PreparedRequest, which it changes and returns."""

    def __call__(self, request: Any) -> Any:
        raise NotImplementedError("an authentication has a __call__ that takes a request and returns it")


class HTTPBasicAuth(AuthBase):
    """Name and password, readable by whoever can read the connection (RFC 7617)."""

    field = "Authorization"

    def __init__(self, username: str | bytes, password: str | bytes) -> None:
        self.username = username
        self.password = password

    def __call__(self, request: Any) -> Any:
        request.headers[self.field] = basic_credentials(self.username, self.password)
        return request

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HTTPBasicAuth) and (self.username, self.password) == (other.username, other.password)

    __hash__ = None  # type: ignore[assignment]  # compared by value


class HTTPProxyAuth(HTTPBasicAuth):
    """The same for a proxy."""

    field = "Proxy-Authorization"


class HTTPBearerAuth(AuthBase):
    """A token (RFC 6750)."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class HTTPDigestAuth(AuthBase):
    """Name and password by challenge and response (RFC 7616). The first request is sent twice, later ones are not.

    Answered is who a request was made for, not where it was redirected to: that could have the challenge of another
    server answered, and the answer sent to itself.
    """

    def __init__(self, username: str, password: str) -> None:
        self.username = username
        self.password = password
        self._lock = Lock()
        self._challenge: dict[str, str] = {}
        self._challenged_at = ""
        self._count = 0  # of the requests with the challenge's nonce
        renew_in_forked_child(self)

    def _renew(self) -> None:
        self._lock = Lock()

    def __call__(self, request: Any) -> Any:
        self.renew(request)
        request.register_hook("response", functools.partial(self._answer_challenge, request.url))
        request.digest = self
        return request

    def renew(self, request: Any) -> None:
        """Let the request answer the last challenge, if there has been one: what answers it is good for one URI."""
        request.digest_answered = False
        with self._lock:
            if self._challenge and keeps_authorization(self._challenged_at, request.url):
                request.headers["Authorization"] = self._credentials(request)

    def _answer_challenge(self, first_url: str, response: Any, **options: Any) -> Any:
        """The response to the same request with an answer to a 401's challenge; other responses as they are."""
        if response.status_code != 401 or getattr(response.request, "digest_answered", False):
            return response
        if not keeps_authorization(first_url, response.request.url):
            return response
        offered = challenges(response.headers.get_all("www-authenticate", []))
        # The server's first choice comes first (RFC 7616 section 3.7).
        challenge = next((values for scheme, values in offered if scheme == "digest" and _can_answer(values)), None)
        if challenge is None:
            return response
        response._finish()
        request = response.request.copy()
        if request.content is not None:
            request.check_rewindable()
        take_cookies(request.cookies, response)
        request.headers.pop("cookie", None)
        request.prepare_cookies(request.cookies)
        with self._lock:
            self._challenged_at = request.url
            if challenge["nonce"] != self._challenge.get("nonce"):
                self._count = 0
            self._challenge = challenge
            request.headers["Authorization"] = self._credentials(request)
        request.digest_answered = True
        answer = response.connection.send(request, **options)
        answer.history.append(response)
        answer.request = request
        return answer

    def _credentials(self, request: Any) -> str:
        """The Authorization field for the last challenge; needs the lock."""
        challenge = self._challenge
        algorithm = challenge.get("algorithm", "MD5")
        function = _hash_function(algorithm)

        def digest(text: str) -> str:
            return str(hashlib.new(function, text.encode("utf-8"), usedforsecurity=False).hexdigest())

        realm, nonce = challenge["realm"], challenge["nonce"]
        uri = request.path_url
        self._count += 1
        count, client_nonce = f"{self._count:08x}", secrets.token_hex(8)
        secret = digest(f"{self.username}:{realm}:{self.password}")
        if algorithm.upper().endswith("-SESS"):
            secret = digest(f"{secret}:{nonce}:{client_nonce}")
        what = digest(f"{request.method}:{uri}")
        protected = bool(challenge.get("qop"))
        fields = {"username": self.username, "realm": realm, "nonce": nonce, "uri": uri}
        if protected:
            fields["response"] = digest(f"{secret}:{nonce}:{count}:{client_nonce}:auth:{what}")
        else:
            fields["response"] = digest(f"{secret}:{nonce}:{what}")
        if "opaque" in challenge:
            fields["opaque"] = challenge["opaque"]
        if "algorithm" in challenge:
            fields["algorithm"] = algorithm
        text = ", ".join(f"{key}={quoted_string(value)}" for key, value in fields.items())
        return f"Digest {text}" + (f', qop="auth", nc={count}, cnonce="{client_nonce}"' if protected else "")

    def __reduce__(self) -> Any:
        return type(self), (self.username, self.password)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HTTPDigestAuth) and (self.username, self.password) == (other.username, other.password)

    __hash__ = None  # type: ignore[assignment]  # compared by value


_HASHES = SharedDict(
    {"MD5": "md5", "SHA": "sha1", "SHA-256": "sha256", "SHA-512": "sha512", "SHA-512-256": "sha512_256"}
)


def _hash_function(algorithm: str) -> str:
    """What `hashlib` calls it; "" if it is not there."""
    name = _HASHES.get(algorithm.upper().removesuffix("-SESS"), "")
    return name if name in hashlib.algorithms_available else ""


def _can_answer(challenge: dict[str, str]) -> bool:
    """Whether a digest challenge is whole, and asks for nothing that is not there."""
    qualities = [quality.strip().lower() for quality in (challenge.get("qop") or "auth").split(",")]
    known = bool(_hash_function(challenge.get("algorithm", "MD5")))
    return known and "auth" in qualities and "realm" in challenge and "nonce" in challenge


def basic_credentials(username: str | bytes, password: str | bytes) -> str:
    """The value of an Authorization field; str is sent as Latin-1, which requests does. Raises InvalidHeader."""
    try:
        name, word = (text if isinstance(text, bytes) else str(text).encode("latin-1") for text in (username, password))
    except UnicodeEncodeError:  # whose text has a part of the password in it
        raise InvalidHeader("name and password go out as Latin-1, and have other characters: give bytes") from None
    return "Basic " + base64.b64encode(name + b":" + word).decode("ascii")


def keeps_authorization(old: str, new: str) -> bool:
    """Whether `Authorization` may go along: only to the same origin, or from http to https of the same host, both with
    their default ports.
    """
    before, after = parts_of(old), parts_of(new)
    if before.host != after.host:
        return False
    ports = tuple(parts.port or DEFAULT_PORTS.get(parts.scheme) for parts in (before, after))
    if (before.scheme, after.scheme) == ("http", "https") and ports == (80, 443):
        return True
    return before.scheme == after.scheme and ports[0] == ports[1]


_is_there = functools.partial(os.access, mode=os.F_OK)


def netrc_auth(url: Any) -> tuple[str, str] | None:
    """Name and password for the URL's host from `~/.netrc`, `~/_netrc`, or the file that NETRC names; None if there is
    none, or it can't be read.
    """
    path = next(filter(_is_there, _netrc_paths()), None)
    if path is None:
        return None
    try:
        host = parts_of(url.decode("latin-1") if isinstance(url, bytes) else str(url)).host
    except InvalidURL:  # whoever prepares the request says so
        return None
    if host:
        with contextlib.suppress(netrc.NetrcParseError, OSError, UnicodeDecodeError):
            found = netrc.netrc(path).authenticators(host)
            if found and any(found):
                return found[0] or found[1] or "", found[2] or ""
    return None


def _netrc_paths() -> list[str]:
    given = variable("NETRC")
    if given:
        return [os.path.expanduser(given)]
    home = (os.name == "posix" and variable("HOME")) or os.path.expanduser("~")
    return [f"{home}/.netrc", f"{home}/_netrc"]
