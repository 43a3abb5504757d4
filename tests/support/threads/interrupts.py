"""An exception at a chosen line of the package, as an interrupt would strike there."""

from __future__ import annotations

import dis
import functools
import itertools
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import sync_h2

PACKAGE = str(Path(sync_h2.__file__).parent)

Line = tuple[str, int]

_FINALIZERS = ("_forgotten", "__del__", "_dealloc_warn")
_NOTHING = ("NOP", "POP_BLOCK", "POP_EXCEPT", "SETUP_FINALLY", "SETUP_WITH")
# How the versions of CPython spell the call `__exit__(None, None, None)` below a result.
_SWAPS = ("SWAP", "ROT_TWO")
_NONES = ("LOAD_CONST", "LOAD_COMMON_CONSTANT", "DUP_TOP")
_CALLS = ("CALL", "PRECALL", "CALL_FUNCTION")


@functools.cache
def _operations(code: CodeType) -> dict[int, list[str]]:
    """By offset: the names of the instruction there and of those that follow."""
    instructions = list(dis.get_instructions(code))
    return {
        instruction.offset: [following.opname for following in instructions[index : index + 6]]
        for index, instruction in enumerate(instructions)
    }


def _can_be_struck(frame: FrameType) -> bool:
    """CPython delivers interrupts after calls and at jumps back, never at what does nothing, nor between a with block's
    last statement and the call of its `__exit__`: a tracer could, and nobody can write code that survives that. One
    that strikes in a finalizer reaches nobody: it is printed and forgotten.
    """
    operations = _operations(frame.f_code).get(frame.f_lasti, [])
    if not operations or operations[0] in _NOTHING:
        return False
    *nones, call = list(itertools.dropwhile(_SWAPS.__contains__, operations))[:4]
    if call in _CALLS and all(name in _NONES for name in nones):
        return False
    caller: FrameType | None = frame
    while caller is not None and caller.f_code.co_filename.startswith(PACKAGE):
        if caller.f_code.co_name in _FINALIZERS:
            return False
        caller = caller.f_back
    return True


class Tracer:
    """Counts the lines of the package that a thread runs, and raises `error` at the `occurrence`-th run of `line`, or
    at the first line after it where an interrupt can strike.
    """

    def __init__(
        self,
        line: Line | None = None,
        occurrence: int = 1,
        error: type[BaseException] = KeyboardInterrupt,
        within: str = PACKAGE,
    ) -> None:
        self.lines: Counter[Line] = Counter()
        self.struck: Line | None = None
        self._line = line
        self._occurrence = occurrence
        self._error = error
        self._within = within
        self._due = False

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(self._within):
            return None
        if event == "line" and self.struck is None:
            line = (frame.f_code.co_filename, frame.f_lineno)
            self.lines[line] += 1
            if line == self._line and self.lines[line] == self._occurrence:
                self._due = True
            if self._due and _can_be_struck(frame):
                self.struck = line
                raise self._error
        return self

    def run(self, function: Callable[[], object]) -> object:
        """Call it on this thread under the tracer."""
        previous = sys.gettrace()
        sys.settrace(self)
        try:
            return function()
        finally:
            sys.settrace(previous)


def name_of(line: Line) -> str:
    return f"{line[0][len(PACKAGE) + 1 :]}:{line[1]}"
