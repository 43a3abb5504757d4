"""The reference API, fourth part: servers, their handlers and streams."""

from __future__ import annotations

from . import Entry

SERVERS: list[Entry] = [
    ("Http2Server", "ThreadingServer", "server/test_server.py::test_a_server_in_a_with_block"),
    ("Http2SecureServer", "SecureThreadingServer", "server/test_secure_server.py::test_a_request_over_tls"),
    (
        "server.address()",
        "ThreadingServer.address",
        "server/test_server.py::test_addresses",
        "server/test_server.py::test_a_unix_socket",
    ),
    ("", "ThreadingServer.url", "parity/test_limits.py::test_a_connection_too_many_is_told_why_and_closed"),
    ("server.listen()", "ThreadingServer.start", "server/test_server.py::test_it_listens_before_it_accepts"),
    (
        "server.listen()",
        "ThreadingServer.serve_forever",
        "server/test_server.py::test_serve_forever_until_shutdown",
        "server/test_server.py::test_serve_forever_in_a_with_block_just_waits",
    ),
    (
        "server.close()",
        "ThreadingServer.shutdown: leaves sessions alone",
        "server/test_server.py::test_serve_forever_until_shutdown",
    ),
    ("", "ThreadingServer.close: drains the sessions", "server/test_server.py::test_close_drains_the_sessions"),
    (
        "",
        "ThreadingServer.close(timeout): destroys what is left and never raises",
        "server/test_server.py::test_close_destroys_what_does_not_finish_and_never_raises",
    ),
    (
        "",
        "ThreadingServer.close: from inside it only starts",
        "server/test_server.py::test_close_from_inside_only_starts_it",
    ),
    ("", "ThreadingServer: a context manager that starts it", "server/test_server.py::test_a_server_in_a_with_block"),
    ("", "ThreadingServer.sessions: a snapshot", "server/test_server.py::test_a_server_in_a_with_block"),
    (
        "server.setSecureContext()",
        "SecureThreadingServer.reload_certificate, SecureThreadingServer.reload_certificate(certfile), "
        "SecureThreadingServer.reload_certificate(keyfile)",
        "server/test_secure_server.py::test_another_certificate_for_new_sessions",
    ),
    (
        "server.setTimeout(msecs, callback)",
        "ThreadingServer.set_timeout, ThreadingServer.set_timeout(callback): per session",
        "server/test_server.py::test_set_timeout_reaches_open_sessions",
        "server/test_server.py::test_an_idle_session_is_closed_and_a_timeout_listener_decides_instead",
    ),
    (
        "server.timeout",
        "ThreadingServer.set_timeout(seconds): two minutes, None or 0 switches it off",
        "parity/test_streams.py::test_a_servers_idle_time_is_two_minutes_unless_told_otherwise",
    ),
    (
        "server.updateSettings(settings)",
        "ThreadingServer.update_settings, ThreadingServer.update_settings(values)",
        "server/test_server.py::test_update_settings_reaches_open_and_new_sessions",
    ),
]

EVENTS: list[Entry] = [
    (
        "'session'",
        "server event session: before the first frame",
        "server/test_server.py::test_the_session_listener_comes_before_the_first_frame",
        "server/test_server.py::test_a_session_listener_may_use_its_session",
    ),
    (
        "'sessionError'",
        "server event session_error",
        "server/test_server.py::test_session_error_names_error_and_session",
        "server/test_server.py::test_a_sessions_quiet_end_is_no_session_error",
    ),
    ("'stream'", "server event stream", "server/test_server.py::test_it_listens_before_it_accepts"),
    (
        "'timeout'",
        "server event timeout",
        "server/test_server.py::test_an_idle_session_is_closed_and_a_timeout_listener_decides_instead",
    ),
    (
        "'unknownProtocol'",
        "server event unknown_protocol",
        "server/accepting/test_unknown_protocol.py::test_a_listener_answers",
        "server/accepting/test_unknown_protocol.py::test_without_a_listener_the_connection_is_closed",
    ),
    (
        "'tlsClientError', 'error'",
        "server event error",
        "server/test_server.py::test_an_accept_that_fails_is_reported_and_accepting_goes_on",
        "server/test_secure_server.py::test_a_connection_that_is_no_tls_is_reported",
    ),
    ("'listening'", "server event listening", "server/test_server.py::test_serve_forever_until_shutdown"),
    ("'close'", "server event close", "server/test_server.py::test_serve_forever_until_shutdown"),
    (
        "'checkContinue'",
        "Stream.read: the first one answers Expect",
        "connection/client_side/test_informational.py::test_reading_the_body_answers_expect",
        "interop/test_server.py::test_nghttp_waits_for_100_continue",
    ),
]

