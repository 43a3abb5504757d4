"""The header mapping that users see, and its way to HPACK's field lists.

Pure values, no locks; a `Headers` belongs to the thread that holds it. A received block stays the bytes that HPACK gave
until somebody looks inside. The `encode_*` functions run before a session's lock is taken: they find everything that
HTTP/2 forbids, so that nothing can fail once the HPACK encoder has moved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, overload

from hpack import HeaderTuple, NeverIndexedHeaderTuple

from ...errors import InvalidArgument
from ...interpreter import SharedDict
from .field_list import MOST_SHARED_FIELDS, FieldList, texts_of
from .forgotten_colons import check_request_names, check_response_names
from .header_rules import (
    CREDENTIALS,
    SINGLE_VALUE,
    MalformedHeaders,
    check_fields,
    check_request,
    check_response,
    check_trailers,
)

WireFields = Sequence[tuple[bytes, bytes]]
"""A field list as HPACK takes and gives it: pairs of bytes; a NeverIndexedHeaderTuple is a sensitive one."""

EncodableFields = Sequence[HeaderTuple]
"""A checked field list, as `encode_request` and its siblings return it and as the connection sends it."""

HeaderValue: TypeAlias = str | int | list[str] | list[str | int] | tuple[str | int, ...]
"""What a field may be set to; a list gives several fields. Not `Sequence`, of which bytes are one."""

_Pair: TypeAlias = tuple[str, HeaderValue]
HeadersSource: TypeAlias = Mapping[str, HeaderValue] | Sequence[_Pair] | AbstractSet[_Pair] | Iterator[_Pair]
"""What headers can be made of: a mapping, or pairs. Any iterable will do for these; but mypy makes nothing of
`{":status": 404, "vary": "*"}` where a dict may be meant as a mapping and as an iterable.
"""

_SetCookie: TypeAlias = Literal["set-cookie"]
_Default = TypeVar("_Default")

_is_host_and_port = re.compile(r".+:[0-9]{1,5}").fullmatch


class Headers(MutableMapping[str, "str | list[str]"]):
    """An ordered multi-mapping of lower-case names to values.

    Looking up ignores case. `headers["set-cookie"]` is a list of str; every other value is one str: several `cookie`
    fields joined by "; " (RFC 9113 section 8.2.3), other repeated fields by ", " (RFC 9110 section 5.2). `get_all`
    always gives a list, `pairs` the fields as they stand. `sensitive` names are never put into a compression table (RFC
    7541 section 7.1.3); a received field so marked is in it too.
    """

    __slots__ = ("_fields", "_index", "_wire", "sensitive")

    sensitive: set[str]

    def __init__(self, source: HeadersSource | None = None, /, *, sensitive: Iterable[str] = ()) -> None:
        self._wire: WireFields | FieldList | None = None
        self._fields: list[tuple[str, str]] = []
        self._index: dict[str, list[str]] = {}
        self.sensitive = {name.lower() for name in sensitive}
        if isinstance(source, Headers):
            self.sensitive |= source.sensitive
            self._fields = source.pairs()
            self._index = {name: list(values) for name, values in source._index.items()}
        elif source is not None:
            for name, value in source.items() if isinstance(source, Mapping) else _checked_pairs(source):
                self._append(name, value)

    @classmethod
    def from_wire(cls, fields: WireFields | FieldList) -> Headers:
        """Headers over a validated field list, decoded (as latin-1) when first looked at."""
        headers = cls.__new__(cls)
        headers._wire = fields
        if isinstance(fields, FieldList) and fields.count > MOST_SHARED_FIELDS:
            fields.pack()
        return headers

    def __getattr__(self, name: str) -> Any:
        # Reached only for a slot that is not set yet: the first look into a received block.
        if name not in ("_fields", "_index", "sensitive"):
            raise AttributeError(name)
        wire = self._wire
        if wire is not None:
            texts = wire.copied_texts() if isinstance(wire, FieldList) else texts_of(wire)
            # Whole, because another thread may look too; and the octets are not needed twice: a peer may send many.
            self._fields, self._index, self.sensitive = texts
            self._wire = None
        return object.__getattribute__(self, name)

    def _append(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            raise InvalidArgument(f"a header's name must be a str, not {name!r}")
        given, name = name, name.lower()
        if not given.isascii() and name.isascii():  # a Kelvin sign becomes the letter k
            raise InvalidArgument(f"header {given!r}: the name must be ASCII")
        for text in _texts(name, value):
            self._fields.append((name, text))
            self._index.setdefault(name, []).append(text)

    def add(self, name: str, value: HeaderValue, *, sensitive: bool = False) -> None:
        """One more field of this name. A `sensitive` one goes out never-indexed, and is hidden in traces."""
        self._append(name, value)
        if sensitive:
            self.sensitive.add(name.lower())

    def get_all(self, name: str) -> list[str]:
        """The values of all fields of this name, in order; an empty list when there are none."""
        return list(self._index.get(name.lower(), ()))

    def pairs(self) -> list[tuple[str, str]]:
        """Every field as (name, value), in order."""
        wire = self._wire
        pairs = wire.copied_pairs() if isinstance(wire, FieldList) else None
        return list(self._fields) if pairs is None else pairs  # without an index, for which nobody may ask

    def copy(self) -> Headers:
        """An independent copy, sensitive marks included."""
        return Headers(self)

    # For type checkers a field is one str, unless it is called set-cookie in so many words: code that looks one up
    # knows which it wants.

    @overload
    def __getitem__(self, name: _SetCookie) -> list[str]: ...  # type: ignore[overload-overlap]
    @overload
    def __getitem__(self, name: str) -> str: ...
    def __getitem__(self, name: str) -> str | list[str]:
        name = name.lower()
        values = self._index[name]
        if name == "set-cookie":
            return list(values)
        if len(values) == 1:
            return values[0]
        return ("; " if name == "cookie" else ", ").join(values)

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def get(self, name: _SetCookie, default: None = None, /) -> list[str] | None: ...  # type: ignore[overload-overlap]
        @overload
        def get(self, name: _SetCookie, default: _Default, /) -> list[str] | _Default: ...
        @overload
        def get(self, name: str, default: None = None, /) -> str | None: ...
        @overload
        def get(self, name: str, default: _Default, /) -> str | _Default: ...
        def get(self, name: str, default: object = None, /) -> object: ...

        @overload  # type: ignore[override]
        def pop(self, name: _SetCookie, /) -> list[str]: ...  # type: ignore[overload-overlap]
        @overload
        def pop(self, name: _SetCookie, default: _Default, /) -> list[str] | _Default: ...
        @overload
        def pop(self, name: str, /) -> str: ...
        @overload
        def pop(self, name: str, default: _Default, /) -> str | _Default: ...
        def pop(self, name: str, default: object = None, /) -> object: ...

        def setdefault(self, name: str, default: HeaderValue, /) -> str: ...

    def __setitem__(self, name: str, value: HeaderValue) -> None:
        texts = _texts(name, value)
        self.pop(name, None)
        self._append(name, texts)

    def __delitem__(self, name: str) -> None:
        name = name.lower()
        del self._index[name]
        self._fields = [field for field in self._fields if field[0] != name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._index

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return self._index == (other if isinstance(other, Headers) else Headers(other))._index

    __hash__ = None  # type: ignore[assignment]  # mutable, as dict is; MutableMapping's own annotation disagrees

    def __repr__(self) -> str:
        shown = [(name, "<sensitive>" if name in self.sensitive else value) for name, value in self._fields]
        return f"Headers({shown!r})"


class RepeatedHeaders(Headers):
    """Headers of somebody else's making, in which fields that have one value (RFC 9110 section 5.2) may stand twice."""

    __slots__ = ()


