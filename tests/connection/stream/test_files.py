"""`rfile` and `wfile`: real file objects, for whatever takes a file."""

from __future__ import annotations

import gc
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from support.threads.background import eventually
from sync_h2 import ErrorCode, StreamReset


def test_they_are_raw_files(ends: Any) -> None:
    stream, _ = ends.exchange()
    assert isinstance(stream.rfile, io.RawIOBase)
    assert isinstance(stream.wfile, io.RawIOBase)
    assert stream.rfile.readable()
    assert not stream.rfile.writable()
    assert stream.wfile.writable()
    assert not stream.wfile.readable()
    assert stream.rfile is stream.rfile
    for file in (stream.rfile, stream.wfile):
        assert not file.seekable()
    with pytest.raises(io.UnsupportedOperation):
        stream.rfile.write(b"x")
    with pytest.raises(io.UnsupportedOperation):
        stream.wfile.read(1)


def test_a_buffered_reader(ends: Any) -> None:
    stream, served = ends.exchange()
    stream.end(b"one\ntwo\n" + b"x" * 50_000)
    reader = io.BufferedReader(served.rfile)
    assert reader.readline() == b"one\n"
    assert reader.peek(1)[:3] == b"two"
    assert reader.readline() == b"two\n"
    assert reader.read(3) == b"xxx"
    assert reader.read() == b"x" * 49_997
    assert reader.read() == b""


def test_raw_reading(ends: Any) -> None:
    stream, served = ends.exchange()
    stream.end(b"one\ntwo\nthree")
    eventually(lambda: len(served._state.buffer) == 13)
    assert served.rfile.read(2) == b"on"
    assert served.rfile.readline() == b"e\n"
    assert served.rfile.readlines(1) == [b"two\n"]
    assert served.rfile.readall() == b"three"
    assert served.rfile.read() == b""


@pytest.mark.parametrize("buffered", [False, True])
def test_text_both_ways(ends: Any, buffered: bool) -> None:
    stream, served = ends.exchange()
    writer = io.TextIOWrapper(stream.wfile, encoding="utf-8", write_through=not buffered)
    writer.write("grüß\n")
    writer.write("Gott\n")
    writer.close()
    raw = io.BufferedReader(served.rfile) if buffered else served.rfile
    assert list(io.TextIOWrapper(raw, encoding="utf-8")) == ["grüß\n", "Gott\n"]


def test_json(ends: Any) -> None:
    stream, served = ends.exchange()
    with stream.wfile as file, io.TextIOWrapper(file) as text:
        json.dump({"answer": [42] * 1000}, text)
    assert json.load(served.rfile) == {"answer": [42] * 1000}


def test_copyfileobj_both_ways(ends: Any, tmp_path: Path, background: Any) -> None:
    body = bytes(range(256)) * 5000
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(body)
    stream, served = ends.exchange()

    def send() -> None:
        with source.open("rb") as file, stream.wfile as wfile:
            shutil.copyfileobj(file, wfile)

    sending = background(send)
    with target.open("wb") as file:
        shutil.copyfileobj(served.rfile, file)
    sending.result(5)
    assert target.read_bytes() == body


def test_closing_wfile_ends_our_side(ends: Any) -> None:
    stream, served = ends.exchange()
    assert stream.wfile.write(b"all of it") == 9
    stream.wfile.close()
    stream.wfile.close()
    assert stream.wfile.closed
    assert served.read() == b"all of it"
    with pytest.raises(ValueError, match="closed"):
        stream.wfile.write(b"more")


def test_closing_a_buffered_writer_flushes_and_ends(ends: Any) -> None:
    stream, served = ends.exchange()
    with io.BufferedWriter(stream.wfile) as writer:
        writer.write(b"small")
    assert served.read() == b"small"


def test_closing_rfile_leaves_the_stream_alone(ends: Any) -> None:
    stream, served = ends.exchange()
    stream.end(b"body")
    served.rfile.close()
    with pytest.raises(ValueError, match="closed"):
        served.rfile.read()
    assert served.read() == b"body"


def test_an_exception_in_the_block_cancels(ends: Any) -> None:
    stream, served = ends.exchange()
    with pytest.raises(KeyError), stream.wfile as file:
        file.write(b"half")
        raise KeyError
    with pytest.raises(StreamReset) as raised:
        served.read()
    assert raised.value.code == ErrorCode.CANCEL
    assert raised.value.partial in (b"", b"half")


def test_wfile_collected_does_not_end_the_body(ends: Any) -> None:
    stream, served = ends.exchange()
    stream.wfile.write(b"half")
    stream._wfile = None
    gc.collect()
    stream.end(b" and half")
    assert served.read() == b"half and half"


@pytest.mark.parametrize(
    "wrap", [io.BufferedWriter, io.TextIOWrapper, lambda raw: io.TextIOWrapper(io.BufferedWriter(raw))]
)
def test_a_dropped_writer_around_wfile_does_not_make_the_body_look_whole(ends: Any, wrap: Any) -> None:
    stream, served = ends.exchange()
    stream.write(b"half")
    assert served.read(4) == b"half"
    writer = wrap(stream.wfile)
    writer.write("x" if isinstance(writer, io.TextIOBase) else b"x")
    del writer
    gc.collect()
    with pytest.raises(StreamReset):
        served.read(timeout=5)


def test_a_dropped_reader_around_rfile_harms_nothing(ends: Any) -> None:
    stream, served = ends.exchange()
    stream.write(b"one\n")
    reader = io.BufferedReader(served.rfile, 16)
    assert reader.readline() == b"one\n"
    del reader
    gc.collect()
    stream.end(b"two\n")
    assert served.read() == b"two\n"


def test_files_keep_their_stream(ends: Any) -> None:
    stream, served = ends.exchange()
    rfile, wfile = served.rfile, served.wfile
    del served
    ends.held.clear()
    gc.collect()
    stream.end(b"question")
    assert rfile.read() == b"question"
    wfile.write(b"answer")
    wfile.close()
    assert stream.read() == b"answer"
