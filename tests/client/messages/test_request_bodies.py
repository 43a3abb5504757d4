"""What can be sent as a body or as a form's file, and how much of it is announced and sent: files that say nothing of
their length or the wrong thing, opened as text, or read in part; and what is none.
"""

from __future__ import annotations

import array
import codecs
import collections
import gzip
import io
import json
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import sync_h2
from sync_h2 import Client
from sync_h2.adapters import RequestsAdapter

TEXT = "line ä\nline ü\n"


@pytest.fixture
def url() -> Iterator[str]:
    def handler(stream: Any, headers: Any) -> None:
        body = stream.read()
        stream.end(json.dumps([headers.get("content-length"), body.decode("latin-1")]).encode())

    with sync_h2.create_server(handler, allow_http1=True) as server:
        yield server.url


class Sized:
    """Read from memory; its length is what it is made with."""

    def __init__(self, length: int, start: int = 0) -> None:
        self._file = io.BytesIO(b"octets")
        self._file.seek(start)
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __bool__(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


class SizedAndTold(Sized):
    def tell(self) -> int:
        return self._file.tell()


class WithLen:
    len = 6

    def __init__(self) -> None:
        self.read = io.BytesIO(b"octets").read


class Encoder(WithLen):
    """As requests_toolbelt's MultipartEncoder: it gives octets, and has an encoding for the text it makes them of."""

    encoding = "utf-8"


class SizedPieces:
    def __len__(self) -> int:
        return 6

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"oct", b"ets"])


class Indexed:
    def __getitem__(self, index: int) -> bytes:
        return (b"oct", b"ets")[index]


def temporary(kind: Callable[..., Any], mode: str, **options: Any) -> Any:
    file = kind(mode=mode, **options)
    file.write(b"octets" if "b" in mode else TEXT)
    file.seek(0)
    return file


def behind(count: int, file: Any) -> Any:
    file.read(count)
    return file


def mapped(path: Path, count: int = 0) -> Any:
    with path.open("r+b") as file:
        return behind(count, mmap.mmap(file.fileno(), 0))


def piped() -> Any:
    reading, writing = os.pipe()
    os.write(writing, b"octets")
    os.close(writing)
    return os.fdopen(reading, "rb")


OF_THE_KERNEL = Path("/proc/version")

# What is sent, and whether with a length.
BODIES: dict[str, tuple[Callable[[Path], Any], bytes | None, bool]] = {
    "of the kernel": (lambda path: OF_THE_KERNEL.open("rb"), None, False),
    "of the kernel, without a buffer": (lambda path: OF_THE_KERNEL.open("rb", 0), None, False),
    "of the kernel, as text": (lambda path: OF_THE_KERNEL.open(), None, False),
    "in octets": (lambda path: path.open("rb"), TEXT.encode("latin-1"), True),
    "in octets, in part": (lambda path: behind(5, path.open("rb")), TEXT.encode("latin-1")[5:], True),
    "in octets, in part, without a buffer": (
        lambda path: behind(5, path.open("rb", 0)),
        TEXT.encode("latin-1")[5:],
        True,
    ),
    "to be changed, in part": (lambda path: behind(5, path.open("r+b")), TEXT.encode("latin-1")[5:], True),
    "at its end": (lambda path: behind(100, path.open("rb")), b"", True),
    "mapped": (mapped, TEXT.encode("latin-1"), True),
    "mapped, in part": (lambda path: mapped(path, 5), TEXT.encode("latin-1")[5:], True),
    "text": (lambda path: path.open(encoding="latin-1"), TEXT.encode(), False),
    "text in part": (lambda path: behind(5, path.open(encoding="latin-1")), TEXT[5:].encode(), False),
    "text in memory": (lambda path: io.StringIO(TEXT), TEXT.encode(), True),
    "text in memory, in part": (lambda path: behind(6, io.StringIO(TEXT)), TEXT[6:].encode(), True),
    "text in octets in memory": (lambda path: io.TextIOWrapper(io.BytesIO(TEXT.encode())), TEXT.encode(), False),
    "text by codecs": (lambda path: codecs.getreader("latin-1")(path.open("rb")), TEXT.encode(), False),
    "temporary text": (
        lambda path: temporary(tempfile.NamedTemporaryFile, "w+", encoding="latin-1"),
        TEXT.encode(),
        False,
    ),
    "spooled text": (
        lambda path: temporary(tempfile.SpooledTemporaryFile, "w+", max_size=100, encoding="latin-1"),
        TEXT.encode(),
        False,
    ),
    "temporary": (lambda path: temporary(tempfile.NamedTemporaryFile, "w+b"), b"octets", True),
    "spooled": (lambda path: temporary(tempfile.SpooledTemporaryFile, "w+b", max_size=100), b"octets", True),
    "unpacked": (lambda path: gzip.GzipFile(path.with_suffix(".gz")), b"unpacked" * 9, False),
    "a pipe": (lambda path: piped(), b"octets", False),
    "in memory, in part": (lambda path: behind(2, io.BytesIO(b"octets")), b"tets", True),
    "sized": (lambda path: Sized(6), b"octets", True),
    "sized, and told, in part": (lambda path: SizedAndTold(6, 2), b"tets", True),
    "of size 0, which is wrong": (lambda path: Sized(0), b"octets", False),
    "with a len": (lambda path: WithLen(), b"octets", True),
    "with a len and an encoding": (lambda path: Encoder(), b"octets", True),
    "recoded": (lambda path: codecs.EncodedFile(path.open("rb"), "utf-8", "latin-1"), TEXT.encode(), False),
    "sized pieces": (lambda path: SizedPieces(), b"octets", True),
    "pieces in a queue": (lambda path: collections.deque([b"oct", b"ets"]), b"octets", False),
    "a set": (lambda path: {b"octets"}, b"octets", False),
    "keys": (lambda path: {b"octets": 1}.keys(), b"octets", False),
    "pieces of text": (lambda path: iter(["ä", "b"]), "äb".encode(), False),
    "pieces by number": (lambda path: Indexed(), b"octets", False),
    "an array": (lambda path: array.array("B", b"octets"), b"octets", True),
    "an array of numbers": (lambda path: array.array("H", [1, 1]), array.array("H", [1, 1]).tobytes(), True),
    "a view of numbers": (lambda path: memoryview(array.array("H", [1, 1])), array.array("H", [1, 1]).tobytes(), True),
}

