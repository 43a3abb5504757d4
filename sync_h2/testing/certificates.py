"""A certificate made on the spot, for the loopback, once in a process; needs the package trustme. Any thread."""

from __future__ import annotations

import functools
import ssl

from ..transport.contexts import client_context, server_context


class LocalAuthority:
    """An authority that nobody else knows, and what it has issued for `localhost`, `127.0.0.1` and `::1`, as PEM."""

    def __init__(self) -> None:
        import trustme

        authority = trustme.CA()
        issued = authority.issue_cert("localhost", "127.0.0.1", "::1")
        self.authority_pem: bytes = authority.cert_pem.bytes()
        self._certificate = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        self._key: bytes = issued.private_key_pem.bytes()

    def client_context(self) -> ssl.SSLContext:
        """A context that trusts this authority alone."""
        return client_context(cafile=self.authority_pem)

    def server_context(self) -> ssl.SSLContext:
        """A context with the certificate."""
        return server_context(certfile=self._certificate, keyfile=self._key)


_made = functools.cache(LocalAuthority)


def local_authority(what: str, instead: str) -> LocalAuthority:
    """This process's authority. Without trustme an ImportError, in which `what` needs it, or else `instead`."""
    try:
        return _made()
    except ImportError as error:
        raise ImportError(
            f"{what} makes a certificate with trustme: pip install 'sync_h2[cli]', or give {instead}"
        ) from error
