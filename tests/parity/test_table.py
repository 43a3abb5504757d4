"""The reference API as a table: every name and every promise has a test that proves it, and every public name is in it.

The rows stand in tables/. A row is (the reference's name, or "" where it has none, ours, the tests that prove it).
Ours is a public name, as `public_names` forms them, or several with commas between, and behind a colon what is promised
of it.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sync_h2
import sync_h2.compat
import sync_h2.testing
from parity import tables
from sync_h2.protocol.limits import Limits
from sync_h2.testing import ConnectionScript, ReceivedRequest, Script, ScriptedServer, pair

TESTS = Path(__file__).parent.parent
TABLES = [importlib.import_module(f"{tables.__name__}.{found.name}") for found in pkgutil.iter_modules(tables.__path__)]
ENTRIES: list[tables.Entry] = [entry for table in TABLES for entry in table.ENTRIES]
OURS = [entry[1] for entry in ENTRIES]


def parameters(name: str, function: Any) -> Iterator[str]:
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name != "self" and parameter.kind is not parameter.VAR_KEYWORD:
            yield f"{name}({parameter.name})"


def members(cls: type) -> Iterator[str]:
    """`Class.name` of what the class offers, under the most basic public class that has it."""
    fields = [field.name for field in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else []
    for name in [*dir(cls), *fields]:
        ours = any(name in vars(base) for base in cls.__mro__ if base.__module__.startswith("sync_h2."))
        if name.startswith("_") or not (ours or name in fields):
            continue
        public = [base for base in cls.__mro__ if base.__name__ in sync_h2.__all__ and hasattr(base, name)]
        full_name = f"{(public or [cls])[-1].__name__}.{name}"
        yield full_name
        if inspect.isfunction(getattr(cls, name, None)):
            yield from parameters(full_name, getattr(cls, name))


def events() -> Iterator[str]:
    client, server_session = pair(lambda stream, headers: stream.end())
    with client, server_session, sync_h2.create_server() as server:
        stream = client.request()
        stream.read()
        for kind, observed in (("session", client), ("stream", stream), ("server", server)):
            yield from (f"{kind} event {name}" for name in observed._listeners.known)


@functools.cache
def public_names() -> frozenset[str]:
    """Functions and classes of `sync_h2.__all__`, `function(parameter)`, `Class.member`, `Class.method(parameter)`,
    `session event name` (or stream, server), `option name`, and the same of `compat.`.
    """
    names = set(sync_h2.__all__) | {"testing.pair"} | set(parameters("testing.pair", pair)) | set(events())
    names |= {f"option {field.name}" for field in dataclasses.fields(Limits)}
    for name in sync_h2.__all__:
        offered = getattr(sync_h2, name)
        if inspect.isfunction(offered):
            names |= set(parameters(name, offered))
        elif inspect.isclass(offered) and not issubclass(offered, enum.Enum):
            names |= set(members(offered))
    names |= {f"testing.{name}" for name in scripted_names()}
    return frozenset(names | {f"compat.{name}" for name in compat_names()})


def scripted_names() -> Iterator[str]:
    """The same of what scripts `sync_h2.testing`'s server."""
    yield from parameters("ScriptedServer", ScriptedServer)
    for cls in (ScriptedServer, ReceivedRequest, ConnectionScript, Script):
        yield cls.__name__
        inherited = tuple(f"{cls.__name__}.{name}" for name in vars(cls.__base__))
        yield from (name for name in members(cls) if name.partition("(")[0] not in inherited)


def compat_names() -> Iterator[str]:
    """The same of what `sync_h2.compat` has and `sync_h2` has not."""
    for name in set(sync_h2.compat.__all__) - set(sync_h2.__all__):
        yield name
        offered = getattr(sync_h2.compat, name)
        yield from members(offered) if inspect.isclass(offered) else parameters(name, offered)


def names_of(ours: str) -> list[str]:
    return ours.split(": ")[0].split(", ")


def test_every_entry_has_a_proof() -> None:
    assert [entry for entry in ENTRIES if len(entry) < 3 or not all(entry[1:])] == []


@functools.cache
def functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_every_proof_is_a_test() -> None:
    proofs = {proof for entry in ENTRIES for proof in entry[2:]}
    missing = []
    for proof in proofs:
        file, _, name = proof.partition("::")
        if not ((TESTS / file).is_file() and name.startswith("test_") and name in functions_of(file)):
            missing.append(proof)
    assert sorted(missing) == []


def test_every_name_of_ours_exists() -> None:
    assert [name for ours in OURS for name in names_of(ours) if name not in public_names()] == []


def test_every_public_name_is_an_entry() -> None:
    assert sorted(public_names() - {name for ours in OURS for name in names_of(ours)}) == []


def test_no_entry_is_there_twice() -> None:
    assert sorted(ours for ours in set(OURS) if OURS.count(ours) > 1) == []


def test_their_number(capsys: pytest.CaptureFixture[str]) -> None:
    proofs = {proof for entry in ENTRIES for proof in entry[2:]}
    with capsys.disabled():
        print(f"\nparity: {len(ENTRIES)} entries, {len(proofs)} tests")
    assert len(ENTRIES) >= 390
