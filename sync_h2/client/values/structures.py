"""Header fields as requests has them: a dict whose keys are equal whatever their case.

One may be shared by threads: each access is one step.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, MutableMapping
from typing import Any


class CaseInsensitiveDict(MutableMapping[str, Any]):
    """A dict of header fields; names keep the case that they were last set with."""

    def __init__(self, data: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None, **values: Any) -> None:
        self._fields: dict[str, tuple[str, Any]] = {}  # by the names in lower case
        if data is not None or values:
            self.update({} if data is None else data, **values)

    def __setitem__(self, name: str, value: Any) -> None:
        self._fields[_key(name)] = (name, value)

    def __getitem__(self, name: str) -> Any:
        return self._fields[_key(name)][1]

    def __delitem__(self, name: str) -> None:
        del self._fields[_key(name)]

    # What the base would do with these in several steps; each request needs them some dozens of times.

    def __contains__(self, name: object) -> bool:
        return _key(name) in self._fields

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a field, whatever the case of its name; `default` if there is none."""
        found = self._fields.get(_key(name))
        return default if found is None else found[1]

    def items(self) -> ItemsView[str, Any]:
        """Names, in the case that they were last set with, and values."""
        return _Items(self)

    def update(self, *data: Any, **values: Any) -> None:
        """Set the fields of a mapping or of pairs, and those given by name."""
        if data and isinstance(data[0], CaseInsensitiveDict) and len(data) == 1 and not values:
            self._fields.update(data[0]._fields)  # in one step: others may change a client's meanwhile
        else:
            super().update(*data, **values)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._fields.values())

    def __len__(self) -> int:
        return len(self._fields)

    def lower_items(self) -> Iterator[tuple[str, Any]]:
        """Like `items`, with names in lower case."""
        return ((key, value) for key, (_, value) in self._fields.items())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return dict(self.lower_items()) == dict(CaseInsensitiveDict(other).lower_items())

    __hash__ = None  # type: ignore[assignment]  # it can change

    def copy(self) -> CaseInsensitiveDict:
        """Another dict with the same fields."""
        return CaseInsensitiveDict(self)

    def __repr__(self) -> str:
        return str(dict(self.items()))


class _Items(ItemsView[str, Any]):
    _mapping: CaseInsensitiveDict

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._mapping._fields.values())


def _key(name: Any) -> str:
    lowered: str = name.decode("latin-1").lower() if isinstance(name, bytes) else name.lower()
    return lowered


class ResponseHeaders(CaseInsensitiveDict):
    """A response's fields; several of one name are joined with a comma, and apart in `get_all`."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = list(pairs)
        self._fields = {pair[0].lower(): pair for pair in self._pairs}
        if len(self._fields) < len(self._pairs):
            self._join()

    def _join(self) -> None:
        """Make one of those that have one name, as the first of them has it."""
        several: dict[str, list[tuple[str, str]]] = {}
        for pair in self._pairs:
            several.setdefault(pair[0].lower(), []).append(pair)
        self._fields = {key: (pairs[0][0], ", ".join([value for _, value in pairs])) for key, pairs in several.items()}

    def get_all(self, name: str, default: Any = None) -> Any:
        """All values of one name, in order; `default` if there is none."""
        key = _key(name)
        if key not in self._fields:
            return default
        return [value for known, value in self._pairs if known.lower() == key] or default
