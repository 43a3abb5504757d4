"""Files of many times the memory that may be used, each way, in a process whose memory is measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sync_h2
from support.tls.certificates import Certificate

SIZE = 256 * 1024 * 1024
MOST_KIB = 60 * 1024

SCRIPT = r"""
import re, sys
import sync_h2
what, url, path, cafile = sys.argv[1:]
with sync_h2.Client(verify=cafile, h2c=True, trust_env=False) as client:
    if what == "download":
        with client.stream("GET", url) as response, open(path, "wb") as file:
            for chunk in response.iter_content(65536):
                file.write(chunk)
            told = file.tell()
    elif what == "multipart":
        with open(path, "rb") as file:
            told = client.post(url, files={"file": file}).text
    else:
        with open(path, "rb") as file:
            told = client.post(url, data=file).text
# Not getrusage: what it tells begins with what the parent had.
print(told, re.search(r"VmHWM:\s*(\d+)", open("/proc/self/status").read())[1])
"""


@pytest.mark.parametrize("what", ["download", "upload", "multipart"])
def test_a_large_file(certificate: Certificate, tmp_path: Path, what: str) -> None:
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.truncate(SIZE)

    def handler(stream: Any, headers: Any) -> None:
        if headers[":method"] == "GET":
            stream.respond_with_file(source)
            return
        received = 0
        buffer = bytearray(1 << 20)
        while count := stream.readinto(buffer):
            received += count
        stream.end(str(received).encode())

    with sync_h2.create_server(handler) as server:
        path = str(tmp_path / "target" if what == "download" else source)
        arguments = [sys.executable, "-c", SCRIPT, what, server.url, path, str(certificate.cafile)]
        finished = subprocess.run(arguments, capture_output=True, text=True, check=True)
    told, most_kib = map(int, finished.stdout.split())
    assert 0 <= told - SIZE < (500 if what == "multipart" else 1)
    assert most_kib < MOST_KIB
    (tmp_path / "target").unlink(missing_ok=True)
