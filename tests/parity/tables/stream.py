"""The reference API, third part: streams of both sides, and a client's."""

from __future__ import annotations

from . import Entry

BODIES: list[Entry] = [
    (
        "readable.read(size)",
        "Stream.read, Stream.read(n): what there is, b'' at the end",
        "connection/stream/test_reading.py::test_read_gives_what_there_is",
        "connection/stream/test_reading.py::test_read_waits_for_the_first_byte_only",
    ),
    (
        "'data', 'end'",
        "Stream.read: -1 is all of it",
        "connection/stream/test_reading.py::test_read_of_everything_waits_for_the_end",
    ),
    (
        "readable.read",
        "Stream.read: waits for the response by itself",
        "connection/stream/test_reading.py::test_a_client_reads_without_waiting_for_the_response_first",
    ),
    (
        "",
        "Stream.read(timeout), Stream.readinto(timeout), Stream.readline(timeout), Stream.write(timeout), "
        "Stream.end(timeout), Stream.wait_trailers(timeout), Stream.wait_closed(timeout)",
        "parity/test_streams.py::test_every_blocking_call_of_a_stream_takes_a_timeout",
    ),
    ("", "Stream.readinto, Stream.readinto(buffer)", "connection/stream/test_reading.py::test_readinto"),
    ("", "Stream.readline, Stream.readline(limit)", "connection/stream/test_reading.py::test_readline"),
    (
        "for await (chunk of stream)",
        "Stream: iteration over chunks",
        "connection/stream/test_reading.py::test_iteration_gives_all_chunks",
    ),
    (
        "write(chunk)",
        "Stream.write, Stream.write(data): returns its length",
        "connection/stream/test_writing.py::test_write_returns_the_length_of_any_buffer",
    ),
    (
        "'drain'",
        "Stream.write: blocks on flow control",
        "connection/stream/test_writing.py::test_a_write_blocks_at_the_window_and_says_how_far_it_got",
    ),
    (
        "end(chunk)",
        "Stream.end, Stream.end(data)",
        "connection/client_side/test_requests.py::test_nothing_can_be_written_after_the_end",
        "connection/client_side/test_requests.py::test_bodies_in_both_directions_at_once",
        "interop/test_server.py::test_node_uploads_and_downloads",
    ),
    ("Readable", "Stream.rfile: an io.RawIOBase", "connection/stream/test_files.py::test_they_are_raw_files"),
    ("Writable", "Stream.wfile: an io.RawIOBase", "connection/stream/test_files.py::test_they_are_raw_files"),
    ("Readable", "Stream.rfile: io.BufferedReader", "connection/stream/test_files.py::test_a_buffered_reader"),
    ("setEncoding", "Stream.rfile: io.TextIOWrapper", "connection/stream/test_files.py::test_text_both_ways"),
    ("pipe", "Stream.rfile: shutil.copyfileobj", "connection/stream/test_files.py::test_copyfileobj_both_ways"),
    ("", "Stream.rfile: json.load", "connection/stream/test_files.py::test_json"),
    (
        "end()",
        "Stream.wfile: closing it ends our side",
        "connection/stream/test_files.py::test_closing_wfile_ends_our_side",
    ),
    (
        "readableHighWaterMark",
        "Stream.read: unread data is bounded by the window, which opens as it is read",
        "connection/receiving/test_inbound_flow.py::test_memory_is_bounded_by_the_windows",
        "connection/receiving/test_inbound_flow.py::test_stream_credit_returns_when_read_and_connection_credit_on_arrival",
    ),
    (
        "",
        "Stream.read: -1 keeps the window open",
        "connection/receiving/test_inbound_flow.py::test_reading_everything_keeps_the_window_open",
    ),
    (
        "",
        "Stream: with resets after an exception",
        "connection/stream/test_reset.py::test_with_an_exception_resets",
        "parity/test_streams.py::test_sessions_and_streams_of_both_roles_are_context_managers",
    ),
    (
        "",
        "Stream: with finishes or cancels what is left",
        "connection/stream/test_reset.py::test_with_ends_our_side_when_the_peer_has_finished",
        "connection/stream/test_reset.py::test_with_cancels_what_is_left",
    ),
    (
        "",
        "Stream: a forgotten one is reset with a warning",
        "connection/stream/test_forgotten.py::test_a_forgotten_stream_is_cancelled_with_a_warning",
    ),
    (
        "",
        "Stream: a truncated body never looks whole",
        "connection/stream/test_files.py::test_a_dropped_writer_around_wfile_does_not_make_the_body_look_whole",
        "connection/stream/test_reading.py::test_a_cut_body_never_looks_whole",
        "concurrency/ends/test_garbage.py::test_a_dropped_body_is_cancelled_and_never_looks_whole",
    ),
]

