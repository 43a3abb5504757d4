"""The reference API, first part: the module, what holds for all of it, headers, settings."""

from __future__ import annotations

from . import Entry

MODULE: list[Entry] = [
    (
        "",
        "__version__",
        "test_front_door.py::test_the_version_is_that_of_the_distribution",
        "test_front_door.py::test_the_command_tells_its_version",
    ),
    (
        "",
        "adapters, testing",
        "test_front_door.py::test_the_modules_names_are_those_for_users",
        "test_front_door.py::test_a_star_brings_what_dir_shows",
    ),
    (
        "connect(authority)",
        "connect, connect(authority)",
        "client/opening/test_connect.py::test_scheme_and_authority_of_requests",
    ),
    ("connect: https", "connect: https:// is TLS", "server/test_secure_server.py::test_a_request_over_tls"),
    ("connect: http", "connect: http:// is prior knowledge", "server/test_server.py::test_a_server_in_a_with_block"),
    ("connect: path", "connect: unix:/path", "server/test_server.py::test_a_unix_socket"),
    (
        "connect: authority",
        "connect: nothing but a server's URL",
        "client/opening/test_connect.py::test_an_authority_that_is_none",
    ),
    (
        "connect",
        "connect: returns without waiting for the peer's SETTINGS",
        "client/opening/test_connect.py::test_it_returns_before_the_peer_has_said_anything",
    ),
    ("connect", "connect: what goes wrong on the way", "client/opening/test_connect.py::test_a_refused_connection"),
    ("connect", "connect: a context manager", "connection/session/test_closing.py::test_a_with_block_closes"),
    (
        "connect({timeout})",
        "connect(timeout)",
        "client/opening/test_connect.py::test_a_handshake_that_nobody_answers_times_out",
    ),
    ("connect({secureContext})", "connect(context)", "server/test_secure_server.py::test_a_context_of_ones_own"),
    (
        "connect({ca})",
        "connect(cafile)",
        "transport/test_contexts.py::test_authorities_can_be_named_by_path_or_given_as_text",
    ),
    (
        "connect({ca})",
        "connect: certifi's authorities",
        "transport/test_contexts.py::test_certifis_authorities_are_trusted_by_default",
    ),
    (
        "connect({cert, key})",
        "connect(certfile), connect(keyfile)",
        "server/test_secure_server.py::test_client_certificates",
    ),
    (
        "connect({rejectUnauthorized})",
        "connect(verify)",
        "server/test_secure_server.py::test_an_unknown_authority_is_refused_and_both_ends_are_told",
    ),
    (
        "connect({settings})",
        "connect(settings)",
        "connection/timing/test_settings.py::test_both_ends_learn_the_others_settings",
    ),
    (
        "connect({createConnection})",
        "connect(sock)",
        "client/opening/test_connect.py::test_an_adopted_socket_belongs_to_the_session",
    ),
    (
        "connect(…, listener)",
        "connect(listeners)",
        "client/opening/test_connect.py::test_listeners_are_there_before_the_first_byte",
    ),
    ("connect: ALPN", "ALPNError", "server/test_secure_server.py::test_a_server_that_does_not_choose_h2"),
    ("createServer", "create_server", "server/test_server.py::test_a_server_in_a_with_block"),
    (
        "createServer(onStream)",
        "create_server(handler)",
        "server/test_server.py::test_streams_of_one_session_are_handled_in_parallel",
    ),
    ("server.listen(port, host)", "create_server(host), create_server(port)", "server/test_server.py::test_addresses"),
    ("server.listen(path)", "create_server: host may be unix:/path", "server/test_server.py::test_a_unix_socket"),
    ("server.listen({fd})", "create_server(sock)", "server/test_server.py::test_a_listening_socket_can_be_given"),
    (
        "createServer({settings})",
        "create_server(settings)",
        "connection/timing/test_settings.py::test_both_ends_learn_the_others_settings",
    ),
    ("", "create_server(max_workers)", "server/test_server.py::test_the_handlers_pool_is_bounded"),
    ("", "create_server(executor)", "server/test_server.py::test_a_users_executor_runs_the_handlers_and_is_left_alone"),
    ("server.listen({exclusive})", "create_server(reuse_port)", "server/test_server.py::test_two_servers_share_a_port"),
    (
        "createServer().on",
        "create_server(listeners)",
        "server/test_server.py::test_the_session_listener_comes_before_the_first_frame",
    ),
    (
        "createServer",
        "create_server: listens at once, accepts later",
        "server/test_server.py::test_it_listens_before_it_accepts",
    ),
    (
        "createServer",
        "create_server: what can't be",
        "server/test_server.py::test_bad_options_are_named_and_leave_nothing_behind",
    ),
    (
        "createServer",
        "create_server(allow_http1): HTTP/1.1 on the same port, told apart by the first octets",
        "server/accepting/test_either_version.py::test_both_versions_on_one_port",
        "server/accepting/test_either_version.py::test_it_is_off_unless_asked_for",
        "interop/test_http1.py::test_the_same_for_every_version",
    ),
    (
        "createSecureServer({allowHTTP1})",
        "create_secure_server(allow_http1): HTTP/1.1 on the same port, by ALPN",
        "server/accepting/test_either_version.py::test_alpn_chooses_http_1",
        "server/accepting/test_either_version.py::test_alpn_prefers_http_2",
        "interop/test_http1.py::test_the_same_for_every_version",
    ),
    (
        "",
        "serve_socket(allow_http1)",
        "server/accepting/test_either_version.py::test_a_socket_of_ones_own",
        "server/accepting/test_either_version.py::test_serve_socket_over_tls",
    ),
    ("createSecureServer", "create_secure_server", "server/test_secure_server.py::test_a_request_over_tls"),
    (
        "createSecureServer({cert, key})",
        "create_secure_server(certfile), create_secure_server(keyfile)",
        "transport/test_contexts.py::test_a_certificate_and_its_key_can_be_paths_or_text_in_one_or_two",
        "server/test_secure_server.py::test_pem_bytes",
    ),
    (
        "createSecureServer({ca, requestCert})",
        "create_secure_server(cafile)",
        "server/test_secure_server.py::test_client_certificates",
    ),
    ("createSecureServer", "create_secure_server(context)", "server/test_secure_server.py::test_a_context_of_ones_own"),
    (
        "createSecureServer",
        "create_secure_server(handler), create_secure_server(host), create_secure_server(port), "
        "create_secure_server(sock), create_secure_server(settings), create_secure_server(max_workers), "
        "create_secure_server(executor), create_secure_server(reuse_port), create_secure_server(listeners): "
        "as create_server",
        "parity/test_streams.py::test_a_secure_server_takes_a_servers_options",
    ),
    (
        "createSecureServer({origins})",
        "create_secure_server(origins)",
        "connection/session/test_origins.py::test_origins_are_told_to_every_client",
        "connection/session/test_origins.py::test_bad_origins_are_refused_at_once",
    ),
    ("getDefaultSettings()", "default_settings", "parity/test_module.py::test_default_settings_are_nodes"),
    (
        "getPackedSettings(settings)",
        "pack_settings, pack_settings(settings)",
        "parity/test_module.py::test_settings_are_packed_as_node_packs_them",
    ),
    (
        "getUnpackedSettings(buffer)",
        "unpack_settings, unpack_settings(data)",
        "parity/test_module.py::test_settings_are_packed_as_node_packs_them",
    ),
    ("constants.NGHTTP2_*", "ErrorCode", "parity/test_module.py::test_error_codes_are_nodes"),
    (
        "constants",
        "constants: setting ids and frame types",
        "parity/test_module.py::test_setting_ids_and_frame_types_are_nodes",
    ),
    (
        "constants.HTTP2_HEADER_*",
        "constants: header names",
        "interop/test_flow_and_priorities.py::test_header_names_are_nodes",
    ),
    (
        "sensitiveHeaders",
        "Headers.sensitive, Headers.add(sensitive): never indexed, at both ends",
        "parity/test_module.py::test_sensitive_fields_are_never_indexed_and_say_so_at_the_other_end",
        "protocol/fields/test_headers.py::test_sensitive_marks",
    ),
    (
        "performServerHandshake(socket)",
        "serve_socket, serve_socket(sock)",
        "client/opening/test_connect.py::test_an_adopted_socket_belongs_to_the_session",
    ),
    (
        "performServerHandshake",
        "serve_socket(handler)",
        "client/opening/test_connect.py::test_scheme_and_authority_of_requests",
    ),
    (
        "performServerHandshake",
        "serve_socket(context): the handshake is made",
        "server/test_secure_server.py::test_a_pair_over_tls",
    ),
    (
        "performServerHandshake",
        "serve_socket: closes what it can't use",
        "server/handlers/test_outcomes.py::test_serve_socket_closes_what_it_cant_use",
    ),
    (
        "",
        "serve_socket(executor)",
        "concurrency/shared/test_pool_in_use.py::test_an_executor_of_the_users_decides_how_many_run",
    ),
    (
        "",
        "serve_socket(max_workers)",
        "server/handlers/test_outcomes.py::test_a_stream_that_died_before_its_turn_is_skipped",
    ),
    (
        "performServerHandshake(…, options)",
        "serve_socket(settings)",
        "client/opening/test_pair.py::test_options_are_for_both_ends_or_for_one",
    ),
    (
        "performServerHandshake",
        "serve_socket(listeners)",
        "server/handlers/test_outcomes.py::test_several_stream_listeners_share_a_stream",
    ),
    ("", "testing.pair, testing.pair(handler), testing.pair(tls)", "client/opening/test_pair.py::test_a_pair_talks"),
    (
        "",
        "testing.pair(client), testing.pair(server)",
        "client/opening/test_pair.py::test_options_are_for_both_ends_or_for_one",
    ),
    (
        "",
        "testing.pair(client_context), testing.pair(server_context)",
        "server/test_secure_server.py::test_a_pair_over_tls",
    ),
    # Files.
    (
        "",
        "static_files, static_files(directory)",
        "server/handlers/test_static_files.py::test_a_file",
        "server/handlers/test_static_files.py::test_what_is_not_in_the_folder_is_not_found",
        "server/handlers/test_static_files.py::test_what_is_no_folder_is_refused_at_once",
        "cli/serve/test_chromium.py::test_a_page_with_a_hundred_images",
    ),
    ("", "static_files(listings)", "server/handlers/test_static_files.py::test_without_listings"),
    (
        "",
        "static_files: index pages and listings",
        "server/handlers/test_static_files.py::test_an_index_page",
        "server/handlers/test_static_files.py::test_a_redirect_to_the_slash",
        "server/handlers/test_static_files.py::test_links_of_a_listing_lead_to_what_they_are_called",
        "server/handlers/test_static_files.py::test_a_listing_shows_what_would_be_sent",
    ),
    (
        "",
        "static_files: preconditions and ranges",
        "server/handlers/test_representation.py::test_preconditions",
        "server/handlers/test_representation.py::test_ranges_of_ten_bytes",
        "cli/serve/test_serve.py::test_curl_asks_on_conditions",
        "cli/serve/test_serve.py::test_curl_gets_ranges",
    ),
    (
        "",
        "static_files: compressed siblings",
        "server/handlers/test_representation.py::test_codings",
        "server/handlers/test_static_files.py::test_compressed_siblings",
        "cli/serve/test_serve.py::test_curl_takes_compressed_files",
    ),
    # Debugging.
    (
        "NODE_DEBUG=http2",
        "connect(trace)",
        "connection/inspection/test_trace.py::test_an_exchange_as_the_client_sees_it",
        "connection/inspection/test_trace.py::test_what_one_end_sends_the_other_receives_in_the_same_order",
        "interop/test_trace.py::test_every_frame_is_told",
    ),
    (
        "NODE_DEBUG=http2",
        "create_server(trace), create_secure_server(trace), serve_socket(trace)",
        "connection/inspection/test_trace.py::test_an_exchange_as_the_server_sees_it",
        "connection/inspection/test_trace.py::test_every_way_to_a_session_takes_it",
    ),
    (
        "NODE_DEBUG=http2",
        "connect: SYNC_H2_TRACE=1 traces every session",
        "connection/inspection/test_trace.py::test_the_environment_traces_every_session",
    ),
    (
        "NODE_DEBUG=http2",
        "connect: sensitive values are hidden in a trace",
        "connection/inspection/test_trace.py::test_secrets_are_hidden_in_both_directions",
    ),
    (
        "",
        "Session.dump",
        "connection/inspection/test_dump.py::test_a_session_that_has_nothing_to_do",
        "connection/inspection/test_dump.py::test_the_headers_of_a_stream_without_its_secrets",
        "connection/inspection/test_dump.py::test_after_the_end",
    ),
]

