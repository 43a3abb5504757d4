"""What the steps of a script send, frame by frame, to a client that a test plays."""

from __future__ import annotations

import socket
from http import HTTPStatus
from typing import Any

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from support.octets.fields import REQUEST, UPLOAD
from support.peers.raw_peer import RawPeer
from sync_h2 import ErrorCode, InvalidArgument
from sync_h2.constants import FrameFlag, FrameType, SettingId
from sync_h2.testing import Script, ScriptedServer

from .conftest import Dial


def is_of_the_connection(frame: Frame) -> bool:
    return isinstance(frame, SettingsFrame | WindowUpdateFrame | PingFrame)


def answer(peer: RawPeer, stream_id: int = 1, *, method: str = "GET") -> list[Any]:
    """Ask for /, and give the frames of the answer up to its end."""
    peer.headers(stream_id, [(":method", method), *REQUEST[1:]], end_stream=True)
    return frames_until_end(peer)


def frames_until_end(peer: RawPeer) -> list[Any]:
    frames = []
    while (frame := peer.receive()) is not None:
        if is_of_the_connection(frame):
            continue
        frames.append(frame)
        if "END_STREAM" in frame.flags or isinstance(frame, RstStreamFrame):
            break
    return frames


def shown(frames: list[Any]) -> list[Any]:
    """Fields of HEADERS, octets of DATA, codes; the last one's END_STREAM is checked."""
    assert "END_STREAM" in frames[-1].flags
    return [list(frame.fields) if isinstance(frame, HeadersFrame) else frame.data for frame in frames]


