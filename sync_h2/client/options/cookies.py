"""Cookies: the standard library's `http.cookiejar`, with the dict-like jar that requests has on top.

A jar may be shared by threads; what is here runs on the one that makes a request.
"""

from __future__ import annotations

import calendar
import copy
import http.cookiejar
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from email.message import Message
from http.cookiejar import Cookie
from http.cookies import Morsel
from typing import Any

from ...errors import InvalidArgument
from ...exceptions import InvalidHeader
from ...interpreter import RLock
from ...transport.urls import split_url

# What servers may set; more than RFC 6265 asks for, and about what browsers have.
_LONGEST_FIELD = 8192
_MOST_OF_DOMAIN = 180
_MOST_DOMAINS = 1000
_ENDS = ("expires", "max-age")


class CookieConflictError(RuntimeError):
    """Several cookies have this name: a domain or a path must say which."""


class CookieJar(http.cookiejar.CookieJar, MutableMapping[str, "str | None"]):
    """`http.cookiejar.CookieJar` that can be used as a dict of names and values; any number of threads may share it."""

    def __init__(self, policy: http.cookiejar.CookiePolicy | None = None) -> None:
        super().__init__(policy)
        if RLock is not threading.RLock:  # which the base has made
            self._cookies_lock = RLock()

    def get(self, name: str, default: Any = None, domain: str | None = None, path: str | None = None) -> Any:
        """The value of the cookie of that name, or `default`. Raises CookieConflictError if there are several."""
        try:
            return self._find(name, domain, path)
        except KeyError:
            return default

    def set(self, name: str, value: Any, **attributes: Any) -> Cookie | None:
        """Add a cookie, with `domain`, `path` and whatever else a cookie has; None as `value` takes it away."""
        if value is None:
            for cookie in list(self._matching(name, attributes.get("domain"), attributes.get("path"))):
                self.clear(cookie.domain, cookie.path, cookie.name)
            return None
        cookie = _of_morsel(value) if isinstance(value, Morsel) else create_cookie(name, value, **attributes)
        self.set_cookie(cookie)
        return cookie

    # typeshed leaves out what the base keeps and this class has to look at: `_cookies`, `_policy`.

    def set_cookie(self, cookie: Cookie, *arguments: Any, **options: Any) -> None:
        """Add a cookie, in place of one of the same name, domain and path; without escaped quotes in its value."""
        if isinstance(cookie.value, str) and cookie.value.startswith('"') and cookie.value.endswith('"'):
            cookie.value = cookie.value.replace('\\"', "")
        with self._cookies_lock:
            paths = self._cookies.get(cookie.domain, {})  # type: ignore[attr-defined]  # private
            paths.get(cookie.path, {}).pop(cookie.name, None)  # so that it counts as new, not as old as its name
            super().set_cookie(cookie, *arguments, **options)

    def __getitem__(self, name: str) -> str | None:
        return self._find(name, None, None)

    def __setitem__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        found = list(self._matching(name, None, None))
        if not found:
            raise KeyError(name)
        for cookie in found:
            self.clear(cookie.domain, cookie.path, cookie.name)

    def __contains__(self, name: object) -> bool:
        return any(cookie.name == name for cookie in self)

    def keys(self) -> list[str]:  # type: ignore[override]  # a jar and a mapping at once
        """The names of the cookies; one stands there several times if several domains or paths have it."""
        return [cookie.name for cookie in self]

    def values(self) -> list[str | None]:  # type: ignore[override]  # a jar and a mapping at once
        """The values of the cookies."""
        return [cookie.value for cookie in self]

    def items(self) -> list[tuple[str, str | None]]:  # type: ignore[override]  # a jar and a mapping at once
        """Names and values of the cookies."""
        return [(cookie.name, cookie.value) for cookie in self]

    iterkeys = keys
    itervalues = values
    iteritems = items

    def __iter__(self) -> Iterator[Cookie]:  # type: ignore[override]  # a jar and a mapping at once
        # A copy: others may add cookies meanwhile.
        with self._cookies_lock:
            return iter(list(super().__iter__()))

    __eq__ = MutableMapping.__eq__  # names and values
    __hash__ = None  # type: ignore[assignment]  # compared by value

    def list_domains(self) -> list[str]:
        """The domains that have cookies, each once."""
        return list(dict.fromkeys(cookie.domain for cookie in self))

    def list_paths(self) -> list[str]:
        """The paths that have cookies, each once."""
        return list(dict.fromkeys(cookie.path for cookie in self))

    def multiple_domains(self) -> bool:
        """Whether cookies of several domains are there."""
        return len({cookie.domain for cookie in self}) > 1

    def get_dict(self, domain: str | None = None, path: str | None = None) -> dict[str, str | None]:
        """Names and values, of one domain or path where these are given."""
        return {cookie.name: cookie.value for cookie in self._matching(None, domain, path)}

    def update(self, other: Any = (), **values: Any) -> None:  # type: ignore[override]  # a jar and a mapping at once
        """Take the cookies of another jar, or of a dict."""
        if isinstance(other, http.cookiejar.CookieJar):
            for cookie in _cookies_of(other):
                self.set_cookie(copy.copy(cookie))
        else:
            for name, value in dict(other).items():
                self.set(name, value)
        for name, value in values.items():
            self.set(name, value)

    def copy(self) -> CookieJar:
        """Another jar with the same cookies and policy."""
        return merged_cookies(self, None)

    def get_policy(self) -> http.cookiejar.CookiePolicy:
        """What decides which cookies are taken and sent back."""
        return _policy_of(self)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state.pop("_cookies_lock")
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(state["_policy"])  # type: ignore[misc]  # a new lock and an empty jar
        self.__dict__.update(state)

    def _matching(self, name: str | None, domain: str | None, path: str | None) -> Iterator[Cookie]:
        return (
            cookie
            for cookie in self
            if (name is None or cookie.name == name)
            and (domain is None or cookie.domain == domain)
            and (path is None or cookie.path == path)
        )

    def _find(self, name: str, domain: str | None, path: str | None) -> str | None:
        found = list(self._matching(name, domain, path))
        if not found:
            raise KeyError(f"name={name!r}, domain={domain!r}, path={path!r}")
        if len(found) > 1:
            raise CookieConflictError(f"There are multiple cookies with name, {name!r}")
        return found[0].value


