"""The table of servers. A question is a function of server_questions.py, with " plain" behind it where it is asked
without TLS. `RUN` says with what application the servers of each column are started for it.
"""

from __future__ import annotations

from .cells import YES, Cell, Row, no

COLUMNS = ("sync_h2", "hypercorn", "gunicorn", "node")

NO_UDP = "it has no option that would make it listen on UDP, so there is nothing to try"
NO_TIMES = "a test that measures fails when the machine is busy: `tox -e bench` does that"
OTHER_LANGUAGE = "it runs no Python"

WSGI, ASGI = "serve_gunicorn:app", "serve_asgi:app"

RUN = {
    ("hypercorn", ""): ASGI,
    ("gunicorn", ""): WSGI,
    ("hypercorn", "wsgi"): "serve_asgi:application",
    ("gunicorn", "asgi"): ASGI,
    ("gunicorn", "together"): ASGI,
    ("hypercorn", "wsgi_together"): WSGI,
    ("node", "both"): "compat",
    ("node", "processes"): "cluster",
    ("sync_h2", "processes"): "workers",
    ("sync_h2", "wsgi_together"): "wsgi",
}
"""Applications by column and question; "" is any other question. sync_h2 and Node have one program for all."""

ROWS = (
    Row(
        "HTTP/2 over TLS",
        "http2",
        "h2",
        {"sync_h2": YES, "hypercorn": YES, "gunicorn": Cell("with `gunicorn[http2]`"), "node": YES},
    ),
    Row(
        "HTTP/2 in cleartext (h2c)",
        "http2 plain",
        "h2c",
        {
            "sync_h2": YES,
            "hypercorn": YES,
            "gunicorn": Cell("with `http2_cleartext`, for trusted addresses"),
            "node": YES,
        },
    ),
    Row(
        "HTTP/1.1 on the same port, over TLS",
        "both",
        ["h2", 200],
        {
            "sync_h2": Cell("with `sync_h2[http1]`"),
            "hypercorn": YES,
            "gunicorn": YES,
            "node": Cell("with `allowHTTP1`"),
        },
    ),
    Row(
        "HTTP/1.1 on the same port, in cleartext",
        "both plain",
        ["h2c", 200],
        {
            "sync_h2": Cell("with `sync_h2[http1]`"),
            "hypercorn": YES,
            "gunicorn": Cell('with `http2_cleartext = "both"`'),
            "node": no(["h2c", None]),
        },
    ),
    Row(
        "HTTP/3",
        "http3",
        "3",
        {
            "sync_h2": Cell("no", untested=NO_UDP),
            "hypercorn": Cell("with `hypercorn[h3]`"),
            "gunicorn": Cell("no", untested=NO_UDP),
            "node": Cell("no", untested=NO_UDP),
        },
    ),
    Row(
        "WSGI",
        "wsgi",
        "called /wsgi",
        {
            "sync_h2": YES,
            "hypercorn": YES,
            "gunicorn": YES,
            "node": Cell("no", untested=OTHER_LANGUAGE),
        },
    ),
    Row(
        "ASGI",
        "asgi",
        "called /asgi",
        {
            "sync_h2": Cell("with `a2wsgi`"),
            "hypercorn": YES,
            "gunicorn": Cell("with `-k asgi`"),
            "node": Cell("no", untested=OTHER_LANGUAGE),
        },
    ),
    Row(
        "requests of one connection at once",
        "together",
        ["together"],
        {
            "sync_h2": YES,
            "hypercorn": YES,
            "gunicorn": Cell("with `-k asgi`"),
            "node": YES,
        },
    ),
    Row(
        "requests of one connection at once, in WSGI",
        "wsgi_together",
        ["together"],
        {
            "sync_h2": YES,
            "hypercorn": YES,
            "gunicorn": no(["apart"]),
            "node": Cell("no", untested=OTHER_LANGUAGE),
        },
    ),
    Row(
        "server push",
        "push",
        ["style"],
        {"sync_h2": YES, "hypercorn": Cell("yes, from ASGI"), "gunicorn": no([]), "node": YES},
    ),
    Row(
        "trailers of an answer",
        "trailers",
        {"x-end": "here"},
        {"sync_h2": YES, "hypercorn": Cell("yes, from ASGI"), "gunicorn": YES, "node": YES},
    ),
    Row(
        "early hints (103)",
        "hints",
        ["103"],
        {"sync_h2": YES, "hypercorn": Cell("yes, from ASGI"), "gunicorn": Cell("yes, from WSGI"), "node": YES},
    ),
    Row(
        "answer begun while the request comes",
        "both_ways",
        True,
        {"sync_h2": YES, "hypercorn": Cell("yes, from ASGI"), "gunicorn": YES, "node": YES},
    ),
    Row(
        "WebSockets over HTTP/2 (RFC 8441)",
        "websockets",
        ["HELLO"],
        {
            "sync_h2": Cell("frames with `wsproto`"),
            "hypercorn": YES,
            "gunicorn": no(None),
            "node": Cell("frames with a package, or by hand"),
        },
    ),
    Row(
        "TERM lets requests finish",
        "drained",
        "finished",
        {
            "sync_h2": Cell("with gunicorn, `sync-h2 serve` or `server.close()`"),
            "hypercorn": Cell("with `graceful_timeout`"),
            "gunicorn": YES,
            "node": no(None, ", but by hand with `server.close()`"),
        },
    ),
    Row(
        "several processes on a port",
        "processes plain",
        True,
        {
            "sync_h2": Cell("with gunicorn, or `sync-h2 serve --workers`"),
            "hypercorn": Cell("with `workers`"),
            "gunicorn": YES,
            "node": Cell("with the module `cluster`"),
        },
    ),
    Row(
        "computing for a small request over TLS",
        "computing",
        None,
        {
            "sync_h2": Cell("1", untested=NO_TIMES),
            "hypercorn": Cell("7 times as much", untested=NO_TIMES),
            "gunicorn": Cell("7 times as much", untested=NO_TIMES),
            "node": Cell("half as much", untested=NO_TIMES),
        },
    ),
)
