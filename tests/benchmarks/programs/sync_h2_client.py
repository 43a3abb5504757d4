"""The benchmarks' client with sync_h2: see client_job.py."""

from __future__ import annotations

from typing import Any

from client_job import Job, expect, main

import sync_h2


def connect(job: Job) -> Any:
    return sync_h2.connect(job.url, cafile=job.cafile)


def get(session: Any, job: Job) -> None:
    expect(session.request({":path": job.path}).read() == b"hello world\n")


def download(session: Any, job: Job) -> None:
    expect(sum(len(chunk) for chunk in session.request({":path": job.path})) == job.size)


main(connect, get, download)
