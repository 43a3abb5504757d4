"""The lock's rules are watched in each test of this folder."""

from __future__ import annotations

from support.rules.lock_rules import keep_lock_rules, lock_rules
from support.threads.blocking import blocked

__all__ = ["blocked", "keep_lock_rules", "lock_rules"]
