"""Certificates made on the spot: a certificate authority of the test run, and a server certificate for the loopback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .authority import CA


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key and the authority that signed it, as PEM bytes and as files."""

    certificate_pem: bytes
    key_pem: bytes
    authority_pem: bytes
    certfile: Path
    keyfile: Path
    cafile: Path


@pytest.fixture(scope="session")
def certificate_authority() -> CA:
    """The authority behind `certificate`; a test can have it sign more."""
    return CA()


@pytest.fixture(scope="session")
def certificate(certificate_authority: CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certificate]:
    """A server certificate for localhost, 127.0.0.1 and ::1."""
    issued = certificate_authority.issue_cert("localhost", "127.0.0.1", "::1")
    certificate_pem = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    key_pem = issued.private_key_pem.bytes()
    authority_pem = certificate_authority.cert_pem.bytes()
    folder = tmp_path_factory.mktemp("certificates")
    certfile, keyfile, cafile = folder / "server.pem", folder / "server.key", folder / "authority.pem"
    certfile.write_bytes(certificate_pem)
    keyfile.write_bytes(key_pem)
    cafile.write_bytes(authority_pem)
    yield Certificate(certificate_pem, key_pem, authority_pem, certfile, keyfile, cafile)
    keyfile.unlink()


@pytest.fixture(scope="session")
def ca_file(certificate: Certificate) -> str:
    """The path of the authority's certificate, as clients take it."""
    return str(certificate.cafile)
