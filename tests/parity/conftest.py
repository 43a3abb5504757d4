"""Fixtures of the tests of the reference API: connections of each kind."""

from __future__ import annotations

from support.connections.pairs import connections, plain_connections, tls_connections, tls_contexts
from support.rules.lock_rules import keep_lock_rules, lock_rules
from support.threads.background import background

__all__ = [
    "background",
    "connections",
    "keep_lock_rules",
    "lock_rules",
    "plain_connections",
    "tls_connections",
    "tls_contexts",
]
