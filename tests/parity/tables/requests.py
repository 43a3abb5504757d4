"""The reference API, another part: requests and responses, and who listens for them."""

from __future__ import annotations

from . import Entry

_REQUEST = "server/handlers/test_request.py::"
_RESPONSE = "server/handlers/test_response.py::"
_LISTENERS = "server/handlers/test_request_listeners.py::"
_NODE = "interop/test_compat.py::test_an_answer_is_nodes"

WHERE: list[Entry] = [
    ("", "compat", "compat/test_names.py::test_compat_is_an_attribute_of_the_package_that_nobody_else_pays_for"),
    (
        "createServer(onRequest)",
        "create_server(on_request)",
        _LISTENERS + "test_on_request",
        _LISTENERS + "test_both_ways_to_say_it_exclude_each_other",
        _LISTENERS + "test_what_is_no_handler_is_refused",
        _NODE,
    ),
    ("createSecureServer(onRequest)", "create_secure_server(on_request)", _NODE),
    (
        "",
        "serve_socket(on_request), testing.pair(on_request)",
        _LISTENERS + "test_a_pair_and_a_socket_take_it",
    ),
    (
        "'request'",
        "server event request",
        _LISTENERS + "test_a_listener_can_be_added_and_taken_off",
        _LISTENERS + "test_several_listeners_share_the_objects_in_order",
    ),
    ("'request'", "server event request: after `stream`", _LISTENERS + "test_stream_listeners_run_too_and_first"),
    (
        "",
        "server event request: on the pool, in parallel",
        _LISTENERS + "test_requests_of_one_session_are_handled_in_parallel",
    ),
    ("", "server event request: costs others nothing", _LISTENERS + "test_nothing_is_made_where_nobody_listens"),
    (
        "'checkContinue'",
        "server event check_continue",
        _LISTENERS + "test_check_continue_is_called_instead",
        "interop/test_compat.py::test_a_checked_expectation_is_nodes",
    ),
    (
        "'checkContinue'",
        "server event request: 100 comes first without check_continue",
        _LISTENERS + "test_100_continue_comes_before_the_listener_runs",
        "interop/test_compat.py::test_nghttp_waits_for_100_continue",
    ),
    (
        "'checkExpectation'",
        "server event check_expectation",
        _LISTENERS + "test_other_expectations_get_417",
        _LISTENERS + "test_what_a_stream_listener_has_answered_is_not_refused",
    ),
    (
        "'connect'",
        "server event connect",
        _LISTENERS + "test_connect_gets_405_unless_it_is_listened_for",
        "interop/test_compat.py::test_connect_is_refused_as_nodes",
    ),
    ("", "ServerStream.detached", _RESPONSE + "test_a_detached_stream_goes_on"),
    ("", "Stream.http_version", _REQUEST + "test_what_it_tells"),
]

