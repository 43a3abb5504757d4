"""Fixtures of the tests of requests and responses."""

from __future__ import annotations

from support.exchanges import exchange
from support.lock_rules import keep_lock_rules, lock_rules
from support.threads import background

__all__ = ["background", "exchange", "keep_lock_rules", "lock_rules"]
