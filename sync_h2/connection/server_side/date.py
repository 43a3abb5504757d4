"""The `date` field of responses (RFC 9110 section 6.6.1). Any thread."""

from __future__ import annotations

import time
from email.utils import formatdate

_last_date = (0, "")


def current_date() -> str:
    """The `date` field (RFC 9110 section 6.6.1), made once a second."""
    global _last_date
    now = int(time.time())
    if _last_date[0] != now:
        _last_date = (now, formatdate(now, usegmt=True))
    return _last_date[1]
