"""Responses whose body is a file: `respond_with_fd` and `respond_with_file`. Everything runs on the caller's thread.

The file is read by position, a piece at a time, each when flow control has let the one before through; so its size
costs no memory, and one descriptor can serve several streams.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...arguments import check_whole_number, type_name
from ...deadline import Deadline, check_timeout
from ...errors import HTTP2Error, InvalidArgument, InvalidState, Timeout
from ...file_size import size_of
from ...protocol.fields.headers import Headers, HeadersSource
from ...transport.log import Log
from .answering_stream import AnsweringStream
from .unattended_data import MOST_OF_A_STREAM

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike, StrOrBytesPath


logger = Log("sync_h2.server")

PIECE = 256 * 1024
"""How much of a file is in memory at a time, in bytes."""

_PATIENCE = 1.0
"""How long, in seconds, a thread waits for a client to take a piece, before the session sends the rest without one."""

_LARGEST_OFFSET = 2**63 - 1
_LARGEST_DESCRIPTOR = 2**31 - 1
_DONT_BLOCK = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass
class FileRange:
    """Which bytes of the file are the body: `length` of them from `offset` on, -1 for all that follow.

    `size` is how many `respond_with_file` found in the file; None where only reading tells, as in /proc, whatever
    `os.stat` says. To change it changes nothing.
    """

    offset: int = 0
    length: int = -1
    size: int | None = None

    def _check(self) -> None:
        check_whole_number("offset", self.offset, 0, _LARGEST_OFFSET)
        check_whole_number("length", self.length, -1, _LARGEST_OFFSET)


StatCheck = Callable[[os.stat_result, Headers, FileRange], object]


def respond_with_file(
    stream: AnsweringStream,
    path: StrOrBytesPath,
    headers: HeadersSource | None,
    stat_check: StatCheck | None,
    on_error: Callable[[Exception], object] | None,
    span: FileRange,
    wait_for_trailers: bool,
    timeout: float | None,
) -> None:
    path = os.fspath(path)
    fields = _checked(stream, headers, span, timeout, stat_check=stat_check, on_error=on_error)
    try:
        # Unbuffered, so that it holds nothing but the descriptor.
        file = open(path, "rb", buffering=0, opener=_open)  # noqa: SIM115 - closed below, whatever happens
    except Exception as error:
        if isinstance(error, IsADirectoryError):
            error = InvalidArgument(f"path {path!r} is a directory, not a regular file")
        _not_sent(stream, error, on_error)
        return
    with file:
        try:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InvalidArgument(f"path {path!r} is not a regular file")
            size = span.size = size_of(file.fileno(), status)
            if stat_check is not None:
                if stat_check(status, fields, span) is False:
                    return
                span._check()
            length = span.length
            if size is None:
                fields.pop("content-length", None)
            else:
                left = max(size - span.offset, 0)
                length = left if length < 0 else min(length, left)
                if fields.get(":status") not in ("204", "205"):  # RFC 9110 sections 8.6 and 15.3.6
                    fields["content-length"] = length
            stream.respond(fields, end_stream=not length and not wait_for_trailers, wait_for_trailers=wait_for_trailers)
        except Exception as error:
            _not_sent(stream, error, on_error)
        else:
            _send(stream, file.fileno(), FileRange(span.offset, length), timeout, may_end_early=size is None)


def respond_with_fd(
    stream: AnsweringStream,
    fd: FileDescriptorLike,
    headers: HeadersSource | None,
    stat_check: StatCheck | None,
    span: FileRange,
    wait_for_trailers: bool,
    timeout: float | None,
) -> None:
    descriptor = _descriptor(fd)
    fields = _checked(stream, headers, span, timeout, stat_check=stat_check)
    if stat_check is not None:
        try:
            if stat_check(os.fstat(descriptor), fields, span) is False:
                return
            span._check()
        except Exception as error:
            _not_sent(stream, error, None)
            return
    stream.respond(fields, wait_for_trailers=wait_for_trailers)
    _send(stream, descriptor, span, timeout)


def _checked(
    stream: AnsweringStream, headers: HeadersSource | None, span: FileRange, timeout: float | None, **functions: object
) -> Headers:
    """The headers to send; raises what is wrong with the call before anything has been done."""
    fields = Headers(headers)
    span._check()
    check_timeout(timeout)
    for name, function in functions.items():
        if function is not None and not callable(function):
            raise TypeError(f"{name} must be a function, not {type_name(function)}")
    stream._check_unanswered()
    return fields


def _descriptor(fd: FileDescriptorLike) -> int:
    if isinstance(fd, int):
        check_whole_number("fd", fd, 0, _LARGEST_DESCRIPTOR)
        return fd
    try:
        return fd.fileno()
    except (AttributeError, OSError) as error:
        raise TypeError(f"fd must be a file descriptor or a file that has one, not {type_name(fd)}") from error


def _open(path: str, flags: int) -> int:
    # A FIFO that nobody writes would block the opening; reading a regular file is not changed by this.
    return os.open(path, flags | _DONT_BLOCK)


def _not_sent(stream: AnsweringStream, error: Exception, on_error: Callable[[Exception], object] | None) -> None:
    """A failure before the headers went out: `on_error`'s, or the caller's."""
    if isinstance(error, HTTP2Error) and (stream.closed or not isinstance(error, InvalidArgument)):
        raise error  # the stream can't be answered at all
    if on_error is None:
        stream._fail_unless_answered()
        raise error
    on_error(error)


def _send(
    stream: AnsweringStream, descriptor: int, span: FileRange, timeout: float | None, *, may_end_early: bool = False
) -> None:
    """Send the body and end our side. What the file can't give resets the stream with INTERNAL_ERROR; with
    `may_end_early`, `span.length` is the most that it may give.
    """
    state = stream._state
    if state.no_body or state.local_ended:
        return
    deadline = Deadline(timeout)
    sent = 0
    # The rest to the session, where the client is slow.
    leaves = timeout is None and span.length >= 0 and not may_end_early
    leaves = leaves and state.remote_ended and not state.wait_for_trailers
    # While the session encrypts, this thread reads: twice as fast. Without TLS a second thread makes nothing faster.
    until_full = leaves and not stream.session.encrypted
    try:
        while True:
            wanted = PIECE if span.length < 0 else min(PIECE, span.length - sent)
            piece = os.pread(descriptor, wanted, span.offset + sent) if wanted else b""
            if len(piece) < wanted and not piece and span.length >= 0 and not may_end_early:
                logger.warning("%s: the file ended %d bytes too early", stream._words, span.length - sent)
                raise InvalidState(f"the file ended {span.length - sent} bytes too early", stream_id=stream.id)
            ends = not piece or sent + len(piece) == span.length
            left = deadline.remaining()
            # None is the session's own: so long without progress.
            patience = math.inf if left is None and timeout is not None else left
            try:
                if leaves and len(piece) > MOST_OF_A_STREAM:
                    sent += stream._write(piece, _PATIENCE, ends=ends, until_full=until_full)
                    if ends:
                        return
                elif ends:
                    stream.end(piece, patience)
                    return
                else:
                    sent += stream.write(piece, patience)
            except Timeout as error:
                if not leaves:
                    raise
                sent += error.bytes_written
                if stream._leave_file(descriptor, span.offset + sent, span.length - sent):
                    return
                leaves = False
    except Timeout as error:
        error.bytes_written += sent
        raise
    except (OSError, InvalidState) as error:
        if isinstance(error, InvalidState) or not isinstance(error, HTTP2Error):
            stream._fail(error)
        raise
