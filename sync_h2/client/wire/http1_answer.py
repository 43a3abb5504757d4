"""A response over HTTP/1.1 whose head is there. Runs on the thread that reads its body."""

from __future__ import annotations

import http.client
from typing import Any

from ... import errors
from ...exceptions import RequestException
from ..messages.call import Call
from ..values.fields import Fields
from .ending import Ending
from .failures import broke_off, closed_too_early, nothing_came
from .http1_response import BROKEN, FinalResponse, fields_of
from .uploads import Upload

_CHUNK = 256 * 1024  # of what is received


class HTTP1Answer:
    """A response over HTTP/1.1."""

    session = None
    pushes: list[Any] = []  # noqa: RUF012 - HTTP/1.1 has none

    def __init__(self, response: FinalResponse, call: Call, socket: Any, ending: Ending, upload: Upload | None) -> None:
        self._response = response
        self._call = call
        self.socket = socket
        self._ending = ending
        self._upload = upload
        self._failure: RequestException | None = None  # why there is no end of the body to be read
        self.status = response.status
        self.reason = response.reason
        self.http_version = "HTTP/1.0" if response.version == 10 else "HTTP/1.1"
        self.headers = fields_of(response.msg)
        self.informational = response.informational
        call.patience.processed = True
        if response.length == 0:
            response.close()
            if upload is None or upload.complete:
                self._finish()

    @property
    def trailers(self) -> Fields:
        return self._response.trailer_fields

    def read(self, size: int = -1) -> bytes:
        response = self._response
        if self._failure is not None:
            raise self._failure.again()
        data = b"" if response.isclosed() else self._read(size)
        if response.isclosed():
            if self._upload is not None and not self._ending.has_come:
                self._upload.wait()
            self._finish()
        return data

    def _read(self, size: int) -> bytes:
        response = self._response
        try:
            data = self._read_all() if size < 0 else self._piece(size)
        except (OSError, ValueError, *BROKEN) as error:
            self.close()
            if self._upload is not None:
                self._upload.raise_failure()
            if isinstance(error, TimeoutError):
                self._failure = self._call.patience.failure or nothing_came(self._call)
            else:
                why = _missing(error) if isinstance(error, http.client.IncompleteRead) else errors.said(error)
                self._failure = broke_off(self._call, why)
            raise self._failure from error
        if (not data and size) or response.length == 0:
            response.close()
        return data

    def _read_all(self) -> bytes:
        """Not `response.read`, which makes room for as much as a length or a chunk's size says."""
        pieces = []
        while piece := self._piece(_CHUNK):
            pieces.append(piece)
        return b"".join(pieces)

    def _piece(self, size: int) -> bytes:
        response = self._response
        data = response.read1(size)
        if not data and size and response.length:
            raise http.client.IncompleteRead(data, response.length)
        return data

    def close(self) -> None:
        if not self._ending.has_come and not self._response.isclosed():
            self._response.close()
            self._response.will_close = True
            self._failure = closed_too_early(self._call)
        self._finish()

    def _finish(self) -> None:
        complete = self._upload is None or self._upload.complete
        self._ending.end(reusable=complete and not self._response.will_close)


def _missing(error: http.client.IncompleteRead) -> str:
    """Without how much has come, of which the error knows the last piece."""
    left = "" if error.expected is None else f", which is {error.expected} octets later"
    return f"the connection ended before its end{left}"
