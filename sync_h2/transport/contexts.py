"""TLS contexts as HTTP/2 wants them: made, and changed while connections begin with them. Any thread; reads files."""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
import tempfile
import weakref
from collections.abc import Iterator, Sequence

import certifi

from ..errors import TLSError
from ..interpreter import Lock
from .fork import renew_in_forked_child

HTTP2_ALPN = "h2"

# RFC 9113 section 9.2.2 and its appendix A: of TLS 1.2's cipher suites only those with ephemeral keys and AEAD may be
# used.
_TLS12_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

_EXPLANATIONS = {
    "WRONG_VERSION_NUMBER": "the peer's answer is not TLS; does it speak plain HTTP on this port?",
    "HTTP_REQUEST": "the peer sent a plain HTTP request to a TLS port",
    "NO_SHARED_CIPHER": "no cipher suite in common; HTTP/2 needs TLS 1.3, or 1.2 with ECDHE and an AEAD cipher",
    "UNSUPPORTED_PROTOCOL": "no TLS version in common; HTTP/2 needs 1.2 or later",
    "PEM lib": "it is not in PEM format, or the private key is missing",
}

PEM = str | bytes | os.PathLike[str]
"""A certificate or key: a path, or the PEM text itself."""


def client_context(
    *,
    cafile: PEM | None = None,
    certfile: PEM | None = None,
    keyfile: PEM | None = None,
    verify: bool = True,
    alpn: Sequence[str] = (HTTP2_ALPN,),
) -> ssl.SSLContext:
    """A context for clients. It trusts certifi's authorities unless `cafile`, a file or a folder, names others."""
    context = _new_context(ssl.PROTOCOL_TLS_CLIENT, alpn)
    if verify:
        _trust(context, certifi.where() if cafile is None else cafile)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certfile is not None:
        load_certificate(context, certfile, keyfile)
    return context


def server_context(
    *,
    certfile: PEM,
    keyfile: PEM | None = None,
    cafile: PEM | None = None,
    alpn: Sequence[str] = (HTTP2_ALPN,),
) -> ssl.SSLContext:
    """A context for servers. With `cafile`, clients must show a certificate that those authorities signed."""
    context = _new_context(ssl.PROTOCOL_TLS_SERVER, alpn)
    load_certificate(context, certfile, keyfile)
    if cafile is not None:
        _trust(context, cafile)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def set_alpn(context: ssl.SSLContext, alpn: Sequence[str] = (HTTP2_ALPN,)) -> None:
    """Offer `alpn` (RFC 7301). For a context that the user made this is the only change."""
    with in_use.lock:
        # A server's handshake reads the list while it goes on, so one that is there already stays where it is.
        if context.protocol == ssl.PROTOCOL_TLS_CLIENT or in_use.offered.get(context) != list(alpn):
            context.set_alpn_protocols(list(alpn))
            in_use.offered[context] = list(alpn)


def load_certificate(context: ssl.SSLContext, certfile: PEM, keyfile: PEM | None = None) -> None:
    """Use this certificate chain and key (None: the key is in `certfile`) for handshakes that start from now on. Of a
    context that nobody uses yet: while a connection begins it may not change, and after a failure it is of no use.
    """
    with _naming(certfile, keyfile), _as_path(certfile) as certificate_path, _as_path(keyfile) as key_path:
        context.load_cert_chain(certificate_path or "", key_path, password=_refuse_encrypted_key)


def change_certificate(context: ssl.SSLContext, certfile: PEM, keyfile: PEM | None = None) -> None:
    """The same for a context that `TLSEngine`s are made of meanwhile. When it raises, nothing has changed."""
    with _naming(certfile, keyfile):
        # Read once: the files may be changing.
        certificate, key = _read(certfile), None if keyfile is None else _read(keyfile)
        trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trial.set_ciphers(f"DEFAULT:@SECLEVEL={context.security_level}")  # which keys it takes depends on that
        with _as_path(certificate) as certificate_path, _as_path(key) as key_path:
            trial.load_cert_chain(certificate_path or "", key_path, password=_refuse_encrypted_key)
            with in_use.lock:
                context.load_cert_chain(certificate_path or "", key_path, password=_refuse_encrypted_key)


