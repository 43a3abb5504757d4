"""Preconditions, ranges and content codings, as RFC 9110 has them."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from sync_h2.server.handlers.representation import best_coding, precondition_failure, wanted_range

ETAG = '"5-a"'
MODIFIED = int(datetime(2024, 2, 29, 12, 30, 15, tzinfo=timezone.utc).timestamp())
SAME = "Thu, 29 Feb 2024 12:30:15 GMT"
BEFORE = "Thu, 29 Feb 2024 12:30:14 GMT"
AFTER = "Thu, 29 Feb 2024 12:30:16 GMT"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, None),
        # If-None-Match: any of a list, weakly compared, or anything at all.
        ({"if-none-match": ETAG}, 304),
        ({"if-none-match": f'"x", W/{ETAG},"y"'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"x"'}, None),
        ({"if-none-match": '"5-a'}, None),
        ({"if-none-match": "5-a"}, None),
        ({"if-none-match": ""}, None),
        # If-Modified-Since: only without the other, in any of HTTP's formats.
        ({"if-modified-since": SAME}, 304),
        ({"if-modified-since": AFTER}, 304),
        ({"if-modified-since": BEFORE}, None),
        ({"if-modified-since": "Thursday, 29-Feb-24 12:30:15 GMT"}, 304),
        ({"if-modified-since": "Thu Feb 29 12:30:15 2024"}, 304),
        ({"if-modified-since": "Thu Feb 29 12:30:14 2024"}, None),
        ({"if-modified-since": SAME, "if-none-match": '"x"'}, None),
        ({"if-modified-since": BEFORE, "if-none-match": ETAG}, 304),
        # If-Match: strongly compared.
        ({"if-match": ETAG}, None),
        ({"if-match": "*"}, None),
        ({"if-match": f'"x", {ETAG}'}, None),
        ({"if-match": f"W/{ETAG}"}, 412),
        ({"if-match": '"x"'}, 412),
        ({"if-match": '"x"', "if-none-match": ETAG}, 412),
        ({"if-match": ETAG, "if-none-match": ETAG}, 304),
        # If-Unmodified-Since: only without If-Match.
        ({"if-unmodified-since": SAME}, None),
        ({"if-unmodified-since": AFTER}, None),
        ({"if-unmodified-since": BEFORE}, 412),
        ({"if-unmodified-since": BEFORE, "if-match": ETAG}, None),
    ],
)
def test_preconditions(fields: dict[str, str], status: int | None) -> None:
    assert precondition_failure(fields, ETAG, MODIFIED) == status


@pytest.mark.parametrize(
    "date",
    [
        "",
        "yesterday",
        "0",
        "Thu, 31 Feb 2024 12:30:15 GMT",
        "Thu, 29 Feb 99999 12:30:15 GMT",
        "," * 50,
        "\xff",
        "1 2 3",
    ],
)
@pytest.mark.parametrize("name", ["if-modified-since", "if-unmodified-since"])
def test_what_is_no_date_is_ignored(name: str, date: str) -> None:
    assert precondition_failure({name: date}, ETAG, MODIFIED) is None


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("bytes=0-4", range(5)),
        ("bytes=5-", range(5, 10)),
        ("bytes=9-9", range(9, 10)),
        ("bytes=-3", range(7, 10)),
        ("bytes=-99", range(10)),
        ("bytes=8-99", range(8, 10)),
        ("Bytes= 0-0 ", range(1)),
        ("bytes=10-", range(0)),
        ("bytes=10-20", range(0)),
        ("bytes=-0", range(0)),
        # Not a range, or several: the whole file.
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=+1-2", None),
        ("bytes=1-2,4-5", None),
        ("bytes=\u0661-\u0662", None),
        ("lines=1-2", None),
        ("bytes", None),
        ("", None),
        ("bytes=" + "9" * 5000 + "-", None),
    ],
)
def test_ranges_of_ten_bytes(wanted: str, expected: range | None) -> None:
    assert wanted_range({"range": wanted}, 10, ETAG, MODIFIED) == expected


def test_ranges_of_nothing() -> None:
    assert wanted_range({"range": "bytes=0-"}, 0, ETAG, MODIFIED) == range(0)
    assert wanted_range({"range": "bytes=-5"}, 0, ETAG, MODIFIED) is None
    assert wanted_range({}, 0, ETAG, MODIFIED) is None


@pytest.mark.parametrize(
    ("condition", "in_part"),
    [
        (ETAG, True),
        ('"x"', False),
        (f"W/{ETAG}", False),
        (SAME, True),
        (BEFORE, False),
        (AFTER, False),
        ("nonsense", False),
    ],
)
def test_a_range_if_the_file_is_still_the_same(condition: str, in_part: bool) -> None:
    wanted = wanted_range({"range": "bytes=2-", "if-range": condition}, 10, ETAG, MODIFIED)
    assert wanted == (range(2, 10) if in_part else None)


@pytest.mark.parametrize(
    ("accepted", "best"),
    [
        ("", None),
        ("gzip", "gzip"),
        ("gzip, deflate, br", "br"),
        ("GZIP;Q=0.5 , br ; q=0.4", "gzip"),
        ("br;q=0, gzip;q=0.001", "gzip"),
        ("br;q=0, gzip;q=0", None),
        ("*", "br"),
        ("*;q=0", None),
        ("*, br;q=0", "gzip"),
        ("identity", None),
        ("identity, gzip", "gzip"),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.2, gzip;q=0.5", "gzip"),
        ("deflate", None),
        ("gzip;q=nonsense", "gzip"),
        (",;,q=1", None),
    ],
)
def test_codings(accepted: str, best: str | None) -> None:
    assert best_coding(accepted, ["br", "gzip"]) == best


def test_only_codings_that_are_there() -> None:
    assert best_coding("br, gzip", ["gzip"]) == "gzip"
    assert best_coding("br", ["gzip"]) is None
    assert best_coding("br", []) is None
