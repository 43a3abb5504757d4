from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import ssl
import struct
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.threads.background import eventually
from sync_h2.deadline import Deadline
from sync_h2.errors import ConnectionLost
from sync_h2.transport import transport as transport_module
from sync_h2.transport.tls import TLSEngine
from sync_h2.transport.transport import END, TLSTransport, Transport

TIMEOUT = 20.0

Pair = tuple[Transport, Transport]
Sockets = tuple[socket.socket, socket.socket]


def receive(transport: Transport, size: int, lock: threading.Lock | None = None) -> bytes:
    """What the reader thread does, until there are `size` octets or the end."""
    view = memoryview(bytearray(50_000))
    received = bytearray()
    count = 0
    while len(received) < size and count != END:
        transport.receive(view)
        with lock or threading.Lock():
            while (count := transport.plaintext_locked(view)) > 0:
                received += view[:count]
    return bytes(received)


def send(transport: Transport, buffers: list[bytes | memoryview], lock: threading.Lock | None = None) -> None:
    """What a caller and then the writer thread do."""
    lock = lock or threading.Lock()
    with lock:
        transport.wrap_locked(buffers)
        if transport.send_some_locked():
            return
        taken = transport.take_for_blocking_send_locked()
    transport.send_blocking(taken)
    with lock:
        transport.blocking_send_done_locked()


def fill(transport: Transport) -> int:
    """Send until the kernel takes no more; how many octets it was given. Something is left unsent."""
    size = 0
    chunk = bytes(100_000)
    done = True
    while done:
        transport.wrap_locked([chunk])
        size += len(chunk)
        done = transport.send_some_locked()
    assert transport.unsent_locked > 0
    return size


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


# -- Sending and receiving


def test_both_directions_at_once_carry_more_than_the_kernel_holds(
    transports: Pair, background: ThreadPoolExecutor
) -> None:
    size = 20_000_000
    payload = os.urandom(size)
    frames: list[bytes | memoryview] = []
    for position in range(0, size, 16_384):
        frames += [b"nine byte", memoryview(payload)[position : position + 16_384]]
    expected = hashlib.sha256(b"".join(frames)).digest()
    total = sum(map(len, frames))
    outcomes = []
    for transport in transports:
        lock = threading.Lock()
        outcomes.append(background.submit(receive, transport, total, lock))

        def send_in_parts(transport: Transport = transport, lock: threading.Lock = lock) -> None:
            for position in range(0, len(frames), 100):
                send(transport, frames[position : position + 100], lock)

        background.submit(send_in_parts)
    for outcome in outcomes:
        assert hashlib.sha256(outcome.result(TIMEOUT)).digest() == expected


def test_what_the_kernel_takes_at_once_needs_no_writer(transports: Pair) -> None:
    left, right = transports
    left.wrap_locked([b"frame ", b"", memoryview(b"header"), b" payload"])
    assert left.unsent_locked > 0
    assert left.send_some_locked()
    assert left.unsent_locked == 0
    assert receive(right, 20) == b"frame header payload"


def test_nothing_to_send_is_nothing_left(transports: Pair) -> None:
    transports[0].wrap_locked([])
    assert transports[0].send_some_locked()


def test_more_buffers_than_one_call_takes(transports: Pair) -> None:
    left, right = transports
    left.wrap_locked([b"%d," % number for number in range(2000)])
    assert left.send_some_locked()
    assert receive(right, 8890) == b"".join(b"%d," % number for number in range(2000))


def test_a_send_that_the_kernel_cuts_short_goes_on_where_it_stopped(
    transports: Pair, background: ThreadPoolExecutor
) -> None:
    left, right = transports
    size = fill(left)
    received = background.submit(receive, right, size + 5)
    taken = left.take_for_blocking_send_locked()
    left.wrap_locked([b"after"])
    # The writer has octets in hand: a non-blocking send would overtake them.
    assert not left.send_some_locked()
    before = left.unsent_locked
    left.send_blocking(taken)
    assert not taken
    assert 0 < left.unsent_locked < before
    left.blocking_send_done_locked()
    while not left.send_some_locked():
        pass
    assert left.unsent_locked == 0
    assert received.result(TIMEOUT) == bytes(size) + b"after"


