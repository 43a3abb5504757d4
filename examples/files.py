"""Serve the files of a folder, whole or in ranges, until Ctrl-C: files.py FOLDER [PORT]

Try it with: curl --http2-prior-knowledge -r 0-99 URL/NAME
"""

import contextlib
import mimetypes
import os
import re
import sys
from email.utils import formatdate
from pathlib import Path
from urllib.parse import unquote

import sync_h2

if len(sys.argv) < 2:
    sys.exit(__doc__)
folder = Path(sys.argv[1]).resolve()


def handler(stream: sync_h2.ServerStream, headers: sync_h2.Headers) -> None:
    name = unquote(headers[":path"].partition("?")[0]).lstrip("/").replace("\0", "")
    path = (folder / name).resolve()

    def check(stat: os.stat_result, answer: sync_h2.Headers, span: sync_h2.FileRange) -> bool:
        answer["last-modified"] = formatdate(stat.st_mtime, usegmt=True)
        if headers.get("if-modified-since") == answer["last-modified"]:
            stream.respond({":status": 304, "last-modified": answer["last-modified"]}, end_stream=True)
            return False
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("range", ""))
        if wanted is None or not any(wanted.groups()) or span.size is None:
            return True
        first, last = wanted.groups()
        start = int(first) if first else max(stat.st_size - int(last), 0)
        end = min(int(last), stat.st_size - 1) if first and last else stat.st_size - 1
        if start > end:
            stream.respond({":status": 416, "content-range": f"bytes */{stat.st_size}"}, end_stream=True)
            return False
        answer[":status"], answer["content-range"] = 206, f"bytes {start}-{end}/{stat.st_size}"
        span.offset, span.length = start, end + 1 - start
        return True

    def missing(error: Exception) -> None:
        stream.respond({":status": 404}, end_stream=True)

    if headers[":method"] not in ("GET", "HEAD"):
        stream.respond({":status": 405, "allow": "GET, HEAD"}, end_stream=True)
    elif folder not in path.parents:
        stream.respond({":status": 404}, end_stream=True)
    else:
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        answer = {"content-type": kind, "accept-ranges": "bytes"}
        stream.respond_with_file(path, answer, stat_check=check, on_error=missing)


with sync_h2.create_server(handler, port=int(sys.argv[2]) if sys.argv[2:] else 0) as server:
    print(server.url, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
