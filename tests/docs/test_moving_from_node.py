"""The tables of `docs/how-to/moving-from-node.md`: every name in them is Node's on the left, and ours on the right."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import sync_h2
from support.pages.tables import table_after
from support.programs.others import program
from sync_h2 import Headers
from sync_h2.protocol.limits import Limits
from sync_h2.protocol.settings import Settings

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "moving-from-node.md"
NAMES = table_after(PAGE, "## What is it called here?")
OPTIONS = table_after(PAGE, "## What are the options called?")

NAMES_OF_NODE = """
const http2 = require('http2');
const names = new Set();
const add = (object) => {
  for (let o = object; o && o !== Object.prototype; o = Object.getPrototypeOf(o)) {
    Object.getOwnPropertyNames(o).forEach((name) => names.add(name));
  }
};
add(http2);
add(http2.constants);
add(http2.Http2ServerRequest.prototype);
add(http2.Http2ServerResponse.prototype);
const server = http2.createServer();
add(server);
server.on('session', add);
server.on('stream', (stream) => { add(stream); stream.respond(); stream.end(); });
server.listen(0, '127.0.0.1', () => {
  const session = http2.connect(`http://127.0.0.1:${server.address().port}`);
  add(session);
  const stream = session.request();
  add(stream);
  stream.resume();
  stream.on('close', () => session.close(() => server.close(() => console.log(JSON.stringify([...names])))));
});
"""
# Arguments and options, which no object of Node's has, and words that are no names.
ARGUMENTS_OF_NODE = {
    "url",
    "options",
    "listener",
    "onRequest",
    "socket",
    "values",
    "callback",
    "milliseconds",
    "code",
    "headers",
}
OPTIONS_OF_NODE = {"statCheck", "onError"}
EVENTS_OF_NODE = {"response", "continue", "headers", "stream", "push", "trailers", "wantTrailers", "ready", "aborted"}
EVENTS_OF_NODE |= {"data", "end", "drain", "finish", "request", "checkContinue", "checkExpectation", "connect"}


def code_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def words_of(code: str) -> list[str]:
    return re.findall(r"[A-Za-z_][A-Za-z_0-9]*", code)


def test_the_names_on_the_left_are_those_of_node() -> None:
    finished = subprocess.run([program("node"), "-e", NAMES_OF_NODE], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr
    known = {*json.loads(finished.stdout), *ARGUMENTS_OF_NODE, *OPTIONS_OF_NODE, *EVENTS_OF_NODE}
    known |= {"NODE_DEBUG", "http2", "server", "session", "stream"}
    found = {word for left, *_ in NAMES for code in code_in(left) for word in words_of(code)}
    assert len(found) > 50
    assert found - known == set()


@pytest.fixture
def ours() -> set[str]:
    """The names of everything that the right column may speak of, with those of arguments and events."""
    objects: list[Any] = [sync_h2, sync_h2.constants, sync_h2.ErrorCode, sync_h2.Headers, sync_h2.Pong]
    objects += [sync_h2.ClientSession, sync_h2.ServerSession, sync_h2.ClientStream, sync_h2.ServerStream]
    objects += [sync_h2.SecureThreadingServer, sync_h2.ServerRequest, sync_h2.ServerResponse]
    names = {name for thing in objects for name in dir(thing)}
    names |= set(inspect.signature(sync_h2.Pong).parameters)
    names |= set(Limits.__dataclass_fields__) | set(Settings({"initial_window_size": 1}))
    for thing in objects:
        for function in [getattr(thing, name) for name in dir(thing) if not name.startswith("_")]:
            if inspect.isfunction(function) or (
                inspect.isclass(function) and function.__module__ == Headers.__module__
            ):
                names |= set(inspect.signature(function).parameters)
    with sync_h2.create_server(lambda stream, headers: None) as server, sync_h2.connect(server.url) as session:
        for observed in (server, session, session.request()):
            names |= events_of(observed)
    return names


def events_of(observed: Any) -> set[str]:
    with pytest.raises(sync_h2.InvalidArgument) as refused:
        observed.on("no such event", print)
    return set(str(refused.value).split("there are ")[1].split(", "))


@pytest.mark.parametrize("table", [NAMES, OPTIONS], ids=["names", "options"])
def test_the_names_on_the_right_are_there(table: list[list[str]], ours: set[str]) -> None:
    others = {"server", "names", "io", "TextIOWrapper", "shutil", "copyfileobj", "for", "chunk", "in", "True", "False"}
    others |= {"SYNC_H2_TRACE", "none", "max", "aligned", "url"}
    found = {word for _, right, *_ in table for code in code_in(right) for word in words_of(code)}
    assert found - ours - others == set()


def test_what_is_said_to_be_the_same_in_snake_case(ours: set[str]) -> None:
    paragraph = PAGE.read_text().rpartition("`maxSettings`")
    names = code_in("".join(paragraph[1:]))
    assert len(names) == 9
    for name in names:
        assert re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name) in ours
