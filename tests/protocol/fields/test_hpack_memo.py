"""The HPACK memo gives exactly what HPACK gives."""

from __future__ import annotations

from hpack import Decoder, Encoder, HeaderTuple, NeverIndexedHeaderTuple
from hypothesis import example, given
from hypothesis import strategies as st

from sync_h2.protocol.fields.headers import Headers, encode_response
from sync_h2.protocol.fields.hpack_memo import RememberingDecoder, RememberingEncoder
from sync_h2.protocol.stream_table import StreamTable

fields = st.builds(
    lambda sensitive, name, value: (NeverIndexedHeaderTuple if sensitive else HeaderTuple)(name, value),
    st.booleans(),
    st.sampled_from([b":method", b"a", b"b", b"date"]),
    st.sampled_from([b"GET", b"1", b"2", b"x" * 60]),
)
# Few different lists, so that they come again.
field_lists = st.lists(st.lists(fields, max_size=4), min_size=1, max_size=4).flatmap(
    lambda choices: st.lists(st.one_of(st.sampled_from(choices), st.integers(0, 200)), max_size=40)
)


@given(field_lists)
@example([1, [], 0, 1, [], []])  # a size that has been another meanwhile is signalled once
def test_encoder_and_decoder_agree_with_plain_hpack(steps):
    table, plain_table = StreamTable(client=True), StreamTable(client=True)
    decoder, plain_decoder = Decoder(), Decoder()
    remembering = RememberingDecoder(decoder)
    for step in steps:
        if isinstance(step, int):
            table.encoder.limit_table(step)
            plain_table.encoder.limit_table(step)
            continue
        block = table.encode(step)
        assert block == plain_table.encoder.encode(step)
        expected = plain_decoder.decode(block, raw=True)
        decoded = remembering.decode(block).fields
        assert decoded == tuple(expected) == tuple(step)
        assert [field.indexable for field in decoded] == [field.indexable for field in expected]
        assert decoder.header_table.dynamic_entries == plain_decoder.header_table.dynamic_entries


def counting(method):
    calls = []

    def call(*arguments, **options):
        calls.append(arguments)
        return method(*arguments, **options)

    return call, calls


def test_a_block_that_comes_again_is_not_decoded_again():
    decoder = Decoder()
    decoder.decode, calls = counting(decoder.decode)
    remembering = RememberingDecoder(decoder)
    block = Encoder().encode([(b":method", b"GET")])
    assert remembering.decode(block).fields == remembering.decode(block).fields == ((b":method", b"GET"),)
    assert len(calls) == 1
    remembering.limits_changed()
    remembering.decode(block)
    assert len(calls) == 2


def test_a_list_that_comes_again_is_not_encoded_again():
    encoder = Encoder()
    encoder.encode, calls = counting(encoder.encode)
    remembering = RememberingEncoder(encoder)
    plain = [HeaderTuple(b"a", b"1")]
    assert remembering.encode(plain) != remembering.encode(plain)  # the first adds to the table
    remembering.encode(plain)
    assert len(calls) == 2
    assert remembering.encode([NeverIndexedHeaderTuple(b"a", b"1")])[0] & 0x10
    assert len(calls) == 3


def test_a_response_that_is_sent_again_is_not_encoded_again():
    """Neither as the same object, as most programs send it, nor as another with the same fields."""
    encoder = Encoder()
    encoder.encode, calls = counting(encoder.encode)
    remembering = RememberingEncoder(encoder)
    shared = [encode_response({":status": 204}), encode_response({":status": 204})]
    assert shared[0] is shared[1]
    others = [encode_response([(":status", "204")]) for _ in range(2)]
    assert others[0] is not others[1]
    blocks = {remembering.encode(fields) for fields in (*shared, *others, *shared, *others)}
    assert len(calls) == 2  # once for either kind
    assert blocks == {b"\x89"}


def test_sensitive_fields_are_told_apart_from_the_same_that_are_not():
    remembering = RememberingEncoder(Encoder())
    shared = encode_response({"x-a": "1"})
    remembering.encode(shared)  # adds to the table
    assert remembering.encode(shared) == remembering.encode(shared) == b"\x88\xbe"
    headers = Headers({"x-a": "1"})
    headers.sensitive.add("x-a")
    for _ in range(2):
        assert remembering.encode(encode_response(headers))[1] & 0x10
        assert remembering.encode(shared) == b"\x88\xbe"


def test_the_memo_is_bounded():
    decoder = Decoder()
    remembering = RememberingDecoder(decoder)
    encoder = RememberingEncoder(Encoder())
    for number in range(1000):
        value = str(number).encode()
        block = encoder.encode([NeverIndexedHeaderTuple(b"a", value)])
        assert remembering.decode(block).fields == ((b"a", value),)
    long_list = [NeverIndexedHeaderTuple(b"a", b"~" * 5000)]
    remembering.decode(encoder.encode(long_list))
    assert len(remembering._memo) <= 256
    assert len(encoder._memo) <= 256
    assert max(map(len, remembering._memo)) < 2048


def test_a_block_of_very_many_fields_is_not_remembered():
    """Each octet here stands for a field (index 2, ":method: GET"), which takes a hundred times the memory."""
    decoder = RememberingDecoder(Decoder())
    decoder.decode(b"\x82" * 64)
    assert len(decoder._memo) == 1
    decoder.decode(b"\x82" * 65)
    assert len(decoder._memo) == 1
    encoder = RememberingEncoder(Encoder())
    encoder.encode([HeaderTuple(b":method", b"GET")] * 65)
    assert not encoder._memo
