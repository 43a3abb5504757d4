"""Names of status codes, as in `requests.codes`: `codes.ok`, `codes.NOT_FOUND`, `codes["teapot"]`. Pure values."""

from __future__ import annotations

import functools
from http import HTTPStatus
from types import SimpleNamespace

# What requests calls them besides, or instead of, `http.HTTPStatus`.
_ALIASES = {
    100: "continue",
    102: "",
    103: "checkpoint early_hints",
    200: "okay all_ok all_okay all_good \\o/ ✓",
    203: "non_authoritative_info",
    205: "reset",
    206: "partial",
    207: "multiple_status multi_stati multiple_stati",
    301: "moved \\o-",
    303: "other",
    306: "switch_proxy",
    307: "temporary_moved temporary",
    308: "resume_incomplete resume permanent_redirect",
    400: "bad",
    402: "payment",
    407: "proxy_auth proxy_authentication",
    404: "-o-",
    405: "not_allowed",
    408: "timeout",
    412: "precondition",
    413: "request_entity_too_large content_too_large",
    414: "request_uri_too_large uri_too_long",
    415: "unsupported_media media_type",
    416: "requested_range range_not_satisfiable",
    418: "im_a_teapot teapot i_am_a_teapot",
    422: "unprocessable unprocessable_content",
    424: "dependency",
    425: "unordered unordered_collection",
    426: "upgrade",
    428: "precondition",
    429: "too_many",
    431: "header_fields_too_large fields_too_large",
    444: "no_response none",
    449: "retry_with retry",
    450: "blocked_by_windows_parental_controls parental_controls",
    451: "legal_reasons",
    499: "client_closed_request",
    500: "server_error /o\\ ✗",
    503: "unavailable",
    505: "http_version",
    509: "bandwidth_limit_exceeded bandwidth",
    511: "network_auth network_authentication",
}


class Codes(SimpleNamespace):
    """Status codes as attributes and as items, in lower case and in upper case."""

    def __getitem__(self, name: str) -> int | None:
        """The code of that name, or None."""
        return self.__dict__.get(name)

    def get(self, name: str, default: int | None = None) -> int | None:
        """The code of that name, or `default`."""
        return self.__dict__.get(name, default)


def _codes() -> Codes:
    names: dict[str, int] = {}
    for code, aliases in _ALIASES.items():
        names.update(dict.fromkeys(aliases.split(), code))
    names.update({status.name.lower(): status.value for status in HTTPStatus})
    names.update({name.upper(): code for name, code in names.items() if name[0].isalpha()})
    return Codes(**names)


codes = _codes()
"""`requests.codes`."""


@functools.lru_cache(64)
def phrase_of(status: int) -> str:
    """The status code's usual phrase, which HTTP/2 does not send; "" if it has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