ATTRIBUTES: list[Entry] = [
    (
        "Http2Stream",
        "Stream",
        "connection/client_side/test_requests.py::test_the_attributes_of_a_stream_while_it_lives_and_after",
    ),
    (
        "id",
        "Stream.id: None while pending",
        "connection/client_side/test_slots.py::test_without_waiting_the_stream_is_pending",
    ),
    ("pending", "Stream.pending", "connection/client_side/test_slots.py::test_without_waiting_the_stream_is_pending"),
    (
        "session",
        "Stream.session: stays after the end",
        "connection/client_side/test_requests.py::test_the_attributes_of_a_stream_while_it_lives_and_after",
    ),
    (
        "closed",
        "Stream.closed",
        "connection/client_side/test_requests.py::test_the_attributes_of_a_stream_while_it_lives_and_after",
    ),
    (
        "destroyed",
        "Stream.destroyed",
        "connection/stream/test_reset.py::test_destroy_without_an_error_drops_what_was_not_sent",
    ),
    (
        "aborted",
        "Stream.aborted: closed before our side had ended",
        "parity/test_events.py::test_events_of_a_stream_that_the_peer_resets",
        "parity/test_events.py::test_no_abort_once_our_side_has_ended",
        "parity/test_either_role.py::test_a_stream_that_we_reset_is_aborted",
    ),
    (
        "endAfterHeaders",
        "ClientStream.end_after_headers, ServerStream.end_after_headers",
        "parity/test_streams.py::test_a_response_that_ends_with_its_headers",
        "connection/client_side/test_requests.py::test_end_stream_says_otherwise",
    ),
    (
        "rstCode",
        "Stream.rst_code: None until closed",
        "connection/client_side/test_requests.py::test_the_attributes_of_a_stream_while_it_lives_and_after",
        "interop/test_client.py::test_a_reset_from_node_and_the_session_goes_on",
    ),
    (
        "sentHeaders",
        "Stream.sent_headers",
        "connection/client_side/test_requests.py::test_the_attributes_of_a_stream_while_it_lives_and_after",
        "parity/test_streams.py::test_the_attributes_of_a_servers_stream",
    ),
    (
        "sentInfoHeaders",
        "Stream.sent_info_headers",
        "connection/client_side/test_informational.py::test_early_hints_come_before_the_response",
    ),
    (
        "sentTrailers",
        "Stream.sent_trailers",
        "connection/stream/test_trailers.py::test_a_servers_trailers_end_its_side",
        "parity/test_streams.py::test_the_attributes_of_a_servers_stream",
    ),
    ("'trailers'", "Stream.trailers", "connection/stream/test_trailers.py::test_a_servers_trailers_end_its_side"),
    (
        "state",
        "Stream.state",
        "connection/inspection/test_snapshots.py::test_a_stream_in_each_state",
        "connection/inspection/test_snapshots.py::test_a_pushed_stream_is_reserved_at_both_ends",
    ),
    (
        "state: localWindowSize, state, localClose, remoteClose",
        "StreamState, StreamState.local_window_size, StreamState.state, StreamState.local_close, "
        "StreamState.remote_close",
        "connection/inspection/test_snapshots.py::test_the_fields_are_those_of_node",
        "connection/inspection/test_snapshots.py::test_a_stream_in_each_state",
    ),
    (
        "state: sumDependencyWeight, weight",
        "StreamState.sum_dependency_weight, StreamState.weight",
        "connection/inspection/test_snapshots.py::test_a_server_sees_what_its_client_said_of_dependencies",
    ),
    (
        "performance entry Http2Stream",
        "Stream.stats, StreamStats, StreamStats.id, StreamStats.bytes_received, StreamStats.bytes_sent",
        "connection/inspection/test_stats.py::test_times_of_a_stream_come_as_things_happen",
    ),
    (
        "timeToFirstHeader, timeToFirstByte, timeToFirstByteSent, duration",
        "StreamStats.time_to_first_header, StreamStats.time_to_first_byte, StreamStats.time_to_first_byte_sent, "
        "StreamStats.duration",
        "connection/inspection/test_stats.py::test_times_of_a_stream_come_as_things_happen",
        "connection/inspection/test_stats.py::test_a_servers_stream_begins_with_its_headers",
    ),
]

