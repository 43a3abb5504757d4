"""What becomes of a stream when a frame of ours for it can't be sent (the `frame_error` event).

Its caller gets the exception; listeners hear of it too, and the stream ends, because the frame would leave a hole in
it. Callers hold no lock.
"""

from __future__ import annotations

from types import TracebackType

from ...constants import ErrorCode, FrameType
from ...errors import StreamReset
from ...protocol.sending import HeaderBlockTooLong
from ..session.session import Session
from ..shared.stream_state import StreamState


class FrameErrors:
    """Stands around the critical section that sends a frame: `with FrameErrors(...), monitor, lock:`."""

    __slots__ = ("_frame_type", "_session", "_state")

    def __init__(self, session: Session, state: StreamState, frame_type: FrameType) -> None:
        self._session = session
        self._state = state
        self._frame_type = frame_type

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, HeaderBlockTooLong):
            return
        session, state = self._session, self._state
        with session._monitor, session._lock:
            if state.closed:
                return
            arguments = (self._frame_type, ErrorCode.FRAME_SIZE_ERROR, state.id or 0)
            state.listeners.emit_locked("frame_error", *arguments)
            if state.id is None:  # nobody can listen to a request that never became a stream, except beforehand
                session._listeners.emit_locked("frame_error", *arguments)
            state.destroyed = True
            code = ErrorCode.INTERNAL_ERROR
            reason = StreamReset("this side destroyed the stream", stream_id=state.id, code=code)
            reason.__cause__ = error
            session._reset_locked(state, code, reason)
