"""Readers whose peers send many small frames take turns; nobody else does."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from support import frames
from support.raw_peer import UPLOAD, server_and_raw_client
from support.threads import eventually
from sync_h2.connection import turns
from sync_h2.connection.turns import FrameBudget


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_a_budget_is_used_up_by_small_frames_alone_and_refills(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(turns, "time", clock)
    budget = FrameBudget()
    budget.spend(100_000, 100_000 * 16_384)
    assert not budget.used_up()
    budget.spend(501, 0)
    assert budget.used_up()
    clock.now += 1
    assert not budget.used_up()
    budget.spend(10**9, 0)
    assert budget.used_up()
    clock.now += 2  # however much was spent
    assert not budget.used_up()


@pytest.mark.parametrize("kind", ["data", "ping"])
def test_a_busy_reader_waits_for_its_turn_and_loses_nothing(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    taken = threading.Semaphore(0)
    turn = threading.Lock()

    def take() -> None:
        taken.release()
        turn.acquire()

    monkeypatch.setattr("sync_h2.connection.frame_receiver.take_turn", take)
    monkeypatch.setattr("sync_h2.connection.frame_receiver.end_turn", turn.release)
    read: list[int] = []

    def handler(stream: Any, headers: Any) -> None:
        read.append(len(stream.read(timeout=20)))
        stream.end()

    with server_and_raw_client(handler) as (session, peer):
        peer.headers(1, UPLOAD)
        small = frames.data(1, b"x") if kind == "data" else frames.ping(bytes(8))
        for _ in range(4):
            before = session.stats.frames_received
            peer.sock.sendall(small * 300)
            eventually(lambda: session.stats.frames_received >= before + 300)  # noqa: B023
        assert taken.acquire(timeout=10)
        peer.sock.sendall(frames.data(1, b"", flags=frames.END_STREAM))
        eventually(lambda: read)
    assert read == [1200 if kind == "data" else 0]
