"""The reference API, second part: sessions of either role."""

from __future__ import annotations

from . import Entry

EVENTS: list[Entry] = [
    ("'close'", "session event close", "parity/test_events.py::test_events_of_a_session"),
    ("'connect'", "session event connect", "parity/test_events.py::test_events_of_a_session"),
    ("'error'", "session event error", "parity/test_events.py::test_an_error_comes_before_the_close"),
    (
        "'frameError'",
        "session event frame_error",
        "connection/stream/test_frame_error.py::test_a_request_that_is_too_long",
    ),
    (
        "'goaway'",
        "session event goaway",
        "parity/test_events.py::test_events_of_a_session",
        "interop/test_client.py::test_a_goaway_from_node_lets_the_stream_finish",
        "interop/test_connections.py::test_a_goaway_from_nodes_client",
        "interop/test_connections.py::test_a_goaway_with_an_error_from_nodes_server",
    ),
    (
        "'localSettings'",
        "session event local_settings",
        "connection/timing/test_settings.py::test_each_ack_applies_its_own_frame",
    ),
    ("'ping'", "session event ping", "parity/test_events.py::test_events_of_a_session"),
    (
        "'remoteSettings'",
        "session event remote_settings",
        "connection/timing/test_settings.py::test_remote_settings_fire_with_what_holds",
    ),
    (
        "'stream'",
        "session event stream",
        "connection/client_side/test_push.py::test_the_listeners",
        "parity/test_events.py::test_a_server_sessions_stream_listener_is_a_handler",
    ),
    (
        "'timeout'",
        "session event timeout",
        "connection/timing/test_timeouts.py::test_a_silent_session_fires_timeout_and_goes_on",
    ),
    (
        "'altsvc'",
        "session event altsvc",
        "connection/session/test_origins.py::test_altsvc_for_an_origin",
        "connection/session/test_origins.py::test_altsvc_for_a_stream",
        "interop/test_altsvc_and_origin.py::test_we_hear_node",
    ),
    (
        "'origin'",
        "session event origin",
        "connection/session/test_origins.py::test_origins_join_the_set_before_the_listener_is_called",
        "interop/test_altsvc_and_origin.py::test_we_hear_node",
    ),
]

