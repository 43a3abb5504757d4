"""Counters that notice a peer which costs this side work and itself nothing.

Arithmetic on an injected clock; a counter is touched only under its session's lock.
"""

from __future__ import annotations

from collections.abc import Callable

from .limits import LimitReached, Limits

_FORGIVENESS_SECONDS = 60.0
_LATE_FRAMES = 3  # headers, trailers, an empty DATA that ends the stream
_MOST_RESETS_UNDER_WAY = 1000
# What an honest peer needs frames about the connection for. Browsers send several PRIORITY and a WINDOW_UPDATE with a
# request; who reads a body in small pieces may send WINDOW_UPDATE for stream and connection with each.
_EARNED_AT_FIRST = 20
_EARNED_BY_REQUEST = 10
_EARNED_BY_DATA_FRAME = 4
_OCTETS_PER_EARNED_SHIFT = 7  # one more for each 128 octets


class RateLimit:
    """A token bucket: `burst` events at once, and `rate` a second in the long run."""

    __slots__ = ("_burst", "_clock", "_rate", "_tokens", "_updated")

    def __init__(self, burst: float, rate: float, clock: Callable[[], float]) -> None:
        self._burst = float(burst)
        self._rate = rate
        self._clock = clock
        self._tokens = self._burst
        self._updated = clock()

    def take(self) -> bool:
        """Count one event; False when it is one too many."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate)
        self._updated = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class FloodGuard:
    """Counts what costs this side work and the peer nothing; raises LimitReached when it is too much."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._resets = RateLimit(limits.stream_reset_burst, limits.stream_reset_rate, clock)
        # In a long session useless frames come now and then without ill will, so they are forgiven within minutes.
        per_second = limits.max_session_invalid_frames / _FORGIVENESS_SECONDS
        self._invalid_frames = RateLimit(limits.max_session_invalid_frames, per_second, clock)
        self._max_rejected_streams = limits.max_session_rejected_streams
        self._rejected_streams = 0
        self._late_frames = 0
        self._most_late_frames = _LATE_FRAMES * _MOST_RESETS_UNDER_WAY
        self._earned = _EARNED_AT_FIRST
        self._content_frames = 0

    def expect_late_frames(self) -> None:
        """This side resets a stream: what an honest peer had sent on it by then is no flood."""
        self._late_frames = min(self._late_frames + _LATE_FRAMES, self._most_late_frames)

    def count_reset(self, stream_id: int) -> None:
        """A stream that the peer opened and reset, or that it made us reset or answer with 431 (CVE-2023-44487,
        CVE-2025-8671).
        """
        if not self._resets.take():
            burst, rate = self._limits.stream_reset_burst, self._limits.stream_reset_rate
            message = (
                "more streams end with RST_STREAM, or are answered with 431, than "
                f"stream_reset_burst ({burst}) and stream_reset_rate ({rate:g} a second) allow"
            )
            raise LimitReached("stream_reset_rate", message, stream_id=stream_id)

    def count_invalid_frame(self, stream_id: int | None) -> None:
        """A frame that does nothing: empty DATA (CVE-2019-9518), HEADERS for a stream that is gone."""
        if self._late_frames:
            self._late_frames -= 1
        elif not self._invalid_frames.take():
            raise LimitReached("max_session_invalid_frames", "too many frames without a purpose", stream_id=stream_id)

    def content_received(self, frames: int = 1) -> None:
        """DATA frames with content have come."""
        self._content_frames += frames

    def count_empty_data(self, stream_id: int, *, padded: bool) -> None:
        """A DATA frame without content. Servers that hide how much they say send one of padding now and then: as many
        as there are others.
        """
        if padded and self._content_frames:
            self._content_frames -= 1
        else:
            self.count_invalid_frame(stream_id)

    def data_sent(self, length: int) -> None:
        """We have sent a DATA frame, which the peer will open windows for."""
        self._earned += _EARNED_BY_DATA_FRAME + (length >> _OCTETS_PER_EARNED_SHIFT)

    def request_made(self) -> None:
        """A stream was opened, by either side."""
        self._earned += _EARNED_BY_REQUEST

    def ping_sent(self) -> None:
        """We have asked for one frame."""
        self._earned += 1

    def count_control_frame(self) -> None:
        """A frame that carries nothing of a message: WINDOW_UPDATE, PRIORITY, SETTINGS, one of unknown type...

        Each costs some microseconds and ten octets or so. An honest peer's are few for what goes back and forth; only
        those beyond that count as frames without a purpose.
        """
        if self._earned:
            self._earned -= 1
        else:
            self.count_invalid_frame(None)

    def count_rejected_stream(self, stream_id: int) -> None:
        """A stream over the limit that the peer has acknowledged."""
        self._rejected_streams += 1
        if self._rejected_streams > self._max_rejected_streams:
            raise LimitReached("max_session_rejected_streams", "too many streams over the limit", stream_id=stream_id)

    def accepted_stream(self) -> None:
        """A stream within the limit: the peer keeps to it again."""
        self._rejected_streams = 0
        self.request_made()