RequestsCookieJar = CookieJar


_reader: Any = http.cookiejar.CookieJar()
_reader._now = 0.0


def understood(fields: Iterable[str]) -> list[str]:
    """The Set-Cookie fields that are cookies, as `http.cookiejar` can take them."""
    found = (_understood(field) for field in fields if len(field) <= _LONGEST_FIELD)
    return [field for field in found if field is not None]


def _understood(field: str) -> str | None:
    """A Set-Cookie field without a date or an age that is none (RFC 6265 section 5.2); None for what `http.cookiejar`
    fails at even so: it would drop the response's other cookies too.
    """
    without_end = (part for part in field.split(";") if part.partition("=")[0].strip().lower() not in _ENDS)
    for text in (field, ";".join(without_end)):
        try:
            _reader._normalized_cookie_tuples(http.cookiejar.parse_ns_headers([text]))  # type: ignore[attr-defined]
        except Exception:  # it is made for what is right, and fails in many ways
            continue
        return text
    return None


class _Fields:
    """A response's fields, as `http.cookiejar` asks for them."""

    def __init__(self, fields: list[str]) -> None:
        self._message = Message()
        for field in fields:
            self._message["Set-Cookie"] = field

    def info(self) -> Message:
        return self._message


def _asked(request: Any) -> urllib.request.Request:
    """A request, as `http.cookiejar` asks about it; a Host field of its own counts as the host."""
    url = request.url
    host = request.headers.get("Host")
    if host:
        scheme, _, rest = url.partition("://")
        try:
            named = split_url(f"//{host.decode('latin-1') if isinstance(host, bytes) else host}")
        except InvalidArgument as error:
            raise InvalidHeader(f"the Host field can't be sent: {error}") from error
        name = f"[{named.host}]" if ":" in named.host else named.host
        port = "" if named.port is None else f":{named.port}"
        url = f"{scheme}://{name}{port}{rest[len(rest.split('/', 1)[0].split('?', 1)[0]) :]}"
    asked = urllib.request.Request(url)
    asked.unverifiable = False
    return asked


def _of_morsel(morsel: Morsel[Any]) -> Cookie:
    """What `http.cookies` has parsed."""
    expires = None
    if morsel["max-age"]:
        if not str(morsel["max-age"]).isdecimal():
            raise TypeError(f"max-age: {morsel['max-age']} must be integer")
        expires = int(time.time()) + int(morsel["max-age"])
    elif morsel["expires"]:
        expires = calendar.timegm(time.strptime(morsel["expires"], "%a, %d-%b-%Y %H:%M:%S GMT"))
    return create_cookie(
        morsel.key,
        morsel.value,
        comment=morsel["comment"],
        discard=False,
        domain=morsel["domain"],
        expires=expires,
        path=morsel["path"],
        rest={"HttpOnly": morsel["httponly"]},
        secure=bool(morsel["secure"]),
        version=morsel["version"] or 0,
    )


def take_cookies(jar: http.cookiejar.CookieJar, response: Any) -> None:
    """Put what a response sets into a jar, as its policy has it. Servers can't fill it: as in browsers, the oldest
    cookies of a domain with too many go, and a field that is too long is no cookie.
    """
    fields = response.headers.get_all("set-cookie", [])
    if fields:
        fields = understood(fields)
    if fields:
        # Both have what the standard library's jar asks of them.
        jar.extract_cookies(_Fields(fields), _asked(response.request))  # type: ignore[arg-type]
        _forget_oldest(jar)


