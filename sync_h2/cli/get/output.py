"""Where the bodies of `get` go: to stdout in the order of the URLs, or to files. Each is written by its request's
thread.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import IO, BinaryIO, Literal, Protocol

from ...interpreter import Lock
from ..exit_status import CommandError, ExitStatus, reason_of

_HELD_IN_MEMORY = 1 << 20  # bytes of a body whose turn has not come


class Output(Protocol):
    """One body's. Exactly one of `finish` and `abandon` is called, last."""

    def write(self, data: bytes) -> None: ...

    def finish(self) -> None:
        """It is whole."""

    def abandon(self) -> None:
        """It is not."""


class FileOutput:
    """A file, which gets its name when it is whole: until then it has one of its own, with `.part` at its end."""

    def __init__(self, path: str) -> None:
        self._path = path
        # What is no regular file, like /dev/null, can only be written to.
        self._replaces = os.path.isfile(path) or not os.path.exists(path)
        self._written_path = f"{path}.{secrets.token_hex(4)}.part" if self._replaces else path
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        try:
            if self._file is None:
                self._file = open(self._written_path, "xb" if self._replaces else "wb")  # noqa: SIM115 - closed by what comes last
            self._file.write(data)
            if not self._replaces:
                self._file.flush()  # somebody reads the pipe, say
        except OSError as error:
            raise _cannot_write(self._path, error) from error

    def finish(self) -> None:
        self.write(b"")
        assert self._file is not None
        try:
            self._file.close()
            if self._replaces:
                os.replace(self._written_path, self._path)
        except OSError as error:
            raise _cannot_write(self._path, error) from error

    def abandon(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # it could not be written before
                self._file.close()
            if self._replaces:
                with contextlib.suppress(OSError):
                    os.unlink(self._written_path)


class ResumedOutput:
    """A file that grows as its body comes, and stays when that breaks off: the next time the rest is asked for."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        try:
            self.offset = os.path.getsize(path)
        except FileNotFoundError:
            self.offset = 0
        except OSError as error:
            raise _cannot_write(path, error) from error

    def restart(self) -> None:
        """The whole body comes, not the rest."""
        self._open("wb")

    def write(self, data: bytes) -> None:
        if self._file is None:
            self._open("ab")
        assert self._file is not None
        try:
            self._file.write(data)
        except OSError as error:
            raise _cannot_write(self._path, error) from error

    def finish(self) -> None:
        self.write(b"")
        self.abandon()

    def abandon(self) -> None:
        try:
            if self._file is not None:
                self._file.close()
        except OSError as error:
            raise _cannot_write(self._path, error) from error

    def _open(self, mode: Literal["ab", "wb"]) -> None:
        try:
            self._file = open(self._path, mode)  # noqa: SIM115 - closed by what comes last
        except OSError as error:
            raise _cannot_write(self._path, error) from error


class OrderedOutputs:
    """Outputs that share stdout, in order: what comes before its turn is kept, beyond a size in a temporary file."""

    def __init__(self, count: int) -> None:
        self._lock = Lock()
        self._turn = 0
        self._kept: list[IO[bytes] | None] = [None] * count
        self._finished = [False] * count

    def output(self, number: int) -> Output:
        """For the body of this number."""
        return _Part(self, number)

    def write(self, number: int, data: bytes) -> None:
        with self._lock:
            if number == self._turn:
                _write_to_stdout(data)
                return
            try:
                kept = self._kept[number]
                if kept is None:
                    kept = tempfile.SpooledTemporaryFile(_HELD_IN_MEMORY)  # noqa: SIM115 - closed when its turn comes
                    self._kept[number] = kept
                kept.write(data)
            except OSError as error:
                raise _cannot_write("a temporary file", error) from error

    def finish(self, number: int) -> None:
        with self._lock:
            self._finished[number] = True
            while self._turn < len(self._finished) and self._finished[self._turn]:
                self._turn += 1
                if self._turn < len(self._kept):
                    self._write_kept(self._turn)

    def _write_kept(self, number: int) -> None:
        kept, self._kept[number] = self._kept[number], None
        if kept is not None:
            with kept:
                kept.seek(0)
                while data := kept.read(_HELD_IN_MEMORY):
                    _write_to_stdout(data)


class _Part:
    def __init__(self, outputs: OrderedOutputs, number: int) -> None:
        self._outputs = outputs
        self._number = number

    def write(self, data: bytes) -> None:
        self._outputs.write(self._number, data)

    def finish(self) -> None:
        self._outputs.finish(self._number)

    abandon = finish  # what has come is out, or goes out: stdout can't be taken back


def _write_to_stdout(data: bytes) -> None:
    """Raises `BrokenPipeError` when nobody reads any more."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _cannot_write("stdout", error) from error


def _cannot_write(path: str, error: OSError) -> CommandError:
    return CommandError(f"cannot write {path}: {reason_of(error)}", ExitStatus.CANNOT_WRITE)


def file_outputs(place: str, names: Sequence[str], make: Callable[[str], Output] = FileOutput) -> list[Output]:
    """Files for bodies that are called so, in the folder `place`; or, for a single one, the file `place`."""
    if not place.endswith(os.sep) and not os.path.isdir(place):
        if len(names) == 1:
            return [make(place)]
        if os.path.exists(place):
            raise CommandError(f"--output {place}: for several URLs it has to be a folder", ExitStatus.USAGE)
    try:
        os.makedirs(place, exist_ok=True)
    except OSError as error:
        raise _cannot_write(place, error) from error
    return [make(os.path.join(place, name)) for name in _different(names)]


def _different(names: Sequence[str]) -> list[str]:
    """Names, with numbers behind those that were there before."""
    different: list[str] = []
    for name in names:
        numbered = (name if number == 0 else f"{name}.{number}" for number in itertools.count())
        different.append(next(name for name in numbered if name not in different))
    return different
