"""URLs: the same parts for everybody, and no password in what is shown."""

from __future__ import annotations

from typing import Any

import pytest

from sync_h2.errors import InvalidArgument
from sync_h2.transport import urls
from sync_h2.transport.urls import shown_url, split_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTP://Example.ORG", ("http", None, "example.org", None, "", None, None)),
        ("http://u:p@q@h:0080/a?b#c", ("http", "u:p@q", "h", 80, "/a", "b", "c")),
        ("http://[::1]:8/a\tb?c\nd#e#f", ("http", None, "::1", 8, "/a\tb", "c\nd", "e#f")),
        ("http://[fe80::1%25eth0]", ("http", None, "fe80::1%eth0", None, "", None, None)),
        ("http://[fe80::1%eth0]", ("http", None, "fe80::1%eth0", None, "", None, None)),
        ("http://[fe80::1%25]", ("http", None, "fe80::1%25", None, "", None, None)),
        ("http://[fe80::1%252525]", ("http", None, "fe80::1%2525", None, "", None, None)),
        (f"http://h:{'0' * 5000}80", ("http", None, "h", 80, "", None, None)),
        ("http://h:?", ("http", None, "h", None, "", "", None)),
        ("//h/x", ("", None, "h", None, "/x", None, None)),
        ("/x//y", ("", None, "", None, "/x//y", None, None)),
        ("mailto:a@b", ("mailto", None, "", None, "a@b", None, None)),
        ("https://straße.de/ß", ("https", None, "xn--strae-oqa.de", None, "/ß", None, None)),
        ("http:///x", ("http", None, "", None, "/x", None, None)),
    ],
)
def test_parts(url: str, expected: tuple[Any, ...]) -> None:
    assert tuple(split_url(url)) == expected


@pytest.mark.parametrize(
    "authority",
    [
        "evil\\@good",
        "good\\.evil",
        "us er@good",
        "go\tod",
        "good\r\n",
        "go od",
        "go\xa0od",
        "\x7fgood",
        "good:99999",
        "good:0",
        "good:000",
        "good:065536",
        f"good:{'9' * 5000}",
        "good%2580",
        "[::1%2520]%25",
        "good:+1",
        "good:1_0",
        "good:٣",
        "good:80:80",
        "[::1",
        "::1",
        "[::1]x",
        "x[::1]",
        "[good]",
        "a..b",
    ],
)
def test_authorities_that_are_none(authority: str) -> None:
    with pytest.raises(InvalidArgument):
        split_url(f"http://{authority}/")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h/a@b", "http://h/a@b"),
        ("http://user:S3CRET@h/a@b", "http://h/a@b"),
        ("http://S3CRET@h/", "http://h/"),
        ("http://@h/", "http://h/"),
        ("http://user:S3C@RET@h:1/", "http://h:1/"),
        ("http://user:S3/CRET@h/", "http://***@h/"),
        ("http://user:S3CRET@[", "http://***@["),
        ("user:S3CRET@h/", "***@h/"),
        ("//user:S3CRET@h h/", "***@h h/"),
        ("http:/user:S3CRET@h/", "***@h/"),
    ],
)
def test_what_is_shown(url: str, expected: str) -> None:
    assert shown_url(url) == expected


def test_long_urls_are_not_remembered() -> None:
    """A server chooses where it redirects to, and 256 of these are kept."""

    def grown(length: int) -> int:
        before = urls._remembered.cache_info().misses
        split_url(f"http://h/{'x' * length}")
        return urls._remembered.cache_info().misses - before

    assert (grown(1000), grown(100_000)) == (1, 0)
