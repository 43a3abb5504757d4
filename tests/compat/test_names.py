"""Where the compatibility layer's names are found."""

from __future__ import annotations

import operator
import subprocess
import sys

import pytest

import sync_h2
import sync_h2.compat
from sync_h2.server.handlers.request import ServerRequest
from sync_h2.server.handlers.response import ServerResponse


def test_requests_and_responses_are_in_the_package():
    assert sync_h2.ServerRequest is sync_h2.compat.ServerRequest is ServerRequest
    assert sync_h2.ServerResponse is sync_h2.compat.ServerResponse is ServerResponse


def test_compat_is_an_attribute_of_the_package_that_nobody_else_pays_for():
    program = (
        "import sys, sync_h2; print('http.server' in sys.modules); print(sync_h2.compat.ServerRequest.__name__); "
        "print('http.server' in sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (finished.stdout, finished.stderr) == ("False\nServerRequest\nTrue\n", "")


def test_other_attributes_are_not_there():
    with pytest.raises(AttributeError, match="has no attribute 'compatibility'"):
        operator.attrgetter("compatibility")(sync_h2)