CONVENTIONS: list[Entry] = [
    (
        "",
        "Stream: every blocking call takes a timeout",
        "parity/test_streams.py::test_every_blocking_call_of_a_stream_takes_a_timeout",
    ),
    (
        "",
        "Stream: a timeout leaves the stream usable",
        "connection/stream/test_reading.py::test_a_timeout_leaves_the_stream_usable",
    ),
    (
        "",
        "Session: a timeout leaves the session usable",
        "connection/timing/test_ping.py::test_a_timeout_leaves_the_session_usable",
    ),
    (
        "",
        "Stream: None is the session's default",
        "connection/stream/test_reading.py::test_the_sessions_read_timeout_counts_time_without_progress",
    ),
    ("", "Stream: math.inf is for ever", "parity/test_limits.py::test_read_and_write_timeouts"),
    ("", "Stream: rfile and wfile use the defaults", "parity/test_streams.py::test_files_use_the_sessions_timeouts"),
    (
        "emitter.on",
        "Session.on, Session.on(name), Session.on(function)",
        "parity/test_events.py::test_events_of_a_session",
    ),
    (
        "emitter.once",
        "Session.once, Session.once(name), Session.once(function)",
        "connection/shared/test_listeners.py::test_decorator_once_and_off",
    ),
    (
        "emitter.off",
        "Session.off, Session.off(name), Session.off(function)",
        "connection/shared/test_listeners.py::test_decorator_once_and_off",
    ),
    (
        "",
        "Session.on: decorates without a function",
        "connection/shared/test_listeners.py::test_decorator_once_and_off",
    ),
    (
        "emitter.on, once, off",
        "Stream.on, Stream.on(name), Stream.on(function), Stream.once, Stream.once(name), Stream.once(function), "
        "Stream.off, Stream.off(name), Stream.off(function)",
        "parity/test_streams.py::test_on_once_and_off_of_a_stream",
    ),
    (
        "emitter.on, once, off",
        "ThreadingServer.on, ThreadingServer.on(name), ThreadingServer.on(function), ThreadingServer.once, "
        "ThreadingServer.once(name), ThreadingServer.once(function), ThreadingServer.off, ThreadingServer.off(name), "
        "ThreadingServer.off(function)",
        "parity/test_streams.py::test_on_once_and_off_of_a_server",
    ),
    (
        "",
        "Session.on: in order, one at a time, on a thread of their own",
        "connection/shared/test_listeners.py::test_they_run_in_order_one_at_a_time_on_a_thread_of_their_own",
        "connection/shared/test_listeners.py::test_several_listeners_in_the_order_of_registration",
    ),
    (
        "",
        "Session.on: a listener may block",
        "connection/shared/test_listeners.py::test_one_that_blocks_holds_up_nothing_but_listeners",
    ),
    ("", "Session.on: a listener may call anything", "connection/shared/test_listeners.py::test_one_may_call_anything"),
    ("", "Session.on: ping in a goaway listener", "parity/test_events.py::test_a_goaway_listener_may_ping"),
    (
        "",
        "Session.on: one that raises is logged",
        "connection/shared/test_listeners.py::test_one_that_raises_is_logged_and_the_others_go_on",
    ),
    (
        "",
        "Session.on: an unknown event is a ValueError",
        "connection/shared/test_listeners.py::test_an_unknown_event_is_refused",
    ),
    (
        "data, end, drain, finish",
        "Stream.on: Node's plumbing is explained",
        "connection/shared/test_listeners.py::test_what_nodes_streams_have_is_explained",
    ),
    (
        "",
        "Session.on: what happened before the first listener is kept",
        "connection/shared/test_listeners.py::test_events_before_the_first_listener_are_kept",
        "parity/test_events.py::test_what_happened_once_is_kept_for_the_first_listener",
    ),
    (
        "",
        "Session.on: the first 64 of events that come again",
        "connection/shared/test_listeners.py::test_no_more_than_64_are_kept",
        "parity/test_events.py::test_the_first_64_of_the_others_are_kept",
        "parity/test_either_role.py::test_the_first_64_settings_are_kept_for_a_late_listener",
        "parity/test_either_role.py::test_the_first_64_altsvc_are_kept_for_a_late_listener",
    ),
    (
        "",
        "Session.on: the first listener only",
        "connection/shared/test_listeners.py::test_a_kept_event_is_given_to_the_first_listener_only",
    ),
    (
        "",
        "Session.on: an error nobody listens for is logged",
        "connection/shared/test_listeners.py::test_an_error_without_a_listener_is_logged",
    ),
    (
        "setEncoding",
        "Stream.write: bodies are bytes, a str is a TypeError",
        "connection/client_side/test_requests.py::test_what_is_no_body_is_refused",
    ),
    (
        "",
        "ServerSession: handlers run in parallel",
        "server/test_server.py::test_streams_of_one_session_are_handled_in_parallel",
        "parity/test_events.py::test_a_server_sessions_stream_listener_is_a_handler",
    ),
]

