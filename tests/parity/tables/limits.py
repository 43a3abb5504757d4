"""The reference API, last part: errors, and limits with what tripping them does."""

from __future__ import annotations

from . import Entry

ERRORS: list[Entry] = [
    (
        "ERR_HTTP2_*",
        "HTTP2Error, HTTP2Error.retryable, HTTP2Error.partial, HTTP2Error.again, HTTP2Error.again(stream_id), "
        "HTTP2Error.again(retryable): stream_id, code, retryable",
        "parity/test_module.py::test_every_error_is_an_http2_error_and_says_of_what",
    ),
    (
        "",
        "Timeout, Timeout.bytes_written",
        "connection/stream/test_writing.py::test_a_write_blocks_at_the_window_and_says_how_far_it_got",
        "parity/test_module.py::test_every_error_is_an_http2_error_and_says_of_what",
    ),
    ("ERR_INVALID_ARG_VALUE", "InvalidArgument", "parity/test_bad_input.py::test_arguments_of_a_session"),
    ("ERR_HTTP2_HEADERS_SENT", "InvalidState", "parity/test_bad_input.py::test_respond_twice"),
    ("ERR_HTTP2_PING_CANCEL", "PingLimit", "parity/test_limits.py::test_outstanding_pings"),
    (
        "ERR_HTTP2_OUT_OF_STREAMS",
        "StreamIDsExhausted",
        "connection/client_side/test_slots.py::test_past_the_last_id_the_session_drains",
    ),
    (
        "ERR_HTTP2_NO_SOCKET_MANIPULATION",
        "SocketManipulationError: raised",
        "connection/inspection/test_socket_proxy.py::test_what_would_disturb_the_session_is_refused",
    ),
    (
        "ERR_HTTP2_ERROR",
        "ProtocolError",
        "connection/session/test_closing.py::test_a_protocol_error_of_the_peer_ends_the_session_with_its_code",
    ),
    ("ERR_HTTP2_STREAM_ERROR", "StreamReset", "connection/stream/test_reset.py::test_a_reset_wakes_every_blocked_call"),
    (
        "ERR_HTTP2_GOAWAY_SESSION",
        "StreamUnprocessed",
        "connection/session/test_goaway.py::test_streams_up_to_the_last_id_finish_and_the_others_are_unprocessed",
        "connection/stream/test_reset.py::test_a_refused_stream_is_safe_to_retry",
    ),
    (
        "ERR_HTTP2_SESSION_ERROR",
        "SessionGoaway",
        "connection/session/test_goaway.py::test_with_an_error_code_the_session_ends_with_it",
    ),
    (
        "ECONNRESET",
        "ConnectionLost",
        "connection/session/test_closing.py::test_the_peers_end_of_the_connection_with_streams_open",
    ),
    (
        "ERR_HTTP2_INVALID_SESSION",
        "SessionClosed",
        "connection/session/test_closing.py::test_after_the_close_everything_says_so",
        "connection/session/test_closing.py::test_a_client_that_hangs_up_first_has_closed_the_session_all_the_same",
    ),
    (
        "ERR_TLS_*",
        "TLSError",
        "server/test_secure_server.py::test_an_unknown_authority_is_refused_and_both_ends_are_told",
    ),
]

