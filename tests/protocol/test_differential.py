"""Ours against plain h2: the same calls give the same frames, the same frames the same events.

Hypothesis plays both ends of a connection twice, once with `Connection` and once with h2's. Whatever ours allows, h2
must allow too. What differs on purpose (`test_h2_overrides` lists it) does not occur here: the peers keep to the
protocol, and every frame arrives before the next call.
"""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from support.octets.http2_endpoint import SETTINGS_ACK, Endpoint, Frame, settings, split_frames
from sync_h2.constants import PREFACE
from sync_h2.errors import InvalidArgument, InvalidState
from sync_h2.protocol import events as ours
from sync_h2.protocol.fields.headers import (
    encode_informational,
    encode_push,
    encode_request,
    encode_response,
    encode_trailers,
)
from sync_h2.protocol.settings import Settings

ORIGIN = {"scheme": "https", "authority": "example.org"}


class PlainEndpoint:
    """h2's own connection after the exchange of SETTINGS, with the calls named as ours are."""

    def __init__(self, *, client: bool) -> None:
        configuration = h2.config.H2Configuration(
            client_side=client, header_encoding=None, normalize_inbound_headers=False, normalize_outbound_headers=False
        )
        self.h2 = h2.connection.H2Connection(configuration)
        self.h2.initiate_connection()
        self.h2.receive_data((b"" if client else PREFACE) + settings() + SETTINGS_ACK)
        self.h2.data_to_send()

    def sent(self) -> tuple[bytes, list[Frame]]:
        octets = self.h2.data_to_send()
        return octets, split_frames(octets)

    def send_request(self, headers, end_stream):
        self.h2.send_headers(self.h2.get_next_available_stream_id(), headers, end_stream=end_stream)

    def send_response(self, stream_id, headers, end_stream):
        self.h2.send_headers(stream_id, headers, end_stream=end_stream)

    def send_informational(self, stream_id, headers):
        self.h2.send_headers(stream_id, headers)

    def send_trailers(self, stream_id, headers):
        self.h2.send_headers(stream_id, headers, end_stream=True)

    def send_data(self, stream_id, octets, end_stream, padding=None):
        self.h2.send_data(stream_id, octets, end_stream=end_stream, pad_length=padding)

    def push(self, stream_id, headers):
        self.h2.push_stream(stream_id, self.h2.get_next_available_stream_id(), headers)

    def reset(self, stream_id, code):
        self.h2.reset_stream(stream_id, code)

    def open_window(self, stream_id, increment):
        self.h2.increment_flow_control_window(increment, stream_id or None)

    def ping(self, payload):
        self.h2.ping(payload)

    def prioritize(self, stream_id, exclusive, depends_on, weight):
        self.h2.prioritize(stream_id, weight, depends_on, exclusive)

    def update_settings(self, values):
        self.h2.update_settings(dict(values.items_by_id()))


def normalised(events) -> list[tuple]:
    """Events of either kind as tuples. h2's StreamEnded is part of the event that it follows."""
    return [_normalise(event) for event in events if not isinstance(event, h2.events.StreamEnded)]


def _normalise(event) -> tuple:
    match event:
        case ours.RequestReceived(stream_id, headers, end) | ours.ResponseReceived(stream_id, headers, end):
            return type(event).__name__, stream_id, headers.pairs(), headers.sensitive, end
        case h2.events.RequestReceived() | h2.events.ResponseReceived():
            return type(event).__name__, event.stream_id, *_fields(event), event.stream_ended is not None
        case ours.InformationalReceived(stream_id, headers):
            return "informational", stream_id, headers.pairs(), headers.sensitive
        case h2.events.InformationalResponseReceived():
            return "informational", event.stream_id, *_fields(event)
        case ours.TrailersReceived(stream_id, headers):
            return "trailers", stream_id, headers.pairs(), headers.sensitive
        case h2.events.TrailersReceived():
            return "trailers", event.stream_id, *_fields(event)
        case ours.DataReceived(stream_id, octets, length, end):
            return "data", stream_id, octets, length, end
        case h2.events.DataReceived():
            ended = event.stream_ended is not None
            return "data", event.stream_id, event.data, event.flow_controlled_length, ended
        case ours.PushPromiseReceived(stream_id, promised, headers):
            return "promise", stream_id, promised, headers.pairs(), headers.sensitive
        case h2.events.PushedStreamReceived():
            return "promise", event.parent_stream_id, event.pushed_stream_id, *_fields(event)
        case ours.StreamReset(stream_id, code, remote, _):
            return "reset", stream_id, code, remote
        case h2.events.StreamReset():
            return "reset", event.stream_id, event.error_code, event.remote_reset
        case ours.WindowUpdated(stream_id, increment):
            return "window", stream_id, increment
        case h2.events.WindowUpdated():
            return "window", event.stream_id, event.delta
        case ours.PingReceived(payload) | ours.PingAcknowledged(payload):
            return "ping", isinstance(event, ours.PingReceived), payload
        case h2.events.PingReceived() | h2.events.PingAckReceived():
            return "ping", isinstance(event, h2.events.PingReceived), event.ping_data
        case ours.PriorityReceived(stream_id, exclusive, depends_on, weight):
            return "priority", stream_id, exclusive, depends_on, weight
        case h2.events.PriorityUpdated():
            return "priority", event.stream_id, event.exclusive, event.depends_on, event.weight
        case ours.SettingsReceived(values):
            return "settings", values.items_by_id()
        case h2.events.RemoteSettingsChanged():
            return "settings", [(int(key), change.new_value) for key, change in event.changed_settings.items()]
        case ours.SettingsAcknowledged() | h2.events.SettingsAcknowledged():
            return ("settings acknowledged",)
    raise AssertionError(event)


