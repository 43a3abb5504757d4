"""One connection of a scripted server: takes frames, and plays the scripts of its requests. Runs on a thread of its
own, but for `close`.

It keeps to the protocol where no script breaks it, and is lenient with the client: it looks only at what it needs, and
bounds what it keeps.
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from hpack import Decoder, Encoder, HPACKError

from ...constants import (
    DEFAULT_MAX_FRAME_SIZE,
    DEFAULT_WINDOW_SIZE,
    FRAME_HEADER_LENGTH,
    PREFACE,
    ErrorCode,
    FrameFlag,
    FrameType,
    SettingId,
)
from ...errors import InvalidArgument
from ...protocol.frames.framing import parse_frame_header
from ...protocol.settings import Settings, pack_settings
from .channel import Channel
from .exchange import Exchange
from .frames import frame, header_frames, without_padding
from .plan import Plan

_LARGEST_BLOCK = 65_536  # of a request's fields, compressed and not
_LARGEST_TABLE = 4096
_MOST_BEFORE_SETTINGS = 1000  # streams, until the client has acknowledged how many it may open
_LINGER = 1.0  # seconds for the client to read what was sent last
_NOT_HERE = b"This port speaks HTTP/2 only; without TLS from the first octet (curl --http2-prior-knowledge).\n"
_HTTP_1_REFUSAL = (
    b"HTTP/1.1 505 HTTP Version Not Supported\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(_NOT_HERE)
) + _NOT_HERE
_ENDS_STREAM = int(FrameFlag.END_STREAM)
_ENDS_HEADERS = int(FrameFlag.END_HEADERS)


class Violation(Exception):
    """The client has broken a rule that matters here."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code.name)
        self.code = code


