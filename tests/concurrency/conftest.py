"""What all tests of concurrency share: the lock's rules are watched in each."""

from __future__ import annotations

from support.blocking import blocked
from support.connections import connections, plain_connections, tls_connections, tls_contexts
from support.linger import short_linger
from support.lock_rules import keep_lock_rules, lock_rules
from support.stress import pytest_collection_modifyitems, pytest_generate_tests, stress_round
from support.threads import background

__all__ = [
    "background",
    "blocked",
    "connections",
    "keep_lock_rules",
    "lock_rules",
    "plain_connections",
    "pytest_collection_modifyitems",
    "pytest_generate_tests",
    "short_linger",
    "stress_round",
    "tls_connections",
    "tls_contexts",
]
