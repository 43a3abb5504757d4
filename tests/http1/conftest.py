"""Fixtures of the tests of HTTP/1."""

from __future__ import annotations

from support.blocking import blocked
from support.linger import short_linger
from support.lock_rules import keep_lock_rules, lock_rules
from support.threads import background

__all__ = ["background", "blocked", "keep_lock_rules", "lock_rules", "short_linger"]
