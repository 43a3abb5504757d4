"""What a pool runs, on whatever thread."""

from __future__ import annotations

from collections.abc import Callable

from ...transport.log import Log

Job = Callable[[], None]

_log = Log("sync_h2.server")


def run_logged(job: Callable[[], object]) -> None:
    """Run a job; what it raises is logged."""
    try:
        job()
    except BaseException:  # SystemExit too: a handler that calls `sys.exit` ends itself, not its worker
        _log.exception("a job of the handler pool failed")