HANDLERS: list[Entry] = [
    ("", "ThreadingServer: a bounded pool", "server/test_server.py::test_the_handlers_pool_is_bounded"),
    (
        "",
        "ThreadingServer: many handlers of one connection at once",
        "server/test_server.py::test_streams_of_one_session_are_handled_in_parallel",
    ),
    (
        "",
        "ServerStream: an exception is a 500 and a traceback",
        "server/handlers/test_outcomes.py::test_an_exception_before_the_headers_is_a_500",
    ),
    (
        "",
        "ServerStream: an exception after the headers is a reset",
        "server/handlers/test_outcomes.py::test_an_exception_after_the_headers_is_a_reset",
    ),
    ("", "ServerStream: no answer is a 500", "server/handlers/test_outcomes.py::test_no_answer_is_a_500"),
    (
        "",
        "ServerStream: an answer that was not ended is ended",
        "server/handlers/test_outcomes.py::test_an_answer_that_was_not_ended_is_ended",
    ),
    (
        "",
        "ServerStream: a body shorter than announced is a reset",
        "server/handlers/test_outcomes.py::test_a_body_shorter_than_announced_is_a_reset",
    ),
    (
        "",
        "ServerStream.detach",
        "server/handlers/test_outcomes.py::test_a_detached_stream_outlives_its_handler",
        "server/handlers/test_outcomes.py::test_a_detached_stream_whose_handler_fails_is_not_left_hanging",
    ),
]

