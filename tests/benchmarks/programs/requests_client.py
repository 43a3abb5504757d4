"""The benchmarks' client with requests, over HTTP/1.1: see client_job.py."""

from __future__ import annotations

from typing import Any

import requests
from client_job import Job, expect, main


def connect(job: Job) -> Any:
    return requests.Session()


def get(session: Any, job: Job) -> None:
    expect(session.get(job.url + job.path, verify=job.cafile or True).content == b"hello world\n")


def download(session: Any, job: Job) -> None:
    with session.get(job.url + job.path, verify=job.cafile or True, stream=True) as response:
        expect(sum(len(chunk) for chunk in response.iter_content(65536)) == job.size)


main(connect, get, download)
