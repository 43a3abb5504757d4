"""What all attacks share: a server to attack."""

from __future__ import annotations

import ssl

import pytest

from support.attacks.victim import either_victim, start, victim
from support.rules.stress import pytest_collection_modifyitems, pytest_generate_tests, stress_round
from support.threads.background import background
from support.tls.certificates import Certificate

__all__ = [
    "background",
    "either_victim",
    "pytest_collection_modifyitems",
    "pytest_generate_tests",
    "start",
    "stress_round",
    "victim",
]


@pytest.fixture
def without_alpn(certificate: Certificate) -> ssl.SSLContext:
    """A client's context that offers no protocol."""
    return ssl.create_default_context(cafile=str(certificate.cafile))