ATTRIBUTES: list[Entry] = [
    ("alpnProtocol", "Session.alpn_protocol", "parity/test_streams.py::test_types_and_names_of_sessions"),
    ("encrypted", "Session.encrypted", "parity/test_streams.py::test_types_and_names_of_sessions"),
    (
        "connecting",
        "Session.connecting",
        "client/opening/test_connect.py::test_it_returns_before_the_peer_has_said_anything",
        "connection/timing/test_settings.py::test_local_settings_change_when_they_are_acknowledged",
    ),
    (
        "closed",
        "Session.closed: at once when closing starts",
        "connection/session/test_closing.py::test_close_without_waiting",
    ),
    ("destroyed", "Session.destroyed", "connection/session/test_closing.py::test_close_waits_for_open_streams"),
    ("type", "ClientSession.type, ServerSession.type", "parity/test_streams.py::test_types_and_names_of_sessions"),
    (
        "socket.getPeerCertificate()",
        "Session.peer_certificate",
        "parity/test_streams.py::test_types_and_names_of_sessions",
        "parity/test_either_role.py::test_each_end_has_the_others_certificate",
    ),
    (
        "socket",
        "Session.socket",
        "connection/inspection/test_socket_proxy.py::test_what_can_be_looked_at_in_a_socket",
        "connection/inspection/test_socket_proxy.py::test_after_the_end",
    ),
    (
        "socket",
        "Session.socket: refuses what belongs to the session",
        "connection/inspection/test_socket_proxy.py::test_what_would_disturb_the_session_is_refused",
        "connection/inspection/test_socket_proxy.py::test_every_method_that_reads_writes_or_closes_is_among_them",
        "connection/inspection/test_socket_proxy.py::test_nothing_can_be_set_or_used_as_a_block",
    ),
    (
        "socket.setTimeout",
        "Session.socket: settimeout is set_timeout",
        "connection/inspection/test_socket_proxy.py::test_the_timeout_is_the_sessions",
    ),
    (
        "socket",
        "Session.socket: all else goes to the socket",
        "connection/inspection/test_socket_proxy.py::test_what_can_be_looked_at_in_a_socket",
        "connection/inspection/test_socket_proxy.py::test_what_can_be_looked_at_in_tls",
    ),
    (
        "originSet",
        "ClientSession.origin_set, ServerSession.origin_set: None on a server, and without TLS",
        "connection/session/test_origins.py::test_origins_join_the_set_before_the_listener_is_called",
        "connection/session/test_origins.py::test_cleartext_has_no_origin_set_and_no_origin_event",
        "interop/test_altsvc_and_origin.py::test_we_hear_node",
        "parity/test_either_role.py::test_only_a_client_over_tls_has_an_origin_set",
    ),
    (
        "state",
        "Session.state",
        "connection/inspection/test_snapshots.py::test_a_new_session",
        "connection/inspection/test_snapshots.py::test_a_snapshot_stays_as_it_is",
    ),
    (
        "state: effectiveLocalWindowSize, effectiveRecvDataLength, localWindowSize, remoteWindowSize",
        "SessionState, SessionState.effective_local_window_size, SessionState.effective_recv_data_length, "
        "SessionState.local_window_size, SessionState.remote_window_size",
        "connection/inspection/test_snapshots.py::test_the_fields_are_those_of_node",
        "connection/inspection/test_snapshots.py::test_what_is_sent_and_received_shows_in_the_sessions_state",
    ),
    (
        "state: nextStreamID, lastProcStreamID, deflateDynamicTableSize, inflateDynamicTableSize",
        "SessionState.next_stream_id, SessionState.last_proc_stream_id, SessionState.deflate_dynamic_table_size, "
        "SessionState.inflate_dynamic_table_size",
        "connection/inspection/test_snapshots.py::test_what_is_sent_and_received_shows_in_the_sessions_state",
    ),
    (
        "state: outboundQueueSize",
        "SessionState.outbound_queue_size",
        "connection/inspection/test_snapshots.py::test_the_outbound_queue_counts_frames_and_requests_without_a_slot",
        "connection/inspection/test_snapshots.py::test_frames_that_the_transport_has_not_taken_are_counted",
    ),
    (
        "performance entry Http2Session",
        "Session.stats, SessionStats, SessionStats.type, SessionStats.bytes_received, SessionStats.bytes_sent, "
        "SessionStats.frames_received, SessionStats.frames_sent",
        "connection/inspection/test_stats.py::test_what_one_end_sends_the_other_receives",
        "connection/inspection/test_stats.py::test_each_continuation_frame_is_one",
    ),
    (
        "streamCount, maxConcurrentStreams, streamAverageDuration",
        "SessionStats.stream_count, SessionStats.max_concurrent_streams, SessionStats.stream_average_duration",
        "connection/inspection/test_stats.py::test_streams_are_counted_with_their_peak",
    ),
    (
        "pingRTT",
        "SessionStats.ping_rtt",
        "connection/inspection/test_stats.py::test_the_round_trip_is_that_of_the_last_ping",
    ),
    (
        "duration",
        "SessionStats.duration",
        "connection/inspection/test_stats.py::test_the_duration_of_a_session_ends_with_its_connection",
    ),
    (
        "Http2Session",
        "Session, ClientSession, ServerSession",
        "parity/test_streams.py::test_types_and_names_of_sessions",
    ),
]

