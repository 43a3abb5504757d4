"""Content codings (RFC 9110 section 8.4): gzip and deflate, and br and zstd where a package for them is installed.

A decoder gives what it has a piece at a time, so that a small body that stands for a large one takes little memory: 405
octets of brotli can be 512 MiB. Runs on the thread that reads the body.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from ...exceptions import ContentDecodingError

PIECE = 64 * 1024
MOST_CODINGS = 5  # one on the other; curl and urllib3 take as many
_FED_AT_ONCE = 4096  # octets: for each piece, and each member or frame, libraries copy what is left of them
_GZIP = b"\x1f\x8b"  # what a member begins with (RFC 1952 section 2.3.1)
_LARGEST_WINDOW_LOG = 23  # 8 MiB, which is the most for zstd as a content coding (RFC 9659)


class Decoder(Protocol):
    """One coding's state for one body."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """What `data`, the next octets of the body, stand for. Raises what its library raises."""

    def finish(self) -> Iterator[bytes]:
        """What is left at the body's end. Raises `EOFError` if it is not whole."""


class _Zlib:
    """gzip of any number of members, or deflate with and without zlib's head. What is behind them counts for nothing,
    as for other clients: some servers send padding or a line end there.
    """

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._state: Any = None
        self._first = b""  # as much as it takes to see what begins
        self._over = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        if self._state is None:
            data = self._first + data
            if not self._gzip and len(data) < 2:
                self._first = data
                return
            self._first = b""
            self._state = zlib.decompressobj(self._window(data))
        for fed in _slices(data, _FED_AT_ONCE):
            while fed and not self._over:
                if self._state.eof:
                    fed = self._first + fed
                    if self._gzip and len(fed) < len(_GZIP):
                        self._first = fed
                        break
                    self._first = b""
                    self._over = not self._gzip or not fed.startswith(_GZIP)
                    if self._over:
                        return
                    self._state = zlib.decompressobj(16 + zlib.MAX_WBITS)
                yield self._state.decompress(fed, PIECE)
                fed = self._state.unconsumed_tail or self._state.unused_data

    def _window(self, data: bytes) -> int:
        if self._gzip:
            return 16 + zlib.MAX_WBITS
        # Servers send both; a zlib head's first two octets are a multiple of 31, and its method is 8.
        has_head = data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
        return zlib.MAX_WBITS if has_head else -zlib.MAX_WBITS

    def finish(self) -> Iterator[bytes]:
        if self._state is None:
            return
        # A body that breaks off is an error only where the transport can't tell; what there is stands, as in requests.
        yield self._state.flush()


class _Brotli:
    """br."""

    def __init__(self, state: Any) -> None:
        self._state = state

    def decode(self, data: bytes) -> Iterator[bytes]:
        for fed in _slices(data, _FED_AT_ONCE):
            while True:
                piece = self._state.process(fed, output_buffer_limit=PIECE)
                yield from _slices(piece, PIECE)
                fed = b""
                if not piece and self._state.can_accept_more_data():
                    break

    def finish(self) -> Iterator[bytes]:
        return iter(())


class _Frames:
    """zstd of any number of frames, by a package with the standard library's interface."""

    def __init__(self, begin: Callable[[], Any]) -> None:
        self._begin = begin
        self._state = begin()

    def decode(self, data: bytes) -> Iterator[bytes]:
        for fed in _slices(data, _FED_AT_ONCE):
            while True:
                if self._state.eof:
                    fed = fed or self._state.unused_data
                    if not fed:
                        break
                    self._state = self._begin()
                yield self._state.decompress(fed, PIECE)
                fed = b""
                if self._state.needs_input and not self._state.eof:
                    break

    def finish(self) -> Iterator[bytes]:
        return iter(())


class _UnboundedFrames:
    """zstd by a package that has no bound for what it gives: it is fed little at a time, since four octets can be a
    block of 128 KiB.
    """

    def __init__(self, begin: Callable[[], Any]) -> None:
        self._begin = begin
        self._state = begin()

    def decode(self, data: bytes) -> Iterator[bytes]:
        for fed in _slices(data, 64):
            while fed:
                if self._state.eof:
                    self._state = self._begin()
                yield from _slices(self._state.decompress(fed), PIECE)
                fed = self._state.unused_data

    def finish(self) -> Iterator[bytes]:
        return iter(())


