"""The benchmarks' client with sync_h2's requests-style calls: see client_job.py."""

from __future__ import annotations

from typing import Any

from client_job import Job, expect, main

import sync_h2


def connect(job: Job) -> Any:
    return sync_h2.Client(base_url=job.url, h2c=True, verify=job.cafile)


def get(client: Any, job: Job) -> None:
    response = client.get(job.path)
    expect(response.http_version == "HTTP/2" and response.content == b"hello world\n")


def download(client: Any, job: Job) -> None:
    with client.stream("GET", job.path) as response:
        expect(sum(len(chunk) for chunk in response.iter_content(65536)) == job.size)


main(connect, get, download)