ENDING: list[Entry] = [
    (
        "close()",
        "Session.close: open streams finish, new ones are refused",
        "connection/session/test_closing.py::test_close_waits_for_open_streams",
    ),
    ("close(callback)", "Session.close(wait)", "connection/session/test_closing.py::test_close_without_waiting"),
    (
        "",
        "Session.close(timeout): the draining goes on",
        "connection/session/test_closing.py::test_a_close_that_times_out_goes_on",
    ),
    (
        "",
        "Session.close: in a listener it only starts",
        "connection/session/test_closing.py::test_close_from_a_listener_only_starts_it",
    ),
    (
        "",
        "Session.close: in a handler it only starts",
        "connection/session/test_closing.py::test_ending_the_session_from_a_handler",
    ),
    ("", "Session.close: from many threads", "connection/session/test_closing.py::test_many_threads_close_at_once"),
    (
        "",
        "ServerSession: two GOAWAYs, no request in flight is lost",
        "connection/session/test_closing.py::test_a_server_closes_in_two_steps",
        "connection/session/test_closing.py::test_closing_under_load_loses_no_request",
        "interop/test_server.py::test_node_finishes_its_request_while_the_server_closes",
    ),
    ("", "Session: with closes", "connection/session/test_closing.py::test_a_with_block_closes"),
    (
        "",
        "Session: with cancels what nobody reads",
        "connection/session/test_closing.py::test_a_with_block_cancels_streams_that_nobody_reads",
    ),
    (
        "",
        "Session: with waits for what somebody reads",
        "connection/session/test_closing.py::test_a_with_block_waits_for_streams_that_somebody_reads",
    ),
    (
        "",
        "Session: with destroys after close_timeout",
        "connection/session/test_closing.py::test_a_with_block_destroys_after_close_timeout",
    ),
    (
        "",
        "Session: with destroys at once after an exception",
        "connection/session/test_closing.py::test_an_exception_in_the_block_destroys_at_once",
    ),
    (
        "destroy(error, code)",
        "Session.destroy, Session.destroy(error), Session.destroy(code): NO_ERROR, INTERNAL_ERROR or code",
        "connection/session/test_closing.py::test_destroy_says_why",
        "parity/test_either_role.py::test_destroy_says_why",
    ),
    (
        "destroy()",
        "Session.destroy: wakes everybody",
        "connection/session/test_closing.py::test_destroy_wakes_everybody",
    ),
    (
        "destroy(error)",
        "Session.destroy: with the error",
        "connection/session/test_closing.py::test_destroy_with_an_error_tells_everybody",
    ),
    (
        "destroy()",
        "Session.destroy: an adopted socket too",
        "parity/test_streams.py::test_destroy_closes_an_adopted_socket",
    ),
    ("destroy()", "Session.destroy: error before close", "parity/test_events.py::test_an_error_comes_before_the_close"),
    (
        "",
        "Session: never lets a script hang at exit",
        "connection/session/test_interrupts.py::test_a_script_that_forgets_to_close_ends",
    ),
    (
        "ref()",
        "Session.ref",
        "concurrency/ends/test_ref.py::test_listeners_of_a_client_are_called_until_its_session_ends",
        "concurrency/ends/test_ref.py::test_handlers_run_after_the_main_thread_has_ended",
    ),
    (
        "unref()",
        "Session.unref",
        "concurrency/ends/test_ref.py::test_unref_lets_the_interpreter_end_that_waits",
        "concurrency/ends/test_ref.py::test_ref_and_unref_and_the_interpreter_ends_at_once",
    ),
]

GOAWAY: list[Entry] = [
    (
        "goaway(code, lastStreamID, opaqueData)",
        "Session.goaway, Session.goaway(code), Session.goaway(last_stream_id), Session.goaway(opaque_data): "
        "closes nothing",
        "parity/test_either_role.py::test_a_goaway_of_ones_own",
        "connection/session/test_goaway.py::test_sending_one_does_not_close",
        "interop/test_server.py::test_node_sees_a_goaway",
        "interop/test_connections.py::test_our_goaway_to_nodes_server",
        "interop/test_connections.py::test_our_goaway_to_nodes_client",
    ),
    (
        "GOAWAY received",
        "Session: streams up to the last id finish, others are unprocessed",
        "connection/session/test_goaway.py::test_streams_up_to_the_last_id_finish_and_the_others_are_unprocessed",
    ),
    (
        "GOAWAY received",
        "Session: no new streams, and it closes with the last",
        "connection/session/test_goaway.py::test_goaway_without_streams_closes_the_session",
        "connection/session/test_goaway.py::test_a_server_that_gets_one_finishes_its_streams",
    ),
    (
        "GOAWAY received",
        "Session: ends with the code's error",
        "connection/session/test_goaway.py::test_with_an_error_code_the_session_ends_with_it",
    ),
]