def test_without_non_blocking_sends_everything_is_the_writers(
    transports: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "_DONT_WAIT", 0)
    left, right = transports
    assert left.send_some_locked()
    left.wrap_locked([b"hello"])
    assert not left.send_some_locked()
    left.send_blocking(left.take_for_blocking_send_locked())
    left.blocking_send_done_locked()
    assert left.send_some_locked()
    assert receive(right, 5) == b"hello"


def test_what_is_left_unsent_does_not_change_with_the_callers_buffer(
    transports: Pair, background: ThreadPoolExecutor
) -> None:
    left, right = transports
    size = fill(left)
    buffer = bytearray(b"before")
    with memoryview(buffer) as view:
        left.wrap_locked([view, b" and after"])
        left.send_some_locked()
    buffer[:] = b"CHANGED"  # fails if a memoryview of it is still around
    received = background.submit(receive, right, size + 16)
    left.send_blocking(left.take_for_blocking_send_locked())
    assert received.result(TIMEOUT)[size:] == b"before and after"


def test_a_buffer_is_copied_too_while_the_writer_is_sending(transports: Pair, background: ThreadPoolExecutor) -> None:
    left, right = transports
    size = fill(left)
    taken = left.take_for_blocking_send_locked()
    buffer = bytearray(b"before")
    with memoryview(buffer) as view:
        left.wrap_locked([view])
        assert not left.send_some_locked()
    buffer[:] = b"CHANGED"
    received = background.submit(receive, right, size + 6)
    left.send_blocking(taken)
    left.blocking_send_done_locked()
    while not left.send_some_locked():
        pass
    assert received.result(TIMEOUT)[size:] == b"before"


def test_what_the_writer_takes_does_not_change_with_the_callers_buffer(transports: Pair) -> None:
    left, right = transports
    buffer = bytearray(b"before")
    with memoryview(buffer) as view:
        left.wrap_locked([view])
        taken = left.take_for_blocking_send_locked()
    buffer[:] = b"CHANGED"
    left.send_blocking(taken)
    assert receive(right, 6) == b"before"


class Buffer(bytearray):
    """One that can be held weakly."""


def test_sent_buffers_are_let_go(transports: Pair) -> None:
    buffer = Buffer(b"payload")
    gone = weakref.ref(buffer)
    transports[0].wrap_locked([memoryview(buffer)])
    assert transports[0].send_some_locked()
    del buffer
    assert gone() is None


def test_bytes_are_sent_without_a_copy(tcp_pair: Sockets) -> None:
    with tcp_pair[1]:
        transport = Transport(tcp_pair[0])
        fill(transport)
        payload = bytes(1000)
        transport.wrap_locked([memoryview(payload)[10:]])
        transport.send_some_locked()
        last = transport.take_for_blocking_send_locked()[-1]
        assert isinstance(last, memoryview)
        assert last.obj is payload
        transport.close()


# -- The end


def test_the_peers_end_is_told_after_the_data(transports: Pair) -> None:
    left, right = transports
    left.wrap_locked([b"last words"])
    left.close_notify_locked()
    assert left.send_some_locked()
    left.shutdown_write()
    assert receive(right, 1000) == b"last words"
    view = memoryview(bytearray(10))
    assert right.plaintext_locked(view) == END
    assert right.receive(view) == 0
    assert right.plaintext_locked(view) == END
    assert not right.truncated


def test_tls_that_is_cut_off_is_told_from_tls_that_is_closed(transports: Pair) -> None:
    left, right = transports
    left.shutdown_write()
    assert receive(right, 1000) == b""
    assert right.truncated is right.encrypted


