"""Loggers that other people's handlers and filters may fail in."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.threads.background import eventually
from sync_h2 import connect, create_server
from sync_h2.transport.log import Log

Fail = Callable[[BaseException], None]


@pytest.fixture
def fail() -> Iterator[Fail]:
    """Has each line of ours raise an error."""
    logger = logging.getLogger("sync_h2")
    level = logger.level
    handlers: list[logging.Handler] = []

    def fail(error: BaseException) -> None:
        class Failing(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                raise error

        handlers.append(Failing())
        logger.addHandler(handlers[-1])
        logger.setLevel(logging.INFO)

    yield fail
    logger.setLevel(level)
    for handler in handlers:
        logger.removeHandler(handler)


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What `sys.unraisablehook` was told."""
    errors: list[BaseException] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: errors.append(unraisable.exc_value))
    return errors


def test_lines_are_those_of_whoever_writes_them(caplog: pytest.LogCaptureFixture) -> None:
    log = Log("sync_h2.server")
    with caplog.at_level(logging.INFO, "sync_h2.server"):
        assert log.is_enabled_for(logging.INFO)
        log.info("%s and %s", 1, 2)
        log.warning("three")
        log.log(logging.ERROR, "four")
        log.error("five", exc_info=ValueError("of which nobody is told"))
        try:
            raise ValueError("which is told")
        except ValueError:
            log.exception("six")
    assert [record.getMessage() for record in caplog.records] == ["1 and 2", "three", "four", "five", "six"]
    assert {record.filename for record in caplog.records} == {"test_log.py"}
    assert "ValueError: which is told" in caplog.text


@pytest.mark.parametrize("error", [RuntimeError("the log is full"), SystemExit("the log ends it")], ids=repr)
def test_what_a_handler_raises_is_reported(
    error: BaseException, fail: Fail, reported: list[BaseException], background: ThreadPoolExecutor
) -> None:
    fail(error)
    assert background.submit(Log("sync_h2.server").warning, "it is written").result(10) is None
    assert reported == [error]


def test_an_interrupt_goes_on(fail: Fail, reported: list[BaseException]) -> None:
    fail(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        Log("sync_h2.server").warning("it is written")
    assert reported == []


def test_a_server_whose_log_fails_goes_on(fail: Fail, reported: list[BaseException]) -> None:
    def handler(stream: Any, headers: Any) -> None:
        if headers[":path"] == "/fails":
            raise ValueError("a handler fails")
        stream.end(b"served")

    def listen(*arguments: object) -> None:
        raise ValueError("a listener fails")

    fail(SystemExit("the log is full"))
    listeners = {"session": listen, "session_error": listen, "error": listen}
    with create_server(handler, max_workers=1, listeners=listeners) as server:
        for number in range(3):
            sock = socket.create_connection(server.address)
            sock.close()  # the acceptor says so
            eventually(lambda number=number: len(reported) > number)
            told = len(reported)
            with connect(server.url) as session:
                for _ in range(2):
                    stream = session.request({":path": "/fails"})
                    assert stream.wait_response(timeout=20)[":status"] == "500"
                assert session.request().read(timeout=20) == b"served"
            eventually(lambda told=told: len(reported) >= told + 3)
    assert not server.sessions
    assert {str(error) for error in reported} == {"the log is full"}
