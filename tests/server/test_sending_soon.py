"""What handlers send is gathered while others of their session wait for a thread, and never left lying."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from hyperframe.frame import DataFrame

from support.octets.fields import REQUEST
from support.peers.raw_peer import server_and_raw_client
from support.threads.background import eventually
from sync_h2.testing import pair
from sync_h2.transport.transport import Transport

TIMEOUT = 10.0


def test_an_answer_does_not_wait_for_handlers_that_have_no_thread() -> None:
    free = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        if headers[":path"] != "/quick":
            free.wait(TIMEOUT)
        stream.end(b"x")

    client, server = pair(handler, server={"max_workers": 1})
    with client:
        first = client.request({":path": "/blocks"})
        quick = client.request({":path": "/quick"})
        others = [client.request({":path": "/blocks"}) for _ in range(5)]
        free.set()
        assert first.read(timeout=TIMEOUT) == b"x"
        assert quick.read(timeout=TIMEOUT) == b"x"
        assert [stream.read(timeout=TIMEOUT) for stream in others] == [b"x"] * 5
        free.clear()
        last = [client.request({":path": path}) for path in ("/quick", "/blocks", "/blocks", "/blocks")]
        # The handler that blocks now has the only thread, and two more wait for it.
        assert last[0].read(timeout=TIMEOUT) == b"x"
        free.set()
        assert [stream.read(timeout=TIMEOUT) for stream in last[1:]] == [b"x"] * 3
    assert not server._unbegun


def test_a_conversation_is_not_slowed_down_by_requests_that_have_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the handlers' own sends is let through here."""

    def handler(stream: Any, headers: Any) -> None:
        if headers[":path"] == "/talk":
            for chunk in stream:
                stream.write(chunk)
        stream.end()

    client, server = pair(handler, server={"max_workers": 1})
    with client:
        talk = client.request({":method": "POST", ":path": "/talk"})
        talk.write(b"begun")
        assert talk.read(5, timeout=TIMEOUT) == b"begun"
        waiting = client.request()
        client.ping(timeout=TIMEOUT)
        monkeypatch.setattr(server._host._pool, "_on_waiting", None)
        eventually(lambda: time.monotonic() - server._handler_began_at > 0.01)
        for _ in range(5):
            talk.write(b"x")
            assert talk.read(1, timeout=TIMEOUT) == b"x"
        talk.end()
        assert waiting.read(timeout=TIMEOUT) == b""


def test_answers_of_a_batch_share_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    sends = 0
    send = Transport._send_without_blocking

    def counting_send(transport: Transport) -> None:
        nonlocal sends
        sends += bool(transport._unsent)
        send(transport)

    together = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        together.wait(TIMEOUT)
        stream.respond({"content-length": 1})
        stream.end(b"x")

    with server_and_raw_client(handler, max_workers=1) as (_, peer):
        for stream_id in range(1, 81, 2):
            peer.headers(stream_id, REQUEST, end_stream=True)
        peer.settled()  # all of them have come
        monkeypatch.setattr(Transport, "_send_without_blocking", counting_send)
        together.set()
        for _ in range(40):  # in some order: several threads hand the requests to the pool
            assert "END_STREAM" in peer.expect(DataFrame).flags
    assert sends < 40


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("data", [b"", b"x", bytearray(b"x"), b"x" * 100_000])
@pytest.mark.parametrize("call", ["write", "end", "wfile"])
def test_headers_go_out_with_the_first_write_whatever_it_sends(method: str, data: bytes, call: str) -> None:
    """Nothing else is sent on this session that would take them along."""
    answered = threading.Event()

    def handler(stream: Any, headers: Any) -> None:
        (stream.wfile.write if call == "wfile" else getattr(stream, call))(data)
        answered.wait(TIMEOUT)

    client, _ = pair(handler)
    with client:
        client.ping(timeout=TIMEOUT)
        stream = client.request({":method": method})
        assert stream.wait_response(timeout=TIMEOUT)[":status"] == "200"
        answered.set()
        assert stream.read(timeout=TIMEOUT) == (b"" if method == "HEAD" else data)
