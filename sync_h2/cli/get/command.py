"""`sync-h2 get`: URLs, all at once. A few threads make the requests; the main thread waits, and tells how it goes."""

from __future__ import annotations

import argparse
import logging
import queue
import sys
import threading
from collections.abc import Sequence

from ...deadline import Deadline
from ..exit_status import CommandError, ExitStatus, cannot_read, complain
from .connections import Connections
from .fetch import Fetch, Wishes
from .output import FileOutput, OrderedOutputs, Output, ResumedOutput, file_outputs
from .progress import INTERVAL, ProgressBar
from .targets import Body, parse_target, request_fields, takes_codings
from .waterfall import waterfall, waterfall_picture

_MOST_THREADS = 100
_PATIENCE_WITH_THREADS = 2.0  # seconds, after an interrupt
_LONGEST_DEAF = 0.5  # seconds for which an interrupt may not be noticed that comes as the main thread is about to wait


def get(options: argparse.Namespace) -> int:
    """Get URLs over HTTP/2, all at once, on one connection for each origin. Bodies go to stdout, in the order of the
    URLs.
    """
    # What goes wrong is said once, by the command.
    logging.getLogger("sync_h2").addHandler(logging.NullHandler())
    targets = [parse_target(url) for url in options.urls]
    try:
        body = None if options.data is None else Body(options.data)
    except OSError as error:
        raise cannot_read(error) from error
    decode = takes_codings(options)
    fields = request_fields(options.header, options.request, body, compressed=decode)
    outputs: Sequence[Output]
    resumes = options.continue_at is not None
    if options.output is None or options.output == "-":
        if resumes:
            raise CommandError("--continue-at needs a file: --output or --remote-name", ExitStatus.USAGE)
        in_order = OrderedOutputs(len(targets))
        outputs = [in_order.output(number) for number in range(len(targets))]
    else:
        names = [target.file_name for target in targets]
        outputs = file_outputs(options.output, names, ResumedOutput if resumes else FileOutput)
    wishes = Wishes(options.timeout, options.include, options.fail, options.location, decode)
    connections = Connections(
        verbose=options.verbose, timeout=options.timeout, cafile=options.cacert, verify=not options.insecure
    )
    fetches = [
        Fetch(target, fields, body, output, wishes, connections)
        for target, output in zip(targets, outputs, strict=True)
    ]
    status = _run(fetches, connections, ProgressBar(fetches) if _shows_progress(options) else None)
    if options.timing:
        sys.stderr.write(waterfall(fetches, connections.openings))
    if options.timing_svg is not None:
        _write_picture(options.timing_svg, waterfall_picture(fetches, connections.openings))
    return status


def _run(fetches: Sequence[Fetch], connections: Connections, bar: ProgressBar | None) -> ExitStatus:
    """Make the requests, and return the exit status of the first that failed."""
    waiting: queue.SimpleQueue[Fetch] = queue.SimpleQueue()
    ended: queue.SimpleQueue[Fetch] = queue.SimpleQueue()
    for fetch in fetches:
        waiting.put(fetch)

    def work() -> None:
        while True:
            try:
                fetch = waiting.get_nowait()
            except queue.Empty:
                return
            fetch.run()
            ended.put(fetch)

    threads = [
        threading.Thread(target=work, name="sync-h2-get", daemon=True) for _ in range(min(len(fetches), _MOST_THREADS))
    ]
    try:
        for thread in threads:
            thread.start()
        for _ in fetches:
            _report(_next(ended, bar), bar)
    except BaseException:
        connections.destroy()
        deadline = Deadline(_PATIENCE_WITH_THREADS)
        for thread in threads:  # they take away what is not whole; one that connects can't be woken
            if thread.is_alive():  # not all of them may have been started
                thread.join(deadline.remaining())
        raise
    finally:
        if bar is not None:
            bar.erase()
    connections.close()
    return next((fetch.error.status for fetch in fetches if isinstance(fetch.error, CommandError)), ExitStatus.SUCCESS)


def _next(ended: queue.SimpleQueue[Fetch], bar: ProgressBar | None) -> Fetch:
    while True:
        if bar is not None:
            bar.draw()
        try:
            return ended.get(timeout=_LONGEST_DEAF if bar is None else INTERVAL)
        except queue.Empty:
            pass


def _report(fetch: Fetch, bar: ProgressBar | None) -> None:
    if fetch.error is None:
        return
    if not isinstance(fetch.error, CommandError):
        raise fetch.error
    if bar is not None:
        bar.erase()
    complain(str(fetch.error))


def _shows_progress(options: argparse.Namespace) -> bool:
    """On a terminal, unless something else is shown there."""
    to_terminal = options.output in (None, "-") and sys.stdout.isatty()
    return sys.stderr.isatty() and not (options.quiet or options.verbose or to_terminal)


def _write_picture(path: str, picture: str) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(picture)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}", ExitStatus.CANNOT_WRITE) from error
