"""`set_local_window_size`: the connection's receive window as the user wants it."""

from __future__ import annotations

from typing import Any

import pytest
from hyperframe.frame import WindowUpdateFrame

import sync_h2
from support.octets.fields import RESPONSE
from support.peers.raw_peer import RawPeer, client_and_raw_server
from sync_h2.constants import DEFAULT_WINDOW_SIZE

FRAME = 16_384
MEBIBYTE = 1024 * 1024
CONNECTION_WINDOW = 8 * MEBIBYTE


def credit(peer: RawPeer, stream_id: int = 0) -> int:
    """What the session has granted on the connection since it was last asked."""
    return sum(
        frame.window_increment
        for frame in peer.settled()
        if isinstance(frame, WindowUpdateFrame) and frame.stream_id == stream_id
    )


def test_a_larger_window_is_announced_at_once() -> None:
    with client_and_raw_server() as (session, peer):
        assert DEFAULT_WINDOW_SIZE + credit(peer) == CONNECTION_WINDOW
        session.set_local_window_size(CONNECTION_WINDOW + 5)
        assert credit(peer) == 5
        assert session.state.effective_local_window_size == session.state.local_window_size == CONNECTION_WINDOW + 5
        session.set_local_window_size(2**31 - 1)
        assert credit(peer) == 2**31 - 1 - CONNECTION_WINDOW - 5
        assert session.state.local_window_size == 2**31 - 1
        session.set_local_window_size(2**31 - 1)
        assert credit(peer) == 0


def test_a_smaller_window_withholds_credit_until_the_difference_is_used_up(ends: Any) -> None:
    with client_and_raw_server() as (session, peer):
        stream = session.request()
        peer.headers(1, RESPONSE)
        session.set_local_window_size(2 * MEBIBYTE)
        window = DEFAULT_WINDOW_SIZE + credit(peer)
        assert window == CONNECTION_WINDOW == session.state.local_window_size
        assert session.state.effective_local_window_size == 2 * MEBIBYTE
        assert session.state.effective_recv_data_length == 0
        sent = 0
        while sent < 20 * MEBIBYTE:
            assert window >= FRAME
            peer.data(1, b"x" * FRAME)
            sent += FRAME
            granted = credit(peer)
            if granted:
                assert sent > CONNECTION_WINDOW - 2 * MEBIBYTE
            window += granted - FRAME
            if sent >= CONNECTION_WINDOW:
                assert window <= 2 * MEBIBYTE
            assert len(stream.read(FRAME)) == FRAME
        assert session.state.local_window_size == window


def test_a_size_that_is_raised_again_first_pays_for_the_reduction() -> None:
    with client_and_raw_server() as (session, peer):
        credit(peer)
        session.set_local_window_size(MEBIBYTE)
        session.set_local_window_size(3 * MEBIBYTE)
        assert credit(peer) == 0
        session.set_local_window_size(CONNECTION_WINDOW + 1)
        assert credit(peer) == 1


def test_zero_lets_nothing_more_come_until_it_is_raised() -> None:
    with client_and_raw_server(max_session_memory=MEBIBYTE) as (session, peer):
        stream = session.request()
        peer.headers(1, RESPONSE)
        session.set_local_window_size(0)
        window = DEFAULT_WINDOW_SIZE + credit(peer)
        while window:
            size = min(window, FRAME)
            peer.data(1, b"x" * size)
            window -= size
            stream.read(size)
            assert credit(peer) == 0
        assert session.state.local_window_size == session.state.effective_local_window_size == 0
        session.set_local_window_size(10 * FRAME)
        assert credit(peer) == 10 * FRAME
        peer.data(1, b"last", end_stream=True)
        assert stream.read() == b"last"


