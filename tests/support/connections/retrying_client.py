"""A client as it should be in front of servers that come and go: it makes anew what a server has not processed, and
nothing else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sync_h2 import ClientSession, HTTP2Error, connect

PATIENCE = 30.0


class RetryingClient:
    """Any number of threads share its connection; when that takes no more requests they share another."""

    def __init__(self, url: str, **options: Any) -> None:
        self._url = url
        self._options = options
        self._lock = threading.Lock()
        self._session: ClientSession | None = None
        self._sessions: list[ClientSession] = []
        self.retries = 0
        self.answers = 0

    def get(self, path: str) -> bytes:
        """The body of a response with 200. Raises what may have been processed although no answer came."""
        while True:
            session = self._connected()
            try:
                stream = session.request({":path": path}, timeout=PATIENCE)
                status = stream.wait_response(timeout=PATIENCE)[":status"]
                body = stream.read(timeout=PATIENCE)
            except HTTP2Error as error:
                if not error.retryable:
                    raise
                with self._lock:
                    self.retries += 1
                    if self._session is session:
                        self._session = None
                continue
            assert status == "200", (status, body)
            return body

    def get_all(self, paths: Iterable[str], threads: int) -> list[bytes]:
        """The bodies of `paths`, in order, by so many threads."""

        def get(path: str) -> bytes:
            body = self.get(path)
            with self._lock:
                self.answers += 1
            return body

        with ThreadPoolExecutor(threads) as executor:
            return list(executor.map(get, paths))

    def has(self, answers: int) -> None:
        """Wait until so many answers have come."""
        deadline = time.monotonic() + PATIENCE
        while self.answers < answers:
            assert time.monotonic() < deadline, f"{self.answers} answers have come"
            time.sleep(0.002)

    def close(self) -> None:
        for session in self._sessions:
            session.destroy()

    def _connected(self) -> ClientSession:
        """A session with a server that has answered: until then nothing was asked of it."""
        with self._lock:
            deadline = time.monotonic() + PATIENCE
            while self._session is None:
                try:
                    session = connect(self._url, timeout=PATIENCE, **self._options)
                    self._sessions.append(session)
                    session.ping(timeout=PATIENCE)
                    self._session = session
                except HTTP2Error:  # there may be no server at this moment
                    assert time.monotonic() < deadline, f"no server at {self._url}"
                    time.sleep(0.01)
            return self._session
