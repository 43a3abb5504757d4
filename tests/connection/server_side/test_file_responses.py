"""Responses whose body is a file: `respond_with_file` and `respond_with_fd`."""

from __future__ import annotations

import math
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hyperframe.frame import DataFrame, RstStreamFrame

from support.octets.fields import REQUEST
from support.peers.raw_peer import server_and_raw_client
from support.threads.background import eventually
from sync_h2 import ErrorCode, InvalidArgument, InvalidState, StreamReset, Timeout
from sync_h2.testing import pair

CONTENT = bytes(range(256)) * 4000 + b"end"

OF_SYSFS = next(filter(os.path.exists, ("/sys/kernel/mm/transparent_hugepage/enabled", "/proc/self/limits")))
"""Has a size, of which nothing is true."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def is_open(path: Path) -> bool:
    """Whether this process has the file open."""
    descriptors = Path("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")
    for descriptor in descriptors.iterdir():
        try:
            if os.path.samestat(os.stat(descriptor), path.stat()):
                return True
        except OSError:
            continue  # the one that lists the folder
    return False


@contextmanager
def serving(handler: Callable[[Any], None], **options: Any) -> Iterator[tuple[Any, list[Exception]]]:
    """A client's session whose requests `handler(stream)` answers, and the errors that it raised: all, at the end."""
    errors: list[Exception] = []
    running: list[Any] = []

    def handle(stream: Any, headers: Any) -> None:
        running.append(stream.id)
        try:
            handler(stream)
        except Exception as error:
            errors.append(error)
            raise
        finally:
            running.remove(stream.id)

    client, server = pair(handle, **options)
    with client:
        yield client, errors
    eventually(lambda: server.destroyed and not running)


def stays_usable(handler: Callable[[Any], None]) -> None:
    """The stream that `handler` was refused something on takes its answer, "usable"."""
    with serving(handler) as (client, errors):
        assert client.request().read() == b"usable"
    assert errors == []


@contextmanager
def descriptor_of(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


# -- what is sent


def test_a_whole_file(path: Path) -> None:
    with serving(lambda stream: stream.respond_with_file(path, {"content-type": "text/plain"})) as (client, _):
        stream = client.request()
        response = stream.wait_response()
        assert (response[":status"], response["content-type"]) == ("200", "text/plain")
        assert response["content-length"] == str(len(CONTENT))
        assert "date" in response
        assert stream.read() == CONTENT
    assert not is_open(path)


@pytest.mark.parametrize("make", [str, Path, os.fsencode])
def test_a_path_is_what_open_takes(path: Path, make: Callable[[Path], Any]) -> None:
    with serving(lambda stream: stream.respond_with_file(make(path))) as (client, _):
        assert client.request().read() == CONTENT


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ({"offset": 1000}, CONTENT[1000:]),
        ({"length": 7}, CONTENT[:7]),
        ({"offset": 5, "length": 300_000}, CONTENT[5:300_005]),
        ({"offset": len(CONTENT) - 3, "length": 100}, b"end"),
        ({"length": 0}, b""),
        ({"offset": len(CONTENT)}, b""),
        ({"offset": len(CONTENT) + 1}, b""),
    ],
)
def test_a_part_of_a_file(path: Path, span: dict[str, int], expected: bytes) -> None:
    with serving(lambda stream: stream.respond_with_file(path, {":status": 206}, **span)) as (client, _):
        stream = client.request()
        assert stream.read() == expected
        assert stream.wait_response()["content-length"] == str(len(expected))


