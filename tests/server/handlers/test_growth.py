"""What a folder's handler looks into takes time that grows with its length and not with its square."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.rules.growth import assert_linear
from sync_h2.server.handlers.representation import best_coding, precondition_failure, wanted_range
from sync_h2.server.handlers.static_files import _Folder, _names

PIECES = [
    " ",
    "\t",
    "a",
    '"',
    '"a",',
    'W/"a" ,',
    "W/",
    ",",
    ";",
    "q=",
    ";q=0.5,",
    "gzip;q= ",
    "-",
    "9",
    "=",
    ":",
    "(",
    "\x00",
]
BEGINNINGS = ["", "bytes=", "bytes= 1-", "q", "gzip;", "Mon, ", "Mon, 01 Jan 2024 00:00:0", '"']


@pytest.mark.parametrize("piece", PIECES, ids=ascii)
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_fields_of_a_request(beginning: str, piece: str) -> None:
    def prepare(size: int) -> Callable[[], object]:
        value = beginning + piece * (size // len(piece))

        def job() -> None:
            for name in ("if-match", "if-none-match", "if-unmodified-since", "if-modified-since"):
                precondition_failure({name: value}, '"etag"', 0)
            wanted_range({"range": value}, 100, '"etag"', 0)
            wanted_range({"range": "bytes=1-", "if-range": value}, 100, '"etag"', 0)
            best_coding(value, ("br", "gzip"))

        return job

    assert_linear(prepare, 4096)


@pytest.mark.parametrize("piece", ["/", "a", "/a", "/.", "/%41", "%", "/\xe9", "/%2e"])
def test_paths(piece: str) -> None:
    assert_linear(lambda size: lambda: _names("/" + piece * (size // len(piece))), 4096)


@pytest.mark.parametrize("name", ["absent", "folder", "link"])
def test_paths_in_a_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(".")
    folder = _Folder(str(tmp_path), listings=True)
    # No longer than the longest that is looked for.
    assert_linear(lambda size: lambda: folder._real_path(str(tmp_path), *[name] * (size // 7)), 3000)
