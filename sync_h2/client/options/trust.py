"""Whom a client trusts and what it shows: `verify=` and `cert=`, which mean the same wherever they can be given.

What is neither of the things that they may be is refused: it must not stand for "everybody", nor for "whoever is
public" where an authority was named. Pure functions; `make_context` reads files.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from typing import Any

from ...arguments import type_name
from ...errors import InvalidArgument
from ...transport.contexts import client_context, set_alpn

Verify = bool | str | bytes | os.PathLike[str] | ssl.SSLContext | None
"""True, which None is too: certifi's authorities; False: anybody; the path of a file or folder with other authorities,
or their PEM text; a context, whose user has decided.
"""

Certificate = str | bytes | os.PathLike[str] | tuple[Any, Any] | list[Any] | None
"""The path of a certificate with its key, or (certificate, key), or their PEM text."""

Trust = bool | str | ssl.SSLContext
"""The same as a key by which connections are told apart."""

Shown = str | tuple[str, str | None] | None
"""What `cert=` is, as such a key."""


def checked_verify(verify: Verify) -> Trust:
    """What `verify` means. Raises TypeError for what means nothing."""
    if verify is None or verify is True:
        return True
    if verify is False or isinstance(verify, ssl.SSLContext):
        return verify
    return _path("verify", "True, False, the path of authorities or an ssl.SSLContext", verify)


def verify_or_context(verify: Verify, context: ssl.SSLContext | None) -> Verify:
    """`context` in place of a `verify` that says nothing. Raises `InvalidArgument` where both say something."""
    if context is None:
        return verify
    if not isinstance(context, ssl.SSLContext):
        raise TypeError(f"a context is an ssl.SSLContext, not {type_name(context)}")
    if checked_verify(verify) is not True:
        raise InvalidArgument("a context decides whom to trust: leave out verify")
    return context


def checked_cert(cert: Certificate) -> Shown:
    """What `cert` means: the path of a certificate and its key, or both paths, or their PEM text. Raises TypeError."""
    meaning = "the path of a certificate, (certificate, key) or None"
    if cert is None:
        return None
    if not isinstance(cert, (tuple, list)):
        return _path("cert", meaning, cert)
    if len(cert) != 2:
        raise TypeError(f"cert is {meaning}, not {len(cert)} things")
    certificate, key = cert
    return _path("cert", meaning, certificate), None if key is None else _path("cert", meaning, key)


def check_together(verify: Trust, cert: Shown) -> None:
    """Raise `InvalidArgument` where a context would have to be changed."""
    if isinstance(verify, ssl.SSLContext) and cert is not None:
        raise InvalidArgument("a context has certificates of its own: load cert into it with load_cert_chain")


def make_context(verify: Trust, cert: Shown, alpn: Sequence[str]) -> ssl.SSLContext:
    """The context for a connection; a user's own one gets ALPN set. Raises `TLSError` for files that can't be used."""
    check_together(verify, cert)
    if isinstance(verify, ssl.SSLContext):
        set_alpn(verify, alpn)
        return verify
    certfile, keyfile = cert if isinstance(cert, tuple) else (cert, None)
    return client_context(
        cafile=verify if isinstance(verify, str) else None,
        certfile=certfile,
        keyfile=keyfile,
        verify=verify is not False,
        alpn=alpn,
    )


def _path(name: str, meaning: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, (bytes, os.PathLike)):
        raise TypeError(f"{name} is {meaning}, not {type_name(value)}")
    return os.fsdecode(value)
