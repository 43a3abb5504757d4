"""`sync_h2.testing.pair`: both ends without a port."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from sync_h2 import Headers
from sync_h2.testing import certificates, pair


def shout(stream: Any, headers: Headers) -> None:
    stream.end(stream.read().upper())


@pytest.mark.parametrize("tls", [False, True])
def test_a_pair_talks(tls: bool) -> None:
    client, server = pair(shout, tls=tls)
    with client, server:
        assert client.encrypted is server.encrypted is tls
        stream = client.request({":method": "POST"})
        stream.end(b"hello")
        assert stream.read() == b"HELLO"


def test_options_are_for_both_ends_or_for_one() -> None:
    client, server = pair(
        shout, settings={"initial_window_size": 1000}, max_workers=1, server={"settings": {"initial_window_size": 2000}}
    )
    with client, server:
        client.ping()
        assert server.remote_settings.initial_window_size == 1000
        assert client.remote_settings.initial_window_size == 2000


def test_without_trustme_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "_made", certificates.LocalAuthority)
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(ImportError, match="pip install 'sync_h2\\[cli\\]'"):
        pair(tls=True)