def _fields(event) -> tuple[list[tuple[str, str]], set[str]]:
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
    return pairs, {field[0].decode("latin-1") for field in event.headers if not field.indexable}


class Pair:
    """A client and a server of ours, and the same of h2's."""

    def __init__(self) -> None:
        self.ours = {True: Endpoint(client=True), False: Endpoint(client=False)}
        self.plain = {True: PlainEndpoint(client=True), False: PlainEndpoint(client=False)}

    def call(self, client: bool, name: str, *arguments) -> None:
        """Make one call on both, compare what it sends, and deliver it."""
        try:
            getattr(self.ours[client].connection, name)(*arguments)
        except (InvalidState, InvalidArgument):
            return
        if not self.ours[client].emitted:
            return  # nothing to do for us, which h2 takes for a mistake: a reset or a window of a stream that is gone
        getattr(self.plain[client], name)(*arguments)
        self.deliver(client)

    def deliver(self, client: bool) -> None:
        octets, frames = self.plain[client].sent()
        assert self.ours[client].sent() == frames
        if octets:
            plain_events = normalised(self.plain[not client].h2.receive_data(octets))
            our_events = normalised(self.ours[not client].receive(octets))
            assert our_events == plain_events
            self.deliver(not client)

    def windows(self) -> None:
        for client in (True, False):
            connection, plain = self.ours[client].connection, self.plain[client].h2
            assert connection.open_outbound_streams() == plain.open_outbound_streams
            assert connection.open_inbound_streams() == plain.open_inbound_streams
            assert connection.outbound_window() == plain.outbound_flow_control_window
            assert connection.inbound_window() == plain.inbound_flow_control_window
            for stream_id, stream in plain.streams.items():
                assert connection.stream_state(stream_id) == stream.state_machine.state.name.lower()
                assert connection.outbound_window(stream_id) == stream.outbound_flow_control_window
                assert connection.inbound_window(stream_id) == stream.inbound_flow_control_window


stream_ids = st.sampled_from([1, 3, 5, 2, 4])
fields = st.dictionaries(st.sampled_from(["a", "b", "cookie", "authorization"]), st.sampled_from(["1", "2", "x" * 30]))
flags = st.booleans()
calls = st.one_of(
    st.tuples(st.just("send_request"), fields.map(lambda extra: encode_request(extra, **ORIGIN)), flags),
    st.tuples(st.just("send_response"), stream_ids, fields.map(encode_response), flags),
    st.tuples(
        st.just("send_informational"),
        stream_ids,
        fields.map(lambda extra: encode_informational({":status": 103, **extra})),
    ),
    st.tuples(st.just("send_trailers"), stream_ids, fields.filter(bool).map(encode_trailers)),
    st.tuples(
        st.just("send_data"),
        stream_ids,
        st.sampled_from([b"", b"abc", bytes(16_384)]),
        flags,
        st.sampled_from([None, 0, 5]),
    ),
    st.tuples(st.just("push"), stream_ids, fields.map(lambda extra: encode_push(extra, **ORIGIN))),
    st.tuples(st.just("reset"), stream_ids, st.sampled_from([0, 8])),
    st.tuples(st.just("open_window"), st.one_of(st.just(0), stream_ids), st.integers(1, 100_000)),
    st.tuples(st.just("ping"), st.binary(min_size=8, max_size=8)),
    st.tuples(st.just("prioritize"), stream_ids, flags, st.just(0), st.integers(1, 256)),
    st.tuples(
        st.just("update_settings"),
        st.builds(
            Settings,
            initial_window_size=st.one_of(st.none(), st.integers(0, 100_000)),
            max_frame_size=st.one_of(st.none(), st.integers(16_384, 20_000)),
        ),
    ),
)


@hypothesis_settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(flags, calls), max_size=25))
def test_the_same_calls_give_the_same_frames_and_events(steps):
    pair = Pair()
    # Something to talk about: without it most examples would be about streams that are idle.
    pair.call(True, "send_request", encode_request(None, **ORIGIN), False)
    pair.call(True, "send_request", encode_request(None, **ORIGIN), True)
    pair.call(False, "push", 1, encode_push(None, **ORIGIN))
    for client, (name, *arguments) in steps:
        pair.call(client, name, *arguments)
    pair.windows()


def test_a_request_with_priority_gives_the_same_frames():
    pair = Pair()
    headers = encode_request(None, **ORIGIN)
    pair.ours[True].connection.send_request(headers, False, (True, 0, 200))
    pair.plain[True].h2.send_headers(1, headers, priority_weight=200, priority_depends_on=0, priority_exclusive=True)
    pair.deliver(True)
    pair.windows()


def test_a_difference_is_noticed():
    pair = Pair()
    pair.ours[True].connection.update_settings(Settings({"initial_window_size": 5}))
    pair.plain[True].update_settings(Settings({"initial_window_size": 6}))
    with pytest.raises(AssertionError):
        pair.deliver(True)
