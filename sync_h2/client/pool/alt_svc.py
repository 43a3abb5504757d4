"""Alternative services (RFC 7838): where else an origin says that it is served, for as long as it said.

Whoever speaks for an origin chooses where the client connects, and says a host's name there: hosts in the client's own
network are not for everybody to ask, so by default that leads to other ports of the origin's host alone.

Any thread may ask and tell; nothing blocks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from ...interpreter import Lock
from ...transport.fork import renew_in_forked_child
from ..messages.answer import Answer
from ..opening.destination import Destination
from ..values.fields import named_values, split_outside_quotes, unquoted
from ..values.origin import Origin

OTHER_HOSTS = "other-hosts"
_DEFAULT_AGE = 24 * 3600.0
_MOST_ORIGINS = 1000
_MOST_OF_ONE_ORIGIN = 16
_LONGEST_HOST = 255  # characters, which is what DNS has


@dataclass(frozen=True)
class Alternative:
    """A place, which must show the origin's certificate all the same."""

    host: str
    port: int
    expires_at: float


class Alternatives:
    """What origins have said, kept apart by whom the client trusted then. `follow` is False for nothing, True for what
    is on the origin's own host, and "other-hosts".
    """

    def __init__(self, follow: bool | str = True) -> None:
        if not isinstance(follow, bool) and follow != OTHER_HOSTS:
            raise TypeError(f"alt_svc is True, False or {OTHER_HOSTS!r}, not {follow!r}")
        self._follow = follow
        self._lock = Lock()
        self._known: dict[Destination, list[Alternative]] = {}
        renew_in_forked_child(self)

    def _renew(self) -> None:
        self._lock = Lock()

    def told(self, destination: Destination, value: str) -> None:
        """An origin has sent this field, or frame. It replaces what it said before."""
        origin = destination.origin
        if origin.scheme != "https" or not self._follow:
            return  # what comes over cleartext may be anybody's (RFC 7838 section 2.1)
        found = parse_alternatives(value, origin)
        if self._follow is True:
            found = [place for place in found if place.host.lower() == origin.host]
        with self._lock:
            self._known.pop(destination, None)
            if found:
                self._known[destination] = found
                if len(self._known) > _MOST_ORIGINS:
                    del self._known[next(iter(self._known))]

    def note(self, destination: Destination, answer: Answer) -> None:
        """Remember what an answer says with Alt-Svc; nothing with 421 (RFC 7838 section 6)."""
        for name, value in answer.headers:
            if name == "alt-svc" and answer.status != 421:
                self.told(destination, value)

    def listener(self, destination: Destination) -> Callable[[str, str, int], None]:
        """What is to be called with a session's ALTSVC frames."""

        def altsvc(value: str, origin: str, stream_id: int) -> None:
            # Of others only if the certificate is theirs too: left to them.
            if origin in ("", str(destination.origin)):
                self.told(destination, value)

        return altsvc

    def of(self, destination: Destination) -> Alternative | None:
        """Where to try first."""
        if not self._known:
            return None
        with self._lock:
            now = time.monotonic()
            return next((place for place in self._known.get(destination, ()) if place.expires_at > now), None)

    def failed(self, destination: Destination, place: Alternative) -> None:
        """It could not be used: not again until the origin says so again."""
        with self._lock:
            left = [other for other in self._known.pop(destination, []) if other != place]
            if left:
                self._known[destination] = left


def parse_alternatives(value: str, origin: Origin) -> list[Alternative]:
    """The places for HTTP/2 over TLS that an Alt-Svc field names, the preferred one first; none for `clear`.

    Those beyond the sixteenth are left out.
    """
    if value.strip() == "clear":
        return []
    found = []
    for entry in split_outside_quotes(value, ","):
        service, *parameters = split_outside_quotes(entry, ";")
        protocol, _, quoted = (text.strip() for text in service.partition("="))
        host, _, port = unquoted(quoted).rpartition(":")
        if unquote(protocol) != "h2" or not quoted.startswith('"') or len(host) > _LONGEST_HOST or not _is_port(port):
            continue
        age = named_values(parameters).get("ma", "")
        seconds = float(age) if age.isdecimal() else _DEFAULT_AGE
        place = Alternative(host.strip("[]") or origin.host, int(port), time.monotonic() + seconds)
        if (place.host, place.port) != (origin.host, origin.port):
            found.append(place)
            if len(found) == _MOST_OF_ONE_ORIGIN:
                break
    return found


def _is_port(text: str) -> bool:
    return len(text) <= 5 and text.isdecimal() and 0 < int(text) < 65536
