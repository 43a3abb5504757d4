"""The lock's rules are watched in each test of this folder."""

from __future__ import annotations

from support.blocking import blocked
from support.lock_rules import keep_lock_rules, lock_rules

__all__ = ["blocked", "keep_lock_rules", "lock_rules"]
