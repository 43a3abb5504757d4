"""What all tests of concurrency share: the lock's rules are watched in each.

- `ends/`: what ends, or is dropped, while others are at it: sessions, processes, streams, what holds them.
- `interrupts/`: exceptions that strike a thread from outside, wherever it is.
- `shared/`: what threads share: the lock and its waiters, what does without it, the pool.
- `transfers/`: octets on their way while threads, windows and TLS get in between: none is lost, doubled or changed.
"""

from __future__ import annotations

from support.connections.linger import long_linger, short_linger
from support.connections.pairs import connections, plain_connections, tls_connections, tls_contexts
from support.rules.lock_rules import keep_lock_rules, lock_rules
from support.rules.stress import pytest_collection_modifyitems, pytest_generate_tests, stress_round
from support.threads.background import background
from support.threads.blocking import blocked

__all__ = [
    "background",
    "blocked",
    "connections",
    "keep_lock_rules",
    "lock_rules",
    "long_linger",
    "plain_connections",
    "pytest_collection_modifyitems",
    "pytest_generate_tests",
    "short_linger",
    "stress_round",
    "tls_connections",
    "tls_contexts",
]
