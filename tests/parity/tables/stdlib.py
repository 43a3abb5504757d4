"""The reference API, another part: Python's own HTTP/1, `http.server`, `http.client` and `urllib.request`."""

from __future__ import annotations

from . import Entry

_SAME = "compat/test_same_as_http1.py::test_the_same_outcome"
_SERVER = "compat/test_http_server.py::"
_CLIENT = "compat/test_http_client.py::"
_URLLIB = "compat/test_urllib_request.py::"
_INTEROP = "interop/test_stdlib.py::"

HANDLERS: list[Entry] = [
    (
        "http.server.BaseHTTPRequestHandler",
        "compat.handler_for, compat.handler_for(handler_class)",
        _SAME,
        _SERVER + "test_overridden_steps_are_respected",
        _SERVER + "test_each_stream_has_an_instance_and_they_run_at_once",
        _SERVER + "test_a_class_that_cannot_be_run",
    ),
    (
        "http.server.SimpleHTTPRequestHandler",
        "compat.handler_for: arguments go to the class",
        _SERVER + "test_arguments_go_to_the_class",
        _INTEROP + "test_curl_gets_what_http_server_says",
        _INTEROP + "test_curl_downloads_a_file",
    ),
    (
        "xmlrpc.server.SimpleXMLRPCRequestHandler",
        "compat.handler_for(server)",
        _SERVER + "test_xmlrpc",
        _SERVER + "test_address_and_server",
    ),
    (
        "BaseHTTPRequestHandler.request_version, requestline",
        "compat.handler_for: says HTTP/2.0",
        _SERVER + "test_the_version_is_the_streams_and_stands_in_the_log",
    ),
    (
        "BaseHTTPRequestHandler.headers",
        "compat.handler_for: Host, joined cookies, a length where it is known",
        _SERVER + "test_fields_of_the_request",
    ),
    (
        "BaseHTTPRequestHandler.send_header",
        "compat.handler_for: fields of HTTP/1 connections are not sent",
        _SERVER + "test_fields_of_the_answer",
        _INTEROP + "test_nghttp_sees_no_fields_of_http1",
    ),
    (
        "BaseHTTPRequestHandler.handle_expect_100",
        "compat.handler_for: 1xx answers",
        _SERVER + "test_100_continue_comes_once",
        _SERVER + "test_a_handler_may_refuse_what_is_expected",
        _SERVER + "test_informational_answers",
        _INTEROP + "test_curl_expects_a_100",
    ),
    (
        "BaseHTTPRequestHandler.wfile",
        "compat.handler_for: chunks are unframed",
        _SERVER + "test_chunks_may_end_with_trailers",
        _SERVER + "test_chunks_that_are_none_reset",
    ),
    (
        "BaseHTTPRequestHandler.close_connection",
        "compat.handler_for: one request an instance",
        _SERVER + "test_what_is_left_of_a_body_is_no_request",
    ),
    (
        "BaseHTTPRequestHandler.request, connection",
        "compat.handler_for: the session's socket",
        _SERVER + "test_the_connection_is_the_sessions_socket",
        _SERVER + "test_a_handlers_timeout",
        _SERVER + "test_a_client_that_goes_is_a_connection_reset",
    ),
    (
        "",
        "compat.handler_for: failures",
        _SERVER + "test_what_a_handler_raises_is_a_500_and_in_the_log",
        _SERVER + "test_no_answer_or_a_bad_one_is_a_500_that_says_why",
        _SERVER + "test_an_answer_longer_than_it_says_is_cut_and_noted",
        _SERVER + "test_an_answer_shorter_than_it_says_resets",
    ),
]

