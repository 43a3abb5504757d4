"""Where requests go, as far as they can share a connection. Pure values."""

from __future__ import annotations

from typing import NamedTuple

from ..options.trust import Shown, Trust
from ..values.origin import Origin


class Destination(NamedTuple):
    """What must be equal for requests to share a connection. A tuple, which is compared and looked up in C."""

    origin: Origin
    proxy: str | None
    verify: Trust
    cert: Shown
    server_name: str | None = None  # what TLS asks for, if it is not the origin's host

    def may_share_with(self, other: Destination) -> bool:
        """Whether a connection to `other` may serve this one too, should it be for its origin: both are reached without
        a proxy, asked for by their own names, and equally trusted.
        """
        return (
            (self.proxy is None and other.proxy is None)
            and (not self.server_name and other.server_name is None)
            and (self.verify, self.cert) == (other.verify, other.cert)
        )
