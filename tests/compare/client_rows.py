"""The table of clients. The questions are those of the programs in programs/, which have one for each column."""

from __future__ import annotations

from .cells import YES, Cell, Row, no

COLUMNS = ("sync_h2", "requests", "httpx", "niquests", "node")

NOT_PYTHON = "Node's language has no such calls"

ROWS = (
    Row(
        "HTTP/1.1",
        "http1",
        "1.1",
        {"sync_h2": YES, "requests": YES, "httpx": YES, "niquests": YES, "node": Cell("with the module `http`")},
    ),
    Row(
        "HTTP/2 over TLS",
        "http2",
        "2.0",
        {"sync_h2": YES, "requests": no("1.1"), "httpx": Cell("with `httpx[http2]`"), "niquests": YES, "node": YES},
    ),
    Row(
        "HTTP/2 in cleartext (h2c)",
        "h2c",
        "2.0",
        {
            "sync_h2": Cell("with `h2c=True`"),
            "requests": no("1.1"),
            "httpx": Cell("with `http1=False`"),
            "niquests": Cell("with `disable_http1`"),
            "node": YES,
        },
    ),
    Row(
        "HTTP/3",
        "http3",
        "3",
        {
            "sync_h2": no("2"),
            "requests": no("1.1"),
            "httpx": no("2"),
            "niquests": YES,
            "node": no("ERR_UNKNOWN_BUILTIN_MODULE"),
        },
    ),
    Row(
        "many requests at once on one connection",
        "together",
        ["together", 1],
        {
            "sync_h2": YES,
            "requests": no(["together", 3]),
            "httpx": Cell("from threads, or asyncio"),
            "niquests": Cell("with `multiplexed=True`"),
            "node": YES,
        },
    ),
    Row(
        "threads that share a connection",
        "threads",
        1,
        {
            "sync_h2": YES,
            "requests": no(3),
            "httpx": YES,
            "niquests": Cell("with `pool_maxsize=1`"),
            "node": Cell("no", untested="threads of Node share no objects"),
        },
    ),
    Row(
        "calls that block",
        "blocking",
        200,
        {
            "sync_h2": YES,
            "requests": YES,
            "httpx": YES,
            "niquests": YES,
            "node": Cell("no", untested=NOT_PYTHON),
        },
    ),
    Row(
        "asyncio",
        "asyncio_calls",
        ["2.0"],
        {
            "sync_h2": no([]),
            "requests": no([]),
            "httpx": YES,
            "niquests": YES,
            "node": Cell("an event loop of its own", untested=NOT_PYTHON),
        },
    ),
    Row(
        "pushed answers",
        "push",
        ["style"],
        {"sync_h2": YES, "requests": no([]), "httpx": no([]), "niquests": no([]), "node": YES},
    ),
    Row(
        "trailers of an answer",
        "trailers",
        {"x-end": "here"},
        {"sync_h2": YES, "requests": no(None), "httpx": no(None), "niquests": YES, "node": YES},
    ),
    Row(
        "early hints (103)",
        "hints",
        [200, [103]],
        {
            "sync_h2": YES,
            "requests": no([103, []], ": it takes them for the answer"),
            "httpx": no([200, []]),
            "niquests": Cell("with a hook"),
            "node": YES,
        },
    ),
    Row(
        "answer read while the request is written",
        "both_ways",
        True,
        {
            "sync_h2": Cell("with `connect`"),
            "requests": no(False),
            "httpx": no(False),
            "niquests": no(False),
            "node": YES,
        },
    ),
    Row(
        "WebSockets over HTTP/2 (RFC 8441)",
        "websockets",
        ["HELLO"],
        {
            "sync_h2": Cell("frames with `wsproto`"),
            "requests": Cell("no", untested="it speaks no HTTP/2, which is the row's condition"),
            "httpx": Cell("no", untested="it has no call that a CONNECT with `:protocol` could be made with"),
            "niquests": no(True, ": it asks for a field that RFC 8441 leaves out"),
            "node": Cell("frames with a package, or by hand"),
        },
    ),
    Row(
        "PING and SETTINGS in your hands",
        "ping",
        True,
        {
            "sync_h2": Cell("with `connect`"),
            "requests": no(None),
            "httpx": no(None),
            "niquests": no(None, ", it sends PINGs by itself"),
            "node": YES,
        },
    ),
    Row(
        "what was refused unprocessed is sent again, POST too",
        "repeated",
        "processed",
        {
            "sync_h2": YES,
            "requests": Cell("no", untested="HTTP/1.1 has no such refusal"),
            "httpx": no(None),
            "niquests": no(None),
            "node": no(None),
        },
    ),
    Row(
        "an error says whether the request was processed",
        "told_apart",
        False,
        {
            "sync_h2": Cell("with `error.processed`"),
            "requests": no(None),
            "httpx": no(None),
            "niquests": no(None),
            "node": no("rstCode", ", but `rstCode` is there to be looked at"),
        },
    ),
    Row(
        "HTTP proxies",
        "proxy",
        200,
        {
            "sync_h2": YES,
            "requests": YES,
            "httpx": YES,
            "niquests": YES,
            "node": Cell("by hand, with `createConnection`"),
        },
    ),
    Row(
        "SOCKS proxies",
        "socks",
        200,
        {
            "sync_h2": YES,
            "requests": Cell("with `requests[socks]`"),
            "httpx": Cell("with `httpx[socks]`"),
            "niquests": Cell("with `niquests[socks]`"),
            "node": Cell("no", untested="no module of Node has anything to try"),
        },
    ),
    Row(
        "tests without a port, in the same process",
        "in_process",
        "called /apples",
        {
            "sync_h2": Cell("WSGI, and handlers"),
            "requests": Cell("with `responses`: answers, not applications"),
            "httpx": Cell("WSGI, ASGI"),
            "niquests": Cell("WSGI, ASGI"),
            "node": Cell("over a pair of streams, by hand"),
        },
    ),
)
