"""What README.md says is true: its Python blocks run in order, as in one session, and its tables match the code."""

from __future__ import annotations

import dataclasses
import logging
import re
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import sync_h2
import sync_h2.errors
from support.tls.certificates import Certificate
from sync_h2.protocol.limits import Limits
from sync_h2.testing import pair

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text()


def free_port() -> str:
    with socket.create_server(("localhost", 0)) as listener:
        return str(listener.getsockname()[1])


def table_after(heading: str) -> list[list[str]]:
    """The rows of the table whose first column has this heading, as lists of cells."""
    lines = README.split(f"\n| {heading} |", 1)[1].splitlines()[2:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture
def files(certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with the files that README names."""
    for name, path in {
        "server.pem": certificate.certfile,
        "server.key": certificate.keyfile,
        "authority.pem": certificate.cafile,
    }.items():
        (tmp_path / name).symlink_to(path)
    (tmp_path / "report.csv").write_bytes(b"1,2,3\n" * 500_000)
    monkeypatch.chdir(tmp_path)


def test_python_blocks_print_what_their_comments_say(files: None, capsys: pytest.CaptureFixture[str]):
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    ports = {"8080": free_port(), "8443": free_port()}
    namespace: dict[str, Any] = {}
    try:
        for block in blocks:
            source = re.sub("8080|8443", lambda match: ports[match[0]], block)
            exec(compile(source, "README.md", "exec", dont_inherit=True), namespace)
            expected = [
                line.rsplit("  # ", 1)[1]
                for line in block.splitlines()
                if line.strip().startswith("print(") and "  # " in line
            ]
            assert capsys.readouterr().out.splitlines() == expected
    finally:
        if "server" in namespace:
            namespace["server"].close()
    assert len(blocks) > 10


def test_the_tree_of_errors_is_that_of_the_module():
    tree = [line.strip() for line in (sync_h2.errors.__doc__ or "").splitlines() if line.startswith("    ")]
    block = README.split("## Errors\n", 1)[1].split("```")[1]
    assert [line.strip() for line in block.strip().splitlines()] == tree


def shown(name: str, value: float | str | None) -> str:
    """A limit's value as README shows it."""
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
    assert {names_in(option)[0]: default for option, default, *_ in table_after("option")} == expected


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
    assert {names_in(row[0])[0] for row in table_after(f"of a {kind}")} == known


def test_every_logger_is_there():
    loggers = {name for name in logging.Logger.manager.loggerDict if name.startswith("sync_h2.")}
    assert {names_in(row[0])[0] for row in table_after("logger")} == loggers


def test_every_name_of_the_module_that_is_mentioned_exists():
    mentioned = set(re.findall(r"sync_h2\.([A-Za-z_0-9]+)", README))
    loggers = {name.removeprefix("sync_h2.") for row in table_after("logger") for name in names_in(row[0])}
    of_environ = set(re.findall(r"sync_h2\.(\w+)", " ".join(row[0] for row in table_after("key"))))
    known = loggers | of_environ | {"gunicorn"}  # a module that only gunicorn imports
    assert [name for name in mentioned - known if not hasattr(sync_h2, name)] == []
    for name in ("default_settings", "pack_settings", "unpack_settings", "serve_socket"):
        assert hasattr(sync_h2, name)


def test_the_modules_that_the_design_page_names_are_there() -> None:
    named = re.findall(r"`([\w/]+\.py)`", (REPOSITORY / "docs" / "design.md").read_text())
    folders = {name: REPOSITORY if name.startswith("tests/") else REPOSITORY / "sync_h2" for name in named}
    assert len(folders) > 50
    assert not [name for name, folder in folders.items() if not (folder / name).is_file()]