@pytest.mark.parametrize(
    ("span", "expected"), [({}, CONTENT), ({"offset": 300_000}, CONTENT[300_000:]), ({"length": 5}, CONTENT[:5])]
)
@pytest.mark.parametrize("as_file", [True, False])
def test_an_open_file(path: Path, span: dict[str, int], expected: bytes, as_file: bool) -> None:
    with path.open("rb") as file:
        file.seek(17)

        def handler(stream: Any) -> None:
            stream.respond_with_fd(file if as_file else file.fileno(), {"x-kind": "fd"}, **span)

        with serving(handler) as (client, _):
            streams = [client.request() for _ in range(3)]  # by position: they share one descriptor
            for stream in streams:
                assert stream.read() == expected
                assert stream.wait_response()["x-kind"] == "fd"
                assert "content-length" not in stream.wait_response()
        assert file.tell() == 17


def test_the_descriptor_may_be_closed_on_return(path: Path) -> None:
    """Whatever flow control has not let through yet."""

    def handler(stream: Any) -> None:
        with descriptor_of(path) as descriptor:
            stream.respond_with_fd(descriptor)

    with serving(handler, client={"settings": {"initial_window_size": 50_000}}) as (client, errors):
        assert client.request().read() == CONTENT
    assert errors == []


@pytest.mark.parametrize("path", ["/proc/version", "/proc/sys/kernel/ostype", OF_SYSFS])
@pytest.mark.parametrize("span", [{}, {"offset": 3}, {"length": 4}, {"offset": 2, "length": 3}, {"length": 100_000}])
def test_a_file_whose_size_says_nothing(path: str, span: dict[str, int]) -> None:
    content = Path(path).read_bytes()
    offset, length = span.get("offset", 0), span.get("length", len(content))
    sizes = []

    def respond(stream: Any) -> None:
        def check(status: Any, fields: Any, given: Any) -> None:
            sizes.append(given.size)

        stream.respond_with_file(path, {"content-length": 7}, stat_check=check, **span)

    with serving(respond) as (client, errors):
        stream = client.request()
        assert stream.read(timeout=10) == content[offset : offset + length]
        assert "content-length" not in stream.response_headers
    assert (sizes, errors) == ([None], [])


