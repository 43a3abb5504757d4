"""`session.dump()`: all that a session knows of itself, as JSON takes it, at any time of its life."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from support.octets.fields import REQUEST, RESPONSE
from support.peers.raw_peer import client_and_raw_server, server_and_raw_client
from support.threads.background import eventually, waits
from support.tls.certificates import Certificate
from sync_h2 import Headers, connect, create_secure_server


def dumped(session: Any) -> dict[str, Any]:
    """The dump, as it comes out of JSON."""
    dump = session.dump()
    assert json.loads(json.dumps(dump, allow_nan=False)) == dump
    return dump


def named(name: str, function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function, name=name)
    thread.start()
    return thread


def test_a_session_that_has_nothing_to_do(ends: Any) -> None:
    for session in (ends.client, ends.server):
        eventually(lambda session=session: not session.connecting and not session.pending_settings_ack)
        dump = dumped(session)
        assert dump["type"] == session.type
        assert dump["state"] == "open"
        assert dump["reason"] is None
        assert dump["streams"] == []
        assert dump["alpn_protocol"] == "h2c"
        assert dump["encrypted"] is False
        assert dump["settings"]["local"]["max_concurrent_streams"] == 100
        assert dump["settings"]["remote"]["initial_window_size"] == session.remote_settings.initial_window_size
        assert dump["settings"]["unacknowledged"] == 0
        state = session.state
        assert dump["windows"] == {"send": state.remote_window_size, "receive": state.local_window_size}
        assert dump["queues"] == {"outbox": 0, "transport": 0, "unread": 0, "headers": 0, "events": 0, "handlers": 0}
        assert dump["waiting"] == {"ping": [], "settings": [], "end": []}
        assert dump["threads"]["reader"] == "running"
        assert dump["stats"]["frames_sent"] == session.stats.frames_sent
    assert ends.client.dump()["stream_ids"] == {"next": 1, "last_of_peer": 0}
    assert ends.client.dump()["timers"] == {}
    assert 0 < ends.server.dump()["timers"]["timeout"] <= 120


def test_over_tls_and_with_an_address(certificate: Certificate) -> None:
    server = create_secure_server(
        lambda stream, headers: stream.end(), certfile=certificate.certfile, keyfile=certificate.keyfile
    )
    with server, connect(server.url.replace("127.0.0.1", "localhost"), cafile=certificate.cafile) as session:
        dump = dumped(session)
        assert (dump["alpn_protocol"], dump["encrypted"]) == ("h2", True)
        assert dump["peer"].endswith(f":{server.address[1]}")
        session.request().read()


def test_the_headers_of_a_stream_without_its_secrets(ends: Any) -> None:
    request = Headers({":method": "POST", "x": "seen", "authorization": "secret-1", "cookie": "secret-2" * 10})
    request.add("x-token", "secret-3", sensitive=True)
    stream, served = ends.exchange(request)
    served.additional_headers({":status": 103, "link": "</style.css>"})
    served.respond({"set-cookie": "secret-4", "x": ["a", "b"]}, wait_for_trailers=True, send_date=False)
    stream.wait_response()
    for session in (ends.client, ends.server):
        dump = dumped(session)
        (shown,) = dump["streams"]
        assert shown["id"] == 1
        assert shown["state"] == "open"
        assert ["x", "seen"] in shown["request"]
        for name in ("authorization", "cookie", "x-token"):
            assert [name, "<sensitive>"] in shown["request"]
        assert shown["informational"] == [[[":status", "103"], ["link", "</style.css>"]]]
        assert shown["response"] == [[":status", "200"], ["set-cookie", "<sensitive>"], ["x", "a"], ["x", "b"]]
        assert shown["trailers"] == {"sent": None, "received": None}
        assert "secret" not in json.dumps(dump)


def test_headers_are_shown_as_they_went_and_came(ends: Any) -> None:
    ends.exchange({"x": "1"})
    for session in (ends.client, ends.server):
        assert ["x", "1"] in session.dump()["streams"][0]["request"]


def test_who_reads_and_what_is_unread(ends: Any) -> None:
    stream, served = ends.exchange()
    reading = named("the reader of stream 1", lambda: stream.read(1))
    eventually(lambda: waits(stream))
    (shown,) = dumped(ends.client)["streams"]
    assert shown["waiting"] == {"to_read": ["the reader of stream 1"], "to_write": []}
    served.respond()
    served.write(b"x" * 1000)
    reading.join()
    eventually(lambda: len(stream._state.buffer) == 999)
    dump = dumped(ends.client)
    assert dump["streams"][0]["waiting"]["to_read"] == []
    assert dump["streams"][0]["bytes"] == {"received": 1000, "unread": 999, "sent": 0, "outgoing": 0}
    assert dump["queues"]["unread"] == 999
    assert dump["streams"][0]["windows"]["receive"] == 262_144 - 1000
    assert dumped(ends.server)["streams"][0]["bytes"]["sent"] == 1000


@pytest.mark.parametrize("held_up_by", ["stream window", "connection window"])
def test_who_writes_and_what_holds_it_up(held_up_by: str) -> None:
    window = 1000 if held_up_by == "stream window" else 100_000
    with client_and_raw_server(peer_settings={0x4: window}) as (session, peer):
        peer.settled()
        stream = session.request({":method": "POST"})

        def write() -> None:
            with pytest.raises(Exception, match="destroyed"):
                stream.write(b"x" * 200_000)

        writing = named("the writer of stream 1", write)
        eventually(lambda: waits(stream) and session.dump()["streams"][0]["bytes"]["sent"] == min(window, 65_535))
        (shown,) = dumped(session)["streams"]
        assert shown["held_up_by"] == held_up_by
        assert shown["waiting"]["to_write"] == ["the writer of stream 1"]
        assert shown["bytes"]["outgoing"] == 200_000 - min(window, 65_535)
        session.destroy(RuntimeError("destroyed by the test"))
        writing.join()


def test_what_the_transport_holds_up(background: Any) -> None:
    with client_and_raw_server(peer_settings={0x4: 2**31 - 1}) as (session, peer):
        peer.open_window(0, 2**31 - 1 - 65_535)
        peer.settled()
        stream = session.request({":method": "POST"})
        writing = background(stream.write, b"x" * 50_000_000)
        eventually(lambda: waits(stream))
        eventually(lambda: session.dump()["threads"]["writer"] in ("sending", "awaited"))
        eventually(lambda: session.dump()["streams"][0]["held_up_by"] == "transport")
        queues = dumped(session)["queues"]
        assert queues["outbox"] + queues["transport"] > 0
        session.destroy()
        assert writing.exception(10)


def test_streams_that_wait_for_a_slot() -> None:
    with client_and_raw_server(peer_settings={0x3: 1}) as (session, peer):
        peer.settled()
        first, pending = session.request(), session.request({":method": "POST"}, wait=False)
        writing = named("the writer without a stream", lambda: pending.write(b"body"))
        eventually(lambda: waits(pending))
        opened, waiting = dumped(session)["streams"]
        assert (opened["id"], opened["state"], opened["ended"]["local"]) == (1, "half_closed_local", True)
        assert (waiting["id"], waiting["state"], waiting["windows"]) == (None, "pending", None)
        assert (waiting["held_up_by"], waiting["bytes"]["outgoing"]) == ("slot", 4)
        assert waiting["waiting"]["to_write"] == ["the writer without a stream"]
        peer.headers(1, RESPONSE, end_stream=True)
        writing.join()
        assert first.read() == b""
        (opened,) = dumped(session)["streams"]
        assert (opened["id"], opened["bytes"]["sent"]) == (3, 4)


def test_who_waits_for_the_peer() -> None:
    with client_and_raw_server() as (session, peer):
        peer.settled()

        def wait_for(call: Callable[[], object]) -> Callable[[], None]:
            def run() -> None:
                with pytest.raises(Exception, match="the session"):
                    call()

            return run

        threads = [
            named("pinging", wait_for(session.ping)),
            named("setting", wait_for(lambda: session.settings({"enable_push": False}, wait=True))),
        ]
        eventually(lambda: all(session.dump()["waiting"][what] for what in ("ping", "settings")))
        dump = dumped(session)
        assert dump["waiting"] == {"ping": ["pinging"], "settings": ["setting"], "end": []}
        assert dump["settings"]["unacknowledged"] == 1
        assert 0 < dump["timers"]["settings_timeout"] <= 10
        _stream = session.request()
        threads.append(named("closing", session.close))
        eventually(lambda: session.dump()["waiting"]["end"])
        dump = dumped(session)
        assert (dump["state"], dump["waiting"]["end"]) == ("closing", ["closing"])
        session.destroy()
        for thread in threads:
            thread.join()


def test_handlers_and_their_threads() -> None:
    entered, let_go = threading.Event(), threading.Event()

    def handler(stream: Any, headers: Headers) -> None:
        threading.current_thread().name = "the handler"
        entered.set()
        assert let_go.wait(10)
        stream.end()

    with server_and_raw_client(handler) as (session, peer):
        peer.headers(1, REQUEST, end_stream=True)
        assert entered.wait(10)
        dump = dumped(session)
        let_go.set()
        assert dump["threads"]["handlers"] == ["the handler"]
        assert dump["queues"]["handlers"] == 1
        assert dump["streams"][0]["has_handler"] is True
        assert dump["streams"][0]["request"] == [list(field) for field in REQUEST]


def test_events_that_wait_for_a_listener(ends: Any) -> None:
    entered, let_go = threading.Event(), threading.Event()

    def listen(payload: bytes) -> None:
        entered.set()
        assert let_go.wait(10)

    ends.server.on("ping", listen)
    for _ in range(3):
        ends.client.ping()
    assert entered.wait(10)
    dump = dumped(ends.server)
    let_go.set()
    assert (dump["queues"]["events"], dump["threads"]["listeners"]) == (2, "running")


def test_pushed_streams(ends: Any) -> None:
    stream, served = ends.exchange({})
    pushed = served.push_stream({":path": "/pushed"})
    received = stream.wait_push()
    for session, state in ((ends.client, "reserved_remote"), (ends.server, "reserved_local")):
        shown = dumped(session)["streams"][1]
        assert (shown["id"], shown["state"], shown["pushed"], shown["response"]) == (2, state, True, None)
        assert [":path", "/pushed"] in shown["request"]
    pushed.close()
    received.wait_closed()


def test_custom_settings_and_timers(open_ends: Any) -> None:
    ends = open_ends(
        client={"settings": {"custom": {0xABC: 7}}, "keepalive_interval": 50, "handshake_timeout": float("inf")}
    )
    ends.client.set_timeout(30)
    stream, _ = ends.exchange()
    stream.set_timeout(20)
    ends.client.ping()
    assert dumped(ends.server)["settings"]["remote"]["custom"] == {"2748": 7}
    timers = dumped(ends.client)["timers"]
    assert set(timers) == {"keepalive", "timeout", "timeout of a stream"}
    assert 0 < timers["timeout of a stream"] <= 20 < timers["timeout"] <= 30 < timers["keepalive"] <= 50


def test_before_the_peers_settings() -> None:
    with client_and_raw_server(handshake=False, handshake_timeout=float("inf")) as (session, _):
        dump = dumped(session)
        assert dump["state"] == "connecting"
        assert set(dump["timers"]) == {"settings_timeout"}


def test_after_the_end(ends: Any) -> None:
    stream, _ = ends.exchange()
    ends.client.destroy(ValueError("enough"))
    dump = dumped(ends.client)
    assert dump["state"] in ("destroyed", "gone")
    assert dump["streams"] == []
    assert "enough" in dump["reason"]
    ends.client.close()
    dump = dumped(ends.client)
    assert (dump["state"], dump["threads"]["reader"], dump["timers"]) == ("gone", "ended", {})
    assert dump["stats"]["stream_count"] == 1
    assert stream.stats.duration is not None


def test_a_session_that_lingers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync_h2.connection.timing.watchdog.LINGER", 100.0)
    with client_and_raw_server() as (session, peer):
        session.destroy()
        dump = dumped(session)  # the peer has not closed its side
        assert (dump["state"], dump["threads"]["reader"], set(dump["timers"])) == ("destroyed", "running", {"linger"})
        peer.until_end()


def test_no_stream_ids_left(ends: Any) -> None:
    ends.client._protocol._table.highest_outbound_stream_id = 2**31 - 1
    assert dumped(ends.client)["stream_ids"]["next"] is None
