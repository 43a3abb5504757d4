"""The tables of the documentation match the code, and the names that it mentions are there."""

from __future__ import annotations

import configparser
import dataclasses
import logging
import re
from contextlib import closing
from pathlib import Path

import pytest

import sync_h2
from sync_h2.protocol.limits import Limits
from sync_h2.testing import pair

DOCS = Path(__file__).parent.parent.parent / "docs"


def table_after(page: str, heading: str) -> list[list[str]]:
    """The rows of the page's table whose first column has this heading, as lists of cells."""
    lines = (DOCS / page).read_text().split(f"\n| {heading} |", 1)[1].splitlines()[2:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def shown(name: str, value: float | str | None) -> str:
    """A limit's value as the page shows it."""
    if isinstance(value, str):
        return f"`{value}`"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value)
    if name.endswith(("_timeout", "_interval")):
        return f"{value:g} s"
    if name.endswith("_rate"):
        return f"{value:g}/s"
    if name.endswith(("_size", "_memory", "_length", "_body")) and name != "max_origin_set_size":  # which counts
        unit, shift = next(
            (unit, shift) for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)) if value >= 1 << shift
        )
        return f"{value >> shift} {unit}"
    return f"{value:g}"


def test_every_option_is_there_with_its_default():
    server, client = Limits.for_server(), Limits.for_client()
    expected = {}
    for field in dataclasses.fields(Limits):
        of_server, of_client = (shown(field.name, getattr(limits, field.name)) for limits in (server, client))
        expected[field.name] = of_server if of_server == of_client else f"{of_server} (client: {of_client})"
    assert {
        names_in(option)[0]: default for option, default, *_ in table_after("reference/options.md", "option")
    } == expected


@pytest.mark.parametrize("kind", ["session", "stream", "server"])
def test_every_event_is_there(kind: str):
    client, _ = pair(lambda stream, headers: stream.end())
    with client, closing(sync_h2.create_server()) as server:
        stream = client.request()
        stream.read()
        observed = {"session": client, "stream": stream, "server": server}[kind]
        with pytest.raises(sync_h2.InvalidArgument) as refused:
            observed.on("no such event", print)
    known = set(str(refused.value).split("there are ")[1].split(", "))
    assert {names_in(row[0])[0] for row in table_after("reference/events.md", f"of a {kind}")} == known


def test_every_extra_is_there_with_what_it_brings() -> None:
    configuration = configparser.ConfigParser()
    configuration.read(DOCS.parent / "setup.cfg")
    extras = {
        name: [re.split(r"[^\w-]", line)[0] for line in brings.split("\n") if line]
        for name, brings in configuration["options.extras_require"].items()
        if name not in ("docs", "test")
    }
    there = table_after("reference/extras.md", "extra")
    assert {names_in(row[0])[0]: row[1].split(", ") for row in there} == extras


def test_every_logger_is_there():
    assert sync_h2.compat.wsgi is not None  # which has one, and is imported when it is first asked for
    loggers = {name for name in logging.Logger.manager.loggerDict if name.startswith("sync_h2.")}
    assert {names_in(row[0])[0] for row in table_after("guide/inspection.md", "logger")} == loggers


def test_every_name_of_the_module_that_is_mentioned_exists() -> None:
    text = "".join(page.read_text() for page in [DOCS.parent / "README.md", *DOCS.rglob("*.md")])
    mentioned = set(re.findall(r"\bsync_h2\.([A-Za-z_0-9]+)", text)) - {"packages"}  # which requests has
    loggers = {
        name.removeprefix("sync_h2.")
        for row in table_after("guide/inspection.md", "logger")
        for name in names_in(row[0])
    }
    of_environ = set(re.findall(r"sync_h2\.(\w+)", " ".join(row[0] for row in table_after("guide/wsgi.md", "key"))))
    known = loggers | of_environ | {"gunicorn"}  # a module that only gunicorn imports
    assert [name for name in mentioned - known if not hasattr(sync_h2, name)] == []
    assert len(mentioned) > 30


def test_the_modules_that_the_design_page_names_are_there() -> None:
    named = re.findall(r"`([\w/]+\.py)`", (DOCS / "design.md").read_text())
    folders = {name: DOCS.parent if name.startswith("tests/") else DOCS.parent / "sync_h2" for name in named}
    assert len(folders) > 50
    assert not [name for name, folder in folders.items() if not (folder / name).is_file()]