CALLS: list[Entry] = [
    (
        "settings(settings)",
        "Session.settings, Session.settings(values)",
        "connection/timing/test_settings.py::test_each_ack_applies_its_own_frame",
    ),
    (
        "settings(settings, callback)",
        "Session.settings(wait)",
        "connection/timing/test_settings.py::test_waiting_for_the_ack",
    ),
    (
        "",
        "Session.settings(timeout)",
        "connection/timing/test_settings.py::test_a_wait_that_times_out_leaves_the_session_usable",
    ),
    (
        "settings",
        "Session.settings: several outstanding, each ACK its own",
        "connection/timing/test_settings.py::test_each_ack_applies_its_own_frame",
        "parity/test_either_role.py::test_each_ack_applies_its_own_settings",
        "interop/test_connections.py::test_our_settings_one_after_the_other",
        "interop/test_connections.py::test_our_settings_to_nodes_client_one_after_the_other",
    ),
    (
        "localSettings",
        "Session.local_settings: changes when acknowledged",
        "connection/timing/test_settings.py::test_local_settings_change_when_they_are_acknowledged",
    ),
    (
        "remoteSettings",
        "Session.remote_settings",
        "connection/timing/test_settings.py::test_both_ends_learn_the_others_settings",
        "interop/test_server.py::test_node_sees_settings_and_pings",
    ),
    (
        "pendingSettingsAck",
        "Session.pending_settings_ack",
        "connection/timing/test_settings.py::test_each_ack_applies_its_own_frame",
    ),
    (
        "ping(callback)",
        "Session.ping, Session.ping(payload)",
        "connection/timing/test_ping.py::test_a_round_trip_from_both_ends",
        "interop/test_client.py::test_ping",
        "interop/test_connections.py::test_pings_to_nodes_server_at_once",
        "interop/test_connections.py::test_pings_to_nodes_client_at_once",
    ),
    ("ping", "Pong, Pong.duration, Pong.payload", "parity/test_streams.py::test_a_pong_has_a_duration_and_the_payload"),
    ("", "Session.ping(timeout)", "connection/timing/test_ping.py::test_a_timeout_leaves_the_session_usable"),
    (
        "ERR_HTTP2_PING_LENGTH",
        "Session.ping: 8 bytes or ValueError",
        "connection/timing/test_ping.py::test_a_payload_is_eight_bytes",
    ),
    (
        "ping",
        "Session.ping: the start time by default",
        "connection/timing/test_ping.py::test_a_round_trip_from_both_ends",
    ),
    (
        "ERR_HTTP2_PING_CANCEL",
        "Session.ping: a lost connection wakes it",
        "connection/timing/test_ping.py::test_a_lost_connection_wakes_it",
    ),
    (
        "setTimeout(msecs, callback)",
        "Session.set_timeout, Session.set_timeout(seconds): fires for each such time, closes nothing",
        "connection/timing/test_timeouts.py::test_a_silent_session_fires_timeout_and_goes_on",
    ),
    (
        "setTimeout(msecs, callback)",
        "Session.set_timeout(callback)",
        "parity/test_streams.py::test_a_timeout_callback_is_a_listener",
    ),
    (
        "setTimeout",
        "Session.set_timeout: both directions are activity",
        "connection/timing/test_timeouts.py::test_what_arrives_is_activity",
        "connection/timing/test_timeouts.py::test_what_is_sent_is_activity",
    ),
    (
        "setTimeout(0)",
        "Session.set_timeout: None or 0 switches it off",
        "connection/timing/test_timeouts.py::test_a_silent_session_fires_timeout_and_goes_on",
    ),
    (
        "setLocalWindowSize(size)",
        "Session.set_local_window_size, Session.set_local_window_size(size)",
        "connection/shared/test_receive_window.py::test_a_larger_window_is_announced_at_once",
        "connection/shared/test_receive_window.py::test_a_smaller_window_withholds_credit_until_the_difference_is_used_up",
        "interop/test_flow_and_priorities.py::test_node_sees_our_window",
        "interop/test_flow_and_priorities.py::test_we_see_nodes_window",
    ),
    (
        "altsvc(alt, originOrStream)",
        "ServerSession.altsvc, ServerSession.altsvc(value), ServerSession.altsvc(origin_or_stream)",
        "connection/session/test_origins.py::test_altsvc_for_an_origin",
        "connection/session/test_origins.py::test_altsvc_for_a_stream",
        "connection/session/test_origins.py::test_altsvc_for_a_stream_that_is_not_open",
    ),
    (
        "altsvc",
        "ServerSession.altsvc: to Node, and from Node",
        "interop/test_altsvc_and_origin.py::test_node_hears_ours",
        "interop/test_altsvc_and_origin.py::test_we_hear_node",
    ),
    (
        "ERR_HTTP2_ALTSVC_INVALID_ORIGIN",
        "ServerSession.altsvc: what gives no origin is a ValueError",
        "connection/session/test_origins.py::test_what_gives_no_origin_leaves_the_session_as_it_was",
        "connection/session/test_origins.py::test_what_has_no_origin_is_refused",
    ),
    (
        "origin(...origins)",
        "ServerSession.origin, ServerSession.origin(origins)",
        "connection/session/test_origins.py::test_origins_join_the_set_before_the_listener_is_called",
        "interop/test_altsvc_and_origin.py::test_node_hears_ours",
    ),
    (
        "origin",
        "ServerSession.origin: ignored on h2c, origin_set first",
        "connection/session/test_origins.py::test_cleartext_has_no_origin_set_and_no_origin_event",
        "connection/session/test_origins.py::test_origins_join_the_set_before_the_listener_is_called",
    ),
]

