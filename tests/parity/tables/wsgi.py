"""WSGI, which the reference does not have: what is Python's own in place of it."""

from __future__ import annotations

from . import Entry

_TESTS = "compat/test_wsgi.py::test_"
_APPLICATIONS = "compat/test_wsgi_applications.py::test_"
_GUNICORN = "compat/test_gunicorn.py::test_"

ENTRIES: list[Entry] = [
    (
        "",
        "compat.wsgi, compat.wsgi(app)",
        _APPLICATIONS + "the_blog_of_flasks_tutorial",
        _APPLICATIONS + "the_polls_of_djangos_tutorial",
        _APPLICATIONS + "a_site_with_bottle",
        _APPLICATIONS + "applications_that_the_validator_watches",
    ),
    (
        "",
        "compat.wsgi(max_buffered_body), serve_wsgi(max_buffered_body)",
        "compat/test_wsgi_bodies.py::test_curl_uploads_from_a_pipe",
        "compat/test_wsgi_bodies.py::test_a_longer_body_is_too_long",
        _TESTS + "the_body_is_read_as_it_comes",
    ),
    ("", "compat.wsgi(environ)", _TESTS + "an_application_below_a_path"),
    (
        "",
        "compat.wsgi: the environ",
        _APPLICATIONS + "the_environ",
        _TESTS + "headers_in_the_environ",
        _TESTS + "addresses_in_the_environ",
        _TESTS + "tls_and_the_clients_certificate_in_the_environ",
    ),
    (
        "",
        "compat.wsgi: start_response, write and closing",
        _TESTS + "a_second_start_response_needs_exc_info",
        _TESTS + "headers_wait_for_the_first_byte_and_no_piece_waits_for_the_next",
        _TESTS + "iterables_are_closed",
        _TESTS + "an_iterable_is_closed_when_the_client_has_gone",
    ),
    ("", "compat.wsgi: streams of a connection in parallel", _TESTS + "requests_of_one_connection_run_in_parallel"),
    ("", "compat.wsgi: bodies as they come", _TESTS + "the_body_is_read_as_it_comes"),
    ("'continue'", "compat.wsgi: 100-continue", _TESTS + "reading_answers_100_continue"),
    (
        "http2stream.sendTrailers(headers)",
        "compat.wsgi: trailers both ways",
        _TESTS + "trailers_behind_a_generated_body",
        _TESTS + "the_requests_trailers",
    ),
    ("response.writeEarlyHints(hints)", "compat.wsgi: early hints", _TESTS + "early_hints"),
    (
        "http2stream.respondWithFD(fd)",
        "compat.wsgi: wsgi.file_wrapper",
        _TESTS + "files_are_sent_by_position_where_that_is_the_same",
    ),
    (
        "",
        "serve_wsgi, serve_wsgi(app), serve_wsgi(host), serve_wsgi(port), serve_wsgi(certfile), serve_wsgi(keyfile)",
        _TESTS + "serving_until_ctrl_c",
    ),
    ("", "serve_wsgi(environ): as compat.wsgi", _TESTS + "serving_until_ctrl_c"),
    (
        "",
        "serve_wsgi: under gunicorn",
        _GUNICORN + "no_request_is_lost_when_hup_replaces_the_workers",
        _GUNICORN + "no_request_is_lost_when_term_ends_it_and_another_takes_over",
        "compat/test_haproxy.py::test_no_request_is_lost_when_a_backend_is_drained",
    ),
]
