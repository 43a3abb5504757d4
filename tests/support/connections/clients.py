"""Handlers that echo, a server over TLS that has one, and clients that trust it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import sync_h2
from sync_h2 import Client

from ..tls.certificates import Certificate


def echo(stream: Any, headers: Any) -> None:
    body = stream.read()
    stream.respond({"content-type": "text/plain"})
    stream.end(f"{headers[':method']} {headers[':path']} {len(body)}".encode())


def echo_url(stream: Any, headers: Any) -> None:
    body = stream.read()
    stream.respond({"x-version": stream.http_version, "x-authority": headers[":authority"]})
    stream.end(
        f"{headers[':method']} {headers[':scheme']}://{headers[':authority']}{headers[':path']} ".encode() + body
    )


@contextlib.contextmanager
def serving(certificate: Certificate, handler: Any = echo, **options: Any) -> Iterator[Any]:
    with sync_h2.create_secure_server(
        handler, certfile=certificate.certificate_pem, keyfile=certificate.key_pem, **options
    ) as server:
        yield server


def client_of(certificate: Certificate, **options: Any) -> Client:
    return Client(verify=str(certificate.cafile), trust_env=False, **options)
