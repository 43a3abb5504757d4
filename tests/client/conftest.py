"""Servers for a client's tests, and environments."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import sync_h2
from support.connections.clients import echo_url
from support.connections.pairs import tls_contexts
from support.tls.certificates import Certificate
from sync_h2.client.calls.api import close_connections
from sync_h2.compat import wsgi

__all__ = ["tls_contexts"]


@pytest.fixture
def httpbin_url(certificate: Certificate) -> Iterator[str]:
    """Where httpbin is served."""
    import httpbin  # which needs a package for br: not every interpreter has one

    handler = wsgi(httpbin.app)
    with sync_h2.create_secure_server(
        handler, certfile=certificate.certificate_pem, keyfile=certificate.key_pem, allow_http1=True
    ) as server:
        yield f"https://localhost:{server.address[1]}"
        close_connections()


@pytest.fixture
def server() -> Iterator[sync_h2.ThreadingServer]:
    """Cleartext, for both versions of HTTP."""
    with sync_h2.create_server(echo_url, allow_http1=True) as server:
        yield server


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names no proxies and no authorities."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def trusted(certificate: Certificate, plain_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names the test's authority, as requests and sync_h2 both look for it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.cafile))
