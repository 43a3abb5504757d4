"""The benchmarks' client with pycurl: see client_job.py. In place of threads that share a session, which libcurl does
not allow, it has 8 requests under way on one connection of a `CurlMulti`.
"""

from __future__ import annotations

import pycurl
from client_job import THREADS, Job, expect, the_job, timed


class Request:
    """A handle that fetches the job's URL, as often as it is performed."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._size = 0
        self.handle = handle = pycurl.Curl()
        handle.setopt(pycurl.URL, job.url + job.path)
        handle.setopt(pycurl.WRITEFUNCTION, self._receive)
        handle.setopt(pycurl.PIPEWAIT, 1)  # for the connection that is being made, rather than make another
        if job.cafile:
            handle.setopt(pycurl.CAINFO, job.cafile)
            handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2)
        else:
            handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE)

    def _receive(self, data: bytes) -> None:
        self._size += len(data)

    def perform(self) -> None:
        self.handle.perform()
        self.check()

    def check(self) -> None:
        expect(self.handle.getinfo(pycurl.RESPONSE_CODE) == 200 and self._size == self._job.size)
        self._size = 0


def all_at_once(job: Job, multi: pycurl.CurlMulti, requests: list[Request], count: int) -> None:
    """Perform `count` requests, as many at once as there are handles."""
    by_handle = {request.handle: request for request in requests}
    started = min(count, len(requests))
    for request in requests[:started]:
        multi.add_handle(request.handle)
    done = 0
    while done < count:
        multi.perform()
        _, succeeded, failed = multi.info_read()
        expect(not failed)
        for handle in succeeded:
            by_handle[handle].check()
            multi.remove_handle(handle)
            if started < count:
                multi.add_handle(handle)
                started += 1
        done += len(succeeded)
        if not succeeded:
            multi.select(1.0)


def main() -> None:
    job = the_job()
    if job.mode == "threads":
        multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        requests = [Request(job) for _ in range(THREADS)]
        all_at_once(job, multi, requests, 1)
        timed(job, lambda: all_at_once(job, multi, requests, job.requests))
        return
    request = Request(job)
    request.perform()

    def act() -> None:
        for _ in range(job.requests):
            request.perform()

    timed(job, act)


main()