OF_SERVERS: list[Entry] = [
    ("ServerHttp2Stream", "ServerStream", "parity/test_streams.py::test_the_attributes_of_a_servers_stream"),
    (
        "respond(headers)",
        "ServerStream.respond, ServerStream.respond(headers): :status is 200",
        "connection/client_side/test_requests.py::test_a_get_and_its_answer",
        "interop/test_server.py::test_node_sees_a_status",
    ),
    (
        "respond({endStream})",
        "ServerStream.respond(end_stream)",
        "parity/test_streams.py::test_a_response_that_ends_with_its_headers",
    ),
    (
        "respond({waitForTrailers})",
        "ServerStream.respond(wait_for_trailers)",
        "connection/stream/test_trailers.py::test_a_servers_trailers_end_its_side",
    ),
    (
        "respond: date",
        "ServerStream.respond(send_date)",
        "connection/client_side/test_requests.py::test_a_date_is_added_unless_it_is_given_or_declined",
    ),
    (
        "respond",
        "ServerStream.respond: by the first write or end",
        "connection/client_side/test_requests.py::test_the_first_write_or_end_responds",
    ),
    (
        "ERR_HTTP2_HEADERS_SENT",
        "ServerStream.respond: once, and before the body",
        "parity/test_bad_input.py::test_respond_twice",
        "parity/test_bad_input.py::test_headers_after_the_body",
    ),
    (
        "ERR_HTTP2_PAYLOAD_FORBIDDEN",
        "ServerStream.respond: 204, 205, 304 and HEAD carry no body",
        "connection/client_side/test_requests.py::test_statuses_without_body",
        "connection/client_side/test_requests.py::test_head_has_headers_only",
    ),
    (
        "",
        "ServerStream.respond: RST_STREAM(NO_ERROR) when the request goes on after the handler",
        "server/handlers/test_outcomes.py::test_an_early_answer_on_the_wire",
        "server/handlers/test_outcomes.py::test_no_reset_while_the_handler_still_reads",
    ),
    (
        "",
        "ClientStream: keeps such a response",
        "server/handlers/test_outcomes.py::test_an_early_answer_is_kept_by_the_client",
    ),
    (
        "additionalHeaders(headers)",
        "ServerStream.additional_headers, ServerStream.additional_headers(headers)",
        "connection/client_side/test_informational.py::test_early_hints_come_before_the_response",
        "interop/test_server.py::test_node_sees_informational_responses",
    ),
    (
        "ERR_HTTP2_INVALID_INFO_STATUS",
        "ServerStream.additional_headers: 1xx, not 101, before the response",
        "connection/client_side/test_informational.py::test_only_1xx_but_101_is_taken",
        "connection/client_side/test_informational.py::test_not_after_the_response",
    ),
    ("headersSent", "ServerStream.headers_sent", "parity/test_streams.py::test_the_attributes_of_a_servers_stream"),
    (
        "pushAllowed",
        "ServerStream.push_allowed",
        "connection/client_side/test_push.py::test_a_client_that_disabled_push",
        "connection/client_side/test_push.py::test_a_pushed_stream_cant_push",
    ),
    (
        "pushStream(headers, callback)",
        "ServerStream.push_stream, ServerStream.push_stream(headers): the parent's scheme and authority",
        "connection/client_side/test_push.py::test_a_push_and_its_response",
        "interop/test_server.py::test_node_receives_a_push",
    ),
    (
        "ERR_HTTP2_NESTED_PUSH",
        "ServerStream.push_stream: not inside a pushed stream",
        "parity/test_bad_input.py::test_push_from_a_pushed_stream",
    ),
    (
        "ERR_HTTP2_PUSH_DISABLED",
        "ServerStream.push_stream: not when disabled",
        "parity/test_bad_input.py::test_push_to_a_client_that_takes_none",
    ),
    (
        "pushStream({exclusive, parent})",
        "ServerStream.push_stream(exclusive), ServerStream.push_stream(parent)",
        "connection/sending/test_priorities.py::test_the_dependency_of_a_pushed_stream",
    ),
]

