"""Loggers whose handlers and filters, which are other people's code, can end no thread of ours and leave nothing half
done. Any thread; never under a session's lock.
"""

from __future__ import annotations

import logging
import threading

from ..interpreter import report_unraisable


class Log:
    """As `logging.getLogger(name)`. What a handler or filter raises is reported as what finalizers raise is; but an
    interrupt, which is meant for the program, goes on.
    """

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def is_enabled_for(self, level: int) -> bool:
        return self._logger.isEnabledFor(level)

    def info(self, message: str, *arguments: object) -> None:
        self._log(logging.INFO, message, arguments)

    def warning(self, message: str, *arguments: object) -> None:
        self._log(logging.WARNING, message, arguments)

    def error(self, message: str, *arguments: object, exc_info: BaseException | None = None) -> None:
        self._log(logging.ERROR, message, arguments, exc_info)

    def exception(self, message: str, *arguments: object) -> None:
        """With the exception that is being handled."""
        self._log(logging.ERROR, message, arguments, True)

    def log(self, level: int, message: str, *arguments: object) -> None:
        self._log(level, message, arguments)

    def _log(
        self, level: int, message: str, arguments: tuple[object, ...], exc_info: BaseException | bool | None = None
    ) -> None:
        try:
            self._logger.log(level, message, *arguments, exc_info=exc_info, stacklevel=3)
        except BaseException as error:
            if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread():
                raise
            report_unraisable(error)
