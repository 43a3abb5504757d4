"""Fixtures of the tests of HTTP/1."""

from __future__ import annotations

from support.connections.linger import short_linger
from support.rules.lock_rules import keep_lock_rules, lock_rules
from support.threads.background import background
from support.threads.blocking import blocked

__all__ = ["background", "blocked", "keep_lock_rules", "lock_rules", "short_linger"]
