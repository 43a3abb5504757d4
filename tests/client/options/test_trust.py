"""Whom a client trusts, and what it shows: `verify=` and `cert=` of every type."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

import sync_h2
from support.connections.clients import serving
from support.programs.others import program
from support.tls.authority import CA
from support.tls.certificates import Certificate
from sync_h2 import Client, compat, exceptions
from sync_h2.adapters import HTTPXTransport, RequestsAdapter
from sync_h2.cli import main

Get = Callable[[str, Any, Any], str]


pytestmark = pytest.mark.usefixtures("plain_environment")


def hello(stream: Any, headers: Any) -> None:
    stream.end(b"hello")


# -- verify= and cert=


def by_connect(url: str, verify: Any, cert: Any) -> str:
    certfile, keyfile = cert if isinstance(cert, tuple) else (cert, None)
    with sync_h2.connect(url, verify=verify, certfile=certfile, keyfile=keyfile) as session:
        body: bytes = session.request().read()
        return body.decode()


def by_client(url: str, verify: Any, cert: Any) -> str:
    with Client(verify=verify, cert=cert) as client:
        return client.get(url).text


def by_call(url: str, verify: Any, cert: Any) -> str:
    with Client() as client:
        client.verify = verify  # as scripts for requests do
        return client.get(url, cert=cert).text


def by_requests_adapter(url: str, verify: Any, cert: Any) -> str:
    with contextlib.closing(RequestsAdapter()) as adapter:
        request = requests.Request("GET", url).prepare()
        return adapter.send(request, verify=verify, cert=cert).text


def by_httpx_transport(url: str, verify: Any, cert: Any) -> str:
    with httpx.Client(transport=HTTPXTransport(verify=verify, cert=cert)) as client:
        return client.get(url).text


WAYS = [by_connect, by_client, by_call, by_requests_adapter, by_httpx_transport]
FAILURES = (sync_h2.TLSError, requests.exceptions.SSLError, httpx.ConnectError)

KINDS: dict[str, Callable[[Path], Any]] = {
    "str": str,
    "Path": lambda path: path,
    "bytes": lambda path: bytes(path),
    "PEM": lambda path: path.read_text(),
    "context": lambda path: ssl.create_default_context(cafile=path),
    "folder": lambda path: folder_of(path),
}


def folder_of(authority: Path) -> Path:
    """A folder with the certificate under its hash, as OpenSSL looks for it."""
    folder = authority.parent / f"{authority.stem}.d"
    folder.mkdir(exist_ok=True)
    command = [program("openssl"), "x509", "-noout", "-hash", "-in", str(authority)]
    hashed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    (folder / f"{hashed}.0").write_bytes(authority.read_bytes())
    return folder


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """An authority that has signed nothing here."""
    path = tmp_path / "stranger.pem"
    CA().cert_pem.write_to_path(path)
    return path


@pytest.fixture
def public(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's authority is one that everybody trusts."""
    monkeypatch.setattr("certifi.where", lambda: str(certificate.cafile))


