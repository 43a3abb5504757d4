"""`requests.cookies`' names: the jar, and what makes one of a dict and back. Nothing runs here."""

from __future__ import annotations

from .client.options.cookies import (
    CookieConflictError,
    CookieJar,
    RequestsCookieJar,
    cookiejar_from_dict,
    create_cookie,
    dict_from_cookiejar,
    merge_cookies,
)

__all__ = [
    "CookieConflictError",
    "CookieJar",
    "RequestsCookieJar",
    "cookiejar_from_dict",
    "create_cookie",
    "dict_from_cookiejar",
    "merge_cookies",
]
