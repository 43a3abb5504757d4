"""Where the compatibility layer's names are found."""

from __future__ import annotations

import subprocess
import sys

import sync_h2
import sync_h2.compat
from sync_h2.http1.request import ServerRequest
from sync_h2.http1.response import ServerResponse


def test_requests_and_responses_are_in_the_package():
    assert sync_h2.ServerRequest is sync_h2.compat.ServerRequest is ServerRequest
    assert sync_h2.ServerResponse is sync_h2.compat.ServerResponse is ServerResponse


def test_compat_is_an_attribute_of_the_package():
    program = "import sync_h2; print(sync_h2.compat.ServerRequest.__name__)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (finished.stdout, finished.stderr) == ("ServerRequest\n", "")
