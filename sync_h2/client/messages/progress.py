"""Telling a callback how much of a body has been sent, or has come. Runs on the thread that sends or reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .bodies import Body

Progress = Callable[[int, "int | None"], object]
"""Called with the octets so far and their total, or None where that is not known."""


class ReportedBody(Body):
    """A body that reports each chunk once it has been sent; from the start again when the request is sent again."""

    def __init__(self, body: Body, on_upload: Progress) -> None:
        self._body = body
        self._on_upload = on_upload
        self.length = body.length

    @property
    def rewindable(self) -> bool:
        return self._body.rewindable

    def chunks(self) -> Iterator[bytes]:
        sent = 0
        for chunk in self._body.chunks():
            yield chunk
            sent += len(chunk)
            self._on_upload(sent, self.length)