def _checked_pairs(source: Iterable[_Pair]) -> Iterator[_Pair]:
    if not isinstance(source, Iterable):
        raise TypeError(f"headers are a mapping or (name, value) pairs, not {type(source).__name__}")
    for pair in source:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise InvalidArgument(f"headers are a mapping or (name, value) pairs; {pair!r} is no pair")
        yield pair[0], pair[1]


def _texts(name: str, value: Any) -> list[str]:
    """`value` as the texts of the fields that it stands for."""
    if isinstance(value, str):
        return [value]
    # An HTTPStatus is an int, and formats as its name.
    if isinstance(value, int) and not isinstance(value, bool):
        return [str(int(value))]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(name, item)]
    raise InvalidArgument(
        f"the value of header {name!r} must be a str, an int or a list of these, not {type(value).__name__}"
    )


class CheckedFields(list[HeaderTuple]):
    """A checked field list, and what it says; never changed. There are `octets` in names and values.

    One that is remembered may be sent many times: it `is_shared`. As a dict's key each of them stands for itself alone.
    """

    __slots__ = ("content_length", "is_shared", "octets")

    __hash__ = object.__hash__  # type: ignore[assignment]  # a list's is None; this one is never changed

    def __init__(self, fields: Sequence[HeaderTuple], content_length: int | None) -> None:
        super().__init__(fields)
        self.octets = sum([len(name) + len(value) for name, value in fields])
        self.content_length = content_length
        self.is_shared = False


