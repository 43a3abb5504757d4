"""Header fields as requests has them: a dict whose keys are equal whatever their case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any


class CaseInsensitiveDict(MutableMapping[str, Any]):
    """A dict of header fields; names keep the case that they were last set with."""

    def __init__(self, data: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None, **values: Any) -> None:
        self._fields: dict[str, tuple[str, Any]] = {}
        self.update({} if data is None else data, **values)

    def __setitem__(self, name: str, value: Any) -> None:
        self._fields[_key(name)] = (name, value)

    def __getitem__(self, name: str) -> Any:
        return self._fields[_key(name)][1]

    def __delitem__(self, name: str) -> None:
        del self._fields[_key(name)]

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
        return CaseInsensitiveDict(dict(self.items()))

    def __repr__(self) -> str:
        return str(dict(self.items()))


def _key(name: Any) -> str:
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    lowered: str = name.lower()
    return lowered


class ResponseHeaders(CaseInsensitiveDict):
    """A response's fields; several of one name are joined with a comma, and apart in `get_all`."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__()
        self._pairs = list(pairs)
        values: dict[str, list[str]] = {}
        for name, value in self._pairs:
            values.setdefault(_key(name), []).append(value)
            self[name] = value
        for key, several in values.items():
            if len(several) > 1:
                self._fields[key] = (self._fields[key][0], ", ".join(several))

    def get_all(self, name: str, default: Any = None) -> Any:
        """All values of one name, in order; `default` if there is none."""
        return [value for known, value in self._pairs if known.lower() == name.lower()] or default
