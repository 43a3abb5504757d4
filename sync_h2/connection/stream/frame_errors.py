"""What becomes of a stream when a frame of ours for it can't be sent (the `frame_error` event).

Its caller gets the exception; listeners hear of it too, and the stream ends, because the frame would leave a hole in
it. Callers hold no lock.
"""

from __future__ import annotations

from ...constants import ErrorCode, FrameType
from ...errors import StreamReset
from ...protocol.sending import HeaderBlockTooLong
from ..session.session import Session
from ..shared.stream_state import StreamState

__all__ = ["HeaderBlockTooLong", "fail_for_frame"]


def fail_for_frame(session: Session, state: StreamState, frame_type: FrameType, error: HeaderBlockTooLong) -> None:
    """Tell listeners of `error`, which kept a frame of the stream from being sent, and end the stream."""
    with session._monitor, session._lock:
        if state.closed:
            return
        arguments = (frame_type, ErrorCode.FRAME_SIZE_ERROR, state.id or 0)
        state.listeners.emit_locked("frame_error", *arguments)
        if state.id is None:  # nobody can listen to a request that never became a stream, except beforehand
            session._listeners.emit_locked("frame_error", *arguments)
        state.destroyed = True
        code = ErrorCode.INTERNAL_ERROR
        reason = StreamReset("this side destroyed the stream", stream_id=state.id, code=code)
        reason.__cause__ = error
        session._reset_locked(state, code, reason)
