"""A plugin for requests' tests: sessions of requests have our adapter mounted, and httpbin speaks HTTP/2.

Without TLS (h2c with prior knowledge), and over TLS. Tests that ask other servers, which speak HTTP/1.1, stay out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpbin as httpbin_package
import pytest
import pytest_httpbin
import requests.adapters
import requests.sessions

import sync_h2
from sync_h2.adapters import RequestsAdapter
from sync_h2.compat import wsgi


class _OverH2C(RequestsAdapter):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, h2c=True, **options)


# The second is what tests mount themselves.
requests.sessions.HTTPAdapter = requests.adapters.HTTPAdapter = _OverH2C


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours, others = [], []
    for item in items:
        (ours if {"httpbin", "httpbin_secure"} & {*item.fixturenames} else others).append(item)
    items[:] = ours
    config.hook.pytest_deselected(items=others)


@pytest.fixture(scope="session")
def httpbin() -> Iterator[Any]:
    with sync_h2.create_server(wsgi(httpbin_package.app)) as server:
        yield server


@pytest.fixture(scope="session")
def httpbin_secure() -> Iterator[Any]:
    folder = Path(pytest_httpbin.__file__).with_name("certs")
    with sync_h2.create_secure_server(
        wsgi(httpbin_package.app), certfile=folder / "server.pem", keyfile=folder / "server.key"
    ) as server:
        yield server
