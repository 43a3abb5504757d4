"""The application of the tests with gunicorn and HAProxy: it answers with the process' id and the path, after
`?sleep=SECONDS`.
"""

from __future__ import annotations

import os
import time
import urllib.parse
from collections.abc import Callable, Iterable
from typing import Any


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    query = urllib.parse.parse_qs(environ["QUERY_STRING"])
    time.sleep(float(query.get("sleep", ["0"])[0]))
    if environ["PATH_INFO"] == "/fails":
        raise RuntimeError("as it was told")
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/environ":
        keys = ("SCRIPT_NAME", "SERVER_PROTOCOL", "SERVER_SOFTWARE", "wsgi.url_scheme", "wsgi.multiprocess")
        http = [key for key in environ if key.startswith("HTTP_")]
        return [repr({key: environ[key] for key in (*keys, *http)}).encode()]
    return [f"{os.getpid()} {environ['PATH_INFO']}".encode()]
