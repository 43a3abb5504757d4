"""What becomes of newcomers, each with a connection of its own, while others keep a server busy with next to nothing:
frames and chunks that carry an octet or none, and connections that are over before they are served (see
programs/busy_clients.py).
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from support.attacks.honest_clients import Bystander
from support.attacks.raw_clients import Where

from . import servers
from .hostages import LONGEST_WAIT
from .workplace import BODY, PROGRAMS, environment

if TYPE_CHECKING:
    from .rows import Entry, Setting

MEDIAN_WAIT = "median wait ms"

KINDS = (
    "octets of DATA",
    "empty DATA",
    "PING",
    "SETTINGS",
    "PRIORITY",
    "WINDOW_UPDATE",
    "unknown frames",
    "resets",
    "HTTP/1.1 chunks",
    "preface and end",
    "nothing and end",
    "nothing and reset",
    "garbage and end",
)
"""Of programs/busy_clients.py."""

_CONNECTIONS = 50
_SHORT_ONES_A_SECOND = 1000
_NEWCOMERS = 30
_LONGEST = 30.0  # seconds beyond `setting.hold`; then fewer newcomers have to do
_PATIENCE = 60.0  # seconds for which a newcomer waits


@contextlib.contextmanager
def prepare(setting: Setting, entry: Entry, *, tls: bool) -> Iterator[Callable[[], Mapping[str, float]]]:
    """Each measurement is of 30 newcomers, over at least `setting.hold` seconds."""
    peer = servers.BOTH_VERSIONS.get(entry.peer, entry.peer)
    with servers.running(peer, setting.places, tls=tls) as server:
        cafile = str(setting.places.cafile) if tls else None
        options = {
            "port": server.port,
            "cafile": cafile,
            "kind": entry.variant,
            "connections": 5 if setting.quick else _CONNECTIONS,
            "rate": 50 if setting.quick else _SHORT_ONES_A_SECOND,
        }
        newcomers = 3 if setting.quick else _NEWCOMERS
        pause = setting.hold / newcomers

        def measure() -> Mapping[str, float]:
            where = Where(("127.0.0.1", server.port), cafile)
            program = [sys.executable, str(PROGRAMS / "busy_clients.py"), json.dumps(options)]
            with subprocess.Popen(
                program, env=environment(setting.places), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
            ) as load:
                try:
                    assert load.stdout is not None
                    if not load.stdout.readline():
                        raise RuntimeError("the busy clients have ended")
                    with Bystander(where, "/", BODY, pause=pause, patience=_PATIENCE) as bystander:
                        until = time.monotonic() + setting.hold + _LONGEST
                        while bystander.rounds < newcomers and time.monotonic() < until:
                            bystander.served(1)
                    if load.poll() is not None:
                        raise RuntimeError("the busy clients have ended")
                finally:
                    load.kill()
            waits = sorted(bystander.waits)
            return {LONGEST_WAIT: waits[-1] * 1e3, MEDIAN_WAIT: waits[len(waits) // 2] * 1e3}

        yield measure
