"""Everything that users can reach says what it is: modules, classes, functions, methods, properties."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import sync_h2

MODULES = [sync_h2, *(value for name in sync_h2.__all__ if inspect.ismodule(value := getattr(sync_h2, name)))]


def names_of(module: ModuleType) -> Iterator[str]:
    """Its public names; where it has no list of these, what it defines."""
    listed = getattr(module, "__all__", None)
    for name, value in vars(module).items() if listed is None else [(name, getattr(module, name)) for name in listed]:
        if listed is not None or (not name.startswith("_") and is_ours(value, module.__name__)):
            yield name


def is_ours(value: Any, module: str = "sync_h2") -> bool:
    return f"{getattr(value, '__module__', '')}.".startswith(f"{module}.")


def documented(cls: type) -> Iterator[tuple[str, object]]:
    """What a class, or one of ours that it is made of, defines. What overrides something of the standard library is
    documented there.
    """
    for base in filter(is_ours, cls.__mro__):
        for name, value in vars(base).items():
            function = getattr(value, "__func__", value)  # of a class method
            if name.startswith("_") or not (inspect.isfunction(function) or isinstance(value, property)):
                continue
            if not any(name in vars(other) for other in cls.__mro__ if not is_ours(other)):
                yield f"{base.__qualname__}.{name}", function


def public() -> Iterator[tuple[str, object]]:
    for module in MODULES:
        yield module.__name__, module
        for name in names_of(module):
            value = getattr(module, name)
            if inspect.isclass(value) and is_ours(value):
                yield f"{module.__name__}.{name}", value
                yield from documented(value)
            elif inspect.isfunction(value) and is_ours(value):
                yield f"{module.__name__}.{name}", value


def test_all_of_it_has_a_docstring() -> None:
    found = dict(public())
    assert {
        "sync_h2.testing.pair",
        "sync_h2.get",
        "ReadableStream.read",
        "Session.encrypted",
        "sync_h2.compat",
    } <= found.keys()
    assert len(found) > 300
    own = {
        name: vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__ for name, value in found.items()
    }
    assert sorted(name for name, text in own.items() if not text) == []


def test_they_are_sentences() -> None:
    for name, value in public():
        text = inspect.getdoc(value) or ""
        assert text[0].isupper() or text[0] in "`\"'1", name
        assert not text.endswith((",", ";")), name


def test_their_types_can_be_asked_for() -> None:
    """By what reads annotations while it runs, as frameworks do: of functions, constructors, and a client's methods."""
    functions = {name: value for name, value in public() if inspect.isfunction(value) and name.startswith("sync_h2.")}
    functions.update((name, value.__init__) for name, value in public() if "__init__" in getattr(value, "__dict__", {}))
    functions.update(
        (name, value) for name, value in public() if name.startswith("Client.") and inspect.isfunction(value)
    )
    # Its `Retry` is of another package, which need not be there.
    del functions["sync_h2.adapters.HTTPAdapter"]
    hints = {name: typing.get_type_hints(function) for name, function in functions.items()}
    assert {"sync_h2.create_server", "sync_h2.connect", "sync_h2.get", "sync_h2.Client", "Client.get"} <= hints.keys()
    assert sync_h2.ThreadingServer in hints["sync_h2.create_server"].values()
