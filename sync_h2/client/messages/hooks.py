"""Hooks: what is called with a response when it is there, on the thread that makes the request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Hooks = Mapping[str, Any]
_NO_HOOKS: Hooks = {"response": []}


class Hooked:
    """What has hooks, as both kinds of requests have."""

    hooks: dict[str, list[Callable[..., Any]]]

    def register_hook(self, event: str, hook: Any) -> None:
        """Call `hook(response, **options)`, or each of several, when the response is there; what it returns, unless
        None, replaces it.
        """
        hooks = checked_hooks(self.hooks)
        for name, more in checked_hooks({event: hook}).items():
            hooks[name].extend(more)
        self.hooks = hooks

    def deregister_hook(self, event: str, hook: Callable[..., Any]) -> bool:
        """Call `hook` no more; False if it was none."""
        known = self.hooks.get(event, [])
        if hook not in known:
            return False
        known.remove(hook)
        return True


def checked_hooks(hooks: Hooks | None) -> dict[str, list[Callable[..., Any]]]:
    """Hooks by event, each a list. Raises ValueError for an event that there is not."""
    found: dict[str, list[Callable[..., Any]]] = {"response": []}
    if not hooks:
        return found
    for event, given in hooks.items():
        if event not in found:
            raise ValueError(f"Unsupported event specified, with event name {event!r}")
        found[event].extend([given] if callable(given) else (given or ()))
    return found


def merged_hooks(own: Hooks | None, general: Hooks) -> dict[str, Any]:
    """A request's hooks in place of the client's, as in requests."""
    if own == _NO_HOOKS:
        return dict(general)
    found = checked_hooks(own)
    return found if found["response"] else dict(general)
