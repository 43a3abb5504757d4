"""Names of hosts: IDNA 2008 with UTS 46, and nothing that is read as something else."""

from __future__ import annotations

import sys

import pytest

from sync_h2.errors import InvalidArgument
from sync_h2.transport.host_names import encode_host


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("", ""),
        ("Example.org", "Example.org"),
        ("a_b.localhost.", "a_b.localhost."),
        ("xn--strae-oqa.de", "xn--strae-oqa.de"),
        ("straße.de", "xn--strae-oqa.de"),
        ("STRASSE.DE", "STRASSE.DE"),
        ("σας.gr", "xn--mxa8ab.gr"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("\uff45xample\u3002com", "example.com"),
        ("日本語.jp", "xn--wgv71a119e.jp"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ],
)
def test_names_and_addresses(host: str, expected: str) -> None:
    assert encode_host(host) == expected


@pytest.mark.parametrize(
    "host",
    [
        "☃.net",  # which IDNA 2003 took
        "a\u2488com",  # a digit with a dot
        "\u2100.net",  # would be a/c
        "a\uff0fb.net",
        "ü..de",
        "-ü.de",
        "ü" * 64 + ".de",
        "ü" * 100_000,
        "\ud800.de",
        "a..b",
        ".a",
        ".",
        "x" * 64 + ".test",
        "a." * 127 + "example",
        "a b",
        "a\tb",
        "a\r\nb",
        "a\\b",
        "a/b",
        "a%2fb",
        "a@b",
        "a\x00b",
        "a|b",
        "[::1",
        "[x]",
        "::x",
        "fe80::1%a b",
    ],
)
def test_what_is_refused(host: str) -> None:
    with pytest.raises(InvalidArgument, match="not a valid host name") as raised:
        encode_host(host)
    assert len(str(raised.value)) < 500


def test_without_the_package_no_other_name_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "idna", None)
    with pytest.raises(InvalidArgument, match=r"'straße.de'.*pip install 'sync_h2\[idna\]'"):
        encode_host("straße.de")
    assert encode_host("xn--strae-oqa.de") == "xn--strae-oqa.de"
