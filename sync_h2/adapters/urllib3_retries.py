"""urllib3's `Retry`, heeded as urllib3 does: it decides what is sent again, and after which pause. Runs on the thread
that makes the request, which sleeps meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from urllib3 import HTTPHeaderDict, Retry
from urllib3 import exceptions as urllib3_errors
from urllib3.response import HTTPResponse

from ..client.messages.answer import Answer
from ..client.messages.call import Call
from ..exceptions import PoolTimeout, ReadTimeout, RequestException, RetryError

_OF_RETRY_AFTER = (urllib3_errors.InvalidHeader, ValueError, OverflowError)
"""What urllib3 raises for a Retry-After that says nothing: one of thousands of digits, say."""


def send_with(retries: Retry, send: Callable[[Call], Answer], call: Call) -> Answer:
    """`send(call)`, as often as `retries` has it. Raises what that raises, and RetryError after too many statuses."""
    while True:
        try:
            answer = send(call)
        except RequestException as error:
            failure = _failure(error, call)
            if failure is None or not _may_repeat(call):
                raise
            try:
                retries = retries.increment(call.method, call.url, error=failure)
            except urllib3_errors.HTTPError:
                raise error from error.__cause__
            if not call.patience.allows(retries.get_backoff_time()):
                raise
            retries.sleep()
            continue
        stand_in = HTTPResponse(headers=HTTPHeaderDict(answer.headers), status=answer.status)
        asks = "retry-after" in stand_in.headers
        if not (retries.is_retry(call.method, answer.status, asks) and _may_repeat(call)):
            return answer
        try:
            retries = retries.increment(call.method, call.url, response=stand_in)
        except urllib3_errors.MaxRetryError as error:
            if not retries.raise_on_status:
                return answer
            answer.close()
            message = f"{call.method} {call.url}: {error.reason}"
            raise RetryError(message, request=call.request, processed=True) from error
        if not call.patience.allows(_pause(retries, stand_in)):
            return answer
        answer.close()
        with contextlib.suppress(*_OF_RETRY_AFTER):
            retries.sleep(stand_in)


def _pause(retries: Retry, response: HTTPResponse) -> float:
    """The seconds that `retries` will sleep."""
    asked = None
    if retries.respect_retry_after_header:
        with contextlib.suppress(*_OF_RETRY_AFTER):
            asked = retries.get_retry_after(response)
    return asked or retries.get_backoff_time()


def _may_repeat(call: Call) -> bool:
    return call.body is None or call.body.rewindable


def _failure(error: RequestException, call: Call) -> Exception | None:
    """What urllib3 would have raised; None for what another try can't help."""
    if isinstance(error, PoolTimeout):
        return None
    if error.processed is False:
        return urllib3_errors.ConnectTimeoutError() if error.retryable else None
    if isinstance(error, ReadTimeout):
        return urllib3_errors.ReadTimeoutError(None, call.url, "")  # type: ignore[arg-type]  # for its message only
    return urllib3_errors.ProtocolError()
