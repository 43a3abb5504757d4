"""A plugin for requests' tests: sessions of requests have our adapter mounted, and httpbin speaks HTTP/2.

Without TLS (h2c with prior knowledge), and over TLS. Tests that ask other servers, which speak HTTP/1.1, stay out.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpbin as httpbin_package
import pytest
import pytest_httpbin
import requests.sessions

import sync_h2
from sync_h2.adapters import RequestsAdapter
from sync_h2.compat import wsgi

requests.sessions.HTTPAdapter = functools.partial(RequestsAdapter, h2c=True)


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