@pytest.mark.parametrize("size", [1, 1000, DEFAULT_WINDOW_SIZE, MEBIBYTE, 50 * MEBIBYTE, 2**31 - 1])
@pytest.mark.parametrize("memory", [0, 1000, MEBIBYTE, 64 * MEBIBYTE])
def test_no_size_stalls_a_session_whose_data_is_read(size: int, memory: int) -> None:
    with client_and_raw_server(max_session_memory=memory) as (session, peer):
        stream = session.request()
        peer.headers(1, RESPONSE)
        session.set_local_window_size(size)
        window = DEFAULT_WINDOW_SIZE + credit(peer)
        # To where it has the size that was chosen, and then a few windows more.
        sent, rounds = 0, 0
        while rounds < 30:
            assert window, f"no credit is left after {sent} bytes"
            count = min(window, FRAME)
            peer.data(1, b"x" * count)
            sent += count
            window -= count
            while count:
                count -= len(stream.read(count))
            window += credit(peer)
            rounds += window <= size


@pytest.mark.parametrize("memory", [MEBIBYTE, 64 * MEBIBYTE])
@pytest.mark.parametrize("size", [256 * 1024, MEBIBYTE, 60 * MEBIBYTE])
def test_an_unread_stream_does_not_stop_the_others(memory: int, size: int) -> None:
    with client_and_raw_server(max_session_memory=memory) as (session, peer):
        unread, stream = session.request(), session.request()
        peer.headers(1, RESPONSE)
        peer.headers(3, RESPONSE)
        session.set_local_window_size(size)
        window = DEFAULT_WINDOW_SIZE + credit(peer)
        for _ in range(16):  # its whole window
            peer.data(1, b"u" * FRAME)
            window += credit(peer) - FRAME
        for _ in range(300):
            if window < FRAME:
                break
            peer.data(3, b"x" * FRAME)
            assert len(stream.read(FRAME)) == FRAME
            window += credit(peer) - FRAME
        assert window >= FRAME
        assert len(unread._state.buffer) == 16 * FRAME


def test_a_large_size_is_the_bound_of_what_may_be_unread() -> None:
    """Two windows' worth at most, whatever the streams' windows allow."""
    settings = {"initial_window_size": 2**31 - 1}
    with client_and_raw_server(max_session_memory=MEBIBYTE, settings=settings) as (session, peer):
        stream = session.request()
        peer.headers(1, RESPONSE)
        session.set_local_window_size(2 * MEBIBYTE)
        window, sent = DEFAULT_WINDOW_SIZE + credit(peer), 0
        while window >= FRAME:
            peer.data(1, b"x" * FRAME)
            sent += FRAME
            assert sent <= 4 * MEBIBYTE + FRAME
            window += credit(peer) - FRAME
        while sent:
            sent -= len(stream.read(FRAME))
        assert credit(peer) > 0


@pytest.mark.parametrize("size", [-1, 2**31])
def test_a_size_out_of_range(ends: Any, size: int) -> None:
    before = ends.client.state
    with pytest.raises(sync_h2.InvalidArgument, match=r"size must be between 0 and 2147483647, not"):
        ends.client.set_local_window_size(size)
    assert ends.client.state == before


@pytest.mark.parametrize("size", [None, "1", 1.5, True])
def test_a_size_that_is_no_number(ends: Any, size: Any) -> None:
    with pytest.raises(TypeError, match="size must be an int"):
        ends.client.set_local_window_size(size)


def test_an_ended_session_refuses(ends: Any) -> None:
    ends.client.destroy()
    with pytest.raises(sync_h2.SessionClosed):
        ends.client.set_local_window_size(1000)


def test_both_ends_of_a_connection(ends: Any, background: Any) -> None:
    ends.server.set_local_window_size(100_000)
    ends.client.set_local_window_size(100_000)
    stream, served = ends.exchange()
    body = bytes(range(256)) * 100_000
    writing, answering = background(stream.end, body), background(served.end, body)
    reading = background(stream.read)
    assert served.read(timeout=30) == body
    assert reading.result(30) == body
    writing.result(5)
    answering.result(5)
    assert ends.server.state.effective_local_window_size == 100_000
    assert ends.server.state.local_window_size <= 100_000
