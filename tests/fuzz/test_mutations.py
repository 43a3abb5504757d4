"""Mutated conversations, against the protocol alone and against whole sessions: whatever comes, the peer is told, or
the session ends; and nothing raises but our own exceptions, or is held that was not asked for.
"""

from __future__ import annotations

import logging
import random
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.octets.http2_endpoint import Endpoint
from support.threads.background import eventually
from sync_h2 import HTTP2Error, ProtocolError, Settings, connect, serve_socket
from sync_h2.protocol import events
from sync_h2.protocol.fields.headers import encode_request, encode_response

from .holding import holds_little
from .mutations import mutated, pieces, recordings
from .record import REQUESTS

CLIENTS, SERVERS = recordings("client"), recordings("server")
OF_CLIENTS = [frame for _, frames in CLIENTS.values() for frame in frames]
OF_SERVERS = [frame for _, frames in SERVERS.values() for frame in frames]

PROTOCOL_COUNT, SESSION_COUNT = 600, 80
Numbers = Callable[[int], Iterator[int]]


def test_there_are_recordings_of_both_roles() -> None:
    assert len(CLIENTS) >= 6
    assert len(SERVERS) >= 3


def chance_for(name: str, number: int) -> random.Random:
    return random.Random(f"{name} {number}")


# -- the protocol alone


def feed(endpoint: Endpoint, octets: bytes, chance: random.Random, react: Callable[[Any], None]) -> None:
    """Let `octets` arrive, until the connection has to end; `react` does what a session might at each event."""
    try:
        for piece in pieces(octets, chance):
            for event in endpoint.receive(piece):
                react(event)
            holds_little(endpoint, len(endpoint.emitted))
    except ProtocolError:
        pass


def answer(endpoint: Endpoint, chance: random.Random) -> Callable[[Any], None]:
    """A server that answers, resets, pushes or does nothing."""
    connection = endpoint.connection

    def react(event: Any) -> None:
        stream_id = getattr(event, "stream_id", 0)
        try:
            if isinstance(event, events.RequestReceived):
                event.headers.pairs()
                how = chance.randrange(6)
                if how == 0:
                    connection.reset(stream_id, 8)
                elif how == 1:
                    connection.push(stream_id, encode_request({":path": "/x"}, scheme="http", authority="x"))
                if how < 4:
                    connection.send_response(stream_id, encode_response({"x-a": "b"}), how == 3)
                    connection.send_data(stream_id, b"hello", True)
            elif isinstance(event, events.DataReceived | events.DataDiscarded) and event.flow_controlled_length:
                connection.open_window(0, event.flow_controlled_length)
                connection.open_window(stream_id, event.flow_controlled_length)
            elif isinstance(event, events.SettingsReceived) and chance.random() < 0.3:
                connection.update_settings(Settings(initial_window_size=chance.choice((0, 1, 100_000))))
        except HTTP2Error:
            pass  # the stream is not in a state for it: the caller would have been told

    return react


@pytest.mark.parametrize("name", CLIENTS)
def test_what_clients_send_to_a_server(name: str, numbers: Numbers) -> None:
    before, frames = CLIENTS[name]
    for number in numbers(PROTOCOL_COUNT):
        chance = chance_for(name, number)
        endpoint = Endpoint(client=False, handshake=False)
        endpoint.connection.start()
        feed(endpoint, mutated(before, frames, OF_CLIENTS, chance), chance, answer(endpoint, chance))


@pytest.mark.parametrize("name", SERVERS)
def test_what_servers_send_to_a_client(name: str, numbers: Numbers) -> None:
    before, frames = SERVERS[name]
    for number in numbers(PROTOCOL_COUNT):
        chance = chance_for(name, number)
        endpoint = Endpoint(client=True, handshake=False)
        endpoint.connection.start()
        for headers in REQUESTS:
            request = encode_request(headers, scheme="http", authority="x")
            endpoint.connection.send_request(request, headers[":path"] != "/echo")
        feed(endpoint, mutated(before, frames, OF_SERVERS, chance), chance, answer(endpoint, chance))


# -- whole sessions


def no_errors(caplog: pytest.LogCaptureFixture, name: str, number: int) -> None:
    """An exception that is none of ours ends in the log of whoever caught it."""
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert not errors, (name, number, errors[0].getMessage(), errors[0].exc_info)
    caplog.clear()


def converse(sock: socket.socket, octets: bytes, chance: random.Random) -> None:
    """Send all of it, finish sending, and read until the end."""
    sock.settimeout(10)
    try:
        for piece in pieces(octets, chance):
            sock.sendall(piece)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65_536):
            pass
    except (BrokenPipeError, ConnectionResetError):
        pass


@pytest.mark.parametrize("name", CLIENTS)
def test_mutated_clients_and_a_whole_server(name: str, numbers: Numbers, caplog: pytest.LogCaptureFixture) -> None:
    def echo(stream: Any, headers: Any) -> None:
        stream.respond({"x-fields": len(headers)})
        for chunk in stream:
            stream.write(chunk)
        stream.wait_trailers()

    before, frames = CLIENTS[name]
    for number in numbers(SESSION_COUNT):
        chance = chance_for(name, number)
        near, far = socket.socketpair()
        session = serve_socket(near, echo, max_workers=4)
        with far:
            converse(far, mutated(before, frames, OF_CLIENTS, chance), chance)
        eventually(lambda session=session: session._gone)
        no_errors(caplog, name, number)


@pytest.mark.parametrize("name", SERVERS)
def test_mutated_servers_and_a_whole_client(name: str, numbers: Numbers, caplog: pytest.LogCaptureFixture) -> None:
    before, frames = SERVERS[name]
    for number in numbers(SESSION_COUNT):
        chance = chance_for(name, number)
        near, far = socket.socketpair()
        with far:
            session = connect("http://localhost", sock=near)
            streams = [session.request(headers, end_stream=True) for headers in REQUESTS]
            converse(far, mutated(before, frames, OF_SERVERS, chance), chance)
        for stream in streams:
            try:
                stream.wait_response(timeout=10)
                stream.read(timeout=10)
                stream.wait_trailers(timeout=10)
                for pushed in stream.pushes():
                    pushed.read(timeout=10)
            except HTTP2Error:
                assert stream.closed
        session.destroy()
        eventually(lambda session=session: session._gone)
        no_errors(caplog, name, number)
