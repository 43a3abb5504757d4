"""What the module offers beside connections: settings as Node packs them, error codes, the family of errors, header
fields that no compression table keeps.
"""

from __future__ import annotations

import inspect
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hyperframe.frame import FRAMES

import sync_h2
from support.connections.pairs import Connections
from support.programs.others import program
from sync_h2 import ErrorCode, Headers, HTTP2Error, InvalidArgument, Settings, pack_settings, unpack_settings
from sync_h2.constants import FrameFlag, FrameType, SettingId


def node(expression: str) -> Any:
    """What Node makes of an expression in which `http2` is its module."""
    source = f"const http2 = require('http2'); console.log(JSON.stringify({expression}))"
    return json.loads(subprocess.run([program("node"), "-e", source], capture_output=True, check=True).stdout)


def test_settings_are_packed_as_node_packs_them() -> None:
    settings = {
        "header_table_size": 100,
        "enable_push": False,
        "initial_window_size": 200,
        "max_frame_size": 20_000,
        "max_concurrent_streams": 300,
        "max_header_list_size": 400,
        "enable_connect_protocol": True,
    }
    in_node = node(
        "http2.getPackedSettings({headerTableSize: 100, enablePush: false, initialWindowSize: 200, "
        "maxFrameSize: 20000, maxConcurrentStreams: 300, maxHeaderListSize: 400, enableConnectProtocol: true})"
        ".toString('hex')"
    )
    assert unpack_settings(bytes.fromhex(in_node)) == settings
    unpacked = node(f"http2.getUnpackedSettings(Buffer.from('{pack_settings(settings).hex()}', 'hex'))")
    assert unpacked["initialWindowSize"] == 200
    assert unpacked["maxConcurrentStreams"] == 300
    assert unpacked["enablePush"] is False
    assert unpacked["enableConnectProtocol"] is True


def test_default_settings_are_nodes() -> None:
    default, in_node = sync_h2.default_settings(), node("http2.getDefaultSettings()")
    assert default.header_table_size == in_node["headerTableSize"]
    assert default.enable_push == in_node["enablePush"]
    assert default.initial_window_size == in_node["initialWindowSize"]
    assert default.max_frame_size == in_node["maxFrameSize"]


def test_the_attributes_of_settings_are_checked_too() -> None:
    settings = Settings()
    for name in ("header_table_size", "max_frame_size", "max_concurrent_streams", "max_header_list_size"):
        with pytest.raises(InvalidArgument, match=rf"{name} must be from \d+ to \d+"):
            setattr(settings, name, -1)


def test_error_codes_are_nodes() -> None:
    constants = node("http2.constants")
    for code in ErrorCode:
        assert constants[f"NGHTTP2_{code.name}"] == code


def test_setting_ids_and_frame_types_are_nodes() -> None:
    constants = node("http2.constants")
    for setting in SettingId:
        if f"NGHTTP2_SETTINGS_{setting.name}" in constants:
            assert constants[f"NGHTTP2_SETTINGS_{setting.name}"] == setting
    assert {setting for setting in SettingId if f"NGHTTP2_SETTINGS_{setting.name}" in constants} >= set(SettingId) - {
        SettingId.NO_RFC7540_PRIORITIES
    }
    for flag in ("ACK", "END_STREAM", "END_HEADERS", "PADDED", "PRIORITY"):
        assert constants[f"NGHTTP2_FLAG_{flag}"] == FrameFlag[flag]
    assert sync_h2.constants.SettingId is SettingId
    # Node has no names for frame types.
    for number, frame in FRAMES.items():
        assert FrameType(number).name.replace("_", "") + "FRAME" == frame.__name__.upper()


