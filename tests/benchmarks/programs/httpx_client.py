"""The benchmarks' client with httpx: see client_job.py."""

from __future__ import annotations

import ssl
from typing import Any

import httpx
from client_job import Job, expect, main


def connect(job: Job) -> Any:
    # Over h2c only what is sure that the server knows HTTP/2 speaks it.
    verify = ssl.create_default_context(cafile=job.cafile) if job.cafile else True
    return httpx.Client(base_url=job.url, http1=False, http2=True, verify=verify)


def get(client: Any, job: Job) -> None:
    response = client.get(job.path)
    expect(response.http_version == "HTTP/2" and response.content == b"hello world\n")


def download(client: Any, job: Job) -> None:
    with client.stream("GET", job.path, timeout=60) as response:
        expect(sum(len(chunk) for chunk in response.iter_bytes()) == job.size)


main(connect, get, download)