REQUESTS: list[Entry] = [
    ("Http2ServerRequest", "ServerRequest", "compat/test_names.py::test_requests_and_responses_are_in_the_package"),
    (
        "method, url, scheme, authority",
        "ServerRequest.method, ServerRequest.path, ServerRequest.url, ServerRequest.scheme, ServerRequest.authority",
        _REQUEST + "test_what_it_tells",
        _NODE,
    ),
    (
        "method, url",
        "ServerRequest.method, ServerRequest.url: can be set",
        _REQUEST + "test_method_and_path_can_be_rewritten",
    ),
    (
        "",
        "ServerRequest.path, ServerRequest.scheme: empty for CONNECT",
        _REQUEST + "test_connect_has_no_path_and_no_scheme",
    ),
    ("", "ServerRequest.authority: or host", _REQUEST + "test_host_stands_in_for_a_missing_authority"),
    (
        "headers, rawHeaders",
        "ServerRequest.headers, ServerRequest.raw_headers",
        _REQUEST + "test_what_it_tells",
        _NODE,
    ),
    (
        "trailers, rawTrailers",
        "ServerRequest.trailers, ServerRequest.raw_trailers",
        _REQUEST + "test_trailers",
        _REQUEST + "test_no_trailers",
        _NODE,
    ),
    (
        "httpVersion, httpVersionMajor, httpVersionMinor",
        "ServerRequest.http_version, ServerRequest.http_version_major, ServerRequest.http_version_minor",
        _REQUEST + "test_what_it_tells",
        _NODE,
    ),
    ("aborted", "ServerRequest.aborted", _REQUEST + "test_aborted"),
    ("complete", "ServerRequest.complete", _REQUEST + "test_complete", _REQUEST + "test_aborted"),
    ("stream", "ServerRequest.stream", _REQUEST + "test_what_it_tells"),
    (
        "socket, connection",
        "ServerRequest.socket, ServerRequest.connection",
        _REQUEST + "test_the_socket_is_there_to_look_at",
    ),
    (
        "setTimeout(msecs, callback)",
        "ServerRequest.set_timeout, ServerRequest.set_timeout(seconds), ServerRequest.set_timeout(callback)",
        _REQUEST + "test_set_timeout",
    ),
    ("destroy(error)", "ServerRequest.destroy, ServerRequest.destroy(error)", _REQUEST + "test_destroy"),
    (
        "'aborted', 'close'",
        "ServerRequest.on, ServerRequest.on(name), ServerRequest.on(function), ServerRequest.once, "
        "ServerRequest.once(name), ServerRequest.once(function), ServerRequest.off, ServerRequest.off(name), "
        "ServerRequest.off(function)",
        _REQUEST + "test_listeners_of_either",
        _REQUEST + "test_events_are_the_streams",
    ),
    (
        "Readable",
        "ServerRequest.read, ServerRequest.read(size)",
        _REQUEST + "test_read_waits_for_all_that_was_asked_for",
        _REQUEST + "test_read_of_more_than_the_window",
        _REQUEST + "test_read_with_no_window_at_all",
        _REQUEST + "test_what_came_before_a_reset",
    ),
    (
        "",
        "ServerRequest.read(timeout), ServerRequest.read1(timeout), ServerRequest.readinto(timeout), "
        "ServerRequest.readline(timeout)",
        _REQUEST + "test_read_that_times_out_loses_nothing",
    ),
    (
        "",
        "ServerRequest.read1, ServerRequest.read1(size), ServerRequest.readinto, ServerRequest.readinto(buffer), "
        "ServerRequest.readinto1, ServerRequest.readinto1(buffer), ServerRequest.readinto1(timeout)",
        _REQUEST + "test_read1_and_readinto_take_what_is_there",
    ),
    ("", "ServerRequest.readline, ServerRequest.readline(size)", _REQUEST + "test_lines"),
    (
        "",
        "ServerRequest.readable",
        _REQUEST + "test_it_is_a_file_to_read",
        _REQUEST + "test_what_takes_a_file_takes_it",
    ),
]