REQUESTS: list[Entry] = [
    (
        "request(headers)",
        "ClientSession.request, ClientSession.request(headers): what is left out is filled in",
        "connection/client_side/test_requests.py::test_a_get_and_its_answer",
        "client/opening/test_connect.py::test_scheme_and_authority_of_requests",
    ),
    (
        "request({endStream})",
        "ClientSession.request(end_stream)",
        "connection/client_side/test_requests.py::test_methods_without_body_end_our_side",
        "connection/client_side/test_requests.py::test_end_stream_says_otherwise",
    ),
    (
        "request({exclusive, parent, weight})",
        "ClientSession.request(exclusive), ClientSession.request(parent), ClientSession.request(weight)",
        "parity/test_streams.py::test_a_requests_priority_goes_with_its_headers",
    ),
    (
        "request({waitForTrailers})",
        "ClientSession.request(wait_for_trailers)",
        "connection/stream/test_trailers.py::test_a_clients_trailers_end_its_side",
        "interop/test_client.py::test_trailers_to_node",
    ),
    (
        "request",
        "ClientSession.request: waits for a slot, first come first served",
        "connection/client_side/test_slots.py::test_a_request_waits_for_its_slot",
        "connection/client_side/test_slots.py::test_first_come_first_served",
    ),
    (
        "",
        "ClientSession.request(wait): pending until there is one",
        "connection/client_side/test_slots.py::test_without_waiting_the_stream_is_pending",
    ),
    (
        "",
        "ClientSession.request(timeout)",
        "connection/client_side/test_slots.py::test_a_request_that_times_out_gives_up_its_place",
    ),
    (
        "",
        "ClientSession.request(listeners)",
        "connection/shared/test_listeners.py::test_listeners_given_at_the_start_hear_everything",
    ),
    (
        "ERR_HTTP2_OUT_OF_STREAMS",
        "ClientSession.request: past the last id",
        "connection/client_side/test_slots.py::test_past_the_last_id_the_session_drains",
    ),
    (
        "ERR_HTTP2_INVALID_SESSION",
        "ClientSession.request: on an ended session, safe to retry",
        "connection/session/test_closing.py::test_a_request_on_a_session_that_has_ended_is_safe_to_retry",
    ),
    (
        "CONNECT",
        "ClientSession.request: CONNECT is a tunnel",
        "connection/client_side/test_requests.py::test_connect_is_a_tunnel",
        "connection/client_side/test_connect_tunnels.py::test_a_conversation",
        "connection/client_side/test_connect_tunnels.py::test_what_a_server_sees_of_a_request_for_a_tunnel",
    ),
    (
        "CONNECT with :protocol",
        "ClientSession.request: extended CONNECT only where the peer enabled it",
        "connection/client_side/test_requests.py::test_extended_connect_needs_the_peers_leave",
        "connection/client_side/test_connect_tunnels.py::test_it_waits_for_the_settings_that_do_not",
        "connection/client_side/test_connect_tunnels.py::test_what_a_server_sees_of_an_extended_one",
        "interop/test_connections.py::test_our_extended_connect_to_node",
        "interop/test_connections.py::test_nodes_extended_connect_to_us",
        "interop/test_connections.py::test_nodes_extended_connect_without_our_leave",
    ),
    (
        "CONNECT",
        "ClientSession.request: tunnels with Node",
        "interop/test_connections.py::test_our_tunnel_to_node",
        "interop/test_connections.py::test_nodes_tunnel_to_us",
    ),
]

ENTRIES = EVENTS + ATTRIBUTES + ENDING + GOAWAY + CALLS + REQUESTS
