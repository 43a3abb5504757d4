"""What calls fail with, whatever their connections speak. Pure functions."""

from __future__ import annotations

from ... import errors
from ...exceptions import ChunkedEncodingError, ConnectionError, ReadTimeout, StreamConsumedError
from ..messages.call import Call


def failed(
    call: Call, error: Exception, processed: bool | None, kind: type[ConnectionError] = ConnectionError
) -> ConnectionError:
    """For an error of the connection, or of what came over it, before there was a response."""
    return kind(
        f"{call.method} {call.url}: {errors.said(error)}",
        request=call.request,
        processed=processed,
        stream_id=getattr(error, "stream_id", None),
        code=getattr(error, "code", None),
    )


def no_response(call: Call, stream_id: int | None = None) -> ReadTimeout:
    """For a response's head that does not come."""
    message = f"{call.url}: no response within {call.timeouts.read} s"
    return ReadTimeout(message, request=call.request, stream_id=stream_id)


def nothing_came(call: Call, stream_id: int | None = None) -> ReadTimeout:
    """For a response's body that does not go on."""
    message = f"{call.url}: nothing of the body came for {call.timeouts.read} s"
    return ReadTimeout(message, request=call.request, processed=True, stream_id=stream_id)


def broke_off(call: Call, why: str, stream_id: int | None = None, code: int | None = None) -> ChunkedEncodingError:
    """For a response's body that ends before its end."""
    message = f"{call.url}: the body broke off: {why}"
    return ChunkedEncodingError(message, request=call.request, processed=True, stream_id=stream_id, code=code)


def closed_too_early(call: Call) -> StreamConsumedError:
    """For who reads behind `close`: what was unread has been given up, which is no end of the body."""
    message = f"{call.url}: the response was closed before its body was read to the end"
    return StreamConsumedError(message, request=call.request, processed=True)