def test_without_steps_a_request_is_answered_with_200(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/")
    assert shown(answer(peer)) == [[(":status", "200")]]


def test_a_response_and_its_body(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").respond(201, {"content-type": "text/plain", "set-cookie": ["a=1", "b=2"]}, "é")
    fields = [(":status", "201"), ("content-type", "text/plain"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]
    assert shown(answer(peer)) == [fields, "é".encode()]
    assert shown(answer(peer, 3, method="HEAD")) == [fields]


def test_json(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").respond(json={"a": [1, None]})
    assert shown(answer(peer)) == [
        [(":status", "200"), ("content-type", "application/json")],
        b'{"a": [1, null]}',
    ]


def test_nothing_is_corrected(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").respond(200, [("X-Capitals", "a"), ("x y", "b"), (b"x", b"\xff")], b"body")
    decode = peer._decoder.decode
    peer._decoder.decode = lambda block: decode(block, raw=True)  # type: ignore[method-assign]  # it is no UTF-8
    headers, _ = answer(peer)
    assert list(headers.fields) == [(b":status", b"200"), (b"X-Capitals", b"a"), (b"x y", b"b"), (b"x", b"\xff")]


def test_informational_responses_come_before_the_response(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").informational(103, {"link": "</a>"}).informational(199)
    assert shown(answer(peer)) == [
        [(":status", "103"), ("link", "</a>")],
        [(":status", "199")],
        [(":status", "200")],
    ]


def test_a_body_in_pieces_and_trailers(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").respond(200, body="a").data("").data(b"bc").trailers({"x-checksum": "7"})
    assert shown(answer(peer)) == [[(":status", "200")], b"a", b"", b"bc", [("x-checksum", "7")]]


def test_a_body_can_end_before_the_script_does(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").respond().data("all of it", end_stream=True).reset(ErrorCode.NO_ERROR)
    assert shown(answer(peer)) == [[(":status", "200")], b"all of it"]
    assert peer.expect(RstStreamFrame).error_code == ErrorCode.NO_ERROR


def test_small_frames(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").respond().data("abcde", frame_size=2)
    assert shown(answer(peer)) == [[(":status", "200")], b"ab", b"cd", b"e"]


def test_padding(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").respond().data("abc", frame_size=2, padding=255).data("d", padding=0)
    frames = answer(peer)
    assert shown(frames) == [[(":status", "200")], b"ab", b"c", b"d"]
    assert [(frame.pad_length, "PADDED" in frame.flags) for frame in frames[1:]] == [
        (255, True),
        (255, True),
        (0, True),
    ]


def test_a_block_of_exactly_these_fields(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").headers({"server": "x"}, end_stream=True)
    assert shown(answer(peer)) == [[("server", "x")]]


def test_a_large_block_is_continued(server: ScriptedServer, peer: RawPeer) -> None:
    fields = {f"x-{number}": "~" * 100 for number in range(500)}
    server.route("/").respond(200, fields)
    peer._decoder.max_header_list_size = 10**6
    [frame] = answer(peer)
    assert len(frame.fields) == 501
    assert len(frame.data) <= 16_384


@pytest.mark.parametrize("code", ErrorCode)
def test_a_reset(server: ScriptedServer, peer: RawPeer, code: ErrorCode) -> None:
    server.route("/").respond().data("abc").reset(code)
    *_, data, reset = answer(peer)
    assert (data.data, reset.error_code) == (b"abc", code)
    server.route("/").respond(204)
    assert shown(answer(peer, 3)) == [[(":status", "204")]]  # the connection goes on


def test_what_follows_a_reset_is_not_sent(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").reset().respond(200)
    answer(peer)
    assert [frame for frame in peer.settled() if not is_of_the_connection(frame)] == []


def test_any_frame_and_any_octets(server: ScriptedServer, peer: RawPeer) -> None:
    payload = peer._encoder.encode([(":status", "299")])
    script = server.route("/").frame(FrameType.HEADERS, payload, flags=FrameFlag.END_HEADERS)
    script.frame(FrameType.PING, b"12345678", stream_id=0).raw(bytes.fromhex("000001 00 00 00000001 78")).stall()
    peer.headers(1, REQUEST, end_stream=True)
    assert list(peer.expect(HeadersFrame).fields) == [(":status", "299")]
    assert peer.expect(PingFrame).opaque_data == b"12345678"
    assert peer.expect(DataFrame).data == b"x"


def test_settings_in_the_middle(server: ScriptedServer, peer: RawPeer) -> None:
    """Streams are refused once the client has acknowledged the lower limit, not before."""
    script = server.route("/").settings(max_concurrent_streams=1).stall()
    peer.headers(1, REQUEST, end_stream=True)
    settings = peer.expect(SettingsFrame, matching=lambda frame: "ACK" not in frame.flags)
    assert settings.settings == {SettingId.MAX_CONCURRENT_STREAMS: 1}
    server.route("/other").respond(204)
    other = [*REQUEST[:3], (":path", "/other")]
    peer.headers(3, other, end_stream=True)
    assert peer.expect(HeadersFrame).stream_id == 3
    peer.acknowledge_settings()
    peer.headers(5, other, end_stream=True)
    reset = peer.expect(RstStreamFrame)
    assert (reset.stream_id, reset.error_code) == (5, ErrorCode.REFUSED_STREAM)
    script.release()
    assert peer.expect(HeadersFrame).stream_id == 1
    peer.headers(7, other, end_stream=True)
    assert peer.expect(HeadersFrame).stream_id == 7


def test_a_goaway_ends_the_connection_when_the_others_are_answered(server: ScriptedServer, peer: RawPeer) -> None:
    slow = server.route("/").respond().stall().data("late")
    server.route("/goaway").goaway(ErrorCode.ENHANCE_YOUR_CALM, message="slow down").respond(204)
    peer.headers(1, REQUEST, end_stream=True)
    peer.headers(3, [*REQUEST[:3], (":path", "/goaway")], end_stream=True)
    goaway = peer.expect(GoAwayFrame)
    assert (goaway.last_stream_id, goaway.error_code, goaway.additional_data) == (3, 0xB, b"slow down")
    assert peer.expect(HeadersFrame, 3).fields[0] == (":status", "204")
    peer.headers(5, REQUEST, end_stream=True)
    slow.release()
    assert [(frame.stream_id, type(frame)) for frame in peer.until_end() if not is_of_the_connection(frame)] == [
        (1, DataFrame)
    ]


def test_a_goaway_that_names_no_stream(server: ScriptedServer, peer: RawPeer) -> None:
    """Its own script is over then, and so is the connection."""
    server.route("/").goaway(last_stream_id=0).respond(200)
    peer.headers(1, REQUEST, end_stream=True)
    assert peer.expect(GoAwayFrame).last_stream_id == 0
    assert peer.until_end() == []


@pytest.mark.parametrize("reset", [False, True])
def test_a_dropped_connection(server: ScriptedServer, peer: RawPeer, reset: bool) -> None:
    server.route("/").respond(200, {"content-length": "100"}).data(b"x" * 10).drop(reset=reset).data("never")
    peer.headers(1, REQUEST, end_stream=True)
    if reset:
        peer.until_end()
        return
    assert [frame.data for frame in peer.until_end() if isinstance(frame, DataFrame)] == [b"x" * 10]


def test_a_stall_holds_up_no_other_stream(server: ScriptedServer, peer: RawPeer) -> None:
    slow = server.route("/slow").respond().stall().data("late")
    server.route("/").respond(204)
    peer.headers(1, [*REQUEST[:3], (":path", "/slow")], end_stream=True)
    assert peer.expect(HeadersFrame).stream_id == 1
    slow.wait_stalled()
    assert shown(answer(peer, 3)) == [[(":status", "204")]]
    slow.release()
    assert peer.expect(DataFrame, 1).data == b"late"
    peer.headers(5, [*REQUEST[:3], (":path", "/slow")], end_stream=True)
    assert peer.expect(DataFrame, 5).data == b"late"  # it stalls no more


def test_pauses(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").pause(0.01).respond().data("abc", frame_size=1, pause=0.01)
    assert shown(answer(peer)) == [[(":status", "200")], b"a", b"b", b"c"]


def test_a_body_waits_for_both_windows(server: ScriptedServer, dial: Dial) -> None:
    server.route("/").respond(200, {}, b"x" * 70_000)
    peer = dial({SettingId.INITIAL_WINDOW_SIZE: 10})
    peer.headers(1, REQUEST, end_stream=True)
    peer.expect(HeadersFrame)
    received = len(peer.expect(DataFrame).data)
    assert received == 10
    peer.open_window(1, 100_000)
    while received < 65_535:
        received += len(peer.expect(DataFrame).data)
    assert received == 65_535
    assert [frame for frame in peer.settled() if isinstance(frame, DataFrame)] == []
    peer.open_window(0, 100_000)
    assert len(peer.expect(DataFrame).data) == 70_000 - 65_535


def test_settings_change_the_windows_of_streams(server: ScriptedServer, dial: Dial) -> None:
    server.route("/").respond(200, {}, b"abc")
    peer = dial({SettingId.INITIAL_WINDOW_SIZE: 0})
    peer.headers(1, REQUEST, end_stream=True)
    peer.expect(HeadersFrame)
    assert [frame for frame in peer.settled() if isinstance(frame, DataFrame)] == []
    peer.send(SettingsFrame(0, settings={SettingId.INITIAL_WINDOW_SIZE: 2}))
    assert peer.expect(DataFrame).data == b"ab"


def test_windows_can_be_ignored(server: ScriptedServer, dial: Dial) -> None:
    server.route("/").respond().data(b"x" * 100_000, ignore_windows=True)
    peer = dial({SettingId.INITIAL_WINDOW_SIZE: 0})
    assert sum(len(frame.data) for frame in answer(peer)[1:]) == 100_000


def test_frames_are_no_longer_than_16_kib(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").respond(200, {}, b"x" * 40_000)
    assert [len(frame.data) for frame in answer(peer)[1:]] == [16_384, 16_384, 7_232]


# -- reading


def test_a_script_begins_when_the_request_has_come(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").respond(204)
    peer.headers(1, UPLOAD)
    peer.data(1, b"body")
    assert [frame for frame in peer.settled() if isinstance(frame, HeadersFrame)] == []
    peer.data(1, b"", end_stream=True)
    assert peer.expect(HeadersFrame).fields[0] == (":status", "204")


def test_a_script_can_begin_with_the_headers_and_leave_the_window_shut(server: ScriptedServer, peer: RawPeer) -> None:
    script = server.route("/").read(0).respond(413).stall()
    peer.headers(1, UPLOAD)
    assert peer.expect(HeadersFrame).fields[0] == (":status", "413")
    for _ in range(3):
        peer.data(1, b"x" * 16_384)
    peer.data(1, b"x" * (65_535 - 3 * 16_384))
    assert peer.credit(1) == 0
    assert [frame for frame in peer.settled() if isinstance(frame, WindowUpdateFrame) and frame.stream_id] == []
    script.release()  # now the rest is taken
    assert peer.expect(WindowUpdateFrame, 1).window_increment == 65_535


def test_a_script_takes_as_much_as_it_reads(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").read(10).informational(100).read(5).respond(200, {}, "enough").stall()
    peer.headers(1, UPLOAD)
    peer.data(1, b"x" * 9)
    assert peer.expect(WindowUpdateFrame, 1).window_increment == 9
    assert [frame for frame in peer.settled() if isinstance(frame, HeadersFrame)] == []
    peer.data(1, b"x" * 20)
    increments = 9 + peer.expect(WindowUpdateFrame, 1).window_increment
    assert peer.expect(HeadersFrame).fields[0] == (":status", "100")
    increments += peer.expect(WindowUpdateFrame, 1).window_increment
    assert peer.expect(DataFrame).data == b"enough"
    assert increments == 15


def test_more_than_the_window_is_an_error(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").read(0).stall()
    peer.keeps_to_windows = False
    peer.headers(1, UPLOAD)
    for _ in range(5):
        peer.data(1, b"x" * 16_384)
    assert peer.farewell().error_code == ErrorCode.FLOW_CONTROL_ERROR


# -- what makes no sense


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("read", {"count": -1}),
        ("data", {"body": b"", "frame_size": 0}),
        ("data", {"body": b"", "padding": 256}),
        ("data", {"body": b"", "pause": -1}),
        ("pause", {"seconds": -1}),
        ("settings", {"no_such_setting": 1}),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(server: ScriptedServer, method: str, arguments: Any) -> None:
    script: Script = server.route("/")
    with pytest.raises(InvalidArgument):
        getattr(script, method)(**arguments)


def test_headers_are_text_or_numbers(server: ScriptedServer) -> None:
    with pytest.raises(TypeError, match="header 'x-number' must be a str, bytes or int, not float"):
        server.route("/").respond(200, [("x-number", 7.5)])  # type: ignore[list-item]


HEADERS_COME_SECOND = (
    "the second argument is headers, a mapping or pairs of str or bytes; a body is body=, JSON is json="
)


@pytest.mark.parametrize(
    ("method", "arguments", "words"),
    [
        ("respond", (200, {"price": 12.5}), HEADERS_COME_SECOND),
        ("respond", (200, "text"), HEADERS_COME_SECOND),
        ("respond", (200, b"text"), HEADERS_COME_SECOND),
        ("respond", ("text",), "the status must be an int, not str"),
        ("respond", (200, {}, {"a": 1}), "body must be a str or bytes, not dict"),
        ("informational", (103, "link"), "the second argument is headers"),
        ("data", ({"a": 1},), r"data\(\) takes a body, which must be a str or bytes, not dict"),
        ("data", (7,), "must be a str or bytes, not int"),
        ("raw", ({"a": 1},), r"raw\(\) takes octets, which must be"),
        ("reset", ("CANCEL",), r"reset\(\) takes a sync_h2.ErrorCode or a number, not 'CANCEL'"),
        ("goaway", ("NO_ERROR",), r"goaway\(\) takes a sync_h2.ErrorCode or a number, not 'NO_ERROR'"),
        ("stall", (2,), r"^stall\(\) takes no arguments: it lasts until release\(\); pause\(seconds\)"),
    ],
)
def test_arguments_are_checked_when_a_step_is_written(
    server: ScriptedServer, method: str, arguments: Any, words: str
) -> None:
    with pytest.raises(TypeError, match=words):
        getattr(server.route("/"), method)(*arguments)


@pytest.mark.parametrize("path", ["f", "", "http://localhost/f"])
def test_a_route_is_a_path(server: ScriptedServer, path: str) -> None:
    with pytest.raises(InvalidArgument, match="a route is a path and begins with '/'"):
        server.route(path)


def test_a_route_is_text(server: ScriptedServer) -> None:
    with pytest.raises(TypeError, match="a path must be a str or None, not bytes"):
        server.route(b"/")  # type: ignore[arg-type]


def test_a_large_block_is_sent_in_frames_of_16_kib(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").respond(200, {"x": "\x01" * 20_000})
    peer.headers(1, REQUEST, end_stream=True)
    peer.expect(SettingsFrame)
    kinds = []
    while "END_HEADERS" not in (kinds[-1].flags if kinds else ()):
        header = peer._read(9)
        frame, length = Frame.parse_frame_header(memoryview(header))
        frame.parse_body(memoryview(peer._read(length)))
        kinds.append(frame)
    assert [type(frame) for frame in kinds] == [HeadersFrame, ContinuationFrame, ContinuationFrame, ContinuationFrame]
    assert len(kinds[0].data) == 16_384


def test_a_header_can_be_a_number(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").respond(200, {"content-length": 3, "x": ["a", HTTPStatus.OK]}).data("abc")
    fields = [(":status", "200"), ("content-length", "3"), ("x", "a"), ("x", "200")]
    assert shown(answer(peer)) == [fields, b"abc"]
    with pytest.raises(TypeError, match="header 'x' must be a str, bytes or int, not bool"):
        server.route("/").respond(200, {"x": True})


def test_json_can_be_null_and_have_a_content_type_of_its_own(server: ScriptedServer, peer: RawPeer) -> None:
    server.route("/").respond(200, {"Content-Type": "application/problem+json"}, json=None)
    assert shown(answer(peer)) == [[(":status", "200"), ("Content-Type", "application/problem+json")], b"null"]


# -- settings that let the client send more


@pytest.mark.parametrize("on_connect", [False, True])
def test_frames_are_as_large_as_was_announced(on_connect: bool) -> None:
    with ScriptedServer(settings=None if on_connect else {"max_frame_size": 100_000}) as server:
        server.route("/").respond(200)
        if on_connect:
            server.on_connect().settings(max_frame_size=100_000)
        with socket.create_connection(server.address) as sock:
            peer = RawPeer(sock, client=True)
            peer.handshake()
            peer.headers(1, UPLOAD)
            peer.data(1, b"x" * 60_000, end_stream=True)
            assert peer.expect(HeadersFrame).fields[0] == (":status", "200")
            assert server.wait_request().body_length == 60_000
            peer.sock.sendall(bytes.fromhex("0186a1 00 00 00000003"))
            assert peer.farewell().error_code == ErrorCode.FRAME_SIZE_ERROR


def test_a_frame_can_be_larger_than_what_is_read_at_once() -> None:
    with ScriptedServer(settings={"max_frame_size": 1_000_000, "initial_window_size": 1_000_000}) as server:
        server.route("/").respond(200)
        with socket.create_connection(server.address) as sock:
            peer = RawPeer(sock, client=True)
            peer.handshake()
            peer.keeps_to_windows = False  # the connection's is no matter here
            peer.headers(1, UPLOAD)
            peer.data(1, b"x" * 500_000, end_stream=True)
            assert server.wait_request().body_length == 500_000


def test_the_table_of_headers_is_as_large_as_was_announced() -> None:
    with ScriptedServer(settings={"header_table_size": 8192}) as server:
        server.route("/").respond(200)
        with socket.create_connection(server.address) as sock:
            peer = RawPeer(sock, client=True)
            peer.handshake()
            peer._encoder.header_table_size = 8192
            for stream_id in (1, 3):
                peer.headers(stream_id, [*REQUEST, ("x-long", "x" * 6000)], end_stream=True)
                assert peer.expect(HeadersFrame).fields[0] == (":status", "200")
        assert [len(str(request.headers["x-long"])) for request in server.requests] == [6000, 6000]
