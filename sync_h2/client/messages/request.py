"""A request as it was given: what `PreparedRequest`, which is sent, is made of. It is one thread's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .hooks import Hooked, Hooks, checked_hooks
from .prepared_request import PreparedRequest


class Request(Hooked):
    """What is wanted, as it was given; `Client.prepare_request` or `prepare` make of it what is sent."""

    def __init__(
        self,
        method: str | None = None,
        url: str | None = None,
        headers: Mapping[str, Any] | None = None,
        files: Any = None,
        data: Any = None,
        params: Any = None,
        auth: Any = None,
        cookies: Any = None,
        hooks: Hooks | None = None,
        json: Any = None,
    ) -> None:
        self.method = method
        self.url = url
        self.headers = {} if headers is None else headers
        self.files = [] if files is None else files
        self.data = [] if data is None else data
        self.params = {} if params is None else params
        self.auth = auth
        self.cookies = cookies
        self.hooks = checked_hooks(hooks)
        self.json = json

    def prepare(self) -> PreparedRequest:
        """What is sent, without a client's part. Raises for what can't be sent."""
        prepared = PreparedRequest()
        prepared.prepare(
            *(self.method, self.url, self.headers, self.files, self.data),
            *(self.params, self.auth, self.cookies, self.hooks, self.json),
        )
        return prepared

    def __repr__(self) -> str:
        return f"<Request [{self.method}]>"
