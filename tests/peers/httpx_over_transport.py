"""A plugin for httpx's tests: those of `httpx.Client` that ask a server do it through our transport."""

from __future__ import annotations

import inspect
import logging
from typing import Any

import httpx
import pytest

from sync_h2.adapters import HTTPXTransport


def _init_transport(
    client: httpx.Client,
    verify: Any = True,
    cert: Any = None,
    trust_env: bool = True,
    http1: bool = True,
    http2: bool = False,
    limits: Any = None,
    transport: httpx.BaseTransport | None = None,
) -> httpx.BaseTransport:
    return transport or HTTPXTransport(verify=verify, cert=cert, http1=http1)


httpx.Client._init_transport = _init_transport


def pytest_configure(config: pytest.Config) -> None:
    # Newer than the tests, which take every warning for an error.
    config.addinivalue_line("filterwarnings", "ignore:'isolated_filesystem' is deprecated:DeprecationWarning")


@pytest.fixture(autouse=True)
def _log_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests compare all that is logged with what httpx logs.
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "disabled", True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours, others = [], []
    for item in items:
        asks = "server" in item.fixturenames and not inspect.iscoroutinefunction(item.function)
        (ours if asks else others).append(item)
    items[:] = ours
    config.hook.pytest_deselected(items=others)
