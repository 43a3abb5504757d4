"""Requests on a pool's connections: what their failures are called, and when one is sent again.

Runs on the threads that make requests; there is none of its own, and no state but that of the connections.
"""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Iterable, Iterator
from typing import Any

from ... import errors
from ...connection.client_side.client_session import ClientSession
from ...constants import ErrorCode
from ...exceptions import ConnectionError, InvalidHeader, InvalidSchema, RequestException, SSLError
from ..messages.answer import Answer
from ..messages.call import BodyFailure, Call
from ..opening.destination import Destination
from ..opening.opener import Opener
from ..wire.failures import failed
from ..wire.http1_response import BROKEN
from .alt_svc import Alternatives
from .connections import Connections
from .group import Place
from .limits import PoolLimits
from .retries import Tries, may_repeat, retry_after

_LONGEST_RETRY_AFTER = 60.0


class PoolUser:
    """What has a pool of its own: so has a copy."""

    _pool: Pool

    def __copy__(self) -> Any:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._pool = copy.copy(self._pool)
        return other


class Pool:
    """A pool of connections; safe to share by threads. `retries` is how often a request may be sent again; what is not
    said here are an `Opener`'s options.
    """

    def __init__(
        self,
        limits: PoolLimits | None = None,
        *,
        alt_svc: bool | str = True,
        retries: int = 5,
        retry_statuses: Iterable[int] = (),
        **options: Any,
    ) -> None:
        if limits is not None and not isinstance(limits, PoolLimits):
            raise TypeError(f"limits must be a sync_h2.PoolLimits, not {limits!r}")
        self._limits = limits or PoolLimits()
        self._retries = retries
        self._retry_statuses = retry_statuses = frozenset(retry_statuses)
        self._options = {"alt_svc": alt_svc, "retries": retries, "retry_statuses": retry_statuses, **options}
        self._opener = self._make_opener(keepalive_expiry=self._limits.keepalive_expiry, **options)
        self._alternatives = Alternatives(alt_svc)
        self._connections = Connections(self._limits, self._opener, self._alternatives)

    def _make_opener(self, **options: Any) -> Opener:
        return Opener(**options)

    def __reduce__(self) -> Any:
        """A copy, or what comes out of a pickle, has the same options, and connections of its own."""
        return functools.partial(type(self), self._limits, **self._options), ()

    def send(self, call: Call) -> Answer:
        """Make a request and wait for the response's head; the body is the caller's to read or close.

        Blocks as long as `call.timeouts` allow. Raises exceptions of `sync_h2.exceptions`, whose `processed` says
        whether the server may have acted on the request.
        """
        if call.origin.scheme not in ("http", "https"):
            raise InvalidSchema(f"No connection adapters were found for {call.url!r}", request=call.request)
        proxy = None if self._opener.needs_no_proxy else call.proxy
        destination = Destination(call.origin, proxy, call.verify, call.cert, call.server_name)
        tries = Tries(self._retries)
        began_at = time.monotonic()
        while True:
            since, began_at = began_at, time.monotonic()
            place: Place | None = None
            before = call.patience.processed
            try:
                place = self._connections.acquire(call, destination)
                answer = self._connections.send(call, destination, place)
            except RequestException as error:
                if error.request is None:
                    error.request = call.request
                if error.processed is False and before is not False:  # the server has had it from an earlier attempt
                    error.processed, error.retryable = before, False
                raise
            except BodyFailure as failure:
                assert failure.__cause__ is not None
                raise failure.__cause__ from None
            except errors.InvalidArgument as error:
                raise InvalidHeader(
                    f"{call.url}: {errors.said(error)}", request=call.request, processed=False
                ) from error
            except BROKEN as error:
                if _processed(error) is False:
                    call.patience.processed = before
                pause = self._pause_after(error, call, tries, destination, place, since)
                if pause is None or not call.patience.allows(pause):
                    raise _failure(call, error) from error
            else:
                self._alternatives.note(destination, answer)
                pause = self._pause_for(answer, call, tries, destination)
                if pause is None or not call.patience.allows(pause):
                    return answer
                answer.close()
            time.sleep(pause)

    def close(self) -> None:
        """Take no more requests, and `clear`."""
        self._connections.close()

    def clear(self) -> None:
        """Close the connections that nobody uses, the others when nobody does any more."""
        self._connections.clear()

    def sessions(self) -> Iterator[ClientSession]:
        """The open sessions, each once."""
        return self._connections.sessions()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _pause_after(
        self, error: Exception, call: Call, tries: Tries, destination: Destination, place: Place | None, since: float
    ) -> float | None:
        """The seconds after which a request that failed so is sent again; None if it is not. `since` the attempt before
        began, others may have been answered.
        """
        processed = _processed(error)
        if getattr(error, "code", None) == ErrorCode.HTTP_1_1_REQUIRED and self._connections.downgrade(destination):
            return tries.pause() if may_repeat(call, False) else None
        # A reset is an answer, and TLS does not fail by chance.
        if isinstance(error, errors.TLSError) or (isinstance(error, errors.StreamReset) and processed is None):
            return None
        if not may_repeat(call, processed):
            return None
        if processed is None:
            return tries.pause()
        session = None if place is None else place.session
        refused = session is not None and not session.closed
        progress = session is not None and not refused and session._has_streams  # which it took, and will answer
        progress = progress or self._connections.has_answered(destination, since)
        return tries.pause(progress=progress, refused=refused)

    def _pause_for(self, answer: Answer, call: Call, tries: Tries, destination: Destination) -> float | None:
        """The seconds after which a request that was answered so is sent again; None if it is not."""
        if (
            answer.status == 421  # RFC 9110 section 15.5.20: it was not processed
            and may_repeat(call, False)
            and self._connections.misdirected(destination, answer.session)
        ):
            return tries.pause()
        if answer.status in self._retry_statuses and may_repeat(call, None):
            pause = tries.pause()
            asked = retry_after(answer.headers)
            if pause is None or asked is None:
                return pause
            return asked if asked <= _LONGEST_RETRY_AFTER else None
        return None


def _processed(error: Exception) -> bool | None:
    """Whether the server may have acted on a request that failed so."""
    return False if errors.is_unprocessed(error) else None


def _failure(call: Call, error: Exception) -> ConnectionError:
    """What a call fails with whose last attempt failed so; earlier ones may have been processed."""
    kind = SSLError if isinstance(error, errors.TLSError) else ConnectionError
    return failed(call, error, call.patience.processed if _processed(error) is False else None, kind)
