"""What is particular to the CPython that runs this; above all, whether its threads share an interpreter lock or it is
a free-threaded one (PEP 703). Any thread.

On a free-threaded build an object belongs to the thread that made it. When another drops the last reference, the object
is finalized by its maker as soon as that runs Python code again, and until then by a collection of garbage only. What
a finalizer gives back comes late, then, or never: while the maker sleeps in a system call.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from _thread import LockType, allocate_lock
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

FREE_THREADED_BUILD = "t" in sys.abiflags
"""Whether objects may be finalized late, as above: with `PYTHON_GIL=1` too."""

DROPPED_FOR_LONG = 1.0
"""After so many seconds what somebody waits for may be held by objects that are not finalized yet."""

_COLLECTING_SHARE = 0.2  # of a thread's time, at most
_next_collection = 0.0


if TYPE_CHECKING:
    from typing_extensions import Unpack as Unpack
elif sys.version_info >= (3, 11):
    from typing import Unpack as Unpack
else:
    T = TypeVar("T")

    class Unpack(Generic[T]):
        """What stands before a TypedDict in annotations, for `typing.get_type_hints` on 3.10, which lacks it."""


if TYPE_CHECKING or not FREE_THREADED_BUILD or sys.version_info >= (3, 14):
    SharedDict = dict
else:

    class SharedDict(dict):  # type: ignore[type-arg]  # for type checkers it is dict, above
        """A dict that threads read whose values others have made. 3.13's own `get` takes such a dict's lock twice, and
        so gives up its core some forty times: 25 microseconds, three hundred times what `[]` takes. And
        a child that is forked while another thread has that lock finds it taken for ever.
        """

        __slots__ = ()

        def get(self, key: Any, default: Any = None) -> Any:
            try:
                return self[key]
            except KeyError:
                return default


if TYPE_CHECKING or sys.version_info[:2] != (3, 14):
    Lock, RLock = threading.Lock, threading.RLock
else:

    class RLock(type(threading.RLock())):
        """In 3.14 an interrupt that strikes at the beginning of a `with` leaves the lock taken for ever (CPython issue
        148874). What the main thread takes has to be one of these. A `Lock` is one too, which asks for its owner, and
        nobody may lean on its letting a thread in twice.
        """

        __slots__ = ()

        def __enter__(self) -> bool:
            try:
                return self.acquire()
            except BaseException:
                if self._is_owned():
                    self.release()
                raise

    Lock = RLock


class _Latch:
    """Like a lock that is taken, as far as `taken_lock` says."""

    __slots__ = ("_released",)

    def __init__(self) -> None:
        self._released: SimpleQueue[None] = SimpleQueue()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        try:
            self._released.get(blocking, None if timeout < 0 else timeout)
        except Empty:
            return False
        return True

    def release(self) -> None:
        if not self._released.empty():
            raise RuntimeError("release unlocked lock")
        self._released.put(None)


def taken_lock() -> _Latch | LockType:
    """A lock that is taken, for a thread to block on in `acquire` until another calls `release`, which raises
    RuntimeError if somebody has. On free-threaded builds it is no lock: one there gives up its core some forty times
    before it sleeps, and to wait and to be woken takes twice as much computing.
    """
    if FREE_THREADED_BUILD:
        return _Latch()
    lock = allocate_lock()
    lock.acquire()
    return lock


def threads_at_once() -> int:
    """How many threads can run Python code at the same time: one where they share the interpreter's lock, which an
    extension module may bring back at any time; otherwise as many as there are cores for this process.
    """
    if sys.version_info < (3, 13) or sys._is_gil_enabled():
        return 1
    return os.process_cpu_count() or 1


def finalize_dropped() -> bool:
    """Have objects finalized that other threads than their makers have dropped, on a free-threaded build; for who has
    waited for what they may hold. Blocks for a collection of garbage. False: there was one just now, and nothing is
    done; ask again. No lock is held.
    """
    global _next_collection
    begun = time.monotonic()
    if not FREE_THREADED_BUILD or begun < _next_collection:
        return not FREE_THREADED_BUILD
    _next_collection = begun + DROPPED_FOR_LONG
    gc.collect()  # of two threads that come here at once CPython lets one collect
    ended = time.monotonic()
    _next_collection = ended + max((ended - begun) / _COLLECTING_SHARE, DROPPED_FOR_LONG)
    return True


def report_unraisable(error: BaseException) -> None:
    """Have `sys.unraisablehook` called for what there is nobody to raise to. The interpreter does it: the hook takes an
    argument that only this can make, and may itself raise.
    """
    _Unraisable(error)


class _Unraisable:
    """Raises an error where it is dropped, which is where it is made."""

    __slots__ = ("_error",)

    def __init__(self, error: BaseException) -> None:
        self._error: BaseException | None = error

    def __del__(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback refers to this frame