class _InUse:
    """Contexts that may be in use. What a connection begins with is copied from its context as the TLS object is made,
    without the interpreter's lock: `lock` is for that and for changing one, as OpenSSL wants it (its manual page
    openssl-threads).
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.offered: weakref.WeakKeyDictionary[ssl.SSLContext, list[str]] = weakref.WeakKeyDictionary()
        renew_in_forked_child(self)

    def _renew(self) -> None:
        self.lock = Lock()


in_use = _InUse()


def _new_context(protocol: int, alpn: Sequence[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 9113 section 9.2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION  # RFC 9113 section 9.2.1
    context.set_ciphers(_TLS12_CIPHERS)
    set_alpn(context, alpn)
    key_log = os.environ.get("SSLKEYLOGFILE")
    if key_log and not sys.flags.ignore_environment:
        context.keylog_filename = key_log
    return context


def _trust(context: ssl.SSLContext, cafile: PEM) -> None:
    text = _pem_text(cafile)
    try:
        if text is None:
            is_folder = os.path.isdir(cafile)  # of certificates called by their hashes, as OpenSSL's c_rehash does
            context.load_verify_locations(cafile=None if is_folder else cafile, capath=cafile if is_folder else None)
        else:
            # Only comments, outside of the certificates, can have other characters than ASCII's.
            context.load_verify_locations(cadata=text.decode("ascii", "ignore"))
    except OSError as error:
        raise TLSError(f"cannot use the authorities in {_describe(cafile)}: {reason(error)}") from error


def _pem_text(pem: PEM) -> bytes | None:
    """The PEM text that the caller gave instead of a path, or None."""
    if isinstance(pem, bytes):
        return pem
    if isinstance(pem, str) and "-----BEGIN" in pem:
        return pem.encode()
    return None


def _describe(pem: PEM) -> str:
    return repr(os.fspath(pem)) if _pem_text(pem) is None else "the given PEM text"


@contextlib.contextmanager
def _naming(certfile: PEM, keyfile: PEM | None) -> Iterator[None]:
    """Make of what goes wrong with them an error that says which they are."""
    try:
        yield
    except OSError as error:
        names = _describe(certfile) + ("" if keyfile is None else f" and key {_describe(keyfile)}")
        hint = "; are the certificate and the key swapped?" if _are_swapped(certfile, keyfile) else ""
        raise TLSError(f"cannot use certificate {names}: {reason(error)}{hint}") from error


def _are_swapped(certfile: PEM, keyfile: PEM | None) -> bool:
    try:
        certificate, key = _read(certfile), b"" if keyfile is None else _read(keyfile)
    except OSError:
        return False
    return b"PRIVATE KEY-" in certificate and b"BEGIN CERTIFICATE" not in certificate and b"CERTIFICATE-" in key


def _read(pem: PEM) -> bytes:
    text = _pem_text(pem)
    if text is not None:
        return text
    with open(pem, "rb") as file:
        return file.read()


@contextlib.contextmanager
def _as_path(pem: PEM | None) -> Iterator[str | None]:
    """A path to `pem`. Text goes to a file that only this user can read and that is gone afterwards: OpenSSL takes keys
    from files only.
    """
    text = None if pem is None else _pem_text(pem)
    if text is None:
        yield None if pem is None else os.fsdecode(pem)
        return
    with tempfile.NamedTemporaryFile(prefix="sync_h2-", suffix=".pem") as file:
        file.write(text)
        file.flush()
        yield file.name


def _refuse_encrypted_key() -> str:
    # Without this OpenSSL asks for the password on the terminal, and a server waits there for ever.
    raise TLSError("the private key is encrypted; decrypt it, or load it into an ssl.SSLContext of your own")


def reason(error: OSError) -> str:
    """What went wrong with a context, a certificate or a handshake, for people."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message}"
    if not isinstance(error, ssl.SSLError):
        return error.strerror or str(error)
    text = str(error)
    for name, explanation in _EXPLANATIONS.items():
        if name in text:
            return explanation
    return error.reason.replace("_", " ").lower() if error.reason else text
