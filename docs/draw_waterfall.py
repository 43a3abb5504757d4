"""Draws docs/_static/waterfall.svg: what `sync-h2 get --timing-svg` shows of a page, its style, scripts and pictures.

`python docs/draw_waterfall.py`, from the root of a checkout with the package installed. The octets are real, times are
what this machine takes.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import sync_h2

PICTURE = Path(__file__).parent / "_static" / "waterfall.svg"
# Path -> seconds until the answer begins, pieces of its body, seconds between them, octets in each.
PARTS = {
    "/index.html": (0.012, 2, 0.004, 6_000),
    "/style.css": (0.004, 1, 0.0, 18_000),
    "/app.js": (0.006, 12, 0.002, 16_000),
    "/user.json": (0.045, 1, 0.0, 900),
    "/photo.avif": (0.008, 20, 0.003, 16_000),
}


def answer(stream: sync_h2.ServerStream, headers: Mapping[str, str]) -> None:
    wait, pieces, pause, size = PARTS[headers[":path"]]
    time.sleep(wait)
    stream.respond({"content-type": "application/octet-stream"})
    for _ in range(pieces):
        stream.write(bytes(size))
        time.sleep(pause)


def main() -> None:
    with sync_h2.create_server(answer) as server, tempfile.TemporaryDirectory() as folder:
        urls = [f"{server.url}{path}" for path in PARTS]
        command = [sys.executable, "-m", "sync_h2", "get", "-o", folder, "--timing-svg", f"{folder}/picture"]
        for _ in range(2):  # the first time is for what is made once
            subprocess.run([*command, *urls], check=True)
        picture = Path(folder, "picture").read_text()
    PICTURE.write_text(re.sub(r"http://(localhost|127\.0\.0\.1):\d+", "http://localhost:8080", picture))


if __name__ == "__main__":
    main()