EVENTS: list[Entry] = [
    ("'aborted'", "stream event aborted", "parity/test_events.py::test_events_of_a_stream_that_the_peer_resets"),
    ("'close'", "stream event close: once, last", "connection/shared/test_listeners.py::test_close_comes_last"),
    (
        "'error'",
        "stream event error: before close, not for NO_ERROR and CANCEL",
        "parity/test_events.py::test_events_of_a_stream_that_the_peer_resets",
        "connection/stream/test_reset.py::test_no_error_event_for_codes_that_are_no_errors",
    ),
    (
        "'frameError'",
        "stream event frame_error",
        "connection/stream/test_frame_error.py::test_a_response_that_is_too_long",
        "connection/stream/test_frame_error.py::test_a_client_s_trailers_that_are_too_long",
    ),
    (
        "'timeout'",
        "stream event timeout",
        "connection/timing/test_timeouts.py::test_a_silent_stream_fires_timeout",
        "connection/timing/test_timeouts.py::test_a_stream_that_receives_is_not_silent",
    ),
    (
        "'trailers'",
        "stream event trailers",
        "parity/test_events.py::test_events_of_a_clients_stream",
        "parity/test_events.py::test_events_of_a_servers_stream",
    ),
    (
        "'wantTrailers'",
        "stream event want_trailers",
        "parity/test_events.py::test_events_of_a_clients_stream",
        "parity/test_events.py::test_events_of_a_servers_stream",
    ),
    (
        "'ready'",
        "stream event ready",
        "connection/client_side/test_slots.py::test_without_waiting_the_stream_is_pending",
    ),
    ("'continue'", "stream event continue", "parity/test_events.py::test_events_of_a_clients_stream"),
    (
        "'headers'",
        "stream event headers",
        "connection/client_side/test_informational.py::test_early_hints_come_before_the_response",
    ),
    ("'response'", "stream event response", "parity/test_events.py::test_events_of_a_clients_stream"),
    ("'push'", "stream event push: on the pushed stream", "connection/client_side/test_push.py::test_the_listeners"),
    (
        "'trailers'",
        "Stream.wait_trailers: discards what is unread",
        "connection/stream/test_trailers.py::test_wait_trailers_discards_what_is_unread",
    ),
    (
        "'trailers'",
        "Stream.wait_trailers: empty when there are none",
        "connection/stream/test_trailers.py::test_without_trailers_they_are_empty",
    ),
    (
        "'close'",
        "Stream.wait_closed",
        "connection/client_side/test_requests.py::test_a_get_and_its_answer",
        "connection/stream/test_reset.py::test_an_unknown_code_comes_through",
    ),
]

