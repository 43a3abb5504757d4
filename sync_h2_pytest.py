"""Fixtures for pytest, which loads this wherever sync_h2 is installed. So it imports sync_h2 only where a test asks for
one: not to slow down every run, nor to be there before the coverage is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import sync_h2
    from sync_h2.testing import ScriptedServer


@pytest.fixture
def http2_server_options() -> dict[str, Any]:
    """The arguments of `http2_server`; override it for others: `{"tls": True}`."""
    return {}


@pytest.fixture
def http2_server(http2_server_options: dict[str, Any]) -> Iterator[ScriptedServer]:
    """A `sync_h2.testing.ScriptedServer` that runs, and is closed after the test. A request without a route is answered
    with 404.
    """
    from sync_h2.testing import ScriptedServer

    with ScriptedServer(**http2_server_options) as server:
        yield server


@pytest.fixture
def http2_client(http2_server: ScriptedServer) -> Iterator[sync_h2.Client]:
    """A `sync_h2.Client` of `http2_server`, which takes paths for URLs (`ScriptedServer.client`)."""
    with http2_server.client() as client:
        yield client
