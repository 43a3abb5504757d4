"""What the reader does with HTTP/2's octets: frames, one after the other, and what each of them means.

On the reader thread, under the session's lock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ...constants import FRAME_HEADER_LENGTH, ErrorCode, FrameType
from ...errors import ProtocolError
from ...protocol.connection import Connection
from ...protocol.events import Event
from ...protocol.frames.first_octets import HTTP_1_REFUSAL, LONGEST_OPENING, Opening, recognise, wrong_protocol
from ...protocol.limits import Limits
from ..sending.outbox import Outbox
from ..shared.stream_state import StreamState
from .receiver import Handlers, Receiver, ReceivingSession
from .turns import MOST_AT_ONCE, small_pieces

ReceiveFrame = Callable[[int, int, int, memoryview], list[Event]]
"""Of a frame its type, flags, stream id and payload; gives what it means."""

# Looked up once: members of an enumeration are slow to find.
_HEADERS, _RST_STREAM, _SETTINGS = int(FrameType.HEADERS), int(FrameType.RST_STREAM), int(FrameType.SETTINGS)
_TLS_ALERT = b"\x15\x03"  # how a record begins that refuses what is no TLS (RFC 8446 section 5.1)
_WORTH_OF_HEADERS = 5  # times the work of other frames that carry nothing
_WORTH_OF_SETTINGS = 2


class FramedSession(ReceivingSession, Protocol):
    """What a receiver of frames needs of its session."""

    type: str
    _limits: Limits
    _outbox: Outbox
    _streams: dict[int, StreamState]

    def _fail_locked(self, error: ProtocolError, limit: str | None = None) -> None:
        """The peer broke the protocol, or a limit."""


class FrameReceiver(Receiver):
    """The receiver of an HTTP/2 session."""

    _session: FramedSession

    def __init__(
        self,
        session: FramedSession,
        protocol: Connection,
        handlers: Handlers,
        receive_frame: ReceiveFrame,
    ) -> None:
        """`receive_frame` is the protocol's own, or what traces it."""
        super().__init__(session, protocol, handlers)
        self._receive_frame = receive_frame
        self._frame_reader = protocol.frames
        self._protocol = protocol
        self._outbox = session._outbox

    def _hint_locked(self) -> str:
        session = self._session
        if session.type != "client" or self._protocol.settings_received:
            return super()._hint_locked()
        octets = self._frame_reader.peek(FRAME_HEADER_LENGTH)
        if octets.startswith(_TLS_ALERT):
            return ": it speaks TLS on this port, which is what https:// is for"
        if octets or self._transport.encrypted:
            return super()._hint_locked()
        return ", before it said anything: does it speak TLS (https://) or HTTP/1 on this port?"

    def _preface_came_locked(self) -> bool:
        """Whether the client's preface is there, for which a server without TLS waits before it says anything."""
        opening = recognise(self._frame_reader.peek(LONGEST_OPENING))
        if opening is Opening.UNDECIDED:
            return False
        session = self._session
        if opening in (Opening.HTTP_2, Opening.UNKNOWN):  # the frame reader refuses what is neither, with GOAWAY
            self._sender.release_locked()
            self._watchdog.settings_released_locked()
            return True
        # A server that also serves HTTP/1.1 takes the connection over here.
        self._sender.release_locked(HTTP_1_REFUSAL if opening is Opening.HTTP_1 else b"")
        session._end_locked(wrong_protocol(opening), None)
        return False

    def _handle_input_locked(self) -> bool:
        if self._sender.held_locked and not self._preface_came_locked():
            return False
        session = self._session
        outbox = self._outbox
        handlers = self._handlers
        reader = self._frame_reader
        outbox.count_replies = True
        frames_before, octets_before = reader.frames_taken, reader.octets_taken
        pieces = earned = 0
        has_more = False
        pauses_at = MOST_AT_ONCE
        try:
            while not session._destroyed:
                if pieces >= pauses_at:
                    small = small_pieces(pieces, reader.octets_taken - octets_before)
                    if small >= MOST_AT_ONCE:
                        has_more = True
                        break
                    pauses_at += MOST_AT_ONCE - small
                frame = reader.next_frame()
                if frame is None:
                    break
                kind = frame[0]
                if kind == _HEADERS:
                    pieces += _WORTH_OF_HEADERS
                    earned += _WORTH_OF_HEADERS - 1  # requests are what a server is for
                elif kind == _RST_STREAM:
                    pieces += 1
                    earned -= _WORTH_OF_HEADERS  # and those that are given up are not
                elif kind == _SETTINGS:
                    pieces += _WORTH_OF_SETTINGS + len(session._streams)  # the window of each may change
                else:
                    pieces += 1
                for event in self._receive_frame(*frame):
                    handlers[type(event)](event)
                if outbox.replies > session._limits.max_queued_control_frames:
                    self._sender.send_locked()  # all of this may have come at once, from a peer that does read
                if outbox.replies > session._limits.max_queued_control_frames and not self._sender.sending_locked:
                    raise ProtocolError(
                        "the peer makes us answer, and does not read the answers", code=ErrorCode.ENHANCE_YOUR_CALM
                    )
        except ProtocolError as error:
            limit = getattr(error, "limit", None)
            if limit is None and outbox.replies > session._limits.max_queued_control_frames:
                limit = "max_queued_control_frames"
            session._fail_locked(error, limit)
        finally:
            outbox.count_replies = False
            session._input_handled_locked(has_more)
            frames, octets = reader.frames_taken - frames_before, reader.octets_taken - octets_before
            self._budget.spend(pieces - earned, octets)
            self.frames_received += frames
            self.bytes_received += octets + FRAME_HEADER_LENGTH * frames
        return has_more