def test_a_socket_that_somebody_else_sets_not_to_block_is_lost(transports: Pair) -> None:
    """To try again would be to try for ever, as fast as can be."""
    with transports[0].sock.dup() as duplicate:
        duplicate.setblocking(False)
    with pytest.raises(ConnectionLost, match="the connection broke: Resource temporarily unavailable"):
        while True:  # TLS's tickets may come before that
            transports[0].receive(memoryview(bytearray(100)))


def test_a_reset_is_a_lost_connection(tcp_pair: Sockets) -> None:
    transport = Transport(tcp_pair[0])
    reset(tcp_pair[1])
    with pytest.raises(ConnectionLost, match="the connection broke: Connection reset by peer") as caught:
        transport.receive(memoryview(bytearray(10)))
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    transport.wrap_locked([b"x"])
    with pytest.raises(ConnectionLost, match="the connection broke: Broken pipe"):
        transport.send_some_locked()
    with pytest.raises(ConnectionLost, match="the connection broke: Broken pipe"):
        transport.send_blocking([b"x"])
    transport.close()


def test_shutting_down_ends_a_blocked_receive(transports: Pair, background: ThreadPoolExecutor) -> None:
    outcome = background.submit(receive, transports[0], 10_000_000)
    transports[0].shutdown_both()
    assert outcome.result(TIMEOUT) == b""


def test_shutting_down_our_side_ends_a_blocked_send(transports: Pair, background: ThreadPoolExecutor) -> None:
    left = transports[0]
    fill(left)
    sending = background.submit(left.send_blocking, left.take_for_blocking_send_locked())
    left.shutdown_write()
    with pytest.raises(ConnectionLost):
        sending.result(TIMEOUT)


def test_nothing_is_shut_down_after_closing(transports: Pair) -> None:
    """The descriptor's number may be somebody else's by then."""
    transports[0].mark_closed_locked()
    transports[0].shutdown_both()
    transports[0].shutdown_write()
    assert transports[0].sock.send(b"x") == 1  # it is open in both directions


def test_nothing_is_sent_after_closing(transports: Pair) -> None:
    right, left = transports  # the client has tickets to read, and closing before that would be a reset
    left.wrap_locked([b"never sent"])
    left.mark_closed_locked()
    assert left.unsent_locked == 0
    left.wrap_locked([b"neither"])
    left.close_notify_locked()
    assert left.send_some_locked()
    assert left.unsent_locked == 0
    left.close()
    left.close()
    left.shutdown_write()
    left.shutdown_both()
    assert receive(right, 1) == b""


# -- What a transport tells about itself, and TLS


def test_the_kind_of_connection(transports: Pair) -> None:
    for transport in transports:
        assert transport.encrypted is isinstance(transport, TLSTransport)
        assert transport.alpn_protocol == ("h2" if transport.encrypted else "h2c")
        assert transport.sock.gettimeout() is None


def test_frames_that_came_with_the_handshakes_end_are_not_waited_for(
    socket_pair: Sockets, tls_contexts: tuple[ssl.SSLContext, ssl.SSLContext], background: ThreadPoolExecutor
) -> None:
    client = TLSEngine(tls_contexts[0], server_side=False, server_hostname="localhost")
    server = TLSEngine(tls_contexts[1], server_side=True)
    # A relay that holds the client's Finished back until the client's first frames can go along with it.
    outcome = background.submit(client.handshake, socket_pair[0], Deadline(TIMEOUT))
    relay, server_socket = socket.socketpair()
    with relay, server_socket:
        handshake = background.submit(server.handshake, server_socket, Deadline(TIMEOUT))
        relay.sendall(socket_pair[1].recv(10_000))
        socket_pair[1].sendall(relay.recv(10_000))
        outcome.result(TIMEOUT)
        client.encrypt([b"first frames"])
        relay.sendall(socket_pair[1].recv(10_000) + b"".join(client.outgoing()))
        handshake.result(TIMEOUT)
        transport = TLSTransport(server_socket, server)
        view = memoryview(bytearray(100))
        assert transport.receive(view) > 0
        assert transport.plaintext_locked(view) == 12
        assert bytes(view[:12]) == b"first frames"
        relay.shutdown(socket.SHUT_WR)
        assert transport.receive(view) == 0
        transport.close()


