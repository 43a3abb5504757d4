"""The benchmarks' client with urllib3, over HTTP/1.1: see client_job.py."""

from __future__ import annotations

from typing import Any

import urllib3
from client_job import Job, expect, main


def connect(job: Job) -> Any:
    return urllib3.PoolManager(ca_certs=job.cafile)


def get(manager: Any, job: Job) -> None:
    expect(manager.request("GET", job.url + job.path).data == b"hello world\n")


def download(manager: Any, job: Job) -> None:
    response = manager.request("GET", job.url + job.path, preload_content=False)
    expect(sum(len(chunk) for chunk in response.stream(65536)) == job.size)


main(connect, get, download)
