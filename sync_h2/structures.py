"""`requests.structures`' names: header fields as a dict. Nothing runs here."""

from __future__ import annotations

from .client.values.structures import CaseInsensitiveDict

__all__ = ["CaseInsensitiveDict"]
