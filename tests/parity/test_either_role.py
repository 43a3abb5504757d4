"""What holds for sessions and streams of either role, where other tests look at one of them only."""

from __future__ import annotations

import contextlib
import queue
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from hyperframe.frame import AltSvcFrame, DataFrame, GoAwayFrame, RstStreamFrame, SettingsFrame

from support.connections.pairs import Connections, Ends
from support.octets.fields import UPLOAD
from support.peers.raw_peer import PATIENCE, RawPeer, client_and_raw_server, server_and_raw_client
from support.threads.background import Background, eventually, waits
from sync_h2 import ErrorCode, Settings, StreamReset
from sync_h2.constants import SettingId
from sync_h2.transport.contexts import client_context, server_context

both_roles = pytest.mark.parametrize("role", ["client", "server"])


@contextlib.contextmanager
def session_and_peer(role: str, **options: Any) -> Iterator[tuple[Any, RawPeer]]:
    """A session in this role with the peer that the test plays."""
    opened: Any = client_and_raw_server if role == "client" else server_and_raw_client
    with opened(**options) as (session, peer):
        yield session, peer


@contextlib.contextmanager
def stream_and_peer(role: str, **options: Any) -> Iterator[tuple[Any, RawPeer]]:
    """Stream 1, open in both directions, in this role, with the peer that the test plays."""
    if role == "client":
        with client_and_raw_server(**options) as (session, peer):
            yield session.request({":method": "POST"}), peer
    else:
        served: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def handler(stream: Any, headers: Any) -> None:
            stream.detach()
            served.put(stream)

        with server_and_raw_client(handler, **options) as (_, peer):
            peer.headers(1, UPLOAD)
            yield served.get(timeout=PATIENCE), peer


def pick(role: str, of_client: Any, of_server: Any) -> tuple[Any, Any]:
    return (of_client, of_server) if role == "client" else (of_server, of_client)


# -- streams


@both_roles
def test_a_stream_that_we_reset_is_aborted(plain_connections: Connections, role: str) -> None:
    """By either end: here the one that asks."""
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ours, theirs = pick(role, *plain_connections.ends().exchange())
    for name in ("aborted", "error", "close"):
        ours.on(name, lambda *arguments, name=name: heard.put((name, *arguments)))
    ours.close(ErrorCode.CANCEL)
    assert heard.get(timeout=PATIENCE) == ("aborted",)
    assert heard.get(timeout=PATIENCE) == ("close", ErrorCode.CANCEL)
    assert ours.aborted
    assert theirs.wait_closed(timeout=PATIENCE) == ErrorCode.CANCEL
    assert theirs.aborted


@both_roles
def test_close_lets_out_what_was_given_to_end(background: Background, role: str) -> None:
    with stream_and_peer(role) as (stream, peer):
        ending = background(stream.end, b"x" * 200_000)
        eventually(lambda: waits(stream))
        stream.close()
        peer.open_window(0, 200_000)
        peer.open_window(1, 200_000)
        received = 0
        while received < 200_000:
            received += len(peer.expect(DataFrame, 1).data)
        assert peer.expect(RstStreamFrame, 1).error_code == ErrorCode.NO_ERROR
        ending.result(PATIENCE)


@both_roles
@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda stream: stream.close(ErrorCode.ENHANCE_YOUR_CALM), ErrorCode.ENHANCE_YOUR_CALM),
        (lambda stream: stream.destroy(), ErrorCode.CANCEL),
        (lambda stream: stream.destroy(RuntimeError("no more")), ErrorCode.INTERNAL_ERROR),
    ],
    ids=["close", "destroy", "destroy with an error"],
)
def test_a_reset_drops_what_was_not_sent(background: Background, role: str, end: Any, code: int) -> None:
    with stream_and_peer(role) as (stream, peer):
        ending = background(stream.end, b"x" * 200_000)
        eventually(lambda: waits(stream))
        end(stream)
        assert peer.expect(RstStreamFrame, 1).error_code == code
        assert isinstance(ending.exception(PATIENCE), StreamReset)
        peer.open_window(0, 200_000)
        assert not [frame for frame in peer.settled() if isinstance(frame, DataFrame)]
        assert stream.destroyed


