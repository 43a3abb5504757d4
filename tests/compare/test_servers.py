"""Each cell of the table of servers: the server is started, and a client finds out what the cell says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.tls.certificates import Certificate

from . import server_questions
from .http3_server import http3_server
from .server_rows import COLUMNS, ROWS, RUN
from .servers import serving
from .test_clients import ask

TESTED = [(row, column) for row in ROWS for column in COLUMNS if not row.cells[column].untested]


@pytest.mark.parametrize(
    ("row", "column"), TESTED, ids=lambda value: value if isinstance(value, str) else value.question
)
def test_a_server_does_what_its_cell_says(row: Any, column: str, certificate: Certificate, tmp_path: Path) -> None:
    if row.question == "http3":
        with http3_server(certificate, tmp_path) as url:
            places = {"url": "", "plain": "", "cafile": str(certificate.cafile), "proxy": "", "socks": "", "http3": url}
            assert ask("niquests", "http3", places) == row.expected(column)
        return
    question, _, plain = row.question.partition(" ")
    application = RUN.get((column, question), RUN.get((column, ""), ""))
    with serving(column, application, certificate, tmp_path, tls=not plain) as server:
        assert getattr(server_questions, question)(server) == row.expected(column)
