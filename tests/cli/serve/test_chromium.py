"""A browser loads a page with many images from `sync-h2 serve`, and says how it came by them."""

from __future__ import annotations

import html
import json
import re
import struct
import zlib
from pathlib import Path

import pytest

from support.programs.chromium import page_in_chromium
from support.programs.command_line import serving
from support.tls.certificates import Certificate

IMAGES = 100

PAGE = """<!DOCTYPE html>
<title>Images</title>
<link rel="icon" href="data:,">
{images}
<pre id="entries"></pre>
<script>
addEventListener("load", () => {{
  const images = [...document.images].map(image => [image.naturalWidth, image.naturalHeight]);
  const entries = ["navigation", "resource"].flatMap(type => performance.getEntriesByType(type)).map(
    ({{name, nextHopProtocol, responseStatus, decodedBodySize}}) => (
      {{name, nextHopProtocol, responseStatus, decodedBodySize}}));
  document.getElementById("entries").textContent = JSON.stringify({{images, entries}});
}});
</script>
"""


def png(width: int, height: int, colour: bytes) -> bytes:
    """An image of one colour (red, green, blue)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + colour * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """A page with images, each of another size and colour."""
    folder = tmp_path / "gallery"
    folder.mkdir()
    for number in range(IMAGES):
        colour = bytes([number * 255 // IMAGES, 120, 255 - number * 255 // IMAGES])
        (folder / f"{number}.png").write_bytes(png(40 + number % 10, 40 + number // 10, colour))
    images = "\n".join(f'<img src="{number}.png" alt="">' for number in range(IMAGES))
    (folder / "index.html").write_text(PAGE.format(images=images))
    return folder


def test_a_page_with_a_hundred_images(gallery: Path, certificate: Certificate, tmp_path: Path) -> None:
    (tmp_path / "profile").mkdir()
    with serving(gallery, "--cert", certificate.certfile, "--key", certificate.keyfile) as (server, url):
        page = page_in_chromium(f"{url}/", certificate.certificate_pem, tmp_path / "profile")
        found = re.search(r'<pre id="entries">(.+?)</pre>', page)
        assert found is not None, page
        told = json.loads(html.unescape(found[1]))
        requests = server.match(r'(127\.0\.0\.1:\d+) "GET /(\d+\.png)? HTTP/2" 200 ', count=IMAGES + 1)
    assert told["images"] == [[40 + number % 10, 40 + number // 10] for number in range(IMAGES)]
    entries = {entry.pop("name"): entry for entry in told["entries"]}
    assert set(entries) == {f"{url}/", *(f"{url}/{number}.png" for number in range(IMAGES))}
    assert {entry["nextHopProtocol"] for entry in entries.values()} == {"h2"}
    assert {entry["responseStatus"] for entry in entries.values()} == {200}
    sizes = {name: entry["decodedBodySize"] for name, entry in entries.items() if name.endswith(".png")}
    assert sizes == {f"{url}/{path.name}": path.stat().st_size for path in gallery.glob("*.png")}
    # The page and all of its images came over one connection.
    assert len(requests) == IMAGES + 1
    assert len({request[1] for request in requests}) == 1