def _forget_oldest(jar: http.cookiejar.CookieJar) -> None:
    with jar._cookies_lock:  # type: ignore[attr-defined]  # private
        domains: dict[str, dict[str, dict[str, Cookie]]] = jar._cookies  # type: ignore[attr-defined]  # private
        for domain, paths in domains.items():
            if not domain:
                continue  # the program's own
            for _ in range(sum(map(len, paths.values())) - _MOST_OF_DOMAIN):
                path, names = max(paths.items(), key=lambda item: len(item[1]))
                del names[next(iter(names))]
                if not names:
                    del paths[path]
        for domain in list(domains)[: max(len(domains) - _MOST_DOMAINS, 0)]:
            del domains[domain]


def _cookies_of(jar: http.cookiejar.CookieJar) -> list[Cookie]:
    """What is in a jar at this moment: others may add cookies meanwhile."""
    with jar._cookies_lock:  # type: ignore[attr-defined]  # private
        return list(jar)


def cookie_header(jar: http.cookiejar.CookieJar, request: Any) -> str | None:
    """The Cookie field for a request; None if no cookie goes there, or it has one."""
    if _is_empty(jar) or "Cookie" in request.headers:
        return None
    asked = _asked(request)
    jar.add_cookie_header(asked)
    return asked.get_header("Cookie")


def create_cookie(name: str, value: Any, **attributes: Any) -> Cookie:
    """A cookie, for all hosts and paths unless `domain` and `path` say more."""
    values: dict[str, Any] = {
        "version": 0,
        "name": name,
        "value": value,
        "port": None,
        "domain": "",
        "path": "/",
        "secure": False,
        "expires": None,
        "discard": True,
        "comment": None,
        "comment_url": None,
        "rest": {"HttpOnly": None},
        "rfc2109": False,
    }
    unknown = set(attributes) - set(values)
    if unknown:
        raise TypeError(f"a cookie has no {', '.join(sorted(unknown))}")
    values.update(attributes)
    values["port_specified"] = bool(values["port"])
    values["domain_specified"] = bool(values["domain"])
    values["domain_initial_dot"] = values["domain"].startswith(".")
    values["path_specified"] = bool(values["path"])
    return Cookie(**values)


def cookiejar_from_dict(cookies: Any, cookiejar: Any = None, overwrite: bool = True) -> Any:
    """A jar with the cookies of a dict, for all hosts: a new one, or `cookiejar`, in which it replaces what is of the
    same name unless `overwrite` is False.
    """
    found = CookieJar() if cookiejar is None else cookiejar
    there = {cookie.name for cookie in _cookies_of(found)}
    for name, value in (cookies or {}).items():
        if overwrite or name not in there:
            found.set_cookie(create_cookie(name, value))
    return found


def jar_of(cookies: Any) -> http.cookiejar.CookieJar:
    """What a caller gives for cookies as a jar: any `http.cookiejar.CookieJar` itself, one with the cookies of a
    mapping, or of pairs, and a new one for None.
    """
    if isinstance(cookies, http.cookiejar.CookieJar):
        return cookies
    if cookies is not None and not isinstance(cookies, (Mapping, list, tuple)):
        raise TypeError(f"cookies are a mapping or an http.cookiejar.CookieJar, not {type(cookies).__name__}")
    return cookiejar_from_dict(dict(cookies or {}))  # type: ignore[no-any-return]  # a new jar


def dict_from_cookiejar(jar: http.cookiejar.CookieJar) -> dict[str, str | None]:
    """Names and values."""
    return {cookie.name: cookie.value for cookie in _cookies_of(jar)}


def merge_cookies(cookiejar: Any, cookies: Any) -> Any:
    """Add `cookies`, a dict or a jar, to a jar, which is returned."""
    if not isinstance(cookiejar, http.cookiejar.CookieJar):
        raise ValueError("You can only merge into CookieJar")
    for cookie in _cookies_of(jar_of(cookies)):
        cookiejar.set_cookie(copy.copy(cookie))
    return cookiejar


def merged_cookies(jar: http.cookiejar.CookieJar, cookies: Any) -> CookieJar:
    """A new jar with what `jar` has, and `cookies`, a dict or a jar, over it. The policy is `jar`'s."""
    merged = CookieJar(_policy_of(jar))
    if not _is_empty(jar):
        merged.update(jar)
    if cookies is not None:
        merge_cookies(merged, cookies)
    return merged


def copied_jar(jar: http.cookiejar.CookieJar) -> http.cookiejar.CookieJar:
    """One with the same cookies, and the same policy: one of ours for one of ours, and for others the standard
    library's, since what somebody's own does with cookies is not to be done twice.
    """
    kind = CookieJar if isinstance(jar, CookieJar) else http.cookiejar.CookieJar
    copied: http.cookiejar.CookieJar = merge_cookies(kind(_policy_of(jar)), jar)
    return copied


def _is_empty(jar: http.cookiejar.CookieJar) -> bool:
    return not jar._cookies  # type: ignore[attr-defined]  # its length is found by counting


def _policy_of(jar: http.cookiejar.CookieJar) -> http.cookiejar.CookiePolicy:
    policy: http.cookiejar.CookiePolicy = jar._policy  # type: ignore[attr-defined]  # private
    return policy