if not OF_THE_KERNEL.exists():
    BODIES = {name: body for name, body in BODIES.items() if "kernel" not in name}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(TEXT.encode("latin-1"))
    with gzip.open(path.with_suffix(".gz"), "wb") as file:
        file.write(b"unpacked" * 9)
    return path


def close(body: Any) -> None:
    if hasattr(body, "close"):
        body.close()


def wanted(name: str) -> tuple[bytes, bool]:
    _, content, has_length = BODIES[name]
    return OF_THE_KERNEL.read_bytes() if content is None else content, has_length


@pytest.mark.parametrize("h2c", [True, False])
@pytest.mark.parametrize("name", BODIES)
def test_bodies(url: str, path: Path, name: str, h2c: bool) -> None:
    content, has_length = wanted(name)
    body = BODIES[name][0](path)
    with Client(h2c=h2c) as client:
        length, sent = client.post(url, data=body).json()
    assert sent.encode("latin-1") == content
    assert length == (str(len(content)) if has_length else None)
    close(body)


@pytest.mark.parametrize("h2c", [True, False])
@pytest.mark.parametrize("name", BODIES)
def test_files_of_a_form(url: str, path: Path, name: str, h2c: bool) -> None:
    content, has_length = wanted(name)
    body = BODIES[name][0](path)
    with Client(h2c=h2c) as client:
        length, sent = client.post(url, files={"file": body}).json()
    assert b"\r\n\r\n" + content + b"\r\n--" in sent.encode("latin-1")
    assert length == (str(len(sent)) if has_length or hasattr(body, "read") else None)
    close(body)


@pytest.mark.parametrize("number", [0, 5, True])
def test_a_number_as_a_file(url: str, number: int) -> None:
    with Client(h2c=True) as client:
        assert f"\r\n\r\n{number}\r\n--" in client.post(url, files={"file": number}).json()[1]


@pytest.mark.filterwarnings("ignore::requests.exceptions.FileModeWarning")
@pytest.mark.parametrize(
    "name", [name for name in BODIES if "text" in name or "in part" in name or name in ("in octets", "mapped")]
)
def test_bodies_through_requests(url: str, path: Path, name: str) -> None:
    """For files of text requests announces their characters, or the octets of the file."""
    content, _ = wanted(name)
    body = BODIES[name][0](path)
    with requests.Session() as session:
        session.mount("http://", RequestsAdapter(h2c=True))
        length, sent = session.post(url, data=body).json()
    assert sent.encode("latin-1") == content
    assert length in (None, str(len(content)))
    close(body)


@pytest.mark.parametrize("name", ["with a len", "with a len and an encoding"])
def test_the_length_that_requests_finds_is_announced(url: str, path: Path, name: str) -> None:
    with requests.Session() as session:
        session.mount("http://", RequestsAdapter(h2c=True))
        assert session.post(url, data=BODIES[name][0](path)).json() == ["6", "octets"]


NONE_AT_ALL: dict[str, Any] = {
    "an object": object(),
    "a number": 5,
    "a fraction": 1.5,
    "a truth": True,
    "a class": SizedPieces,
    "a function": lambda: b"octets",
    "numbers": iter([1, 2]),
    "a range": range(3),
}


@pytest.mark.parametrize("h2c", [True, False])
@pytest.mark.parametrize("name", NONE_AT_ALL)
def test_what_is_no_body(url: str, name: str, h2c: bool) -> None:
    with Client(h2c=h2c) as client, pytest.raises(TypeError):
        client.post(url, data=NONE_AT_ALL[name])
