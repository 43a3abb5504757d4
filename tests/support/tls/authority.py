"""A certificate authority for tests: trustme's, or, for interpreters without wheels of `cryptography`, one with as much
of its interface that has the program `openssl` make certificates.
"""

from __future__ import annotations

import ipaddress
import ssl
import subprocess
import tempfile
from pathlib import Path

try:
    from trustme import CA
except ImportError:

    class Blob:
        """One certificate or key, as PEM."""

        def __init__(self, pem: bytes) -> None:
            self._pem = pem

        def bytes(self) -> bytes:
            return self._pem

        def write_to_path(self, path: str | Path, append: bool = False) -> None:
            with open(path, "ab" if append else "wb") as file:
                file.write(self._pem)

    class LeafCert:
        """What an authority has issued."""

        def __init__(self, certificate: bytes, key: bytes) -> None:
            self.cert_chain_pems = [Blob(certificate)]
            self.private_key_pem = Blob(key)
            self.private_key_and_cert_chain_pem = Blob(key + certificate)

        def configure_cert(self, context: ssl.SSLContext) -> None:
            with tempfile.NamedTemporaryFile(suffix=".pem") as file:
                file.write(self.private_key_and_cert_chain_pem.bytes())
                file.flush()
                context.load_cert_chain(file.name)

    class CA:  # type: ignore[no-redef]
        """An authority of its own name and key."""

        def __init__(self) -> None:
            with tempfile.TemporaryDirectory() as folder:
                self._key = _new_key(Path(folder))
                certificate = _openssl(
                    Path(folder), "req", "-x509", "-new", "-key", "key", "-days", "2",
                    "-subj", "/O=sync_h2 tests/CN=CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                )  # fmt: skip
            self.cert_pem = Blob(certificate)

        def issue_cert(self, *names: str) -> LeafCert:
            """A certificate, for servers and clients, of these host names, addresses and mailboxes."""
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                key = _new_key(folder)
                (folder / "authority.key").write_bytes(self._key)
                (folder / "authority.pem").write_bytes(self.cert_pem.bytes())
                (folder / "extensions").write_text(f"subjectAltName = {', '.join(map(_alternative, names))}\n")
                request = _openssl(folder, "req", "-new", "-key", "key", "-subj", "/O=sync_h2 tests/CN=leaf")
                (folder / "request").write_bytes(request)
                certificate = _openssl(
                    folder, "x509", "-req", "-in", "request", "-days", "2", "-extfile", "extensions",
                    "-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial",
                )  # fmt: skip
            return LeafCert(certificate, key)

        def configure_trust(self, context: ssl.SSLContext) -> None:
            context.load_verify_locations(cadata=self.cert_pem.bytes().decode())

    def _new_key(folder: Path) -> bytes:
        key = _openssl(folder, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        (folder / "key").write_bytes(key)
        return key

    def _alternative(name: str) -> str:
        if "@" in name:
            return f"email:{name}"
        try:
            return f"IP:{ipaddress.ip_address(name)}"
        except ValueError:
            return f"DNS:{name}"

    def _openssl(folder: Path, *arguments: str) -> bytes:
        return subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True).stdout


__all__ = ["CA"]
