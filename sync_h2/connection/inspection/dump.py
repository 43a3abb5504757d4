"""Everything a session knows of itself, as plain dicts, lists and strings: for logs, and for a look at one that hangs.

`dump_session` may be called on any thread, with no lock held; the rest needs the session's lock, under which only
values are copied. The keys are for people: they may change with the engine.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from ...errors import HTTP2Error
from ...protocol.fields.headers import Headers
from ...protocol.fields.sensitive import shown_headers
from ...protocol.settings import Settings
from ...transport.transport import Transport
from ..receiving.header_memory import HeaderMemory
from ..sending.sender import Sender
from ..shared.listeners import Dispatcher
from ..shared.monitor import Monitor, WaitQueue
from ..shared.stream_state import Posted, StreamState
from ..timing.round_trips import SettingsSent
from ..timing.watchdog import Watchdog
from .snapshots import Described
from .stats import Counted, session_stats_locked
from .trace import Trace

ThreadNames = Mapping[int | None, str]


class Dumped(Counted, Described, Protocol):
    """What a dump shows."""

    _monitor: Monitor
    _transport: Transport
    _sender: Sender
    _dispatcher: Dispatcher
    _header_memory: HeaderMemory
    _settings_sent: SettingsSent
    _watchdog: Watchdog
    _trace: Trace | None
    _ended: WaitQueue
    _closing: bool
    _destroyed: bool
    _gone: bool
    _end_reason: HTTP2Error | None

    @property
    def _peer_name(self) -> str: ...

    def _jobs_locked(self) -> int: ...

    def _handler_threads_locked(self) -> set[int]: ...


def dump_session(session: Dumped) -> dict[str, Any]:
    """A snapshot that `json.dumps` takes. Times are seconds, sizes bytes; values of sensitive headers are hidden."""
    # Before the lock is taken, because listing threads takes a lock of the threading module's.
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    with session._monitor, session._monitor.lock:
        protocol = session._protocol
        states = [*session._streams.values(), *session._pending_states_locked()]
        reason = session._end_reason
        return {
            "type": session.type,
            "peer": session._peer_name,
            "traced_as": None if session._trace is None else session._trace.name,
            "state": _session_state_locked(session),
            "reason": None if reason is None else f"{type(reason).__name__}: {reason}",
            "alpn_protocol": session._transport.alpn_protocol,
            "encrypted": session._transport.encrypted,
            "stats": dataclasses.asdict(session_stats_locked(session)),
            "settings": {
                "local": _plain_settings(protocol.local_settings),
                "remote": _plain_settings(protocol.remote_settings),
                "unacknowledged": protocol.pending_settings,
            },
            "windows": {"send": protocol.outbound_window(), "receive": protocol.inbound_window()},
            "stream_ids": {
                "next": protocol.next_outbound_stream_id if protocol.has_stream_ids else None,
                "last_of_peer": protocol.last_inbound_stream_id,
            },
            "streams": [_stream_locked(session, state, names) for state in states],
            "queues": {
                "outbox": session._outbox.size,
                "transport": session._transport.unsent_locked,
                "unread": session._inbound.unread,
                "headers": session._header_memory.together,
                "events": session._dispatcher.waiting_locked,
                "handlers": session._jobs_locked(),
            },
            "waiting": {
                "ping": _waiting(session._pings.queues, names),
                "settings": _waiting(session._settings_sent.queues, names),
                "end": _waiting([session._ended], names),
            },
            "threads": {
                "reader": "ended" if session._gone else "running",
                "writer": session._sender.writer.state_locked,
                "listeners": "running" if session._dispatcher.thread_id else "none",
                "handlers": _names(session._handler_threads_locked(), names),
            },
            "timers": _timers_locked(session),
        }


def _session_state_locked(session: Dumped) -> str:
    if session._destroyed:
        return "gone" if session._gone else "destroyed"
    if session._closing:
        return "closing"
    return "open" if session._protocol.settings_received else "connecting"


def _plain_settings(settings: Settings) -> dict[str, Any]:
    return {
        name: {str(number): custom for number, custom in value.items()} if name == "custom" else value
        for name, value in settings.items()
    }


def _stream_locked(session: Dumped, state: StreamState, names: ThreadNames) -> dict[str, Any]:
    protocol = session._protocol
    stream_id = 0 if state.id is None else state.id
    outgoing = sum(item.remaining for item in state.outgoing if isinstance(item, Posted))
    # What was sent is the request on a client, and the response on a server; a pushed stream has no request of its own.
    is_client = session.type == "client"
    request = state.sent_headers if is_client and not state.is_push else state.request_headers
    return {
        "id": state.id,
        "state": protocol.stream_state(stream_id) if stream_id else "pending",
        "pushed": state.is_push,
        "request": _plain_headers(request),
        "informational": [_plain_headers(headers) for headers in state.informational + state.sent_info_headers],
        "response": _plain_headers(state.response_headers if is_client else state.sent_headers),
        "trailers": {"sent": _plain_headers(state.sent_trailers), "received": _plain_headers(state.trailers)},
        "ended": {"local": state.local_ended, "remote": state.remote_ended},
        "bytes": {
            "received": state.buffer.consumed + len(state.buffer),
            "unread": len(state.buffer),
            "sent": state.sent_bytes,
            "outgoing": outgoing,
        },
        "windows": {"send": protocol.outbound_window(stream_id), "receive": protocol.inbound_window(stream_id)}
        if stream_id
        else None,
        "held_up_by": _held_up_by_locked(session, state) if outgoing else None,
        "waiting": {"to_read": _waiting([state.arrived], names), "to_write": _waiting([state.progressed], names)},
        "priority": {"urgency": state.urgency, "weight": state.weight, "sequential": state.sequential},
        "has_handler": state.has_job,
    }


def _held_up_by_locked(session: Dumped, state: StreamState) -> str:
    """Why data that was given to the stream has not been sent."""
    if state.id is None:
        return "slot"
    if session._protocol.outbound_window(state.id) <= 0:
        return "stream window"
    if session._protocol.outbound_window() <= 0:
        return "connection window"
    return "transport"


def _plain_headers(headers: Headers | None) -> list[list[str]] | None:
    return None if headers is None else [list(field) for field in shown_headers(headers)]


def _waiting(queues: Iterable[WaitQueue], names: ThreadNames) -> list[str]:
    return _names((thread_id for queue in queues for thread_id in queue.thread_ids), names)


def _names(thread_ids: Iterable[int], names: ThreadNames) -> list[str]:
    return [names.get(thread_id, f"thread {thread_id}") for thread_id in thread_ids]


def _timers_locked(session: Dumped) -> dict[str, float]:
    """In how many seconds what happens if nothing else does; negative: the timer thread is late."""
    now = time.monotonic()
    return {
        name: round(moment - now, 3)
        for name, moment in session._watchdog.deadlines_locked().items()
        if not math.isinf(moment)
    }