def test_a_file_without_blocks_whose_size_is_true(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(100_000)
    with serving(lambda stream: stream.respond_with_file(path, offset=10)) as (client, errors):
        stream = client.request()
        assert stream.read(timeout=10) == bytes(99_990)
        assert stream.response_headers["content-length"] == "99990"
    assert errors == []


def test_an_empty_file_ends_with_the_headers(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with serving(lambda stream: stream.respond_with_file(tmp_path / "empty")) as (client, _):
        stream = client.request()
        assert stream.wait_response()["content-length"] == "0"
        assert stream.end_after_headers
        assert stream.read() == b""


def test_the_last_piece_ends_the_stream(path: Path) -> None:
    with server_and_raw_client(lambda stream, headers: stream.respond_with_file(path, length=100)) as (_, peer):
        peer.headers(1, REQUEST, end_stream=True)
        frame = peer.expect(DataFrame, 1)
        assert (len(frame.data), "END_STREAM" in frame.flags) == (100, True)


@pytest.mark.parametrize("status", [204, 205, 304])
def test_statuses_without_a_body(path: Path, status: int) -> None:
    with serving(lambda stream: stream.respond_with_file(path, {":status": status})) as (client, _):
        stream = client.request()
        assert stream.read() == b""
        response = stream.wait_response()
        assert response[":status"] == str(status)
        assert ("content-length" in response) is (status == 304)


def test_head_gets_the_headers_alone(path: Path) -> None:
    def handler(stream: Any) -> None:
        if stream.request_headers[":path"] == "/fd":
            with descriptor_of(path) as descriptor:
                stream.respond_with_fd(descriptor)
        else:
            stream.respond_with_file(path)

    with serving(handler) as (client, errors):
        for name, length in (("/file", str(len(CONTENT))), ("/fd", None)):
            stream = client.request({":method": "HEAD", ":path": name})
            assert stream.wait_response().get("content-length") == length
            assert stream.read() == b""
    assert errors == []


@pytest.mark.parametrize("by_path", [True, False])
def test_trailers_follow(path: Path, by_path: bool) -> None:
    def handler(stream: Any) -> None:
        if by_path:
            stream.respond_with_file(path, wait_for_trailers=True)
        else:
            with descriptor_of(path) as descriptor:
                stream.respond_with_fd(descriptor, wait_for_trailers=True)
        stream.send_trailers({"x-checksum": "abc"})

    with serving(handler) as (client, _):
        stream = client.request()
        assert stream.read() == CONTENT
        assert stream.wait_trailers()["x-checksum"] == "abc"


def test_the_request_body_can_be_read_afterwards(path: Path) -> None:
    received = []

    def handler(stream: Any) -> None:
        stream.respond_with_file(path)
        received.append(stream.read())

    with serving(handler) as (client, _):
        stream = client.request({":method": "POST"})
        assert stream.read() == CONTENT
        stream.end(b"body")
        stream.wait_closed(timeout=5)
        eventually(lambda: received == [b"body"])


def test_a_pushed_file(path: Path) -> None:
    def handler(stream: Any) -> None:
        stream.push_stream({":path": "/pushed"}).respond_with_file(path)
        stream.end(b"page")

    with serving(handler) as (client, _):
        stream = client.request()
        assert [pushed.read() for pushed in stream.pushes()] == [CONTENT]
        assert stream.read() == b"page"


# -- stat_check


@pytest.mark.parametrize("by_path", [True, False])
def test_stat_check_chooses_headers_and_range(path: Path, by_path: bool) -> None:
    def check(status: os.stat_result, headers: Any, span: Any) -> None:
        assert stat.S_ISREG(status.st_mode)
        assert (span.offset, span.length) == (3, -1)
        headers["x-size"] = status.st_size
        span.offset, span.length = 10, 20

    def handler(stream: Any) -> None:
        if by_path:
            stream.respond_with_file(path, stat_check=check, offset=3)
        else:
            with descriptor_of(path) as descriptor:
                stream.respond_with_fd(descriptor, stat_check=check, offset=3)

    with serving(handler) as (client, errors):
        stream = client.request()
        assert stream.read() == CONTENT[10:30]
        assert stream.wait_response()["x-size"] == str(len(CONTENT))
    assert errors == []


@pytest.mark.parametrize("by_path", [True, False])
def test_stat_check_may_answer_itself(path: Path, by_path: bool) -> None:
    def handler(stream: Any) -> None:
        def check(status: os.stat_result, headers: Any, span: Any) -> bool:
            stream.respond({":status": 304}, end_stream=True)
            return False

        if by_path:
            stream.respond_with_file(path, stat_check=check)
        else:
            with descriptor_of(path) as descriptor:
                stream.respond_with_fd(descriptor, stat_check=check)
        assert not is_open(path)

    with serving(handler) as (client, errors):
        assert client.request().wait_response()[":status"] == "304"
    assert errors == []


@pytest.mark.parametrize("by_path", [True, False])
def test_stat_check_that_gives_a_bad_range(path: Path, by_path: bool) -> None:
    def check(status: os.stat_result, headers: Any, span: Any) -> None:
        span.offset = -1

    def handler(stream: Any) -> None:
        if by_path:
            stream.respond_with_file(path, stat_check=check)
        else:
            with descriptor_of(path) as descriptor:
                stream.respond_with_fd(descriptor, stat_check=check)

    with serving(handler) as (client, errors):
        with pytest.raises(StreamReset) as caught:
            client.request().read()
        assert caught.value.code == ErrorCode.INTERNAL_ERROR
        eventually(lambda: errors)
        assert str(errors[0]).startswith("offset must be between 0")
    assert not is_open(path)


# -- what can't be sent


def refusing(tmp_path: Path) -> dict[str, tuple[Path, type[Exception]]]:
    os.mkfifo(tmp_path / "fifo")
    return {
        "missing": (tmp_path / "missing", FileNotFoundError),
        "folder": (tmp_path, InvalidArgument),
        "fifo": (tmp_path / "fifo", InvalidArgument),
    }


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo"])
def test_what_is_no_file_resets_the_stream(tmp_path: Path, kind: str) -> None:
    path, expected = refusing(tmp_path)[kind]
    with serving(lambda stream: stream.respond_with_file(path)) as (client, errors):
        with pytest.raises(StreamReset) as caught:
            client.request().wait_response()
        assert caught.value.code == ErrorCode.INTERNAL_ERROR
        eventually(lambda: errors)
        assert isinstance(errors[0], expected)
        assert str(path) in str(errors[0])


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo"])
def test_what_is_no_file_may_be_answered_by_who_catches_the_error(tmp_path: Path, kind: str) -> None:
    path, expected = refusing(tmp_path)[kind]

    def handler(stream: Any) -> None:
        with pytest.raises(expected):
            stream.respond_with_file(path)
        stream.respond({":status": 404}, end_stream=True)

    with serving(handler) as (client, errors):
        assert client.request().wait_response()[":status"] == "404"
    assert errors == []


def test_a_detached_stream_is_reset_at_once(open_ends: Any, tmp_path: Path) -> None:
    stream, served = open_ends().exchange()
    with pytest.raises(FileNotFoundError):
        served.respond_with_file(tmp_path / "missing")
    assert served.rst_code == ErrorCode.INTERNAL_ERROR
    with pytest.raises(StreamReset):
        stream.wait_response()


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo"])
def test_on_error_may_answer(tmp_path: Path, kind: str) -> None:
    path, expected = refusing(tmp_path)[kind]
    seen = []

    def handler(stream: Any) -> None:
        def failed(error: Exception) -> None:
            seen.append(error)
            stream.respond({":status": 404})
            stream.end(b"not here")

        stream.respond_with_file(path, on_error=failed)

    with serving(handler) as (client, errors):
        stream = client.request()
        assert stream.read() == b"not here"
        assert stream.wait_response()[":status"] == "404"
    assert errors == []
    assert isinstance(seen[0], expected)


def test_on_error_must_be_a_function(path: Path) -> None:
    def handler(stream: Any) -> None:
        with pytest.raises(TypeError, match="on_error"):
            stream.respond_with_file(path, on_error="404")
        stream.end(b"usable")

    stays_usable(handler)


def test_on_error_is_not_asked_for_a_stream_that_is_gone(path: Path) -> None:
    def handler(stream: Any) -> None:
        with pytest.raises(InvalidArgument, match="max_send_header_block_length"):
            stream.respond_with_file(path, {"x": "y" * 5000}, on_error=asked.append)

    asked: list[Exception] = []
    with serving(handler, max_send_header_block_length=4000) as (client, errors), pytest.raises(StreamReset):
        client.request().read()
    assert asked == []
    assert errors == []


def test_a_failure_on_another_thread_leaves_nobody_waiting(tmp_path: Path, background: Any) -> None:
    def handler(stream: Any) -> None:
        failed = background(stream.respond_with_file, tmp_path / "missing")
        assert isinstance(failed.exception(5), FileNotFoundError)
        stream.detach()

    with serving(handler) as (client, errors):
        with pytest.raises(StreamReset) as caught:
            client.request().read()
        assert caught.value.code == ErrorCode.INTERNAL_ERROR
    assert errors == []


def test_on_error_gets_what_stat_check_raises(path: Path) -> None:
    def check(status: os.stat_result, headers: Any, span: Any) -> None:
        raise PermissionError("not for you")

    def handler(stream: Any) -> None:
        stream.respond_with_file(
            path, stat_check=check, on_error=lambda error: stream.respond({":status": 403}, end_stream=True)
        )

    with serving(handler) as (client, errors):
        assert client.request().wait_response()[":status"] == "403"
    assert errors == []
    assert not is_open(path)


@pytest.mark.parametrize(
    ("arguments", "expected", "named"),
    [
        ({"offset": -1}, InvalidArgument, "offset"),
        ({"length": -2}, InvalidArgument, "length"),
        ({"offset": 1.5}, TypeError, "offset"),
        ({"length": "5"}, TypeError, "length"),
        ({"timeout": -1}, InvalidArgument, "timeout"),
        ({"timeout": "5"}, TypeError, "timeout"),
        ({"stat_check": "none"}, TypeError, "stat_check"),
        ({"headers": {"bad name": "x"}}, InvalidArgument, "bad name"),
        ({"headers": {":status": 99}}, InvalidArgument, "status"),
    ],
)
@pytest.mark.parametrize("by_path", [True, False])
def test_bad_arguments(
    path: Path, by_path: bool, arguments: dict[str, Any], expected: type[Exception], named: str
) -> None:
    def handler(stream: Any) -> None:
        with descriptor_of(path) as descriptor, pytest.raises(expected, match=named):
            if by_path:
                stream.respond_with_file(path, **arguments)
            else:
                stream.respond_with_fd(descriptor, **arguments)
        stream.end(b"usable")

    stays_usable(handler)


@pytest.mark.parametrize("fd", [-1, 2**40])
def test_a_number_that_no_descriptor_has(fd: int) -> None:
    def handler(stream: Any) -> None:
        with pytest.raises(InvalidArgument, match="fd must be"):
            stream.respond_with_fd(fd)
        stream.end(b"usable")

    stays_usable(handler)


@pytest.mark.parametrize("what", [None, object(), "name", b"name", 1.5])
def test_what_is_no_descriptor(what: Any) -> None:
    def handler(stream: Any) -> None:
        with pytest.raises(TypeError, match="fd must be"):
            stream.respond_with_fd(what)
        with pytest.raises(TypeError):
            stream.respond_with_file(object())
        stream.end(b"usable")

    stays_usable(handler)


def test_only_one_response(path: Path) -> None:
    def handler(stream: Any) -> None:
        stream.respond()
        with pytest.raises(InvalidState, match="sent already"):
            stream.respond_with_file(path)
        with descriptor_of(path) as descriptor, pytest.raises(InvalidState, match="sent already"):
            stream.respond_with_fd(descriptor)
        stream.end(b"first")

    with serving(handler) as (client, errors):
        assert client.request().read() == b"first"
    assert errors == []


def test_a_pipe_has_no_positions() -> None:
    reading, writing = os.pipe()
    try:
        with serving(lambda stream: stream.respond_with_fd(reading)) as (client, errors):
            with pytest.raises(StreamReset) as caught:
                client.request().read()
            assert caught.value.code == ErrorCode.INTERNAL_ERROR
            eventually(lambda: errors)
            assert isinstance(errors[0], OSError)
    finally:
        os.close(reading)
        os.close(writing)


# -- what goes wrong on the way


def test_a_file_that_shrinks(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    window = {"settings": {"initial_window_size": 50_000}}
    with serving(lambda stream: stream.respond_with_file(path), client=window) as (client, errors):
        stream = client.request()
        eventually(lambda: len(stream._state.buffer) == 50_000)  # now the server waits, and reads nothing
        os.truncate(path, 300_000)
        with pytest.raises(StreamReset) as caught:
            stream.read()
        assert caught.value.code == ErrorCode.INTERNAL_ERROR
        assert CONTENT.startswith(caught.value.partial)
        eventually(lambda: errors)
        assert "too early" in str(errors[0])
        (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
        assert "too early" in record.getMessage()
    assert not is_open(path)


def test_a_shorter_file_than_length_says(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def handler(stream: Any) -> None:
        with descriptor_of(path) as descriptor:
            stream.respond_with_fd(descriptor, length=len(CONTENT) + 1)

    with serving(handler) as (client, errors):
        with pytest.raises(StreamReset) as caught:
            client.request().read()
        assert caught.value.code == ErrorCode.INTERNAL_ERROR
        assert caught.value.partial == CONTENT
        eventually(lambda: "the file ended 1 bytes too early" in caplog.text)
        assert all(isinstance(error, InvalidState) for error in errors)  # none where the session had it in hand


@pytest.mark.parametrize("length", [len(CONTENT) - 1, len(CONTENT) + 1])
def test_a_content_length_that_is_not_the_file_s(path: Path, length: int) -> None:
    def handler(stream: Any) -> None:
        with descriptor_of(path) as descriptor:
            stream.respond_with_fd(descriptor, {"content-length": length})

    with serving(handler) as (client, errors):
        with pytest.raises(StreamReset) as caught:
            client.request().read()
        assert caught.value.code == ErrorCode.INTERNAL_ERROR
        eventually(lambda: errors)
        assert "content-length" in str(errors[0])


def test_a_reset_in_the_middle_closes_the_file(path: Path) -> None:
    with serving(lambda stream: stream.respond_with_file(path)) as (client, errors):
        stream = client.request()
        stream.read(1000)
        eventually(lambda: is_open(path))  # while it changes hands, one look may miss both descriptors
        stream.close(ErrorCode.CANCEL)
        eventually(lambda: not is_open(path))
        assert all(isinstance(error, StreamReset) for error in errors)  # none where the session had it in hand


def test_a_client_that_is_gone_closes_the_file(path: Path) -> None:
    with serving(lambda stream: stream.respond_with_file(path)) as (client, _):
        stream = client.request()
        stream.read(1000)
        eventually(lambda: is_open(path))  # while it changes hands, one look may miss both descriptors
        client.destroy()
        eventually(lambda: not is_open(path))


def test_a_handler_whose_time_ran_out_resets(path: Path) -> None:
    def handler(stream: Any, headers: Any) -> None:
        stream.respond_with_file(path, timeout=0.2)

    with server_and_raw_client(handler) as (_, peer):
        peer.headers(1, REQUEST, end_stream=True)  # its window is 65,535 bytes and stays so
        received = 0
        while not isinstance(frame := peer.receive(), RstStreamFrame):
            received += len(frame.data) if isinstance(frame, DataFrame) else 0
        assert received == 65_535
        assert frame.error_code == ErrorCode.INTERNAL_ERROR


def test_for_ever_is_longer_than_the_sessions_own_timeout(path: Path) -> None:
    options = {"server": {"write_timeout": 0.05}, "client": {"settings": {"initial_window_size": 50_000}}}
    with serving(lambda stream: stream.respond_with_file(path, timeout=math.inf), **options) as (client, errors):
        stream = client.request()
        with pytest.raises(Timeout):
            stream.wait_closed(timeout=0.2)  # longer than its write_timeout
        assert stream.read() == CONTENT
    assert errors == []


def test_bytes_written_counts_all_pieces(open_ends: Any, path: Path) -> None:
    stream, served = open_ends(client={"settings": {"initial_window_size": 400_000}}).exchange()
    with pytest.raises(Timeout) as caught:
        served.respond_with_file(path, timeout=0.2)
    assert caught.value.bytes_written == 400_000
    assert not is_open(path)
    assert stream.read(10) == CONTENT[:10]


# -- memory

SERVER = """
import resource, sys
import sync_h2

server = sync_h2.create_server(lambda stream, headers: stream.respond_with_file(sys.argv[1]))
with server:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, server.url, flush=True)
    sys.stdin.read()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_a_gigabyte_costs_no_memory() -> None:
    size = 1 << 30
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(size)
        command = [sys.executable, "-c", SERVER, file.name]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            at_rest, url = process.stdout.readline().split()
            download = ["curl", "-sS", "--http2-prior-knowledge", "-o", os.devnull, "-w", "%{size_download}", url]
            downloaded = subprocess.run(download, capture_output=True, text=True, check=True).stdout
            most, _ = process.communicate("")
    assert int(downloaded) == size
    unit = 1 if sys.platform == "darwin" else 1024
    growth = (int(most) - int(at_rest)) * unit
    assert growth < 60_000_000
