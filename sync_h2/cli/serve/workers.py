"""Several processes that serve on one port, and the one that looks after them, which has a single thread."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable
from typing import Any

from ..exit_status import CommandError, ExitStatus, complain, give_up_unwritten
from .signals import STOP_SIGNALS, STOPPING, StopSignals

Run = Callable[..., int]
"""`run(listening, *others)`: serve until SIGTERM, or until one of `others` can be read; in between `listening(url)` is
called.
"""

_context = multiprocessing.get_context("fork")


class _CannotBegin(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


class _Stopped(Exception):
    """A signal came."""


class _Worker:
    """A process that serves; `start` returns when it does."""

    def __init__(self, run: Run, signals: StopSignals) -> None:
        receiver, sender = _context.Pipe(duplex=False)
        self.process = _context.Process(target=_work, args=(run, sender))
        # A signal must not come between the fork and the worker's own handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            sender.close()
        self._signals = signals
        self._receiver = receiver

    def url(self) -> str:
        """Where it serves; blocks until it does. Raises `_CannotBegin`, and `_Stopped` when a signal comes first."""
        with self._receiver as receiver:
            if self._signals.wait(receiver) is None:
                raise _Stopped
            try:
                return str(receiver.recv())
            except EOFError:
                self.process.join()
                raise _CannotBegin(self.process.exitcode or ExitStatus.FAILURE) from None


def run_workers(count: int, run: Run, listening: Callable[[str], None]) -> int:
    """Run `count` processes until SIGINT or SIGTERM comes; one that dies is replaced, one that can't begin ends all.

    `listening(url)` is called once all of them accept connections.
    """
    workers: list[_Worker] = []
    status: int = ExitStatus.SUCCESS
    with StopSignals() as signals:

        def add() -> str:
            workers.append(_Worker(run, signals))
            return workers[-1].url()

        try:
            urls = [add() for _ in range(count)]
            listening(urls[0])
            while True:
                _replace_dead(workers, signals.wait(*_sentinels(workers)))
                add()
        except _Stopped:
            complain(STOPPING)
        except _CannotBegin as error:
            status = error.status
        finally:
            if not _stop(workers, signals):
                status = ExitStatus.INTERRUPTED
    return status


def _replace_dead(workers: list[_Worker], sentinel: Any) -> None:
    if sentinel is None:
        raise _Stopped
    worker = _take_out(workers, sentinel)
    code = worker.process.exitcode or 0
    how = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
    complain(f"worker {worker.process.pid} {how}: another takes its place")


def _stop(workers: list[_Worker], signals: StopSignals) -> bool:
    """Have them finish what is under way; a second signal ends them at once (False)."""
    for worker in workers:
        worker.process.terminate()
    patient = True
    while workers:
        sentinel = signals.wait(*_sentinels(workers))
        if sentinel is None:
            patient = False
            for worker in workers:
                worker.process.kill()
        else:
            _take_out(workers, sentinel)
    return patient


def _take_out(workers: list[_Worker], sentinel: Any) -> _Worker:
    """The worker that has ended."""
    worker = next(worker for worker in workers if worker.process.sentinel == sentinel)
    worker.process.join()
    workers.remove(worker)
    return worker


def _sentinels(workers: list[_Worker]) -> list[int]:
    return [worker.process.sentinel for worker in workers]


def _work(run: Run, sender: Any) -> None:
    """A worker's main function. Ctrl-C reaches all processes of a terminal: it is the first process that acts on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def listening(url: str) -> None:
        sender.send(url)
        sender.close()

    try:
        sys.exit(run(listening, parent.sentinel))
    except CommandError as error:
        complain(str(error))
        sys.exit(error.status)
    finally:
        give_up_unwritten(sys.stderr)