def _slices(data: bytes, size: int) -> Iterator[bytes]:
    if len(data) <= size:
        return iter((data,))
    return (data[start : start + size] for start in range(0, len(data), size))


_PACKAGES = {"br": ("brotli", "brotlicffi"), "zstd": ("compression.zstd", "backports.zstd", "zstandard")}
"""Who can take a coding off; the first that is installed does."""


@functools.cache
def _installed(coding: str) -> str | None:
    for name in _PACKAGES[coding]:
        with contextlib.suppress(ModuleNotFoundError):  # of the package that a module is in
            if importlib.util.find_spec(name) is not None and (coding != "br" or _is_bounded(name)):
                return name
    return None


def _is_bounded(name: str) -> bool:
    """Whether a package for br can be told how much to give at a time, which is so from version 1.2 on."""
    return hasattr(importlib.import_module(name).Decompressor, "can_accept_more_data")


def accept_encoding() -> str:
    """What a request can say that it takes."""
    return ", ".join(coding for coding in ("gzip", "deflate", *_PACKAGES) if _is_known(coding))


def _is_known(coding: str) -> bool:
    return coding in ("gzip", "deflate") or (coding in _PACKAGES and _installed(coding) is not None)


def _decoder(coding: str) -> Decoder:
    if coding in ("gzip", "deflate"):
        return _Zlib(gzip=coding == "gzip")
    name = _installed(coding)
    assert name is not None
    module: Any = importlib.import_module(name)
    if coding == "br":
        return _Brotli(module.Decompressor())
    if name == "zstandard":
        window = 1 << _LARGEST_WINDOW_LOG
        return _UnboundedFrames(lambda: module.ZstdDecompressor(max_window_size=window).decompressobj())
    options = {module.DecompressionParameter.window_log_max: _LARGEST_WINDOW_LOG}
    return _Frames(lambda: module.ZstdDecompressor(options=options))


def codings_of(text: str) -> list[str]:
    """The codings that a content-encoding names; none if one of them is not known."""
    names = [name.strip().lower() for name in text.split(",")]
    names = ["gzip" if name == "x-gzip" else name for name in names if name and name != "identity"]
    return names if all(map(_is_known, names)) else []


class Decoding:
    """What takes codings off one body. It gives no empty pieces.

    Raises ContentDecodingError for more than `MOST_CODINGS`, and as it goes on.
    """

    def __init__(self, names: list[str]) -> None:
        if len(names) > MOST_CODINGS:
            raise ContentDecodingError(
                f"Received response with {len(names)} content codings, one on the other; {MOST_CODINGS} are the most"
            )
        self._decoders = [(name, _decoder(name)) for name in reversed(names)]

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data`, the next octets of the body, stand for. To be taken before there is more."""
        pieces = iter((data,) if data else ())
        for name, decoder in self._decoders:
            pieces = _through(decoder, name, pieces)
        return pieces

    def finish(self) -> Iterator[bytes]:
        """What is left at the body's end."""
        pieces: Iterator[bytes] = iter(())
        for name, decoder in self._decoders:
            pieces = itertools.chain(_through(decoder, name, pieces), _checked(decoder.finish(), name))
        return pieces


def decoded(chunks: Iterable[bytes], codings: str) -> Iterator[bytes]:
    """`chunks` of a body with `codings` (a content-encoding) taken off. Raises as `Decoding`."""
    decoding = Decoding(codings_of(codings))
    return itertools.chain(
        (piece for chunk in chunks for piece in decoding.feed(chunk)), (piece for piece in decoding.finish())
    )


def _through(decoder: Decoder, name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield from _checked(decoder.decode(piece), name)


def _checked(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    while piece := _next(pieces, name):
        yield piece


def _next(pieces: Iterator[bytes], name: str) -> bytes:
    """The next piece that is not empty, or nothing at the end."""
    try:
        return next((piece for piece in pieces if piece), b"")
    except Exception as error:  # each package has errors of its own
        raise ContentDecodingError(
            f"Received response with content-encoding: {name}, but failed to decode it: {error}"
        ) from error