ENDING: list[Entry] = [
    (
        "close(code)",
        "Stream.close, Stream.close(code): drops what was not sent",
        "connection/stream/test_reset.py::test_close_with_a_code_drops_what_was_not_sent",
        "interop/test_server.py::test_node_sees_a_reset_and_its_session_goes_on",
        "parity/test_either_role.py::test_a_reset_drops_what_was_not_sent",
        "interop/test_connections.py::test_we_reset_with_each_code",
        "interop/test_connections.py::test_node_resets_with_each_code",
    ),
    (
        "close()",
        "Stream.close: with 0 what was given to end goes out",
        "connection/stream/test_reset.py::test_close_lets_out_what_was_given_to_end",
        "parity/test_either_role.py::test_close_lets_out_what_was_given_to_end",
    ),
    (
        "close()",
        "Stream.close: no RST_STREAM when it had finished",
        "connection/stream/test_reset.py::test_close_of_a_finished_stream_sends_nothing",
    ),
    (
        "destroy(error)",
        "Stream.destroy, Stream.destroy(error): INTERNAL_ERROR with an error",
        "connection/stream/test_reset.py::test_destroy_with_an_error",
        "connection/stream/test_reset.py::test_destroy_without_an_error_drops_what_was_not_sent",
        "parity/test_either_role.py::test_a_reset_drops_what_was_not_sent",
    ),
    (
        "RST_STREAM received",
        "Stream: blocked and later calls raise",
        "connection/stream/test_reset.py::test_a_reset_wakes_every_blocked_call",
    ),
    (
        "RST_STREAM received",
        "Stream.read: what came before is read first",
        "connection/stream/test_reading.py::test_what_came_before_a_reset_is_read_first",
    ),
    (
        "RST_STREAM received",
        "Stream.read: -1 never gives a short body, partial has it",
        "connection/stream/test_reading.py::test_a_cut_body_never_looks_whole",
        "parity/test_streams.py::test_read_of_everything_gives_what_came_before_a_reset_in_the_exception",
        "parity/test_either_role.py::test_a_cut_body_is_in_the_exception",
    ),
    (
        "setTimeout(msecs, callback)",
        "Stream.set_timeout, Stream.set_timeout(seconds)",
        "connection/timing/test_timeouts.py::test_a_silent_stream_fires_timeout",
    ),
    (
        "setTimeout(msecs, callback)",
        "Stream.set_timeout(callback)",
        "parity/test_streams.py::test_a_timeout_callback_is_a_listener",
    ),
]

PRIORITIES: list[Entry] = [
    (
        "priority({exclusive, parent, weight, silent})",
        "Stream.priority, Stream.priority(exclusive), Stream.priority(parent), Stream.priority(weight), "
        "Stream.priority(silent)",
        "connection/sending/test_priorities.py::test_a_client_sends_priority",
        "interop/test_flow_and_priorities.py::test_node_sees_our_priorities",
    ),
    (
        "priority",
        "Stream.priority: 1 to 256, no self-dependency",
        "connection/sending/test_priorities.py::test_a_weight_out_of_range",
        "connection/sending/test_priorities.py::test_a_stream_that_would_depend_on_itself",
    ),
    (
        "priority",
        "Stream.priority: weights share the bandwidth",
        "connection/sending/test_priorities.py::test_weights_of_1_to_3",
        "connection/sending/test_priorities.py::test_weights_of_1_to_2_to_5",
        "connection/sending/test_priorities.py::test_a_clients_own_weights_share_its_uploads",
    ),
    (
        "priority({silent})",
        "Stream.priority: silent sends no frame",
        "connection/sending/test_priorities.py::test_a_client_sends_priority",
        "connection/sending/test_priorities.py::test_a_weight_that_the_server_gives_holds_at_once_and_sends_no_frame",
    ),
    (
        "PRIORITY received",
        "Stream.priority: the peer's weights are followed",
        "connection/sending/test_priorities.py::test_a_weight_given_with_the_request",
        "connection/sending/test_priorities.py::test_weights_of_1_to_3",
    ),
    (
        "RFC 9218",
        "Stream.priority: urgency first, by field and PRIORITY_UPDATE",
        "connection/sending/test_priorities.py::test_the_more_urgent_stream_comes_first_and_the_other_does_not_starve",
        "connection/sending/test_priorities.py::test_three_urgencies",
        "connection/sending/test_priorities.py::test_an_update_moves_a_stream_to_another_urgency",
    ),
    (
        "RFC 9218",
        "Stream: a PRIORITY_UPDATE before its request is kept",
        "connection/receiving/test_floods.py::test_a_priority_that_comes_before_its_request_is_kept",
    ),
]