HEADERS: list[Entry] = [
    ("headers object", "Headers", "protocol/fields/test_headers.py::test_lookup_ignores_case_and_names_are_lower_case"),
    (
        "rawHeaders",
        "Headers.pairs: in order, and built from pairs or a mapping",
        "protocol/fields/test_headers.py::test_repeated_fields_are_joined_as_their_kind_asks",
    ),
    (
        "",
        "Headers.get_all, Headers.get_all(name)",
        "protocol/fields/test_headers.py::test_repeated_fields_are_joined_as_their_kind_asks",
    ),
    (
        "cookie",
        "Headers: several cookie fields joined by ;",
        "connection/client_side/test_requests.py::test_repeated_fields_and_odd_bytes_come_through",
    ),
    (
        "set-cookie",
        "Headers: set-cookie is a list",
        "connection/client_side/test_requests.py::test_repeated_fields_and_odd_bytes_come_through",
    ),
    (
        "",
        "Headers: repeated fields joined by a comma",
        "connection/client_side/test_requests.py::test_repeated_fields_and_odd_bytes_come_through",
    ),
    (
        "ERR_HTTP2_HEADER_SINGLE_VALUE",
        "Headers: single-value fields twice are refused on send",
        "protocol/fields/test_headers.py::test_requests_that_http2_forbids_are_refused_and_the_field_is_named",
        "parity/test_bad_input.py::test_header_fields",
    ),
    (
        "",
        "Headers: values may be int or HTTPStatus",
        "protocol/fields/test_headers.py::test_values_may_be_numbers_and_lists",
        "parity/test_module.py::test_header_values_may_be_numbers_on_the_wire",
    ),
    (
        "",
        "Headers: latin-1 on the wire",
        "connection/client_side/test_requests.py::test_repeated_fields_and_odd_bytes_come_through",
    ),
    (
        "",
        "Headers.add, Headers.add(name), Headers.add(value)",
        "protocol/fields/test_headers.py::test_adding_keeps_what_is_there",
    ),
    ("", "Headers.copy", "protocol/fields/test_headers.py::test_a_copy_is_independent"),
    (
        "",
        "Headers.from_wire: inside",
        "protocol/fields/test_headers.py::test_received_headers_are_decoded_when_looked_at",
    ),
]