def test_every_error_is_an_http2_error_and_says_of_what() -> None:
    errors = {
        name: error
        for name, error in vars(sync_h2).items()
        if inspect.isclass(error) and issubclass(error, Exception) and error is not HTTP2Error
        if not issubclass(error, sync_h2.RequestException)  # those of the calls with URLs, by requests' names
    }
    assert set(errors) == {
        "Timeout",
        "InvalidArgument",
        "InvalidState",
        "PingLimit",
        "StreamIDsExhausted",
        "SocketManipulationError",
        "ProtocolError",
        "StreamReset",
        "StreamUnprocessed",
        "SessionGoaway",
        "ConnectionLost",
        "SessionClosed",
        "ALPNError",
        "TLSError",
    }
    for error in errors.values():
        made = error("what happened", stream_id=3, code=ErrorCode.CANCEL)
        assert isinstance(made, HTTP2Error)
        assert (made.stream_id, made.code, made.partial) == (3, ErrorCode.CANCEL, b"")
        assert "what happened" in str(made)
        assert "stream 3" in str(made)
        assert "CANCEL" in str(made)
        again = made.again()
        assert type(again) is error
        assert again.__cause__ is made
    assert {name for name, error in errors.items() if error("x").retryable} == {
        "StreamIDsExhausted",
        "StreamUnprocessed",
    }
    assert issubclass(sync_h2.Timeout, TimeoutError)
    assert sync_h2.Timeout("x").bytes_written == 0
    assert issubclass(sync_h2.InvalidArgument, ValueError)
    assert issubclass(sync_h2.ConnectionLost, ConnectionError)
    assert issubclass(sync_h2.StreamUnprocessed, sync_h2.StreamReset)


# What Node documents of its core API; the rest of a class's members are inherited, or not meant for users.
NODE_NAMES = (
    "connect createServer createSecureServer performServerHandshake getDefaultSettings getPackedSettings "
    "getUnpackedSettings constants sensitiveHeaders listen close setTimeout updateSettings "
    "session sessionError stream timeout unknownProtocol checkContinue request allowHTTP1 "
    "alpnProtocol encrypted connecting closed destroyed type socket state originSet localSettings remoteSettings "
    "pendingSettingsAck settings ping destroy goaway setLocalWindowSize altsvc origin ref unref "
    "connect error frameError aborted ready response continue headers push trailers wantTrailers "
    "data end drain finish write setEncoding pipe bufferSize id pending rstCode endAfterHeaders sentHeaders "
    "sentInfoHeaders sentTrailers headersSent pushAllowed priority sendTrailers respond additionalHeaders pushStream "
    "respondWithFD respondWithFile statCheck onError"
)


DOCS = Path(__file__).parents[2] / "docs"
OF_OBJECTS = (sync_h2.ClientSession, sync_h2.ClientStream, sync_h2.ServerStream, sync_h2.ThreadingServer)


def test_every_name_of_nodes_is_on_the_page_or_here_in_snake_case() -> None:
    tables = (DOCS / "how-to" / "moving-from-node.md").read_text().split("## What is it called here?\n")[1]
    mapped = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]+`", tables))))
    events = re.findall(r"^\| `(\w+)` \|", (DOCS / "reference" / "events.md").read_text(), re.MULTILINE)
    here = {*events, *(name for place in (sync_h2, *OF_OBJECTS) for name in dir(place))}
    missing = set(NODE_NAMES.split()) - mapped
    assert [name for name in missing if re.sub("([A-Z])", r"_\1", name).lower() not in here] == []
    assert len(mapped) > 100


def test_sensitive_fields_are_never_indexed_and_say_so_at_the_other_end(plain_connections: Connections) -> None:
    ends = plain_connections.ends()
    asked = Headers({":method": "POST", "x-open": "seen"})
    asked.add("x-api-key", "secret", sensitive=True)
    for _ in range(2):  # the second time the other fields come out of the table
        stream, served = ends.exchange(asked, wait_for_trailers=True)
        assert served.request_headers is not None
        assert served.request_headers["x-api-key"] == "secret"
        assert served.request_headers.sensitive == {"x-api-key"}
        served.respond(Headers({"x-token": "secret", "x-open": "seen"}, sensitive=["X-Token"]), wait_for_trailers=True)
        assert stream.wait_response().sensitive == {"x-token"}
        assert stream.wait_response()["x-token"] == "secret"
        served.send_trailers(Headers({"x-sum": "secret"}, sensitive=["x-sum"]))
        assert stream.wait_trailers().sensitive == {"x-sum"}
        stream.end()
        stream.send_trailers({})


def test_header_values_may_be_numbers_on_the_wire(plain_connections: Connections) -> None:
    ends = plain_connections.ends()
    stream, served = ends.exchange([(":method", "POST"), ("x-number", 5), ("x-list", ["a", 2])])
    assert served.request_headers is not None
    assert served.request_headers["x-number"] == "5"
    assert served.request_headers.get_all("x-list") == ["a", "2"]
    stream.end()
    served.end()