@pytest.mark.parametrize("get", WAYS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("public")
def test_an_authority_that_is_named_is_the_only_one(
    get: Get, kind: str, certificate: Certificate, stranger: Path
) -> None:
    with serving(certificate, hello) as server:
        assert get(server.url, KINDS[kind](certificate.cafile), None) == "hello"
        with pytest.raises(FAILURES):
            get(server.url, KINDS[kind](stranger), None)


@pytest.mark.parametrize("get", WAYS)
def test_none_is_true_and_false_is_false(get: Get, certificate: Certificate) -> None:
    with serving(certificate, hello) as server:
        for verify in (True, None):
            with pytest.raises(FAILURES):
                get(server.url, verify, None)
        assert get(server.url, False, None) == "hello"


@pytest.mark.parametrize("get", WAYS)
@pytest.mark.parametrize("verify", [0, 1, "", 0.0, [], {}, object(), ssl.CERT_NONE, ("ca.pem",), bytearray(b"ca.pem")])
def test_what_means_nothing_is_refused(get: Get, verify: Any, certificate: Certificate) -> None:
    expected: tuple[type[Exception], ...] = FAILURES if verify == "" else (TypeError,)
    with serving(certificate, hello) as server, pytest.raises(expected):
        get(server.url, verify, None)


@pytest.mark.parametrize("get", WAYS)
def test_a_path_that_is_not_there_is_refused(get: Get, certificate: Certificate, tmp_path: Path) -> None:
    with serving(certificate, hello) as server, pytest.raises(FAILURES, match="missing"):
        get(server.url, tmp_path / "missing", None)


@pytest.mark.parametrize("get", WAYS)
def test_a_servers_context_is_refused(get: Get, certificate: Certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with serving(certificate, hello) as server, pytest.raises(FAILURES, match="context can't be used"):
        get(server.url, context, None)


@pytest.mark.parametrize("get", WAYS[1:])
def test_certificates_of_clients(get: Get, certificate: Certificate, certificate_authority: CA, tmp_path: Path) -> None:
    issued = certificate_authority.issue_cert("client.test")
    whole, chain, key = tmp_path / "whole.pem", tmp_path / "chain.pem", tmp_path / "key.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(whole)
    issued.cert_chain_pems[0].write_to_path(chain)
    issued.private_key_pem.write_to_path(key)
    with serving(certificate, hello, cafile=certificate.cafile) as server:
        for cert in (str(whole), whole, bytes(whole), whole.read_text(), (str(chain), key), [chain, bytes(key)]):
            assert get(server.url, certificate.cafile, cert) == "hello"
        for bad in (5, object(), ("a", "b", "c"), (str(chain), 5), {}):
            with pytest.raises(TypeError, match="cert is"):
                get(server.url, certificate.cafile, bad)
        with pytest.raises(ValueError, match="load_cert_chain"):
            get(server.url, ssl.create_default_context(cafile=certificate.cafile), whole)


def test_a_context_decides_alone(certificate: Certificate, stranger: Path) -> None:
    context = ssl.create_default_context(cafile=certificate.cafile)
    with serving(certificate, hello) as server, requests.Session() as session:
        with Client(context=context) as client:
            assert client.get(server.url).text == "hello"
            with pytest.raises(exceptions.SSLError):
                client.get(server.url, verify=stranger)
        session.mount("https://", RequestsAdapter(context=context))
        assert session.get(server.url).text == "hello"
        with httpx.Client(transport=HTTPXTransport(context=context)) as httpx_client:
            assert httpx_client.get(server.url).text == "hello"
    for maker in (Client, HTTPXTransport, lambda **options: sync_h2.connect("https://localhost:1", **options)):
        for verify in (False, stranger, context):
            with pytest.raises(ValueError, match="leave out verify"):
                maker(context=context, verify=verify)
        with pytest.raises(TypeError):
            maker(context="ca.pem")
    with pytest.raises(ValueError, match="leave one out"):
        sync_h2.connect("https://localhost:1", verify=stranger, cafile=stranger)
    with contextlib.closing(compat.HTTP2Connection("localhost", 1)) as connection:
        connection._context = "ca.pem"  # type: ignore[assignment]  # that is the point
        with pytest.raises((TypeError, OSError)):
            connection.connect()


@pytest.mark.usefixtures("public")
def test_the_command_line_takes_a_file_or_a_folder(certificate: Certificate, stranger: Path, tmp_path: Path) -> None:
    with serving(certificate, hello) as server:
        for authorities, status in (
            (certificate.cafile, 0),
            (folder_of(certificate.cafile), 0),
            (stranger, 35),
            (folder_of(stranger), 35),
        ):
            assert main(["get", "--output", str(tmp_path / "body"), "--cacert", str(authorities), server.url]) == status
