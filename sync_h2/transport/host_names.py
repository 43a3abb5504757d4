"""Names of hosts as the resolver, TLS and header fields take them: in ASCII.

Pure functions, for any thread. International names are IDNA 2008's, mapped as UTS 46 says (non-transitional): the
standard library knows IDNA 2003 alone, in which some names are other hosts' (straße.de is strasse.de).
"""

from __future__ import annotations

import ipaddress
import re

from ..errors import InvalidArgument

# RFC 3986 section 3.2.2, less percent-encoding, which IDNA replaces.
_is_name = re.compile(r"[0-9A-Za-z._~!$&'()*+,;=-]+").fullmatch
_is_zone = re.compile(r"[0-9A-Za-z._~-]+").fullmatch
_LONGEST_NAME = 253  # RFC 1035 section 2.3.4, written with dots
_LONGEST_LABEL = 63


def encode_host(host: str) -> str:
    """`host` in ASCII, an IPv6 address without its brackets; "" stays what it is.

    Raises `InvalidArgument` for what is no name and no address, and for an international name where the package `idna`
    is missing.
    """
    if host.startswith("[") and host.endswith("]"):
        return _checked_address(host[1:-1])
    if ":" in host:
        return _checked_address(host)
    name = host if host.isascii() else _in_idna(host)
    labels = name.removesuffix(".").split(".")
    if name and not (
        _is_name(name) and len(name) <= _LONGEST_NAME + 1 and all(0 < len(label) <= _LONGEST_LABEL for label in labels)
    ):
        raise InvalidArgument(f"{_shown(host)} is not a valid host name")
    return name


def as_authority(host: str) -> str:
    """`host` as messages name it: an IPv6 address in brackets, and without its zone, which is this machine's."""
    return f"[{host.partition('%')[0]}]" if ":" in host else host


def in_url(host: str) -> str:
    """`host` as a URL has it: an IPv6 address in brackets, the % before its zone escaped (RFC 6874)."""
    return f"[{host.replace('%', '%25')}]" if ":" in host else host


def _checked_address(text: str) -> str:
    address, percent, zone = text.partition("%")
    try:
        ipaddress.IPv6Address(address)
    except ValueError as error:
        raise InvalidArgument(f"{_shown(text)} is not a valid host name: it is no IPv6 address") from error
    if percent and not _is_zone(zone):
        raise InvalidArgument(f"{_shown(text)} is not a valid host name: {_shown(zone)} is no zone")
    return text


def _in_idna(host: str) -> str:
    try:
        import idna
    except ImportError as error:
        raise InvalidArgument(
            f"{_shown(host)} is an international name, which takes the package idna: pip install 'sync_h2[idna]', or "
            "give the name that begins with xn--"
        ) from error
    if len(host) > _LONGEST_NAME:  # no letter takes less than an octet
        raise InvalidArgument(f"{_shown(host)} is not a valid host name: it is too long")
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except UnicodeError as error:  # which IDNAError is
        raise InvalidArgument(f"{_shown(host)} is not a valid host name: {error}") from error


def _shown(host: str) -> str:
    return ascii(host[:100]) if not host.isprintable() else repr(host[:100])