FILES: list[Entry] = [
    (
        "respondWithFD(fd, headers)",
        "ServerStream.respond_with_fd, ServerStream.respond_with_fd(fd), ServerStream.respond_with_fd(headers): "
        "by position, several streams, no content-length",
        "connection/server_side/test_file_responses.py::test_an_open_file",
    ),
    (
        "respondWithFD",
        "ServerStream.respond_with_fd: never closed",
        "connection/server_side/test_file_responses.py::test_an_open_file",
    ),
    (
        "respondWithFD",
        "ServerStream.respond_with_fd: the caller may close it on return",
        "connection/server_side/test_file_responses.py::test_the_descriptor_may_be_closed_on_return",
    ),
    (
        "respondWithFD({offset, length})",
        "ServerStream.respond_with_fd(offset), ServerStream.respond_with_fd(length)",
        "connection/server_side/test_file_responses.py::test_an_open_file",
    ),
    (
        "respondWithFD({statCheck})",
        "ServerStream.respond_with_fd(stat_check), ServerStream.respond_with_file(stat_check): changes the range",
        "connection/server_side/test_file_responses.py::test_stat_check_chooses_headers_and_range",
    ),
    (
        "statCheck: return false",
        "ServerStream.respond_with_file: stat_check may answer",
        "connection/server_side/test_file_responses.py::test_stat_check_may_answer_itself",
    ),
    (
        "respondWithFD({waitForTrailers})",
        "ServerStream.respond_with_fd(wait_for_trailers), ServerStream.respond_with_file(wait_for_trailers)",
        "connection/server_side/test_file_responses.py::test_trailers_follow",
    ),
    (
        "",
        "ServerStream.respond_with_fd(timeout), ServerStream.respond_with_file(timeout)",
        "connection/server_side/test_file_responses.py::test_bytes_written_counts_all_pieces",
    ),
    (
        "respondWithFD",
        "ServerStream.respond_with_fd: a read error is INTERNAL_ERROR",
        "connection/server_side/test_file_responses.py::test_a_pipe_has_no_positions",
    ),
    (
        "respondWithFD",
        "ServerStream.respond_with_fd: not only a number",
        "connection/server_side/test_file_responses.py::test_what_is_no_descriptor",
    ),
    (
        "respondWithFD",
        "ServerStream.respond_with_file: the request's body can still be read",
        "connection/server_side/test_file_responses.py::test_the_request_body_can_be_read_afterwards",
    ),
    (
        "respondWithFD",
        "ServerStream.respond_with_file: only headers go on HEAD",
        "connection/server_side/test_file_responses.py::test_head_gets_the_headers_alone",
    ),
    (
        "respondWithFile(path, headers)",
        "ServerStream.respond_with_file, ServerStream.respond_with_file(path), ServerStream.respond_with_file(headers)"
        ": content-length is set",
        "connection/server_side/test_file_responses.py::test_a_whole_file",
        "connection/server_side/test_file_responses.py::test_a_path_is_what_open_takes",
    ),
    (
        "respondWithFile({offset, length})",
        "ServerStream.respond_with_file(offset), ServerStream.respond_with_file(length)",
        "connection/server_side/test_file_responses.py::test_a_part_of_a_file",
        "interop/test_files.py::test_node_downloads",
        "interop/test_files.py::test_curl_downloads",
    ),
    (
        "respondWithFile({onError})",
        "ServerStream.respond_with_file(on_error)",
        "connection/server_side/test_file_responses.py::test_on_error_may_answer",
        "connection/server_side/test_file_responses.py::test_on_error_gets_what_stat_check_raises",
    ),
    (
        "respondWithFile",
        "ServerStream.respond_with_file: without on_error it raises and resets",
        "connection/server_side/test_file_responses.py::test_what_is_no_file_resets_the_stream",
    ),
    (
        "ERR_HTTP2_SEND_FILE",
        "ServerStream.respond_with_file: regular files only",
        "connection/server_side/test_file_responses.py::test_what_is_no_file_resets_the_stream",
    ),
    (
        "respondWithFile",
        "ServerStream.respond_with_file: the file is closed on every path",
        "connection/server_side/test_file_responses.py::test_a_reset_in_the_middle_closes_the_file",
        "connection/server_side/test_file_responses.py::test_a_client_that_is_gone_closes_the_file",
    ),
    (
        "respondWithFile",
        "ServerStream.respond_with_file: a file that shrinks",
        "connection/server_side/test_file_responses.py::test_a_file_that_shrinks",
    ),
    (
        "respondWithFile",
        "ServerStream.respond_with_file: costs no memory",
        "connection/server_side/test_file_responses.py::test_a_gigabyte_costs_no_memory",
    ),
    (
        "ERR_INVALID_ARG_VALUE",
        "ServerStream.respond_with_file: bad arguments",
        "connection/server_side/test_file_responses.py::test_bad_arguments",
    ),
    (
        "statCheck(stat, headers, options)",
        "FileRange, FileRange.offset, FileRange.length, FileRange.size",
        "connection/server_side/test_file_responses.py::test_stat_check_chooses_headers_and_range",
        "connection/server_side/test_file_responses.py::test_stat_check_that_gives_a_bad_range",
        "connection/server_side/test_file_responses.py::test_a_file_whose_size_says_nothing",
    ),
]

ENTRIES = SERVERS + EVENTS + HANDLERS + OF_SERVERS + FILES
