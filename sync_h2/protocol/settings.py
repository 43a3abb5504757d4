"""SETTINGS values (RFC 9113 section 6.5): one object for what a frame states and for what is in force.

Pure values: no locks, no I/O. A `Settings` belongs to whoever made it; the ones that a session hands out are copies.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from ..constants import (
    DEFAULT_MAX_FRAME_SIZE,
    DEFAULT_WINDOW_SIZE,
    LARGEST_MAX_FRAME_SIZE,
    MAX_WINDOW_SIZE,
    ErrorCode,
    SettingId,
)
from ..errors import InvalidArgument
from ..interpreter import SharedDict

_LARGEST_VALUE = 2**32 - 1
_ENTRY = struct.Struct(">HL")

# name: (id, smallest value, largest value), in the order of the ids. RFC 9113 section 6.5.2, RFC 8441 section 3, RFC
# 9218 section 2.1.
_KNOWN: dict[str, tuple[SettingId, int, int]] = {
    "header_table_size": (SettingId.HEADER_TABLE_SIZE, 0, _LARGEST_VALUE),
    "enable_push": (SettingId.ENABLE_PUSH, 0, 1),
    "max_concurrent_streams": (SettingId.MAX_CONCURRENT_STREAMS, 0, _LARGEST_VALUE),
    "initial_window_size": (SettingId.INITIAL_WINDOW_SIZE, 0, MAX_WINDOW_SIZE),
    "max_frame_size": (SettingId.MAX_FRAME_SIZE, DEFAULT_MAX_FRAME_SIZE, LARGEST_MAX_FRAME_SIZE),
    "max_header_list_size": (SettingId.MAX_HEADER_LIST_SIZE, 0, _LARGEST_VALUE),
    "enable_connect_protocol": (SettingId.ENABLE_CONNECT_PROTOCOL, 0, 1),
    "no_rfc7540_priorities": (SettingId.NO_RFC7540_PRIORITIES, 0, 1),
}
_NAME_OF_ID: dict[int, str] = SharedDict({int(setting_id): name for name, (setting_id, _, _) in _KNOWN.items()})
_BOOLEANS = frozenset({"enable_push", "enable_connect_protocol", "no_rfc7540_priorities"})
_NO_CUSTOM: Mapping[int, int] = MappingProxyType({})
_set_unchecked = object.__setattr__  # what was checked already: a peer may send thousands of these frames


class Settings(Mapping[str, Any]):
    """What one SETTINGS frame states, or the values in force: attributes, and a mapping of the stated names.

    Every field may be None: not stated. `custom` maps the ids of other settings (16 bits) to their values (32 bits);
    assign a whole mapping to change it. A value out of range raises InvalidArgument, at construction and at assignment.
    """

    __slots__ = (
        "custom",
        "enable_connect_protocol",
        "enable_push",
        "header_table_size",
        "initial_window_size",
        "max_concurrent_streams",
        "max_frame_size",
        "max_header_list_size",
        "no_rfc7540_priorities",
    )

    header_table_size: int | None
    enable_push: bool | None
    max_concurrent_streams: int | None
    initial_window_size: int | None
    max_frame_size: int | None
    max_header_list_size: int | None
    enable_connect_protocol: bool | None
    no_rfc7540_priorities: bool | None
    custom: Mapping[int, int]

    def __init__(self, values: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        for name in _KNOWN:
            _set_unchecked(self, name, None)
        _set_unchecked(self, "custom", _NO_CUSTOM)
        if values is not None and not isinstance(values, Mapping):
            raise TypeError(f"settings are a mapping of names to values, not {type(values).__name__}")
        for name, value in {**(values or {}), **named}.items():
            if name not in _KNOWN and name != "custom":
                raise InvalidArgument(f"there is no setting named {name!r}")
            setattr(self, name, value)

    @classmethod
    def defaults(cls) -> Settings:
        """What holds for an endpoint that has stated nothing (RFC 9113 section 6.5.2); None where that is no limit."""
        return cls(
            header_table_size=4096,
            enable_push=True,
            initial_window_size=DEFAULT_WINDOW_SIZE,
            max_frame_size=DEFAULT_MAX_FRAME_SIZE,
            enable_connect_protocol=False,
            no_rfc7540_priorities=False,
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "custom":
            value = MappingProxyType(_checked_custom(value))
        elif name in _KNOWN and value is not None:
            _, smallest, largest = _KNOWN[name]
            if not isinstance(value, int) or (isinstance(value, bool) and name not in _BOOLEANS):
                raise InvalidArgument(f"setting {name} must be a number from {smallest} to {largest}, not {value!r}")
            if not smallest <= value <= largest:
                raise InvalidArgument(f"setting {name} must be from {smallest} to {largest}, not {value}")
            if name in _BOOLEANS:
                value = bool(value)
        _set_unchecked(self, name, value)

    def __getitem__(self, name: str) -> Any:
        value = getattr(self, name) if name in _KNOWN or name == "custom" else None
        if value is None or (name == "custom" and not value):
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        for name in _KNOWN:
            if getattr(self, name) is not None:
                yield name
        if self.custom:
            yield "custom"

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.items())})"

    def merged(self, other: Mapping[str, Any]) -> Settings:
        """A copy in which what `other` states replaces what this one does; custom settings are replaced id by id."""
        if isinstance(other, Settings):
            copy = Settings()
            for name in _KNOWN:
                value = getattr(other, name)
                _set_unchecked(copy, name, getattr(self, name) if value is None else value)
            custom = MappingProxyType({**self.custom, **other.custom}) if other.custom else self.custom
            _set_unchecked(copy, "custom", custom)
            return copy
        values = {**self, **other}
        values["custom"] = {**self.custom, **other.get("custom", {})}
        return Settings(values)

    def items_by_id(self) -> list[tuple[int, int]]:
        """The stated settings as (id, value), known ones first, as they go into a frame."""
        known = [(int(_KNOWN[name][0]), int(self[name])) for name in self if name != "custom"]
        return known + list(self.custom.items())


def _checked_custom(custom: Mapping[int, int]) -> dict[int, int]:
    if not isinstance(custom, Mapping):
        raise TypeError(f"custom settings are a mapping of ids to values, not {type(custom).__name__}")
    checked = {}
    for setting_id, value in custom.items():
        if not isinstance(setting_id, int) or not 0 <= setting_id <= 0xFFFF:
            raise InvalidArgument(f"the id of a custom setting must be from 0 to 65535, not {setting_id!r}")
        if setting_id in _NAME_OF_ID:
            raise InvalidArgument(f"setting 0x{setting_id:x} is {_NAME_OF_ID[setting_id]}, not a custom setting")
        if not isinstance(value, int) or not 0 <= value <= _LARGEST_VALUE:
            raise InvalidArgument(f"custom setting 0x{setting_id:x} must be from 0 to {_LARGEST_VALUE}, not {value!r}")
        checked[int(setting_id)] = int(value)
    return checked


def default_settings() -> Settings:
    """The values that hold before anything was stated."""
    return Settings.defaults()


def pack_settings(settings: Mapping[str, Any]) -> bytes:
    """The payload of a SETTINGS frame that states `settings`; what the HTTP2-Settings field carries as base64url."""
    return b"".join(_ENTRY.pack(*item) for item in Settings(settings).items_by_id())


def unpack_settings(data: bytes | bytearray | memoryview) -> Settings:
    """The settings in the payload of a SETTINGS frame; the last of several with the same id counts."""
    if len(data) % _ENTRY.size:
        raise InvalidArgument(
            f"packed settings are {_ENTRY.size} octets each; {len(data)} octets is no multiple of that"
        )
    return settings_from_items(_ENTRY.iter_unpack(bytes(data)))


def settings_from_items(items: Iterable[tuple[int, ...]]) -> Settings:
    """`Settings` from (id, value) pairs in the order of the wire. InvalidArgument has RFC 9113 section 6.5.2's code."""
    settings = Settings()
    custom: dict[int, int] = {}
    for setting_id, value in items:
        name = _NAME_OF_ID.get(setting_id)
        if name is None:
            custom[setting_id] = value
            continue
        try:
            setattr(settings, name, value)
        except InvalidArgument as error:
            error.code = ErrorCode.FLOW_CONTROL_ERROR if name == "initial_window_size" else ErrorCode.PROTOCOL_ERROR
            raise
    if custom:
        settings.custom = custom
    return settings