@both_roles
def test_a_cut_body_is_in_the_exception(plain_connections: Connections, role: str) -> None:
    ours, theirs = pick(role, *plain_connections.ends().exchange())
    theirs.write(b"half")
    theirs.close(ErrorCode.INTERNAL_ERROR)
    with pytest.raises(StreamReset) as raised:
        ours.read(timeout=PATIENCE)
    assert raised.value.partial == b"half"


# -- sessions


@both_roles
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, ErrorCode.NO_ERROR),
        ({"error": RuntimeError("x")}, ErrorCode.INTERNAL_ERROR),
        ({"error": RuntimeError("x"), "code": ErrorCode.CONNECT_ERROR}, ErrorCode.CONNECT_ERROR),
    ],
)
def test_destroy_says_why(role: str, arguments: Any, code: int) -> None:
    with stream_and_peer(role) as (stream, peer):
        stream.session.destroy(**arguments)
        assert peer.farewell().error_code == code
        assert stream.closed


@both_roles
def test_a_goaway_of_ones_own(role: str) -> None:
    with session_and_peer(role) as (session, peer):
        session.goaway(ErrorCode.ENHANCE_YOUR_CALM, 98, b"hello")
        frame = peer.expect(GoAwayFrame)
        assert (frame.error_code, frame.last_stream_id, frame.additional_data) == (11, 98, b"hello")
        assert not session.closed


@both_roles
def test_each_ack_applies_its_own_settings(role: str) -> None:
    heard: queue.SimpleQueue[Settings] = queue.SimpleQueue()
    with session_and_peer(role) as (session, peer):
        peer.settled()
        session.on("local_settings", heard.put)
        session.settings({"header_table_size": 100})
        session.settings({"max_frame_size": 20_000})
        for expected, pending in (((100, 16_384), True), ((100, 20_000), False)):
            peer.acknowledge_settings()
            applied = heard.get(timeout=PATIENCE)
            assert (applied.header_table_size, applied.max_frame_size) == expected
            assert session.pending_settings_ack is pending


@both_roles
def test_the_first_64_settings_are_kept_for_a_late_listener(role: str) -> None:
    with session_and_peer(role) as (session, peer):
        for number in range(70):
            peer.send(SettingsFrame(0, settings={SettingId.MAX_HEADER_LIST_SIZE: 10_000 + number}))
        peer.settled()
        heard: queue.SimpleQueue[int] = queue.SimpleQueue()
        session.on("remote_settings", lambda settings: heard.put(settings.max_header_list_size))
        peer.send(SettingsFrame(0, settings={SettingId.MAX_HEADER_LIST_SIZE: 1}))
        kept = [heard.get(timeout=PATIENCE) for _ in range(65)]
        assert kept[1:] == [*range(10_000, 10_063), 1]  # the first one came with the handshake


def test_the_first_64_altsvc_are_kept_for_a_late_listener() -> None:
    with session_and_peer("client") as (session, peer):
        for number in range(70):
            peer.send(AltSvcFrame(0, b"https://example.org", str(number).encode()))
        peer.settled()
        heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        session.on("altsvc", lambda *event: heard.put(event))
        peer.send(AltSvcFrame(0, b"https://example.org", b"last"))
        kept = [heard.get(timeout=PATIENCE) for _ in range(65)]
        assert kept == [(value, "https://example.org", 0) for value in (*map(str, range(64)), "last")]


def test_only_a_client_over_tls_has_an_origin_set(connections: Connections) -> None:
    ends: Ends = connections.ends()
    assert (ends.client.origin_set is not None) is connections.tls
    assert ends.server.origin_set is None


def test_each_end_has_the_others_certificate(certificate: Any, certificate_authority: Any) -> None:
    issued = certificate_authority.issue_cert("client@example.com")
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    contexts = (
        client_context(cafile=certificate.authority_pem, certfile=chain, keyfile=issued.private_key_pem.bytes()),
        server_context(
            certfile=certificate.certificate_pem, keyfile=certificate.key_pem, cafile=certificate.authority_pem
        ),
    )
    assert contexts[1].verify_mode == ssl.CERT_REQUIRED
    opened = Connections(contexts)
    try:
        ends = opened.ends()
        assert ends.client.ping()
        theirs, ours = ends.client.peer_certificate, ends.server.peer_certificate
        assert theirs is not None
        assert ("DNS", "localhost") in theirs["subjectAltName"]
        assert ours is not None
        assert ours["subjectAltName"] == (("email", "client@example.com"),)
    finally:
        opened.close()
