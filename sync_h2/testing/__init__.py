"""For tests of code that speaks HTTP/2.

- `pair`: a client's and a server's session over a socketpair, with no port.
- `HandlerTransport`, `WSGITransport`: what a `Client` asks is answered by a handler, or an application, in this
  process.
- `ScriptedServer`: a server on a port that does what a test tells it, also what no server should do, for any client.
  `sync-h2 misbehave` is such a server on the command line, and the fixtures `http2_server` and `http2_client` of pytest
  are there wherever sync_h2 is installed.

    with ScriptedServer() as server:
        server.route("/news").respond(200, {"content-type": "text/plain"}, b"hello")
        server.route("/reset").reset(ErrorCode.ENHANCE_YOUR_CALM)
        server.route("/cut").respond(200, {"content-length": "100"}).data(b"x" * 10).drop()
        server.goaway_after(3)
        ...  # what is tested asks server.url
        assert server.wait_request().path == "/news"

How the scripted server is made: a script is a list of steps, each a generator that says what it waits for. A
connection has one thread, which moves octets and, in between, goes on with the scripts whose wait is over: a stream
that stalls holds up no other, and no step needs a thread or a lock. It speaks frames by itself (`scripted/`), not
through a session of this package, which would not let it break a rule. What it keeps is bounded: of requests the last
thousand, of a body the first MiB, a hundred streams on a connection, a thousand connections. `close` waits for nobody.

What is heavy to import is imported when it is first asked for; pytest never is.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__all__ = [
    "ConnectionScript",
    "HandlerTransport",
    "ReceivedRequest",
    "Script",
    "ScriptedServer",
    "WSGITransport",
    "pair",
]

if TYPE_CHECKING:
    from .in_process import HandlerTransport, WSGITransport
    from .pairs import pair
    from .scripted.received import ReceivedRequest
    from .scripted.script import ConnectionScript, Script
    from .scripted.server import ScriptedServer
else:
    _MODULES = {
        "ConnectionScript": "scripted.script",
        "HandlerTransport": "in_process",
        "ReceivedRequest": "scripted.received",
        "Script": "scripted.script",
        "ScriptedServer": "scripted.server",
        "WSGITransport": "in_process",
        "pair": "pairs",
    }

    def __getattr__(name: str) -> object:
        if name in _MODULES:
            return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