LIMITS: list[Entry] = [
    ("", "connect: every limit has its default", "parity/test_limits.py::test_the_defaults_are_those_of_the_reference"),
    ("", "connect: an unknown option is refused", "parity/test_bad_input.py::test_options"),
    (
        "",
        "option max_sessions, option max_sessions_per_address",
        "parity/test_limits.py::test_a_connection_too_many_is_told_why_and_closed",
        "server/test_server.py::test_more_sessions_than_allowed_are_turned_away",
        "server/test_server.py::test_more_sessions_of_one_address_than_allowed_are_turned_away",
    ),
    (
        "unknownProtocolTimeout",
        "option handshake_timeout",
        "parity/test_limits.py::test_handshake_timeout",
        "parity/test_limits.py::test_handshake_timeout_bounds_a_clients_tls_handshake",
        "server/test_secure_server.py::test_a_silent_handshake_is_ended_and_holds_up_nobody",
    ),
    (
        "maxConcurrentStreams",
        "option max_concurrent_streams",
        "parity/test_limits.py::test_a_default_server_takes_a_hundred_streams_at_once",
        "connection/client_side/test_slots.py::test_a_server_refuses_what_is_over_its_limit",
        "parity/test_limits.py::test_max_concurrent_streams_of_a_client_bounds_what_is_pushed",
    ),
    (
        "maxHeaderListPairs, maxHeaderListSize",
        "option max_header_list_size, option max_header_pairs",
        "parity/test_limits.py::test_headers_over_the_limit",
        "parity/test_limits.py::test_headers_far_beyond_the_limit_end_the_session",
    ),
    (
        "",
        "option max_continuation_frames",
        "parity/test_limits.py::test_continuation_frames",
        "parity/test_limits.py::test_as_many_continuation_frames_as_allowed",
    ),
    ("", "option header_timeout", "parity/test_limits.py::test_header_timeout"),
    (
        "",
        "option read_timeout, option write_timeout",
        "parity/test_limits.py::test_read_and_write_timeouts",
        "parity/test_limits.py::test_a_servers_handler_that_times_out_does_not_leave_its_stream_open",
        "connection/stream/test_writing.py::test_the_servers_write_timeout_gives_the_handler_back",
    ),
    (
        "server.setTimeout",
        "option idle_timeout",
        "parity/test_limits.py::test_idle_timeout",
        "parity/test_limits.py::test_an_idle_client_with_an_open_stream_finishes_it",
        "parity/test_limits.py::test_a_timeout_listener_decides_about_an_idle_session",
    ),
    ("", "option settings_timeout", "parity/test_limits.py::test_settings_timeout"),
    (
        "",
        "option keepalive_interval, option keepalive_timeout",
        "parity/test_limits.py::test_keepalive",
        "connection/timing/test_ping.py::test_a_peer_that_answers_is_kept_alive",
    ),
    ("", "option close_timeout", "parity/test_limits.py::test_close_timeout"),
    (
        "streamResetBurst, streamResetRate",
        "option stream_reset_burst, option stream_reset_rate",
        "parity/test_limits.py::test_stream_resets",
        "protocol/test_connection.py::test_rapid_reset",
        "connection/receiving/test_floods.py::test_streams_opened_and_reset_end_the_session_also_when_no_handler_is_free",
    ),
    (
        "maxSessionInvalidFrames",
        "option max_session_invalid_frames",
        "parity/test_limits.py::test_frames_without_a_purpose",
    ),
    (
        "maxSessionRejectedStreams",
        "option max_session_rejected_streams",
        "parity/test_limits.py::test_rejected_streams",
    ),
    ("maxSettings", "option max_settings", "parity/test_limits.py::test_settings_in_one_frame"),
    (
        "",
        "option max_queued_control_frames",
        "parity/test_limits.py::test_answers_that_nobody_reads",
        "connection/receiving/test_floods.py::test_many_pings_at_once_are_answered_to_a_peer_that_reads",
    ),
    (
        "maxSessionMemory",
        "option max_session_memory",
        "parity/test_limits.py::test_unread_data_holds_credit_back_and_more_ends_the_session",
        "concurrency/transfers/test_flow_control.py::test_what_is_unread_stays_within_max_session_memory_whatever_the_peer_sends",
    ),
    (
        "",
        "option max_server_memory",
        "server/test_memory.py::test_the_greediest_ends_and_others_go_on",
        "server/test_memory.py::test_one_that_speaks_http1_is_told_why",
    ),
    (
        "",
        "option max_waiting_handlers",
        "server/pool/test_peer_waits.py::test_beyond_the_cap_the_longest_waiting_of_the_greediest_connection_ends",
    ),
    (
        "",
        "option max_discarded_body",
        "server/test_early_answers.py::test_beyond_the_bound_the_window_opens_and_then_comes_the_reset",
        "server/test_early_answers.py::test_nothing_is_thrown_away_if_that_is_what_was_asked_for",
    ),
    ("", "option discard_timeout", "server/test_early_answers.py::test_when_time_is_up_comes_the_reset"),
    (
        "",
        "option http1_early_hints",
        "compat/test_wsgi.py::test_early_hints_over_http1_are_for_those_who_want_them",
        "http1/test_session.py::test_early_hints_are_for_1_1_alone_and_only_if_asked_for",
    ),
    ("maxOutstandingPings", "option max_outstanding_pings", "parity/test_limits.py::test_outstanding_pings"),
    (
        "maxSendHeaderBlockLength",
        "option max_send_header_block_length",
        "parity/test_limits.py::test_length_of_a_header_block_that_we_send",
        "parity/test_bad_input.py::test_trailers_that_are_too_long_behind_data_that_waits",
    ),
    (
        "maxSendHeaderBlockLength",
        "option max_send_header_block_length: fires frame_error",
        "connection/stream/test_frame_error.py::test_a_request_that_is_too_long",
        "connection/stream/test_frame_error.py::test_a_response_that_is_too_long",
    ),
    (
        "maxDeflateDynamicTableSize",
        "option max_deflate_dynamic_table_size",
        "parity/test_limits.py::test_the_table_of_our_header_compression",
    ),
    (
        "peerMaxConcurrentStreams",
        "option peer_max_concurrent_streams",
        "parity/test_limits.py::test_a_default_client_opens_a_hundred_streams_before_the_servers_settings",
        "connection/client_side/test_slots.py::test_before_the_peers_settings_a_hundred_may_go",
    ),
    ("maxOriginSetSize", "option max_origin_set_size", "connection/session/test_origins.py::test_max_origin_set_size"),
    (
        "paddingStrategy",
        "option padding_strategy",
        "connection/sending/test_padding.py::test_max_pads_headers_data_and_trailers_as_far_as_there_is_room",
        "connection/sending/test_padding.py::test_aligned_makes_frames_a_multiple_of_eight_octets",
        "connection/sending/test_padding.py::test_bodies_arrive_intact_at_the_other_end",
        "interop/test_flow_and_priorities.py::test_nghttp_sees_the_padding",
        "interop/test_flow_and_priorities.py::test_node_and_nghttpd_read_padded_requests",
    ),
    ("", "connect: a limit is named in GOAWAY", "parity/test_limits.py::test_settings_in_one_frame"),
    (
        "",
        "connect: a limit is named in one warning",
        "connection/receiving/test_floods.py::test_a_limit_is_named_in_one_line_of_the_log",
    ),
]

ENTRIES = ERRORS + LIMITS
