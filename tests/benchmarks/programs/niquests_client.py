"""The benchmarks' client with niquests: see client_job.py."""

from __future__ import annotations

from typing import Any

import niquests
from client_job import Job, expect, main


def connect(job: Job) -> Any:
    # Over h2c only what is sure that the server knows HTTP/2 speaks it.
    return niquests.Session(disable_http1=True, disable_http3=True)


def get(session: Any, job: Job) -> None:
    response = session.get(job.url + job.path, verify=job.cafile or True)
    expect(response.http_version == 20 and response.content == b"hello world\n")


def download(session: Any, job: Job) -> None:
    with session.get(job.url + job.path, verify=job.cafile or True, stream=True) as response:
        expect(sum(len(chunk) for chunk in response.iter_content(65536)) == job.size)


main(connect, get, download)