RESPONSES: list[Entry] = [
    ("Http2ServerResponse", "ServerResponse", "compat/test_names.py::test_requests_and_responses_are_in_the_package"),
    (
        "statusCode",
        "ServerResponse.status_code",
        _RESPONSE + "test_status_code",
        _RESPONSE + "test_what_can_be_no_status_code",
        _NODE,
    ),
    (
        "statusMessage",
        "ServerResponse.status_message",
        _RESPONSE + "test_the_status_message_is_left_out",
        _RESPONSE + "test_the_status_message_goes_out_over_http1",
        _NODE,
    ),
    (
        "setHeader(name, value), getHeader(name), getHeaders(), getHeaderNames(), hasHeader(name), removeHeader(name)",
        "ServerResponse.set_header, ServerResponse.set_header(name), ServerResponse.set_header(value), "
        "ServerResponse.get_header, ServerResponse.get_header(name), ServerResponse.get_headers, "
        "ServerResponse.get_header_names, ServerResponse.has_header, ServerResponse.has_header(name), "
        "ServerResponse.remove_header, ServerResponse.remove_header(name)",
        _RESPONSE + "test_headers_that_are_set",
        _NODE,
    ),
    (
        "appendHeader(name, value)",
        "ServerResponse.append_header, ServerResponse.append_header(name), ServerResponse.append_header(value)",
        _RESPONSE + "test_append_header",
        _NODE,
    ),
    (
        "ERR_INVALID_HTTP_TOKEN, ERR_HTTP2_INVALID_HEADER_VALUE, ERR_HTTP2_PSEUDOHEADER_NOT_ALLOWED",
        "ServerResponse.set_header: names and values that can't be sent",
        _RESPONSE + "test_what_can_be_no_header",
        _RESPONSE + "test_odd_values_that_can_be_sent",
    ),
    (
        "connection headers are dropped",
        "ServerResponse.set_header: fields of HTTP/1.1's connection are left out",
        _RESPONSE + "test_fields_of_a_connection_that_is_not_there_are_left_out",
    ),
    (
        "ERR_HTTP2_HEADERS_SENT",
        "ServerResponse.set_header: before the headers are sent",
        _RESPONSE + "test_headers_come_before_the_body",
    ),
    (
        "writeHead(statusCode, statusMessage, headers)",
        "ServerResponse.write_head, ServerResponse.write_head(status_code), ServerResponse.write_head(status_message), "
        "ServerResponse.write_head(headers)",
        _RESPONSE + "test_write_head",
        _RESPONSE + "test_what_can_be_no_head",
        _RESPONSE + "test_write_head_takes_headers_once",
        _NODE,
    ),
    ("flushHeaders()", "ServerResponse.flush_headers", _RESPONSE + "test_flush_headers", _NODE),
    ("headersSent", "ServerResponse.headers_sent", _RESPONSE + "test_headers_that_are_set"),
    ("sendDate", "ServerResponse.send_date", _RESPONSE + "test_send_date", _NODE),
    (
        "write(chunk), end(data)",
        "ServerResponse.write, ServerResponse.write(data), ServerResponse.end, ServerResponse.end(data)",
        _RESPONSE + "test_write_and_end",
        _RESPONSE + "test_nothing_is_written_after_the_end",
        _RESPONSE + "test_what_is_no_body",
        _RESPONSE + "test_writing_to_a_client_that_is_gone",
    ),
    ("", "ServerResponse.write(timeout), ServerResponse.end(timeout)", _RESPONSE + "test_a_write_that_times_out"),
    (
        "",
        "ServerResponse.end: says the length of what it knows whole",
        _RESPONSE + "test_end_alone_says_the_length",
        _RESPONSE + "test_a_length_of_ones_own_is_kept_and_kept_to",
    ),
    (
        "",
        "ServerResponse.write: HEAD, 204, 205 and 304 have no body",
        _RESPONSE + "test_a_body_where_there_is_none_is_dropped",
        _RESPONSE + "test_head",
    ),
    (
        "finished, writableEnded",
        "ServerResponse.finished, ServerResponse.writable_ended",
        _RESPONSE + "test_write_and_end",
    ),
    (
        "setTrailer(name, value), addTrailers(headers)",
        "ServerResponse.set_trailer, ServerResponse.set_trailer(name), ServerResponse.set_trailer(value), "
        "ServerResponse.add_trailers, ServerResponse.add_trailers(headers)",
        _RESPONSE + "test_trailers",
        _RESPONSE + "test_trailers_behind_a_body_in_one_call",
        _NODE,
    ),
    (
        "",
        "ServerResponse: ends when its handlers have returned, trailers included",
        _RESPONSE + "test_what_was_begun_ends_with_its_trailers",
        _RESPONSE + "test_a_head_alone_is_ended",
        _RESPONSE + "test_no_answer_is_a_500",
        _RESPONSE + "test_one_that_raises",
    ),
    ("writeContinue()", "ServerResponse.write_continue", _RESPONSE + "test_write_continue", _NODE),
    (
        "writeEarlyHints(hints)",
        "ServerResponse.write_early_hints, ServerResponse.write_early_hints(hints)",
        _RESPONSE + "test_write_early_hints",
        _RESPONSE + "test_what_can_be_no_hint",
        _NODE,
    ),
    (
        "createPushResponse(headers, callback)",
        "ServerResponse.create_push_response, ServerResponse.create_push_response(headers)",
        _RESPONSE + "test_create_push_response",
        _RESPONSE + "test_a_push_that_the_client_does_not_want",
        "interop/test_compat.py::test_a_push_is_nodes",
    ),
    (
        "req",
        "ServerResponse.req, ServerResponse.request",
        _RESPONSE + "test_create_push_response",
    ),
    ("stream", "ServerResponse.stream", _REQUEST + "test_what_it_tells"),
    (
        "socket, connection",
        "ServerResponse.socket, ServerResponse.connection",
        _REQUEST + "test_the_socket_is_there_to_look_at",
    ),
    (
        "setTimeout(msecs, callback)",
        "ServerResponse.set_timeout, ServerResponse.set_timeout(seconds), ServerResponse.set_timeout(callback)",
        _REQUEST + "test_set_timeout",
    ),
    ("destroy(error)", "ServerResponse.destroy, ServerResponse.destroy(error)", _REQUEST + "test_destroy"),
    (
        "'close', 'timeout'",
        "ServerResponse.on, ServerResponse.on(name), ServerResponse.on(function), ServerResponse.once, "
        "ServerResponse.once(name), ServerResponse.once(function), ServerResponse.off, ServerResponse.off(name), "
        "ServerResponse.off(function)",
        _REQUEST + "test_listeners_of_either",
        _REQUEST + "test_events_are_the_streams",
    ),
    (
        "Writable",
        "ServerResponse.writable, ServerResponse.close",
        _RESPONSE + "test_what_takes_a_file_takes_it",
        _RESPONSE + "test_it_is_a_file_to_write",
        _RESPONSE + "test_an_exception_inside_its_block_resets_what_has_begun",
        _RESPONSE + "test_a_forgotten_file_ends_nothing",
    ),
    (
        "",
        "ServerResponse.readinto, ServerResponse.readinto(buffer): not there",
        _RESPONSE + "test_it_is_a_file_to_write",
    ),
]

ENTRIES = WHERE + REQUESTS + RESPONSES
