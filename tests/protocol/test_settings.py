"""Settings: the mapping, its ranges, and packing."""

from __future__ import annotations

import pytest

from sync_h2.constants import ErrorCode
from sync_h2.errors import InvalidArgument
from sync_h2.protocol.settings import Settings, default_settings, pack_settings, settings_from_items, unpack_settings


def test_states_only_what_was_given():
    settings = Settings(enable_push=False, initial_window_size=100)
    assert dict(settings) == {"enable_push": False, "initial_window_size": 100}
    assert len(settings) == 2
    assert settings.max_frame_size is None
    assert "max_frame_size" not in settings
    with pytest.raises(KeyError):
        settings["max_frame_size"]
    with pytest.raises(KeyError):
        settings["custom"]
    assert repr(settings) == "Settings(enable_push=False, initial_window_size=100)"


def test_is_made_from_a_mapping_and_equal_to_it():
    values = {"max_concurrent_streams": 5, "custom": {0x4242: 1}}
    assert Settings(values) == values
    assert Settings(values).custom == {0x4242: 1}


def test_defaults_are_those_of_the_rfc():
    assert default_settings() == {
        "header_table_size": 4096,
        "enable_push": True,
        "initial_window_size": 65_535,
        "max_frame_size": 16_384,
        "enable_connect_protocol": False,
        "no_rfc7540_priorities": False,
    }


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("header_table_size", 2**32 - 1, 2**32),
        ("header_table_size", 0, -1),
        ("enable_push", 1, 2),
        ("max_concurrent_streams", 0, -1),
        ("initial_window_size", 2**31 - 1, 2**31),
        ("max_frame_size", 16_384, 16_383),
        ("max_frame_size", 2**24 - 1, 2**24),
        ("max_header_list_size", 0, 2**32),
        ("enable_connect_protocol", 0, -1),
        ("no_rfc7540_priorities", True, 3),
    ],
)
def test_range_is_checked_at_construction_and_at_assignment(name, allowed, refused):
    settings = Settings(**{name: allowed})
    assert settings[name] == allowed
    with pytest.raises(InvalidArgument, match=rf"{name} must be .* to \d+"):
        Settings(**{name: refused})
    with pytest.raises(ValueError, match=name):
        setattr(settings, name, refused)
    assert settings[name] == allowed


def test_a_setting_can_be_taken_back():
    settings = Settings(max_frame_size=20_000)
    settings.max_frame_size = None
    assert not settings


@pytest.mark.parametrize("value", ["1", 1.0, True])
def test_wrong_types_are_refused(value):
    with pytest.raises(InvalidArgument, match="max_frame_size must be a number"):
        Settings(max_frame_size=value)


def test_unknown_names_are_refused():
    with pytest.raises(InvalidArgument, match="maxFrameSize"):
        Settings(maxFrameSize=20_000)


@pytest.mark.parametrize(
    ("custom", "message"),
    [
        ({0x10000: 1}, "65535"),
        ({-1: 1}, "65535"),
        ({"a": 1}, "'a'"),
        ({0x4: 1}, "initial_window_size"),
        ({0x4242: 2**32}, "0x4242"),
        ({0x4242: -1}, "0x4242"),
    ],
)
def test_custom_ids_have_16_bits_and_are_not_known_ones(custom, message):
    with pytest.raises(InvalidArgument, match=message):
        Settings(custom=custom)


def test_custom_settings_cannot_be_changed_past_the_check():
    settings = Settings(custom={0x4242: 1})
    with pytest.raises(TypeError):
        settings.custom[0x10000] = 1


def test_merging_replaces_what_the_other_states():
    first = Settings(enable_push=True, initial_window_size=1, custom={0x4242: 1, 0x4243: 1})
    second = Settings(initial_window_size=2, custom={0x4243: 2})
    assert first.merged(second) == {
        "enable_push": True,
        "initial_window_size": 2,
        "custom": {0x4242: 1, 0x4243: 2},
    }
    assert first.initial_window_size == 1
    assert first.merged({}) == first


def test_packing_and_unpacking():
    settings = Settings(enable_push=False, max_concurrent_streams=100, custom={0xFFFF: 2**32 - 1})
    packed = pack_settings(settings)
    assert packed == bytes.fromhex("000200000000 000300000064 ffffffffffff")
    assert unpack_settings(packed) == settings
    assert pack_settings({"enable_push": True}) == bytes.fromhex("000200000001")
    assert unpack_settings(b"") == {}


def test_the_last_of_several_values_counts():
    assert settings_from_items([(4, 1), (4, 2)]) == {"initial_window_size": 2}


def test_unpacking_refuses_odd_lengths_and_values_out_of_range():
    with pytest.raises(InvalidArgument, match="5 octets"):
        unpack_settings(b"12345")
    with pytest.raises(InvalidArgument, match="enable_push") as raised:
        unpack_settings(bytes.fromhex("000200000002"))
    assert raised.value.code == ErrorCode.PROTOCOL_ERROR
    with pytest.raises(InvalidArgument, match="initial_window_size") as raised:
        unpack_settings(bytes.fromhex("000480000000"))
    assert raised.value.code == ErrorCode.FLOW_CONTROL_ERROR
