"""A server that misbehaves on demand, which the reference does not have."""

from __future__ import annotations

from . import Entry

_STEPS = "testing/test_scripted_steps.py::test_"
_SERVER = "testing/test_scripted_server.py::test_"
_INTEROP = "interop/test_misbehaviour.py::test_"


def _names(owner: str, *methods: str) -> str:
    """`("Script", "data(body)")` -> "testing.Script.data, testing.Script.data(body)", each once."""
    found: dict[str, None] = {}
    for method in methods:
        found[f"testing.{owner}.{method.partition('(')[0]}"] = None
        if "(" in method:
            found[f"testing.{owner}.{method}"] = None
    return ", ".join(found)


ENTRIES: list[Entry] = [
    # The server.
    (
        "",
        "testing.ScriptedServer, testing.ScriptedServer(host), testing.ScriptedServer(port), "
        + _names("ScriptedServer", "start", "close", "url", "address", "port"),
        _SERVER + "a_server_that_was_never_started_is_closed",
        _SERVER + "it_closes_while_everything_waits",
        _SERVER + "it_closes_while_a_dropped_client_stays",
        _SERVER + "a_unix_socket",
        _SERVER + "a_port_that_is_taken",
        _INTEROP + "what_a_client_does",
    ),
    (
        "",
        "testing.ScriptedServer(tls), " + _names("ScriptedServer", "authority_pem", "client_context", "client"),
        _SERVER + "tls_with_a_certificate_made_on_the_spot",
        _SERVER + "without_trustme_the_error_says_what_to_do",
        _SERVER + "a_client_that_does_not_trust_it_ends_the_handshake",
    ),
    (
        "",
        "testing.ScriptedServer(certfile), testing.ScriptedServer(keyfile), testing.ScriptedServer(context)",
        _SERVER + "tls_with_a_certificate_that_was_given",
        _SERVER + "tls_with_a_context",
        _SERVER + "arguments_that_contradict_each_other",
    ),
    ("", "testing.ScriptedServer(settings)", _SERVER + "too_many_streams_are_refused"),
    (
        "",
        "testing.ScriptedServer(max_requests), testing.ScriptedServer(max_body)",
        _SERVER + "few_requests_and_little_of_bodies_are_kept",
        _SERVER + "all_bodies_together_are_bounded",
    ),
    ("", "testing.ScriptedServer(log)", _SERVER + "log_is_told_of_each_request"),
    (
        "",
        _names("ScriptedServer", "route(path)", "route(method)"),
        _SERVER + "the_closest_route_answers",
        _SERVER + "scripts_of_a_route_answer_one_after_another_and_the_last_stays",
        _SERVER + "what_has_no_route_is_answered_with_404_and_recorded",
    ),
    (
        "",
        _names("ScriptedServer", "on_connect", "release") + ", testing.ConnectionScript",
        _SERVER + "what_connections_do_first",
        _SERVER + "a_connection_can_be_silent",
    ),
    (
        "",
        _names(
            "ScriptedServer",
            "goaway_after(count)",
            "goaway_after(code)",
            "goaway_after(answers_first)",
            "connection_count",
        ),
        _SERVER + "goaway_after_so_many_requests",
        _SERVER + "goaway_when_so_many_are_answered",
        _SERVER + "a_client_goes_on_on_another_connection",
    ),
    # What has come.
    (
        "",
        _names("ScriptedServer", "requests", "wait_request(timeout)", "wait_request(complete)"),
        _SERVER + "requests_are_handed_out_once_when_they_are_complete",
        _SERVER + "a_request_is_waited_for_on_another_thread",
    ),
    (
        "",
        "testing.ReceivedRequest, "
        + _names("ReceivedRequest", "method", "path", "body", "body_length", "trailers", "complete"),
        _SERVER + "requests_are_recorded_whole",
    ),
    (
        "",
        _names("ReceivedRequest", "reset_code", "wait_reset(timeout)"),
        _SERVER + "a_reset_of_the_clients_is_recorded",
    ),
    (
        "",
        _names("ReceivedRequest", "lost", "wait_complete(timeout)"),
        _SERVER + "a_connection_that_ends_loses_what_was_not_complete",
    ),
    # The steps of any script.
    (
        "",
        "testing.ConnectionScript.settings",
        _STEPS + "settings_in_the_middle",
    ),
    (
        "",
        _names("ConnectionScript", "goaway(code)", "goaway(last_stream_id)", "goaway(message)"),
        _STEPS + "a_goaway_ends_the_connection_when_the_others_are_answered",
        _STEPS + "a_goaway_that_names_no_stream",
    ),
    (
        "",
        _names("ConnectionScript", "frame(kind)", "frame(payload)", "frame(flags)", "frame(stream_id)", "raw(data)"),
        _STEPS + "any_frame_and_any_octets",
    ),
    ("", _names("ConnectionScript", "pause(seconds)"), _STEPS + "pauses"),
    (
        "",
        _names("ConnectionScript", "stall", "release", "wait_stalled(timeout)"),
        _STEPS + "a_stall_holds_up_no_other_stream",
    ),
    (
        "",
        _names("ConnectionScript", "drop(reset)"),
        _STEPS + "a_dropped_connection",
        _SERVER + "a_drop_over_tls_is_a_cut",
    ),
    # Those of an answer.
    (
        "",
        "testing.Script, " + _names("Script", "read(count)"),
        _STEPS + "without_steps_a_request_is_answered_with_200",
        _STEPS + "a_script_begins_when_the_request_has_come",
        _STEPS + "a_script_can_begin_with_the_headers_and_leave_the_window_shut",
        _STEPS + "a_script_takes_as_much_as_it_reads",
    ),
    (
        "",
        _names("Script", "informational(status)", "informational(headers)"),
        _STEPS + "informational_responses_come_before_the_response",
    ),
    (
        "",
        _names("Script", "respond(status)", "respond(headers)", "respond(body)", "respond(json)"),
        _STEPS + "a_response_and_its_body",
        _STEPS + "json",
        _STEPS + "nothing_is_corrected",
    ),
    (
        "",
        _names("Script", "headers(fields)", "headers(end_stream)"),
        _STEPS + "a_block_of_exactly_these_fields",
    ),
    (
        "",
        _names("Script", "data(body)", "data(frame_size)", "data(padding)", "data(pause)"),
        _STEPS + "small_frames",
        _STEPS + "padding",
        _STEPS + "pauses",
        _STEPS + "frames_are_no_longer_than_16_kib",
    ),
    (
        "",
        "testing.Script.data(ignore_windows)",
        _STEPS + "a_body_waits_for_both_windows",
        _STEPS + "settings_change_the_windows_of_streams",
        _STEPS + "windows_can_be_ignored",
    ),
    ("", "testing.Script.data(end_stream)", _STEPS + "a_body_can_end_before_the_script_does"),
    ("", _names("Script", "trailers(headers)"), _STEPS + "a_body_in_pieces_and_trailers"),
    ("", _names("Script", "reset(code)"), _STEPS + "a_reset", _STEPS + "what_follows_a_reset_is_not_sent"),
]