CONNECTIONS: list[Entry] = [
    (
        "http.client.HTTPSConnection",
        "compat.HTTP2Connection",
        _SAME,
        _CLIENT + "test_one_session_for_all_requests",
        _INTEROP + "test_downloads_from_nghttpd",
        _INTEROP + "test_downloads_and_uploads_with_node",
    ),
    (
        "HTTPSConnection.connect, auto_open",
        "compat.HTTP2Connection.connect",
        _CLIENT + "test_a_session_that_has_ended_is_replaced",
        _CLIENT + "test_without_auto_open_it_is_not",
        _CLIENT + "test_a_request_that_meets_the_end_is_sent_again",
    ),
    (
        "HTTPSConnection.close",
        "compat.HTTP2Connection.close",
        _CLIENT + "test_closing_ends_the_session_and_its_threads",
        _CLIENT + "test_a_request_given_up_leaves_nothing_behind",
        _CLIENT + "test_dropped_without_close_it_ends_too",
    ),
    (
        "HTTPSConnection.set_tunnel",
        "compat.HTTP2Connection.set_tunnel, compat.HTTP2Connection.set_tunnel(host), "
        "compat.HTTP2Connection.set_tunnel(port), compat.HTTP2Connection.set_tunnel(headers)",
        "client/test_odd_answers.py::test_http_client_knows_names_as_the_others_do",
        _CLIENT + "test_a_tunnel_with_tls",
        _CLIENT + "test_a_tunnel_without_tls",
        _INTEROP + "test_nghttpd_through_a_proxy",
    ),
    (
        "HTTPSConnection.set_debuglevel",
        "compat.HTTP2Connection: set_debuglevel",
        _CLIENT + "test_debuglevel_prints",
    ),
    (
        "HTTPSConnection.timeout, sock",
        "compat.HTTP2Connection: timeout, sock",
        _CLIENT + "test_a_timeout_while_reading",
        _CLIENT + "test_a_timeout_while_sending",
        _CLIENT + "test_the_default_timeout_of_sockets",
    ),
    (
        "http.client.HTTPResponse",
        "compat.HTTP2Connection.response_class",
        _CLIENT + "test_a_response",
        _CLIENT + "test_a_response_closed_early_leaves_the_session_usable",
        _INTEROP + "test_nodes_answers",
    ),
    (
        "http.client.HTTPConnection.getresponse",
        "compat.HTTP2Connection.getresponse",
        _CLIENT + "test_a_body_that_is_not_in_the_chunks_that_its_field_announces",
        _CLIENT + "test_chunks_that_break_off_before_the_response",
    ),
    (
        "http.client.RemoteDisconnected",
        "compat.HTTP2Connection: no response",
        _CLIENT + "test_no_response_is_remote_disconnected",
    ),
    (
        "http.client.IncompleteRead",
        "compat.HTTP2Connection: a cut body",
        _CLIENT + "test_a_cut_body_never_looks_whole",
        _CLIENT + "test_what_came_before_the_cut_is_in_partial",
    ),
    (
        "http.client.UnknownProtocol, ssl.SSLError",
        "compat.HTTP2Connection: failures of TLS",
        _CLIENT + "test_a_server_that_does_not_choose_http2",
        _CLIENT + "test_a_certificate_that_nobody_vouches_for",
    ),
    (
        "urllib.request.HTTPSHandler",
        "compat.HTTP2Handler, compat.HTTP2Handler.https_open, compat.HTTP2Handler.https_open(req), "
        "compat.HTTP2Handler.https_request, compat.HTTP2Handler.https_request(request)",
        _URLLIB + "test_international_names_are_in_idna_2008",
        _URLLIB + "test_a_page",
        _URLLIB + "test_a_redirect_with_a_cookie",
        _URLLIB + "test_an_error_is_a_response",
        _URLLIB + "test_basic_authentication",
        _URLLIB + "test_https_through_a_proxy",
        _INTEROP + "test_urllib_and_other_peoples_servers",
    ),
    (
        "urllib.request.HTTPHandler",
        "compat.HTTP2Handler.http_open, compat.HTTP2Handler.http_open(req), compat.HTTP2Handler.http_request, "
        "compat.HTTP2Handler.http_request(request), compat.HTTP2Handler.handler_order",
        _URLLIB + "test_http_is_left_to_urllib_unless_h2c_is_asked_for",
        _URLLIB + "test_h2c_does_not_go_through_a_proxy",
    ),
]

ENTRIES = HANDLERS + CONNECTIONS
