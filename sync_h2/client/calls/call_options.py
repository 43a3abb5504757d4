"""What calls with URLs take, for type checkers: of `Client.request`'s arguments those that a call's own signature does
not name. Types alone: nothing of it is looked at when a call is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from ..messages.progress import Progress
from ..options.timeouts import TimeoutLike
from ..options.trust import Certificate, Verify


class BodylessOptions(TypedDict, total=False):
    """What every call takes, beside its body, its query, and whether it streams."""

    headers: Mapping[str, str | None] | None
    cookies: Any
    files: Any
    auth: Any
    timeout: TimeoutLike
    allow_redirects: bool
    proxies: Mapping[str, str | None] | None
    hooks: Mapping[str, Any] | None
    verify: Verify
    cert: Certificate
    on_upload: Progress | None
    on_download: Progress | None


class PostOptions(BodylessOptions, total=False):
    """`post`, which names `data` and `json`."""

    params: Any
    stream: bool


class PutOptions(PostOptions, total=False):
    """`put` and `patch`, which name `data`."""

    json: Any


class GetOptions(BodylessOptions, total=False):
    """`get`, which names `params`."""

    data: Any
    json: Any
    stream: bool


class CallOptions(PutOptions, total=False):
    """Those that name nothing."""

    data: Any


class StreamOptions(BodylessOptions, total=False):
    """`client.stream`, which streams."""

    params: Any
    data: Any
    json: Any