def test_a_busy_tls_connection_has_a_buffer_for_ciphertext_and_an_idle_one_has_none(
    tcp_pair: Sockets,
    tls_contexts: tuple[ssl.SSLContext, ssl.SSLContext],
    shake_hands: Callable[..., tuple[TLSEngine, TLSEngine]],
    background: ThreadPoolExecutor,
) -> None:
    client, server = shake_hands(tcp_pair, tls_contexts)
    sender, receiver = TLSTransport(tcp_pair[0], client), TLSTransport(tcp_pair[1], server)
    octets = os.urandom(2_000_000)
    view = memoryview(bytearray(200_000))  # of which a piece takes ciphertext, until there is a buffer
    for _ in range(2):
        assert receiver.memory == 0
        sending = background.submit(send, sender, [octets])
        eventually(lambda: len(receiver.sock.recv(70_000, socket.MSG_PEEK)) == 70_000)  # more than the piece
        received = b""
        largest = 0
        while len(received) < len(octets):
            receiver.receive(view)
            while (count := receiver.plaintext_locked(view)) > 0:
                received += view[:count]
            largest = max(largest, receiver.memory)
        sending.result(TIMEOUT)
        assert received == octets
        assert largest == 256 * 1024
        send(sender, [b"little"])
        assert receive(receiver, 6) == b"little"
    for transport in (sender, receiver):
        transport.close()


def test_received_octets_can_be_discarded_undecrypted_until_the_end(transports: Pair) -> None:
    left, right = transports
    for data in (b"some", b" more"):
        right.wrap_locked([data])
        assert right.send_some_locked()
    right.shutdown_write()
    view = memoryview(bytearray(10))
    while left.receive(view):
        pass


def test_a_tls_failure_leaves_its_alert_to_be_sent(
    tcp_pair: Sockets,
    tls_contexts: tuple[ssl.SSLContext, ssl.SSLContext],
    shake_hands: Callable[..., tuple[TLSEngine, TLSEngine]],
) -> None:
    _, server = shake_hands(tcp_pair, tls_contexts)
    transport = TLSTransport(tcp_pair[1], server)
    tcp_pair[0].sendall(b"not a TLS record")
    with pytest.raises(Exception, match="TLS with the client failed"):
        receive(transport, 1)
    assert transport.unsent_locked > 0
    transport.close()


def test_what_the_kernel_holds_for_a_peer_that_does_not_read(tcp_pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = tcp_pair
    far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    transport = Transport(near)
    assert transport.unacknowledged_locked() == 0
    transport.wrap_locked([bytes(10_000_000)])
    transport.send_some_locked()
    held = transport.unacknowledged_locked()
    assert held > 0
    sent = 10_000_000 - transport.unsent_locked
    received = 0
    while received < sent:
        received += len(far.recv(1_000_000))
    eventually(lambda: transport.unacknowledged_locked() == 0)
    transport.mark_closed_locked()
    transport.close()
    assert transport.unacknowledged_locked() == 0


@pytest.mark.parametrize("withheld", [False, True])
def test_an_end_that_is_withheld_is_a_reset_at_the_close(
    withheld: bool, tcp_pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = tcp_pair
    far.settimeout(TIMEOUT)
    transport = Transport(near)
    if withheld:
        transport.withhold_end_locked()
    transport.wrap_locked([b"what there is"])
    assert transport.send_some_locked()
    transport.shutdown_write()
    assert far.recv(1000) == b"what there is"
    transport.mark_closed_locked()
    transport.close()
    with pytest.raises(ConnectionResetError) if withheld else contextlib.nullcontext():
        assert far.recv(1000) == b""