SETTINGS: list[Entry] = [
    ("settings object", "Settings", "protocol/test_settings.py::test_states_only_what_was_given"),
    (
        "headerTableSize, enablePush, initialWindowSize, maxFrameSize, maxConcurrentStreams, maxHeaderListSize, "
        "enableConnectProtocol",
        "Settings.header_table_size, Settings.enable_push, Settings.initial_window_size, Settings.max_frame_size, "
        "Settings.max_concurrent_streams, Settings.max_header_list_size, Settings.enable_connect_protocol",
        "parity/test_module.py::test_settings_are_packed_as_node_packs_them",
        "protocol/test_settings.py::test_range_is_checked_at_construction_and_at_assignment",
    ),
    (
        "customSettings",
        "Settings.custom",
        "protocol/test_settings.py::test_custom_ids_have_16_bits_and_are_not_known_ones",
        "connection/timing/test_settings.py::test_both_ends_learn_the_others_settings",
        "interop/test_connections.py::test_custom_settings_with_nodes_server",
        "interop/test_connections.py::test_custom_settings_with_nodes_client",
    ),
    (
        "ERR_HTTP2_INVALID_SETTING_VALUE",
        "Settings: out of range is a ValueError that names setting and range",
        "protocol/test_settings.py::test_range_is_checked_at_construction_and_at_assignment",
        "parity/test_module.py::test_the_attributes_of_settings_are_checked_too",
    ),
    ("", "Settings: a mapping", "protocol/test_settings.py::test_is_made_from_a_mapping_and_equal_to_it"),
    (
        "",
        "Settings.no_rfc7540_priorities",
        "protocol/test_settings.py::test_range_is_checked_at_construction_and_at_assignment",
    ),
    (
        "",
        "Settings.merged, Settings.merged(other)",
        "protocol/test_settings.py::test_merging_replaces_what_the_other_states",
    ),
    ("", "Settings.defaults: inside", "protocol/test_settings.py::test_defaults_are_those_of_the_rfc"),
    ("", "Settings.items_by_id: inside", "protocol/test_settings.py::test_packing_and_unpacking"),
]

ENTRIES = MODULE + CONVENTIONS + HEADERS + SETTINGS
