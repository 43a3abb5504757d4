"""What all tests of concurrency share: the lock's rules are watched in each."""

from __future__ import annotations

import pytest

from support.blocking import blocked
from support.connections import connections, plain_connections, tls_connections, tls_contexts
from support.lock_rules import LockRules, lock_rules
from support.stress import pytest_collection_modifyitems, pytest_configure, pytest_generate_tests, stress_round
from support.threads import background

__all__ = [
    "background",
    "blocked",
    "connections",
    "lock_rules",
    "plain_connections",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_generate_tests",
    "stress_round",
    "tls_connections",
    "tls_contexts",
]


@pytest.fixture(autouse=True)
def _keep_lock_rules(lock_rules: LockRules) -> None:
    """No blocking call and no foreign code under a session's lock, in any test of this folder."""
