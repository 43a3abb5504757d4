"""Runs a page's Python blocks, all in one namespace: a program of its own, in the page's directory.

A line of JSON comes for each block, on stdin, and one goes back, on stdout, with what the block printed and what it
raised. The end of the input is the end of the page: servers, sessions and clients that it left open are closed.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import sys
import threading
import traceback
import types
from typing import Any

failures: list[str] = []


def note_unraisable(unraisable: Any) -> None:
    failures.append(f"{type(unraisable.exc_value).__name__}: {unraisable.exc_value} (in {unraisable.object!r})")


def note_in_thread(arguments: threading.ExceptHookArgs) -> None:
    failures.append("".join(traceback.format_exception(arguments.exc_value)))


def run(source: str, page: str, line: int, namespace: dict[str, Any]) -> dict[str, Any]:
    printed = io.StringIO()
    try:
        # As many lines before it as on the page: tracebacks name the right one, and show it.
        code = compile("\n" * (line - 1) + source, page, "exec", dont_inherit=True)
        with contextlib.redirect_stdout(printed):
            exec(code, namespace)
    except BaseException as error:
        first = error.__traceback__.tb_next if error.__traceback__ else None
        raised = "".join(traceback.format_exception(type(error), error, first))
        return {"printed": printed.getvalue(), "raised": raised}
    return {"printed": printed.getvalue(), "raised": None}


def close_what_is_open(namespace: dict[str, Any]) -> None:
    if "sync_h2" not in sys.modules:
        return
    from sync_h2 import Client, ClientSession, ThreadingServer

    for value in reversed(list(namespace.values())):
        if isinstance(value, (Client, ClientSession, ThreadingServer)):
            value.close()


def main() -> None:
    # Only this program's lines may go there, not what the page's own processes write.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    requests = os.fdopen(os.dup(0))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    sys.path[0] = ""
    sys.unraisablehook = note_unraisable
    threading.excepthook = note_in_thread
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    for request in requests:
        answers.write(json.dumps(run(**json.loads(request), namespace=vars(module))) + "\n")
        answers.flush()
    close_what_is_open(vars(module))
    vars(module).clear()
    gc.collect()
    answers.write(json.dumps({"failures": failures}) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
