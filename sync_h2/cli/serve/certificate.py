"""A certificate made on the spot, for a server whose user has none. On the main thread."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import ssl

from ..exit_status import CommandError

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")


def made_for(host: str, instead: str = "--h2c for no TLS") -> tuple[bytes, bytes]:
    """A certificate that nobody trusts yet and its key, as PEM, for the names by which this machine is reached. Who
    lacks what makes it is told to give one, or what stands in `instead`.
    """
    try:
        import trustme
    except ImportError as error:
        raise CommandError(
            "to make a certificate the extra 'cli' is needed: pip install 'sync_h2[cli]'; or give --cert and --key, "
            f"or {instead}"
        ) from error
    issued = trustme.CA().issue_cert(*_names(host))
    return b"".join(blob.bytes() for blob in issued.cert_chain_pems), issued.private_key_pem.bytes()


def fingerprint(certificate: bytes) -> str:
    """The SHA-256 of a PEM certificate, as browsers show it."""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.decode())).hexdigest().upper()
    return ":".join(digest[position : position + 2] for position in range(0, len(digest), 2))


def _names(host: str) -> list[str]:
    """Host names and addresses for a certificate: of the loopback, of `host`, and of this machine."""
    names = dict.fromkeys(["localhost", "127.0.0.1", "::1", host.strip("[]"), socket.gethostname()])
    with contextlib.suppress(OSError):
        names.update(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(socket.gethostname(), None)))
    # The address that others see; the "connection" sends nothing.
    for family, far_away in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far_away, 9))
            names[probe.getsockname()[0]] = None
    return [name for name in names if _is_address(name) or _HOST_NAME.fullmatch(name)]


def _is_address(name: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, name)
            return True
    return False
