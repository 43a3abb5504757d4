"""Origins (RFC 9110 section 4.3.1), which are what requests go to. Pure values."""

from __future__ import annotations

from typing import NamedTuple

from ...interpreter import SharedDict
from ...transport.host_names import as_authority
from ...transport.urls import URL

DEFAULT_PORTS = SharedDict({"http": 80, "https": 443})


class Origin(NamedTuple):
    """Scheme, host and port."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, parts: URL) -> Origin:
        return cls(parts.scheme, parts.host, parts.port or DEFAULT_PORTS.get(parts.scheme, 0))

    @property
    def authority(self) -> str:
        """Host, and port where it is not the scheme's own."""
        host = as_authority(self.host)
        return host if self.port == DEFAULT_PORTS.get(self.scheme, 0) else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"
