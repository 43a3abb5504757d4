"""Content codings: taken off however the octets come, and what is small on the wire stays small in memory."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import importlib
import importlib.machinery
import sys
import tracemalloc
import types
import zlib
from collections.abc import Callable
from typing import Any

import pytest

import sync_h2
from sync_h2 import Client, exceptions
from sync_h2.client.messages import decoding
from sync_h2.client.messages.decoding import MOST_CODINGS, PIECE, accept_encoding, decoded
from sync_h2.client.options.auth import HTTPDigestAuth

SIZE = 64 << 20
TEXT = b"some text, some text, some more text\n" * 100


def deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


CODED: dict[str, tuple[str, Callable[[], bytes]]] = {
    "gzip": ("gzip", lambda: gzip.compress(TEXT)),
    "x-gzip": ("x-gzip", lambda: gzip.compress(TEXT)),
    "members": ("gzip", lambda: gzip.compress(TEXT[:50]) + gzip.compress(TEXT[50:]) + b"\0" * 10),
    "a line end behind it": ("gzip", lambda: gzip.compress(TEXT) + b"\r\n"),
    "an octet behind it": ("gzip", lambda: gzip.compress(TEXT) + b"\x1f"),
    "octets behind it": ("gzip", lambda: gzip.compress(TEXT) + b"garbage" * 1000 + gzip.compress(TEXT)),
    "octets behind members": ("gzip", lambda: gzip.compress(TEXT[:50]) + gzip.compress(TEXT[50:]) + b"garbage" * 1000),
    "deflate": ("deflate", lambda: zlib.compress(TEXT)),
    "octets behind deflate": ("deflate", lambda: zlib.compress(TEXT) + b"garbage" * 1000),
    "octets behind raw deflate": ("deflate", lambda: deflated(TEXT) + b"garbage" * 1000),
    "raw deflate": ("deflate", lambda: deflated(TEXT)),
    "br": ("br", lambda: importlib.import_module("brotlicffi").compress(TEXT)),
    "two": ("deflate, GZIP", lambda: gzip.compress(zlib.compress(TEXT))),
    "identity": ("identity", lambda: TEXT),
    "unknown": ("rot13", lambda: TEXT),
}


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("name", CODED)
def test_codings_are_taken_off_however_the_octets_come(name: str, size: int) -> None:
    coding, make = CODED[name]
    data = make()
    chunks = (data[start : start + size] for start in range(0, len(data), size))
    assert b"".join(decoded(chunks, coding)) == TEXT


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_member_of_gzip_that_is_broken_is_no_garbage(size: int) -> None:
    data = gzip.compress(TEXT) + gzip.compress(TEXT)[:12] + b"\xff" * 50
    with pytest.raises(exceptions.ContentDecodingError):
        list(decoded((data[start : start + size] for start in range(0, len(data), size)), "gzip"))


def test_what_is_accepted() -> None:
    assert accept_encoding().startswith("gzip, deflate, br")


def test_a_small_body_that_stands_for_a_large_one_comes_in_small_pieces() -> None:
    compressor = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    bomb = b"".join([*(compressor.compress(b"\0" * 1_000_000) for _ in range(100)), compressor.flush()])
    assert len(bomb) < 200_000
    sizes = [len(piece) for piece in decoded(iter([bomb]), "gzip")]
    assert sum(sizes) == 100_000_000
    assert max(sizes) <= 65_536


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_a_coding_that_is_none(coding: str) -> None:
    with pytest.raises(exceptions.ContentDecodingError, match=coding):
        list(decoded(iter([b"this is none, and long enough to be seen to be none"]), coding))


# -- bounds


def compressed(compress: Callable[[bytes], bytes], finish: Callable[[], bytes]) -> bytes:
    return b"".join([*(compress(bytes(1 << 20)) for _ in range(SIZE >> 20)), finish()])


def bomb(coding: str) -> bytes:
    if coding == "br":
        brotli = importlib.import_module("brotlicffi").Compressor(quality=1, lgwin=24)
        return compressed(brotli.process, brotli.finish)
    compressor = zlib.compressobj(1, wbits=zlib.MAX_WBITS + (16 if coding == "gzip" else 0))
    return compressed(compressor.compress, compressor.flush)


@pytest.mark.tracemalloc
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_a_small_body_that_stands_for_a_large_one(coding: str) -> None:
    data = bomb(coding)
    pieces = decoded(iter([data]), coding)
    tracemalloc.start()
    try:
        first = next(pieces)
        assert len(first) + sum(map(len, pieces)) == SIZE
        assert tracemalloc.get_traced_memory()[1] < 20 * PIECE
    finally:
        tracemalloc.stop()


PACKAGES: dict[str, tuple[Callable[[], Any], Callable[[bytes], bytes]]] = {
    # With the interfaces of those for zstd, which the tests do not need.
    "bounded": (lambda: decoding._Frames(bz2.BZ2Decompressor), bz2.compress),
    "unbounded": (lambda: decoding._UnboundedFrames(lambda: zlib.decompressobj(31)), gzip.compress),
}


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
@pytest.mark.parametrize("kind", PACKAGES)
def test_frames_of_zstd(kind: str, step: int) -> None:
    make, compress = PACKAGES[kind]
    decoder = make()
    data = compress(b"a" * 200_000) + compress(b"") + compress(b"b" * 600)
    pieces = [piece for start in range(0, len(data), step) for piece in decoder.decode(data[start : start + step])]
    assert b"".join([*pieces, *decoder.finish()]) == b"a" * 200_000 + b"b" * 600
    assert max(map(len, pieces)) <= PIECE


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_frames_of_zstd_with_the_packages_that_are_there(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in decoding._PACKAGES["zstd"]:  # which the tests do not need
        with contextlib.suppress(ModuleNotFoundError):
            compress = importlib.import_module(name).compress
            monkeypatch.setattr(decoding, "_installed", lambda coding, name=name: name)
            data = compress(b"a" * 200_000) + compress(b"") + compress(b"b" * 600)
            pieces = list(decoded((data[start : start + step] for start in range(0, len(data), step)), "zstd"))
            assert b"".join(pieces) == b"a" * 200_000 + b"b" * 600
            assert max(map(len, pieces)) <= PIECE


@pytest.mark.parametrize(("bound", "found"), [("can_accept_more_data", "brotli"), ("process", None)])
def test_packages_for_br_need_a_bound(bound: str, found: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("brotli")
    module.__spec__ = importlib.machinery.ModuleSpec("brotli", None)
    module.Decompressor = type("Decompressor", (), {bound: None})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "brotli", module)
    monkeypatch.setitem(decoding._PACKAGES, "br", ("brotli",))
    assert decoding._installed.__wrapped__("br") == found


def test_as_many_codings_as_others_take() -> None:
    data = b"content"
    for _ in range(MOST_CODINGS):
        data = gzip.compress(data)
    codings = ["gzip"] * MOST_CODINGS
    assert b"".join(decoded(iter([data]), ", ".join(["identity", *codings, ""]))) == b"content"
    with pytest.raises(exceptions.ContentDecodingError, match="6 content codings"):
        decoded(iter([data]), ", ".join([*codings, "br"]))


@pytest.mark.parametrize("stream", [False, True])
def test_thousands_of_codings(stream: bool) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond({"content-encoding": ", ".join(["gzip"] * 3000)})
        stream.end(b"content")

    with (
        sync_h2.create_server(handler) as server,
        Client(h2c=True, trust_env=False) as client,
        pytest.raises(exceptions.ContentDecodingError, match="3000 content codings"),
    ):
        if stream:
            with client.stream("GET", server.url) as answer:
                answer.content  # noqa: B018 - reads it
        else:
            client.get(server.url)


# -- bodies that nobody has asked for


@pytest.mark.parametrize("kind", ["endless", "endless and nothing", "bomb", "short"])
@pytest.mark.parametrize("status", [302, 401])
def test_bodies_of_what_is_not_the_answer(status: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync_h2.client.messages.response._MOST_UNASKED", 1 << 20)
    data = bomb("gzip")
    piece = gzip.compress(b"") * 3000 if kind == "endless and nothing" else bytes(100_000)
    coding = {} if kind in ("endless", "short") else {"content-encoding": "gzip"}

    def handler(stream: Any, headers: Any) -> None:
        if headers[":path"] == "/there" or "authorization" in headers:
            stream.end(b"the answer")
            return
        fields = {"location": "/there", "www-authenticate": 'Digest realm="a", nonce="b"'}
        stream.respond({":status": status, **fields, **coding})
        with contextlib.suppress(sync_h2.StreamReset):
            while kind.startswith("endless"):
                stream.write(piece)
            stream.end(data if kind == "bomb" else b"short")

    with sync_h2.create_server(handler) as server, Client(h2c=True, trust_env=False) as client:
        answer = client.get(server.url, timeout=20, auth=HTTPDigestAuth("me", "word"))
        assert answer.content == b"the answer"
        (before,) = answer.history
        if kind == "short":
            assert before.content == b"short"
        else:
            with pytest.raises(exceptions.StreamConsumedError):
                before.content  # noqa: B018 - is not there
