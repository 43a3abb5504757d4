"""What the environment tells clients: proxies (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`) and authorities.

Pure functions; they run on the thread that calls the client.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import re
import urllib.request
from collections.abc import Mapping
from typing import Any

from ..values.urls import parts_of

# Where the system has settings of its own (macOS, Windows), they count too.
_ASKS_SYSTEM = urllib.request.getproxies is not urllib.request.getproxies_environment
# `host:port` is none; `http:/host` is one, of a URL that names no host.
_begins_with_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/").match
_CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


# Each request asks for some variables that are not there, as a rule, and `os.environ.get` encodes, raises and catches.
_encoded = functools.lru_cache(64)(getattr(os.environ, "encodekey", str))
_known: Mapping[Any, Any] = getattr(os.environ, "_data", os.environ)
_PROXIES = [
    _encoded(name) for scheme in ("http", "https", "all") for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper())
]


def variable(name: str) -> str | None:
    """What `os.environ.get` gives, now."""
    return os.environ.get(name) if _encoded(name) in _known else None


def ca_bundle() -> str | None:
    """The path of the authorities to trust, where the environment names one."""
    return next(filter(None, map(variable, _CA_BUNDLES)), None)


def environment_proxies(url: str, no_proxy: str | None = None) -> dict[str, str]:
    """The environment's proxies for a request of `url` by scheme (`all` for any); none if NO_PROXY exempts it."""
    if not _ASKS_SYSTEM and url.startswith(("http:", "https:")) and not any(map(_known.__contains__, _PROXIES)):
        return {}
    found = urllib.request.getproxies() if _ASKS_SYSTEM else _named_by_variables(parts_of(url).scheme)
    return {} if not found or bypasses_proxies(url, no_proxy) else found


def _named_by_variables(scheme: str) -> dict[str, str]:
    """As `getproxies_environment`, which looks at all variables that there are, for each request."""
    found = {}
    for name in (scheme, "all"):
        proxy = variable(f"{name}_proxy") or variable(f"{name.upper()}_PROXY")
        # A CGI program's HTTP_PROXY is the request's field Proxy.
        if proxy and name == "http" and variable("REQUEST_METHOD") is not None:
            proxy = variable("http_proxy")
        if proxy:
            found[name] = proxy
    return found


def bypasses_proxies(url: str, no_proxy: str | None = None) -> bool:
    """Whether NO_PROXY exempts the URL's host: by its name or a domain of it, with or without a port, by an address or
    a network that it is in (`10.0.0.0/8`), or by `*`.
    """
    if no_proxy is None:
        no_proxy = variable("no_proxy") or variable("NO_PROXY") or ""
    parts = parts_of(url)
    host = parts.host.rstrip(".")
    exempt = [entry.strip() for entry in no_proxy.split(",") if entry.strip()]
    if not host or "*" in exempt:
        return True
    address = _address(host)
    for entry in exempt:
        if address is not None:
            with contextlib.suppress(ValueError):
                if address in ipaddress.ip_network(entry.strip("[]"), strict=False):
                    return True
        name = entry.lower().lstrip("*").lstrip(".")
        for known in (host, f"{host}:{parts.port}"):
            if known == name or (address is None and known.endswith("." + name)):
                return True
    return _ASKS_SYSTEM and not exempt and bool(urllib.request.proxy_bypass(host))


def proxies_for(url: str, proxies: Mapping[str, str | None], *, trust_env: bool) -> Mapping[str, str | None]:
    """`proxies` over the environment's, if that counts; none where the `no_proxy` among them exempts the URL."""
    if not trust_env:
        return proxies
    no_proxy = proxies.get("no_proxy")
    if no_proxy and bypasses_proxies(url, no_proxy):
        return {}
    return {**environment_proxies(url, no_proxy), **proxies}


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def select_proxy(url: str, proxies: Mapping[str, str | None]) -> str | None:
    """The proxy for `url` out of `{"scheme": proxy, "scheme://host": proxy, "all": proxy, "all://host": proxy}`, the
    most special first.
    """
    if not proxies:
        return None
    parts = parts_of(url)
    for key in (f"{parts.scheme}://{parts.host}", parts.scheme, f"all://{parts.host}", "all"):
        proxy = proxies.get(key)
        if proxy:
            return proxy if _begins_with_scheme(proxy) else f"http://{proxy}"
    return None