class RequestFields(CheckedFields):
    """A request's."""

    __slots__ = ("is_extended_connect", "method")

    def __init__(self, fields: Sequence[HeaderTuple], method: str, content_length: int | None) -> None:
        super().__init__(fields, content_length)
        self.method = method
        self.is_extended_connect = method == "CONNECT" and any(name == b":protocol" for name, _ in fields)


class ResponseFields(CheckedFields):
    """A final response's."""

    __slots__ = ("status",)

    def __init__(self, fields: Sequence[HeaderTuple], status: str, content_length: int | None) -> None:
        super().__init__(fields, content_length)
        self.status = status


_Encoded = TypeVar("_Encoded", RequestFields, ResponseFields)


class _Remembered(Generic[_Encoded]):
    """What dicts of headers were encoded to: most programs send few different ones. Any thread, no lock: each step is
    one call of the dict's.
    """

    _MOST = 512
    _LONGEST = 2048  # octets
    _MOST_FIELDS = 32

    def __init__(self) -> None:
        self._by_items: dict[tuple[object, ...], _Encoded] = SharedDict()

    def get(self, headers: object, *rest: object) -> tuple[tuple[object, ...] | None, _Encoded | None]:
        """The key of what is asked for, None if it can't be remembered; and what is remembered."""
        items: dict[Any, Any]
        if headers is None:
            items = {}
        elif type(headers) is dict:
            items = headers
        else:
            return None, None
        key = (*rest, *items.items(), *map(type, items.values()))  # the types, because 1 == True
        try:
            return key, self._by_items.get(key)
        except TypeError:  # a list of values
            return None, None

    def put(self, key: tuple[object, ...] | None, encoded: _Encoded) -> _Encoded:
        if (
            key is not None
            and encoded.octets <= self._LONGEST
            and len(encoded) <= self._MOST_FIELDS
            # Of other types equal values may mean different fields.
            and all(part is str or part is int for part in key if isinstance(part, type))
            and all(type(part[0]) is str for part in key if isinstance(part, tuple))
            # Nobody's secrets are kept beyond their session.
            and all(field.indexable and field[0] not in CREDENTIALS for field in encoded)
        ):
            if len(self._by_items) >= self._MOST:
                self._by_items.clear()
            encoded.is_shared = True
            self._by_items[key] = encoded
        return encoded


_requests: _Remembered[RequestFields] = _Remembered()
_responses: _Remembered[ResponseFields] = _Remembered()


def encode_request(
    headers: HeadersSource | None, *, scheme: str, authority: str, method: str = "GET", path: str = "/"
) -> RequestFields:
    """A request's field list; keywords fill in what `headers` does not say (nothing for a plain CONNECT)."""
    key, remembered = _requests.get(headers, scheme, authority, method, path)
    if remembered is not None:
        return remembered
    if isinstance(headers, str):
        example = {":path": headers if headers.startswith("/") else "/"}
        raise InvalidArgument(
            f"headers are a mapping or (name, value) pairs, not {headers!r}; a path is asked for with {example!r}"
        )
    headers = Headers(headers)
    check_request_names(headers)
    headers.setdefault(":method", method)
    if headers[":method"] != "CONNECT" or ":protocol" in headers:
        headers.setdefault(":scheme", scheme)
        headers.setdefault(":path", path)
        if "host" not in headers:
            headers.setdefault(":authority", authority)
    fields = _wire_fields(headers)
    wire_method, content_length = _refuse_malformed(lambda: check_request(fields, extended_connect=True))
    if headers[":method"] == "CONNECT" and ":protocol" not in headers and not _is_host_and_port(headers[":authority"]):
        # RFC 9110 section 9.3.6
        raise InvalidArgument(
            f":authority of CONNECT names a host and a port, as in 'host:443', not {headers[':authority']!r}"
        )
    return _requests.put(key, RequestFields(fields, wire_method.decode("latin-1"), content_length))


