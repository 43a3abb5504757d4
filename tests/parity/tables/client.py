"""Requests-style calls: what requests calls it, what we call it, and the test that shows it."""

from __future__ import annotations

from . import Entry

ENTRIES: list[Entry] = [
    (
        "Session",
        "Client",
        "client/pool/test_pool.py::test_first_calls_share_one_connection",
    ),
    (
        "Session.close",
        "Client.close",
        "client/calls/test_client.py::test_a_client_that_is_closed",
    ),
    (
        "Session.cookies",
        "Client.cookies",
        "client/options/test_cookies.py::test_a_jar_is_filled_and_used",
    ),
    (
        "Session.delete",
        "Client.delete, Client.delete(url)",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Session.get",
        "Client.get, Client.get(params), Client.get(url)",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Session.head",
        "Client.head, Client.head(url)",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "",
        "Client.map, Client.map(max_workers), Client.map(requests), Client.map(return_exceptions)",
        "client/calls/test_client.py::test_map_yields_responses_as_they_finish",
    ),
    (
        "",
        "Client.sessions",
        "client/calls/test_client.py::test_the_sessions_of_a_client",
    ),
    (
        "Session.options",
        "Client.options, Client.options(url)",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Session.patch",
        "Client.patch, Client.patch(data), Client.patch(url)",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Session.post",
        "Client.post, Client.post(data), Client.post(json), Client.post(url)",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Session.prepare_request",
        "Client.prepare_request, Client.prepare_request(request)",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Session.put",
        "Client.put, Client.put(data), Client.put(url)",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Session.request",
        "Client.request, Client.request(allow_redirects), Client.request(auth), "
        "Client.request(cert), Client.request(cookies), Client.request(data), "
        "Client.request(files), Client.request(headers), Client.request(hooks), "
        "Client.request(json), Client.request(method), Client.request(params), "
        "Client.request(stream), Client.request(url), Client.request(verify)",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "",
        "Client.request(on_download), Client.request(on_upload), Client.send(on_download), Client.send(on_upload)",
        "client/calls/test_client.py::test_progress_of_uploads_and_downloads",
    ),
    (
        "proxies",
        "Client.request(proxies), Client.send(proxies)",
        "client/opening/test_proxies.py::test_a_tunnel",
    ),
    (
        "timeout",
        "Client.request(timeout), Client.send(timeout), Timeouts, Timeouts.connect, Timeouts.of, "
        "Timeouts.pool, Timeouts.read, Timeouts.write",
        "client/calls/test_client.py::test_parts_of_timeouts",
    ),
    (
        "",
        "Timeouts.total",
        "client/options/test_timeouts.py::test_a_total_bounds_all_of_a_call",
    ),
    (
        "Session.send",
        "Client.send, Client.send(allow_redirects), Client.send(cert), Client.send(request), "
        "Client.send(stream), Client.send(verify)",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "",
        "Client.stream, Client.stream(method), Client.stream(url)",
        "client/calls/test_client.py::test_a_stream_is_read_as_it_is_wanted",
    ),
    (
        "",
        "ClientSession.most_streams, PoolLimits, PoolLimits.keepalive_expiry, "
        "PoolLimits.max_connections, PoolLimits.max_connections_per_origin",
        "client/pool/test_pool.py::test_another_connection_when_one_is_full_and_waiting_when_no_more_may_be",
    ),
    (
        "",
        "PoolLimits.ping_after",
        "client/pool/test_pool.py::test_a_dead_idle_connection_is_found_with_ping",
    ),
    (
        "PreparedRequest",
        "PreparedRequest, PreparedRequest.content, PreparedRequest.copy, "
        "PreparedRequest.path_url, PreparedRequest.prepare, PreparedRequest.prepare(auth), "
        "PreparedRequest.prepare(cookies), PreparedRequest.prepare(data), "
        "PreparedRequest.prepare(files), PreparedRequest.prepare(headers), "
        "PreparedRequest.prepare(hooks), PreparedRequest.prepare(json), "
        "PreparedRequest.prepare(method), PreparedRequest.prepare(params), "
        "PreparedRequest.prepare(url), PreparedRequest.prepare_auth, "
        "PreparedRequest.prepare_auth(auth), PreparedRequest.prepare_auth(url), "
        "PreparedRequest.prepare_body, PreparedRequest.prepare_body(data), "
        "PreparedRequest.prepare_body(files), PreparedRequest.prepare_body(json), "
        "PreparedRequest.prepare_content_length, PreparedRequest.prepare_content_length(body), "
        "PreparedRequest.prepare_cookies, PreparedRequest.prepare_cookies(cookies), "
        "PreparedRequest.prepare_headers, PreparedRequest.prepare_headers(headers), "
        "PreparedRequest.prepare_url, PreparedRequest.prepare_url(params), "
        "PreparedRequest.prepare_url(url), PreparedRequest.register_hook, "
        "PreparedRequest.register_hook(event), PreparedRequest.register_hook(hook)",
        "client/calls/test_client.py::test_a_prepared_request_can_be_changed_and_copied",
    ),
    (
        "",
        "PreparedRequest.check_rewindable",
        "client/calls/test_same_as_requests.py::test_a_generator_is_not_sent_again",
    ),
    (
        "Request",
        "Request",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Request.prepare",
        "Request.prepare",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Response",
        "Response",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Response.apparent_encoding",
        "Response.apparent_encoding",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Response.close",
        "Response.close",
        "client/pool/test_pool.py::test_an_unread_response_resets_its_stream_and_a_read_one_does_not",
    ),
    (
        "Response.content",
        "Response.content",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "",
        "Response.informational, Response.pushes, Response.trailers",
        "client/calls/test_client.py::test_what_http2_brings",
    ),
    (
        "Response.is_permanent_redirect",
        "Response.is_permanent_redirect",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Response.is_redirect",
        "Response.is_redirect",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Response.iter_content",
        "Response.iter_content, Response.iter_content(chunk_size), Response.iter_content(decode_unicode)",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Response.iter_lines",
        "Response.iter_lines, Response.iter_lines(chunk_size), "
        "Response.iter_lines(decode_unicode), Response.iter_lines(delimiter)",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Response.json",
        "Response.json",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Response.links",
        "Response.links",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Response.ok",
        "Response.ok",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Response.raise_for_status",
        "Response.raise_for_status",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "Response.raw",
        "Response.raw",
        "client/messages/test_raw.py::test_the_same_as_of_requests",
    ),
    (
        "Response.text",
        "Response.text",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "requests.auth",
        "auth",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "requests.codes",
        "codes",
        "client/calls/test_quickstart.py::test_status_codes",
    ),
    (
        "requests.cookies",
        "cookies",
        "client/calls/test_quickstart.py::test_a_jar",
    ),
    (
        "Session.mount, get_adapter, adapters",
        "Client.get_adapter, Client.get_adapter(url), Client.mount, Client.mount(adapter), Client.mount(prefix)",
        "client/calls/test_mounts.py::test_the_longest_prefix_counts_whatever_its_case",
        "client/calls/test_mounts.py::test_adapters_stand_in_the_order_of_requests",
    ),
    (
        "",
        "Client.mount: in-process transports",
        "client/calls/test_mounts.py::test_a_handler_answers",
        "client/calls/test_mounts.py::test_a_wsgi_application_answers",
    ),
    (
        "",
        "Client: resolve, unix_socket",
        "client/opening/test_resolver.py::test_names_lead_where_resolve_says",
        "client/opening/test_resolver.py::test_a_unix_socket",
    ),
    (
        "requests.session, requests.ConnectionError and the like",
        "session, ConnectTimeout, ConnectionError, HTTPError, JSONDecodeError, ReadTimeout, RequestException, "
        "TooManyRedirects, URLRequired",
        "client/calls/test_by_hand.py::test_names_at_the_top",
    ),
    (
        "SessionRedirectMixin, Session.merge_environment_settings",
        "Client.merge_environment_settings, Client.merge_environment_settings(cert), "
        "Client.merge_environment_settings(proxies), Client.merge_environment_settings(stream), "
        "Client.merge_environment_settings(url), Client.merge_environment_settings(verify), "
        "Client.get_redirect_target, Client.get_redirect_target(resp), "
        "Client.resolve_redirects, Client.resolve_redirects(cert), Client.resolve_redirects(proxies), "
        "Client.resolve_redirects(req), Client.resolve_redirects(resp), Client.resolve_redirects(stream), "
        "Client.resolve_redirects(timeout), Client.resolve_redirects(verify), "
        "Client.resolve_redirects(yield_requests), Client.should_strip_auth, Client.should_strip_auth(new_url), "
        "Client.should_strip_auth(old_url)",
        "client/calls/test_by_hand.py::test_redirects_one_after_the_other",
        "client/calls/test_by_hand.py::test_authorization_that_is_taken_off_and_what_the_environment_has",
    ),
    (
        "RequestHooksMixin",
        "PreparedRequest.deregister_hook, PreparedRequest.deregister_hook(event), "
        "PreparedRequest.deregister_hook(hook), Request.deregister_hook, Request.deregister_hook(event), "
        "Request.deregister_hook(hook), Request.register_hook, Request.register_hook(event), "
        "Request.register_hook(hook)",
        "client/calls/test_by_hand.py::test_hooks_come_and_go",
    ),
    (
        "Response.cookies",
        "Response.cookies",
        "client/calls/test_quickstart.py::test_cookies_of_a_response",
    ),
    (
        "Response.headers",
        "Response.headers",
        "client/calls/test_by_hand.py::test_a_response_by_hand",
    ),
    (
        "requests.structures",
        "structures",
        "client/calls/test_quickstart.py::test_response_headers",
    ),
    (
        "requests.delete",
        "delete, delete(url)",
        "client/calls/test_quickstart.py::test_other_methods",
    ),
    (
        "requests.exceptions",
        "exceptions",
        "client/calls/test_quickstart.py::test_exceptions",
    ),
    (
        "requests.get",
        "get, get(params), get(url)",
        "client/calls/test_quickstart.py::test_get",
    ),
    (
        "requests.head",
        "head, head(url)",
        "client/calls/test_quickstart.py::test_other_methods",
    ),
    (
        "requests.options",
        "options, options(url)",
        "client/calls/test_quickstart.py::test_other_methods",
    ),
    (
        "requests.patch",
        "patch, patch(data), patch(url)",
        "client/calls/test_same_as_requests.py::test_the_same_over_http2",
    ),
    (
        "requests.post",
        "post, post(data), post(json), post(url)",
        "client/calls/test_quickstart.py::test_post",
    ),
    (
        "requests.put",
        "put, put(data), put(url)",
        "client/calls/test_quickstart.py::test_other_methods",
    ),
    (
        "requests.request",
        "request, request(method), request(url)",
        "client/calls/test_quickstart.py::test_get",
    ),
]