TRAILERS: list[Entry] = [
    (
        "sendTrailers(headers)",
        "Stream.send_trailers, Stream.send_trailers(headers): ends our side",
        "connection/stream/test_trailers.py::test_a_servers_trailers_end_its_side",
        "connection/stream/test_trailers.py::test_a_clients_trailers_end_its_side",
        "interop/test_server.py::test_node_sees_trailers",
        "interop/test_client.py::test_trailers_to_node",
    ),
    (
        "sendTrailers",
        "Stream.send_trailers: queues behind the data",
        "connection/stream/test_trailers.py::test_trailers_wait_behind_data_that_flow_control_holds",
        "connection/stream/test_trailers.py::test_on_the_wire_they_are_the_last_frame",
    ),
    (
        "'wantTrailers'",
        "Stream.send_trailers: needs no listener, with or without end()",
        "connection/stream/test_trailers.py::test_a_get_can_have_trailers",
    ),
    (
        "ERR_HTTP2_TRAILERS_NOT_READY",
        "Stream.send_trailers: not without the option",
        "parity/test_bad_input.py::test_trailers_without_the_option",
    ),
    (
        "ERR_HTTP2_TRAILERS_NOT_READY",
        "Stream.send_trailers: not before the headers",
        "parity/test_bad_input.py::test_trailers_too_early",
    ),
    (
        "ERR_HTTP2_TRAILERS_ALREADY_SENT",
        "Stream.send_trailers: once",
        "parity/test_bad_input.py::test_trailers_twice_and_a_body_after_them",
    ),
    (
        "ERR_HTTP2_INVALID_PSEUDOHEADER",
        "Stream.send_trailers: no pseudo-headers",
        "parity/test_bad_input.py::test_a_pseudo_header_in_trailers",
    ),
    (
        "",
        "Stream.send_trailers: a handler may return without them",
        "connection/stream/test_trailers.py::test_the_server_can_end_without_sending_the_trailers_it_announced",
    ),
]

OF_CLIENTS: list[Entry] = [
    ("ClientHttp2Stream", "ClientStream", "connection/client_side/test_requests.py::test_a_get_and_its_answer"),
    (
        "'response'",
        "ClientStream.wait_response, ClientStream.response_headers",
        "connection/client_side/test_informational.py::test_wait_response_passes_over_1xx",
        "parity/test_streams.py::test_a_responses_informational_headers_are_no_response",
    ),
    (
        "'continue'",
        "ClientStream.wait_continue: False when a final response came",
        "connection/client_side/test_informational.py::test_reading_the_body_answers_expect",
        "connection/client_side/test_informational.py::test_no_100_when_the_answer_comes_without_reading",
        "interop/test_client.py::test_100_continue_from_node",
    ),
    (
        "'headers'",
        "ClientStream.informational",
        "connection/client_side/test_informational.py::test_early_hints_come_before_the_response",
        "interop/test_client.py::test_informational_responses_from_node",
    ),
    (
        "'stream' of the session",
        "ClientStream.wait_push: None when none can come any more",
        "connection/client_side/test_push.py::test_a_push_and_its_response",
        "interop/test_client.py::test_a_push_from_nghttpd",
    ),
    (
        "'stream' of the session",
        "ClientStream.pushes",
        "connection/client_side/test_push.py::test_pushes_iterates_over_all",
        "interop/test_client.py::test_a_push_from_node",
    ),
    (
        "",
        "ClientStream.wait_response(timeout), ClientStream.wait_continue(timeout), ClientStream.wait_push(timeout)",
        "connection/stream/test_reading.py::test_a_timeout_leaves_the_stream_usable",
    ),
    (
        "'stream' (stream, headers)",
        "ClientStream.request_headers, ServerStream.request_headers: of a pushed stream, the promise",
        "parity/test_streams.py::test_a_pushed_stream_says_what_it_answers",
    ),
    (
        "pushed.close(NGHTTP2_CANCEL)",
        "ClientStream: a push can be refused",
        "connection/client_side/test_push.py::test_a_pushed_stream_can_be_refused",
    ),
]

ENTRIES = BODIES + ATTRIBUTES + EVENTS + ENDING + PRIORITIES + TRAILERS + OF_CLIENTS
