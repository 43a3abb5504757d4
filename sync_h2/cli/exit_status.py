"""How a command ends: exit statuses, and the error that stands for one of them and a line on stderr. Any
thread.
"""

from __future__ import annotations

import contextlib
import enum
import os
import socket
import sys
from typing import TextIO

from ..errors import ALPNError, ConnectionLost, HTTP2Error, InvalidArgument, Timeout, TLSError
from ..exceptions import ContentDecodingError


class ExitStatus(enum.IntEnum):
    """Exit statuses. Where `curl` has one for the same, it is curl's."""

    SUCCESS = 0
    FAILURE = 1
    USAGE = 2
    NO_CONNECTION = 7
    HTTP2 = 16
    HTTP_STATUS = 22
    CANNOT_WRITE = 23
    TIMEOUT = 28
    CANNOT_RESUME = 33
    TLS = 35
    REDIRECTS = 47
    CONTENT_CODING = 61
    INTERRUPTED = 128 + 2  # SIGINT, as shells count
    OUTPUT_CLOSED = 128 + 13  # SIGPIPE


MEANINGS = {
    ExitStatus.SUCCESS: "nothing",
    ExitStatus.FAILURE: "something else: a file that can't be read, a port that is taken",
    ExitStatus.USAGE: "arguments that make no sense",
    ExitStatus.NO_CONNECTION: "no connection came about, or it was lost",
    ExitStatus.HTTP2: "the stream was reset, or the session ended",
    ExitStatus.HTTP_STATUS: "a status of 400 or above, with --fail",
    ExitStatus.CANNOT_WRITE: "the output can't be written",
    ExitStatus.TIMEOUT: "it took longer than --timeout",
    ExitStatus.CANNOT_RESUME: "the rest of a file can't be had, with -C -",
    ExitStatus.TLS: "TLS failed, the certificate is not trusted, or the server does not speak HTTP/2",
    ExitStatus.REDIRECTS: "too many redirects, with -L",
    ExitStatus.CONTENT_CODING: "the body does not match its content-encoding",
    ExitStatus.INTERRUPTED: "Ctrl-C",
    ExitStatus.OUTPUT_CLOSED: "nobody reads the output any more",
}

_OF_ERRORS: list[tuple[type[HTTP2Error], ExitStatus]] = [
    (Timeout, ExitStatus.TIMEOUT),
    (TLSError, ExitStatus.TLS),
    (ALPNError, ExitStatus.TLS),
    (ConnectionLost, ExitStatus.NO_CONNECTION),
    (InvalidArgument, ExitStatus.USAGE),
    (ContentDecodingError, ExitStatus.CONTENT_CODING),
]


class CommandError(Exception):
    """A failure that is one line on stderr and an exit status."""

    def __init__(self, message: str, status: ExitStatus = ExitStatus.FAILURE) -> None:
        super().__init__(message)
        self.status = status


def status_of(error: HTTP2Error) -> ExitStatus:
    """The exit status that stands for `error`."""
    return next((status for kind, status in _OF_ERRORS if isinstance(error, kind)), ExitStatus.HTTP2)


def reason_of(error: OSError) -> str:
    """What went wrong, without the number and the names."""
    if error.errno and not isinstance(error, socket.gaierror):  # whose numbers are others
        return os.strerror(error.errno)
    return error.strerror or str(error)


def cannot_read(error: OSError) -> CommandError:
    """The failure to open or to read a file of the user's."""
    return CommandError(f"cannot read {error.filename or 'a file'}: {reason_of(error)}")


def complain(message: str) -> None:
    """One line on stderr, with nothing in it that a terminal would obey."""
    line = " ".join(message.split())
    shown = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in line)
    with contextlib.suppress(OSError):  # nobody reads it, which must not keep a server from finishing its work
        sys.stderr.write(f"sync-h2: {shown}\n")
        sys.stderr.flush()


def give_up_unwritten(stream: TextIO) -> None:
    """To be called, of stdout and stderr, before the process ends: Python flushes them then, and what can't be written
    would be a failure of its own.
    """
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
