"""Readers whose peers send many small pieces take short turns; nobody else does."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from support.octets import frames
from support.octets.fields import UPLOAD
from support.peers.raw_peer import server_and_raw_client
from support.threads.background import eventually
from support.threads.turns import CountedTurns, counted
from sync_h2.connection.receiving import turns
from sync_h2.connection.receiving.turns import MOST_AT_ONCE, Budget

__all__ = ["counted"]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_a_budget_is_used_up_by_small_pieces_alone_and_refills(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(turns, "time", clock)
    budget = Budget()
    budget.spend(100_000, 100_000 * 16_384)
    assert not budget.used_up()
    budget.spend(101, 0)  # a session that has just begun has little
    assert budget.used_up()
    clock.now += 2
    assert not budget.used_up()
    budget.spend(10**9, 0)
    assert budget.used_up()
    clock.now += 2  # however much was spent
    assert not budget.used_up()


SMALL = {
    "data": frames.data(1, b"x"),
    "ping": frames.ping(bytes(8)),
    "settings": frames.settings(),
    "priority": frames.priority(1),
    "window": frames.window_update(1, 1),
    "unknown": frames.frame(frames.UNKNOWN, 0, 0),
}


@pytest.mark.parametrize("kind", SMALL)
def test_a_busy_reader_waits_for_its_turn_and_loses_nothing(counted: CountedTurns, kind: str) -> None:
    read: list[int] = []

    def handler(stream: Any, headers: Any) -> None:
        read.append(len(stream.read(timeout=20)))
        stream.end()

    with server_and_raw_client(handler, max_session_invalid_frames=10_000) as (session, peer):
        peer.headers(1, UPLOAD)
        before = session.stats.frames_received
        with counted:
            peer.sock.sendall(SMALL[kind] * 600)
            eventually(lambda: counted.waiting)
            assert session.stats.frames_received - before < 600
        eventually(lambda: session.stats.frames_received >= before + 600)
        assert counted.taken > 2  # none of them is a long one
        peer.sock.sendall(frames.data(1, b"", flags=frames.END_STREAM))
        eventually(lambda: read)
    assert read == [600 if kind == "data" else 0]


def test_others_get_the_session_between_two_turns(counted: CountedTurns) -> None:
    """What arrives at once is no reason to hold a session's lock for long."""
    at_once: list[int] = []
    with server_and_raw_client() as (session, peer):
        receiver: Any = session._receiver
        handle = receiver._handle_input_locked

        def counting() -> Any:
            before = receiver.frames_received
            has_more = handle()
            at_once.append(receiver.frames_received - before)
            return has_more

        receiver._handle_input_locked = counting
        peer.sock.sendall(frames.ping() * 900)
        eventually(lambda: sum(at_once) >= 900)
    assert max(at_once) < 2 * MOST_AT_ONCE


def test_large_frames_take_no_turns(counted: CountedTurns) -> None:
    done = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        stream.read(timeout=20)
        done.set()

    with server_and_raw_client(handler, settings={"initial_window_size": 2**20}) as (_, peer):
        peer.headers(1, UPLOAD)
        peer.settled()
        for _ in range(200):
            peer.data(1, bytes(1024))
        peer.data(1, b"", end_stream=True)
        assert done.wait(20)
    assert not counted.taken


def test_a_turn_that_does_not_end_holds_nobody_up_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a reader calls in its turn may wait for what another reader has to read."""
    monkeypatch.setattr(turns, "_PATIENCE", 0.05)
    one = turns.Turns()
    with one:
        other = threading.Thread(target=lambda: one.__enter__() or one.__exit__())
        other.start()
        other.join(20)
        assert not other.is_alive()
    with one:  # the first one's turn has ended with its own exit, and with no other
        assert one._lock.locked()
    assert not one._lock.locked()
