"""TLS contexts: how they are made, and how they are changed while they are in use."""

from __future__ import annotations

import os
import re
import socket
import ssl
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.tls.authority import CA
from support.tls.certificates import Certificate
from sync_h2.errors import TLSError
from sync_h2.transport.contexts import (
    change_certificate,
    client_context,
    in_use,
    load_certificate,
    server_context,
    set_alpn,
)
from sync_h2.transport.tls import TLSEngine

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]
Engines = tuple[TLSEngine, TLSEngine]
Sockets = tuple[socket.socket, socket.socket]
ShakeHands = Callable[..., Engines]


def test_tls_12_is_the_least_and_only_with_ephemeral_keys_and_aead(tls_contexts: Contexts) -> None:
    for context in tls_contexts:
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.options & ssl.OP_NO_COMPRESSION
        assert context.options & ssl.OP_NO_RENEGOTIATION
        old = [cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"]
        assert old
        assert [name for name in old if not re.fullmatch(r"ECDHE-(RSA|ECDSA)-.*(GCM|POLY1305).*", name)] == []


def test_certifis_authorities_are_trusted_by_default() -> None:
    context = client_context()
    assert len(context.get_ca_certs()) > 50
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_authorities_can_be_named_by_path_or_given_as_text(certificate: Certificate) -> None:
    text = certificate.authority_pem
    for cafile in (
        certificate.cafile,
        str(certificate.cafile),
        text,
        text.decode(),
        "# Autorité".encode() + b"\n" + text,
    ):
        assert len(client_context(cafile=cafile).get_ca_certs()) == 1


def test_a_certificate_and_its_key_can_be_paths_or_text_in_one_or_two(
    certificate: Certificate, socket_pair: Sockets, tls_contexts: Contexts, shake_hands: ShakeHands
) -> None:
    for certfile, keyfile in (
        (certificate.certfile, certificate.keyfile),
        (str(certificate.certfile), certificate.key_pem),
        (certificate.certificate_pem.decode(), str(certificate.keyfile)),
        (certificate.key_pem + certificate.certificate_pem, None),
    ):
        context = server_context(certfile=certfile, keyfile=keyfile)
        left, right = socket.socketpair()
        with left, right:
            client, _ = shake_hands((left, right), (tls_contexts[0], context))
            assert client.alpn_protocol == "h2"


def test_a_key_given_as_text_is_never_readable_by_others_and_soon_gone(certificate: Certificate) -> None:
    seen: list[str] = []

    class Context(ssl.SSLContext):
        def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
            for path in (certfile, keyfile):
                assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
                seen.append(path)
            super().load_cert_chain(certfile, keyfile, password)

    load_certificate(Context(ssl.PROTOCOL_TLS_SERVER), certificate.certificate_pem, certificate.key_pem)
    assert len(seen) == 2
    assert not any(map(os.path.exists, seen))


def test_a_context_takes_a_new_certificate_for_new_handshakes(
    certificate_authority: CA, socket_pair: Sockets, tls_contexts: Contexts, shake_hands: ShakeHands
) -> None:
    renewed = certificate_authority.issue_cert("renewed.test")
    load_certificate(tls_contexts[1], renewed.cert_chain_pems[0].bytes(), renewed.private_key_pem.bytes())
    client, _ = shake_hands(socket_pair, tls_contexts, "renewed.test")
    assert client.alpn_protocol == "h2"


def test_unusable_certificates_say_which_and_why(certificate: Certificate, tmp_path: Path) -> None:
    other_key = CA().issue_cert("other.test").private_key_pem.bytes()
    not_pem = tmp_path / "not.pem"
    not_pem.write_bytes(b"certificate")
    encrypting = ["openssl", "pkcs8", "-topk8", "-in", certificate.keyfile, "-passout", "pass:secret"]
    encrypted_key = subprocess.run(encrypting, check=True, capture_output=True).stdout
    for certfile, keyfile, message in (
        (tmp_path / "missing.pem", None, "missing.pem': No such file"),
        (certificate.certfile, tmp_path / "missing.key", "server.pem' and key .*missing.key': No such file"),
        (certificate.certfile, other_key, "and key the given PEM text: key values mismatch"),
        (not_pem, None, "not.pem': it is not in PEM format"),
        (certificate.certificate_pem, encrypted_key, "the private key is encrypted"),
    ):
        with pytest.raises(TLSError, match=message):
            server_context(certfile=certfile, keyfile=keyfile)
    for cafile, message in (
        (tmp_path / "missing.pem", "missing.pem': No such file"),
        (not_pem, "authorities in .*not.pem"),
    ):
        with pytest.raises(TLSError, match=message):
            client_context(cafile=cafile)


def test_secrets_are_logged_where_sslkeylogfile_says(
    certificate: Certificate,
    socket_pair: Sockets,
    tls_contexts: Contexts,
    shake_hands: ShakeHands,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(path))
    shake_hands(socket_pair, (client_context(cafile=certificate.cafile), tls_contexts[1]))
    assert "CLIENT_TRAFFIC_SECRET_0" in path.read_text()


def test_a_context_of_the_users_gets_alpn_and_nothing_else(
    certificate: Certificate, socket_pair: Sockets, tls_contexts: Contexts, shake_hands: ShakeHands
) -> None:
    context = ssl.create_default_context(cafile=str(certificate.cafile))
    before = (context.options, context.verify_mode, context.minimum_version, len(context.get_ciphers()))
    set_alpn(context)
    assert (context.options, context.verify_mode, context.minimum_version, len(context.get_ciphers())) == before
    client, _ = shake_hands(socket_pair, (context, tls_contexts[1]))
    assert client.alpn_protocol == "h2"


class Watched(ssl.SSLContext):
    """Notes what changes it, and whether connections were kept from beginning with it meanwhile."""

    changes: list[tuple[str, bool]]

    def __new__(cls) -> Watched:
        context = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        context.changes = []
        return context

    def load_cert_chain(self, *arguments: Any, **named: Any) -> None:
        self.changes.append(("certificate", in_use.lock.locked()))
        super().load_cert_chain(*arguments, **named)

    def set_alpn_protocols(self, alpn_protocols: Any) -> None:
        self.changes.append(("ALPN", in_use.lock.locked()))
        super().set_alpn_protocols(alpn_protocols)

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        self.changes.append(("connection", in_use.lock.locked()))
        return super().wrap_bio(*arguments, **named)


def test_no_connection_begins_while_its_context_changes(certificate: Certificate) -> None:
    context = Watched()
    change_certificate(context, certificate.certfile, certificate.keyfile)
    set_alpn(context)
    TLSEngine(context, server_side=True)
    assert context.changes == [("certificate", True), ("ALPN", True), ("connection", True)]
    assert not in_use.lock.locked()


def test_what_a_server_offers_is_not_set_again_while_handshakes_read_it(certificate: Certificate) -> None:
    context = Watched()
    for offered in (("h2",), ("h2",), ("h2", "http/1.1"), ("h2", "http/1.1")):
        set_alpn(context, offered)
    assert len(context.changes) == 2


@pytest.mark.parametrize("load", [load_certificate, change_certificate])
def test_a_certificate_and_its_key_in_each_others_place(load: Any, certificate: Certificate, tmp_path: Path) -> None:
    key = tmp_path / "server.key"
    key.write_bytes(certificate.key_pem)
    for given in ((key, certificate.certfile), (certificate.key_pem, certificate.certificate_pem)):
        with pytest.raises(TLSError, match=r"; are the certificate and the key swapped\?$"):
            load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), *given)
    for given in ((key, key), (certificate.certificate_pem, certificate.certificate_pem), (tmp_path / "none", key)):
        with pytest.raises(TLSError) as raised:
            load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), *given)
        assert "swapped" not in str(raised.value)


def test_a_certificate_that_cannot_be_used_changes_nothing(
    certificate: Certificate, socket_pair: Sockets, tls_contexts: Contexts, shake_hands: ShakeHands, tmp_path: Path
) -> None:
    context = Watched()
    change_certificate(context, certificate.certificate_pem, certificate.key_pem)
    other_key = tmp_path / "other.key"
    other_key.write_bytes(CA().issue_cert("other.test").private_key_pem.bytes())
    weak = tmp_path / "weak.pem"
    make_weak = ["openssl", "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=localhost", "-keyout", "-"]
    weak.write_bytes(subprocess.run(make_weak, check=True, capture_output=True).stdout)
    context.set_ciphers("DEFAULT:@SECLEVEL=2")
    for certfile, keyfile, message in (
        (certificate.certfile, other_key, "other.key': key values mismatch"),
        (tmp_path / "missing.pem", None, "missing.pem': No such file"),
        (weak, None, "weak.pem': ee key too small"),
    ):
        with pytest.raises(TLSError, match=message):
            change_certificate(context, certfile, keyfile)
    assert context.changes == [("certificate", True)]
    set_alpn(context)
    client, _ = shake_hands(socket_pair, (tls_contexts[0], context))
    assert client.alpn_protocol == "h2"