class Connection:
    """The connection with this `number`."""

    def __init__(self, plan: Plan, channel: Channel, number: int) -> None:
        self.channel = channel
        self.number = number
        self.window = DEFAULT_WINDOW_SIZE
        self.own_window = DEFAULT_WINDOW_SIZE  # the most that streams could ever begin with
        self._largest_frame = DEFAULT_MAX_FRAME_SIZE  # the most that frames could ever have
        self.ending = False  # when what is under way has been sent
        self.max_frame_size = DEFAULT_MAX_FRAME_SIZE
        self._plan = plan
        self._closing = False  # set by the thread that closes the server
        self._received = bytearray()
        self._preface_left = True
        self._greeted = False
        self._begun = False  # the connection's script is over
        self._streams: dict[int, Exchange] = {}
        self._highest = 0
        self._newest = 0  # of those that were taken
        self._taken = 0  # requests
        self._last_taken: int | None = None  # after GOAWAY
        self._reset = False
        self._client_window = DEFAULT_WINDOW_SIZE  # of streams to come
        self._most_streams = _MOST_BEFORE_SETTINGS
        self._unacknowledged: list[Settings] = []
        self._encoder = Encoder()
        self._decoder = Decoder(max_header_list_size=_LARGEST_BLOCK)
        self._block: tuple[int, int, bytearray] | None = None  # stream, flags, fragments so far
        self._script = Exchange(self, 0, None, plan.connect_steps(), self.window)

    # -- Any thread

    def close(self) -> None:
        """Have the thread end at once."""
        self._closing = True
        self.channel.wake()

    # -- The connection's thread, from here on

    def run(self) -> None:
        """The thread's work."""
        try:
            with contextlib.suppress(OSError):  # the client has gone
                self._serve()
                if not self._closing and not self._reset:
                    self._finish()
        finally:
            for exchange in [self._script, *self._streams.values()]:
                exchange.lose()
            self.channel.close(reset=self._reset)

    def _serve(self) -> None:
        while not self._closing:
            if self._takes_octets():
                self._received += self.channel.receive()
            moments = [] if self._begun else [self._begin()]
            try:
                self._take_frames()
            except Violation as error:
                self.send(frame(FrameType.GOAWAY, 0, 0, struct.pack(">LL", self._highest, error.code)))
                self.ending = True
            if self._closing:  # while the log was told
                return
            if self._begun:
                moments = [exchange.play() for exchange in list(self._streams.values()) if not self.ending]
                for stream_id in [number for number, exchange in self._streams.items() if exchange.is_over]:
                    self._forget(stream_id)
            was_full = self.channel.full
            self.channel.flush()
            if was_full and not self.channel.full:
                continue  # a script may have waited for that
            if self.channel.ended or (self.ending and self.channel.empty):
                return
            due = [moment for moment in moments if moment is not None]
            self.channel.wait(min(due) - time.monotonic() if due else None, reads=self._takes_octets())

    def _begin(self) -> float | None:
        """Go on with the connection's script; the moment when more can be done, if there is one."""
        moment = self._script.play()
        if self._script.is_played and not self.ending:
            self._begun = True
            self.ending = self._last_taken is not None and not self._streams
        return moment

    def _takes_octets(self) -> bool:
        """While the client does not read, nothing more is taken; nor is more than a little before the script allows."""
        most = max(_LARGEST_BLOCK, FRAME_HEADER_LENGTH + self._largest_frame)
        return not self.channel.full and len(self._received) < most

    def _finish(self) -> None:
        """End the connection, and leave the client some time to read what was sent: unread octets on this side would
        make it a reset, which overtakes them.
        """
        self.channel.end()
        until = time.monotonic() + _LINGER
        while not self._closing and not self.channel.ended and time.monotonic() < until:
            self.channel.wait(until - time.monotonic())
            self.channel.receive()

    def _forget(self, stream_id: int) -> None:
        """The stream is over."""
        self._streams.pop(stream_id).lose()
        if self._streams:
            return
        if self._plan.goaway_answers_first and self._last_taken is None and self._has_enough():
            self._say_goaway()
        self.ending = self.ending or self._last_taken is not None

    # -- What steps do

    @property
    def full(self) -> bool:
        return self.channel.full

    def send(self, octets: bytes) -> None:
        self.channel.send(octets)

    def greet(self) -> None:
        if not self._greeted:
            self._greeted = True
            self.send_settings(self._plan.initial_settings)

    def send_settings(self, settings: Settings) -> None:
        self.own_window = max(self.own_window, settings.initial_window_size or 0)
        self._largest_frame = max(self._largest_frame, settings.max_frame_size or 0)
        table_size = max(self._decoder.max_allowed_table_size, settings.header_table_size or 0)
        self._decoder.max_allowed_table_size = table_size
        self._unacknowledged.append(settings)
        self.send(frame(FrameType.SETTINGS, 0, 0, pack_settings(settings)))

    def go_away(self, last_stream_id: int) -> None:
        self._last_taken = last_stream_id
        for stream_id in [number for number in self._streams if number > last_stream_id]:
            self._streams.pop(stream_id).lose()
        self.ending = not self._streams and self._begun

    def drop(self, *, reset: bool) -> None:
        self.ending = True
        self._reset = reset

    def encode(self, stream_id: int, fields: Sequence[tuple[bytes, bytes]], *, end_stream: bool) -> bytes:
        block = self._encoder.encode(list(fields))
        return header_frames(stream_id, block, self.max_frame_size, end_stream=end_stream)

    def open_window(self, stream_id: int, octets: int) -> None:
        if octets:
            self.send(frame(FrameType.WINDOW_UPDATE, 0, stream_id, struct.pack(">L", octets)))

    # -- What the client sends

    def _take_frames(self) -> None:
        if not (self._greeted or self._begun) or self.ending:
            return
        if self._preface_left:
            if not self._received.startswith(PREFACE):
                if not PREFACE.startswith(self._received):
                    self.send(_HTTP_1_REFUSAL)
                    self.ending = True
                return
            del self._received[: len(PREFACE)]
            self._preface_left = False
            self.greet()  # not before: a client of HTTP/1 can read its refusal then
        while len(self._received) >= FRAME_HEADER_LENGTH and not (self.ending or self._closing):
            length, kind, flags, stream_id = parse_frame_header(bytes(self._received[:FRAME_HEADER_LENGTH]))
            if length > self._largest_frame:
                raise Violation(ErrorCode.FRAME_SIZE_ERROR)
            if len(self._received) < FRAME_HEADER_LENGTH + length:
                return
            payload = bytes(self._received[FRAME_HEADER_LENGTH : FRAME_HEADER_LENGTH + length])
            del self._received[: FRAME_HEADER_LENGTH + length]
            if self._block is not None and kind != FrameType.CONTINUATION:
                raise Violation(ErrorCode.PROTOCOL_ERROR)
            take = self._TAKES.get(kind)
            if take is not None:
                try:
                    take(self, flags, stream_id, payload)
                except (struct.error, ValueError, InvalidArgument):  # too short, or too long
                    raise Violation(ErrorCode.PROTOCOL_ERROR) from None

    def _take_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        self.open_window(0, len(payload))
        exchange = self._streams.get(stream_id)
        if exchange is not None and not exchange.receive(
            without_padding(payload, flags), len(payload), ends=bool(flags & _ENDS_STREAM)
        ):
            raise Violation(ErrorCode.FLOW_CONTROL_ERROR)

    def _take_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        fragment = without_padding(payload, flags)
        if flags & FrameFlag.PRIORITY:
            fragment = fragment[5:]
        self._block = (stream_id, flags, bytearray())
        self._take_continuation(flags, stream_id, fragment)

    def _take_continuation(self, flags: int, stream_id: int, fragment: bytes) -> None:
        if self._block is None or self._block[0] != stream_id:
            raise Violation(ErrorCode.PROTOCOL_ERROR)
        _, first_flags, block = self._block
        block += fragment
        if len(block) > _LARGEST_BLOCK:
            raise Violation(ErrorCode.ENHANCE_YOUR_CALM)
        if not flags & _ENDS_HEADERS:
            return
        self._block = None
        try:
            fields = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(bytes(block), raw=True)]
        except HPACKError:
            raise Violation(ErrorCode.COMPRESSION_ERROR) from None
        self._take_fields(stream_id, fields, ends=bool(first_flags & _ENDS_STREAM))

    def _take_fields(self, stream_id: int, fields: list[tuple[bytes, bytes]], *, ends: bool) -> None:
        if stream_id in self._streams:
            self._streams[stream_id].receive_trailers(fields)
            return
        if stream_id <= self._highest:
            return  # of a stream that is over
        if not stream_id % 2:
            raise Violation(ErrorCode.PROTOCOL_ERROR)
        self._highest = stream_id
        if self._last_taken is not None:
            return
        if self._has_enough():
            if not self._streams or not self._plan.goaway_answers_first:  # a count that was set when it had more
                self._say_goaway()
            return
        if len(self._streams) >= self._most_streams:
            self.send(frame(FrameType.RST_STREAM, 0, stream_id, struct.pack(">L", ErrorCode.REFUSED_STREAM)))
            return
        self._taken += 1
        self._newest = stream_id
        request, steps = self._plan.receive(fields, self.number, stream_id)
        exchange = Exchange(self, stream_id, request, steps, self._client_window)
        self._streams[stream_id] = exchange
        if ends:
            exchange.receive_end()
        if self._has_enough() and not self._plan.goaway_answers_first:
            self._say_goaway()

    def _has_enough(self) -> bool:
        """Whether `goaway_after` wants no more requests here."""
        count = self._plan.goaway_count
        return count is not None and self._taken >= count

    def _say_goaway(self) -> None:
        self.send(frame(FrameType.GOAWAY, 0, 0, struct.pack(">LL", self._newest, self._plan.goaway_code)))
        self._last_taken = self._newest
        self.ending = not self._streams and self._begun

    def _take_reset(self, flags: int, stream_id: int, payload: bytes) -> None:
        (code,) = struct.unpack(">L", payload)
        exchange = self._streams.get(stream_id)
        if exchange is not None:
            exchange.receive_reset(code)

    def _take_goaway(self, flags: int, stream_id: int, payload: bytes) -> None:
        _, code = struct.unpack_from(">LL", payload)
        self.ending = self.ending or code != ErrorCode.NO_ERROR or not self._streams

    def _take_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if flags & FrameFlag.ACK:
            settings = self._unacknowledged.pop(0) if self._unacknowledged else Settings()
            if settings.max_concurrent_streams is not None:
                self._most_streams = settings.max_concurrent_streams
            return
        for setting, value in struct.iter_unpack(">HL", payload):
            if setting == SettingId.INITIAL_WINDOW_SIZE:
                for exchange in self._streams.values():
                    exchange.window += value - self._client_window
                self._client_window = value
            elif setting == SettingId.MAX_FRAME_SIZE:
                self.max_frame_size = min(value, DEFAULT_MAX_FRAME_SIZE)
            elif setting == SettingId.HEADER_TABLE_SIZE:
                self._encoder.header_table_size = min(value, _LARGEST_TABLE)
        self.send(frame(FrameType.SETTINGS, FrameFlag.ACK, 0))

    def _take_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not flags & FrameFlag.ACK:
            self.send(frame(FrameType.PING, FrameFlag.ACK, 0, payload))

    def _take_window_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        (increment,) = struct.unpack(">L", payload)
        if not stream_id:
            self.window += increment
        elif stream_id in self._streams:
            self._streams[stream_id].window += increment

    _TAKES: ClassVar[dict[int, Callable[[Connection, int, int, bytes], None]]] = {
        FrameType.DATA: _take_data,
        FrameType.HEADERS: _take_headers,
        FrameType.CONTINUATION: _take_continuation,
        FrameType.RST_STREAM: _take_reset,
        FrameType.GOAWAY: _take_goaway,
        FrameType.SETTINGS: _take_settings,
        FrameType.PING: _take_ping,
        FrameType.WINDOW_UPDATE: _take_window_update,
    }