def encode_push(headers: HeadersSource | None, *, scheme: str, authority: str) -> RequestFields:
    """The field list of a request that is answered in advance; safe and without content (RFC 9113 section 8.4)."""
    fields = encode_request(headers, scheme=scheme, authority=authority)
    if fields.method not in ("GET", "HEAD"):
        raise InvalidArgument(f"only GET and HEAD can be pushed, not :method {fields.method!r}")
    if fields.content_length:
        raise InvalidArgument("a promised request has no content: leave out content-length")
    return fields


def encode_response(headers: HeadersSource | None, *, date: str | None = None) -> ResponseFields:
    """The field list of a final response; `:status` is 200 and `date` is `date` unless it says otherwise."""
    key, remembered = _responses.get(headers, date)
    if remembered is not None:
        return remembered
    headers = (RepeatedHeaders if isinstance(headers, RepeatedHeaders) else Headers)(headers)
    check_response_names(headers)
    headers.setdefault(":status", "200")
    if date is not None:
        headers.setdefault("date", date)
    fields, status, content_length = _encode_response(headers, informational=False)
    return _responses.put(key, ResponseFields(fields, status.decode(), content_length))


def encode_informational(headers: HeadersSource) -> list[HeaderTuple]:
    """The field list of a 1xx response."""
    headers = Headers(headers)
    check_response_names(headers)
    return _encode_response(headers, informational=True)[0]


def _encode_response(headers: Headers, *, informational: bool) -> tuple[list[HeaderTuple], bytes, int | None]:
    fields = _wire_fields(headers)
    status, content_length = _refuse_malformed(lambda: check_response(fields))
    if status in (b"204", b"205") and content_length:  # RFC 9110 sections 8.6 and 15.3.6
        raise InvalidArgument(f":status {status.decode()} has no content: leave out content-length")
    if status.startswith(b"1") is not informational:
        kind = "an informational response" if informational else "a final response"
        raise InvalidArgument(f":status {status.decode()} is not that of {kind}")
    return fields, status, content_length


def encode_trailers(headers: HeadersSource) -> list[HeaderTuple]:
    """The field list of trailers."""
    fields = _wire_fields(Headers(headers))
    _refuse_malformed(lambda: check_trailers(fields))
    return fields


def check_field(name: str, value: Any) -> None:
    """Raise `InvalidArgument` unless `value`, or each value in a list, can stand in a field `name`; pseudo-header
    fields can't.
    """
    fields = _wire_fields(Headers([(name, value)]))
    _refuse_malformed(lambda: check_fields(fields))


# What an observer could guess piece by piece if it were compressed together with the attacker's own text (RFC 7541
# section 7.1).
_NEVER_INDEXED = frozenset({"authorization", "proxy-authorization"})
_SHORTEST_INDEXED_COOKIE = 20


def _wire_fields(headers: Headers) -> list[HeaderTuple]:
    """The fields as bytes, pseudo-header fields first."""
    pseudo: list[HeaderTuple] = []
    regular: list[HeaderTuple] = []
    single_seen = set()
    single = SINGLE_VALUE if not isinstance(headers, RepeatedHeaders) else frozenset((b"content-length",))
    for name, value in headers.pairs():
        try:
            wire_name, wire_value = name.encode("ascii"), value.encode("latin-1")
        except UnicodeEncodeError:
            # Not `from error`, whose text has a part of the value.
            raise InvalidArgument(f"header {name!r}: the name must be ASCII, the value latin-1") from None
        if wire_name in single:
            if wire_name in single_seen:
                raise InvalidArgument(f"header {name!r} can have only one value")
            single_seen.add(wire_name)
        sensitive = (
            name in headers.sensitive
            or name in _NEVER_INDEXED
            or (name == "cookie" and len(wire_value) < _SHORTEST_INDEXED_COOKIE)
        )
        field = NeverIndexedHeaderTuple(wire_name, wire_value) if sensitive else HeaderTuple(wire_name, wire_value)
        (pseudo if name.startswith(":") else regular).append(field)
    return pseudo + regular


_Checked = TypeVar("_Checked")


def _refuse_malformed(check: Callable[[], _Checked]) -> _Checked:
    try:
        return check()
    except MalformedHeaders as error:
        raise InvalidArgument(str(error)) from error
