from __future__ import annotations

import os
import re
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.programs.others import program
from support.tls.authority import CA
from support.tls.certificates import Certificate
from sync_h2.deadline import Deadline
from sync_h2.errors import ALPNError, ConnectionLost, InvalidArgument, Timeout, TLSError
from sync_h2.transport.contexts import client_context, load_certificate, server_context, set_alpn
from sync_h2.transport.sockets import connect_tcp
from sync_h2.transport.tls import END, TLSEngine
from sync_h2.transport.transport import TLSTransport

TIMEOUT = 20.0

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]
Engines = tuple[TLSEngine, TLSEngine]
Sockets = tuple[socket.socket, socket.socket]
ShakeHands = Callable[..., Engines]


@pytest.fixture(params=["TLS 1.2", "TLS 1.3"])
def version(request: pytest.FixtureRequest, tls_contexts: Contexts) -> str:
    """Both versions in turn; `tls_contexts` agree on it."""
    version = ssl.TLSVersion.TLSv1_2 if request.param == "TLS 1.2" else ssl.TLSVersion.TLSv1_3
    for context in tls_contexts:
        context.minimum_version = context.maximum_version = version
    return str(request.param.replace("TLS ", "TLSv"))


@pytest.fixture
def engines(version: str, socket_pair: Sockets, tls_contexts: Contexts, shake_hands: ShakeHands) -> Engines:
    """A client's and a server's engine after their handshake; whatever they send is carried over by hand."""
    client, server = shake_hands(socket_pair, tls_contexts)
    if version == "TLSv1.3":
        client.feed(socket_pair[0].recv(10_000))  # the session tickets, which are records too
    return client, server


def carry(source: TLSEngine, target: TLSEngine) -> bytes:
    """Move what `source` has to send to `target`, and return it."""
    ciphertext = b"".join(source.outgoing())
    target.feed(ciphertext)
    return ciphertext


def read_all(engine: TLSEngine) -> bytes:
    """Everything that can be decrypted by now."""
    view = memoryview(bytearray(20_000))
    plaintext = b""
    while (count := engine.read_into(view)) > 0:
        plaintext += view[:count]
    return plaintext


def records(ciphertext: bytes) -> Iterator[bytes]:
    """The TLS records in `ciphertext` (RFC 8446 section 5.1)."""
    while ciphertext:
        length = 5 + int.from_bytes(ciphertext[3:5], "big")
        yield ciphertext[:length]
        ciphertext = ciphertext[length:]


# -- The handshake


def test_a_handshake_says_what_was_agreed(version: str, engines: Engines, certificate: Certificate) -> None:
    client, server = engines
    for engine in engines:
        assert engine.alpn_protocol == "h2"
        assert engine.version == version
        assert engine.cipher is not None
        assert engine.cipher[1] == version
    described = client.peer_certificate()
    assert isinstance(described, dict)
    assert ("DNS", "localhost") in described["subjectAltName"]
    assert client.peer_certificate(binary_form=True) == ssl.PEM_cert_to_DER_cert(
        certificate.certificate_pem.decode().partition("-----END")[0] + "-----END CERTIFICATE-----\n"
    )
    assert server.peer_certificate() is None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost."])
def test_certificates_match_addresses_and_names_with_a_final_dot(
    socket_pair: Sockets, tls_contexts: Contexts, shake_hands: ShakeHands, host: str
) -> None:
    client, _ = shake_hands(socket_pair, tls_contexts, host)
    assert client.alpn_protocol == "h2"


def test_international_names_are_verified_and_sent_in_idna(
    certificate_authority: CA, socket_pair: Sockets, tls_contexts: Contexts, shake_hands: ShakeHands
) -> None:
    issued = certificate_authority.issue_cert("xn--bcher-kva.test")
    load_certificate(tls_contexts[1], issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes())
    names: list[str | None] = []
    tls_contexts[1].sni_callback = lambda _object, name, _context: names.append(name)
    shake_hands(socket_pair, tls_contexts, "bücher.test")
    assert names == ["xn--bcher-kva.test"]


def test_a_name_that_cannot_be_verified_is_refused(tls_contexts: Contexts) -> None:
    for name in (None, ""):
        with pytest.raises(InvalidArgument, match="needs the server's name"):
            TLSEngine(tls_contexts[0], server_side=False, server_hostname=name)
    with pytest.raises(InvalidArgument, match="server name ''"):
        TLSEngine(client_context(verify=False), server_side=False, server_hostname="")


def test_a_certificate_for_another_name_is_refused_by_both_ends(
    version: str, socket_pair: Sockets, tls_contexts: Contexts, background: ThreadPoolExecutor
) -> None:
    client = TLSEngine(tls_contexts[0], server_side=False, server_hostname="other.test")
    server = TLSEngine(tls_contexts[1], server_side=True)
    outcome = background.submit(server.handshake, socket_pair[1], Deadline(TIMEOUT))
    with pytest.raises(
        TLSError, match=r"other.test failed: the certificate is not accepted: Hostname mismatch"
    ) as caught:
        client.handshake(socket_pair[0], Deadline(TIMEOUT))
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    # The alert tells the server.
    with pytest.raises(TLSError, match=r"the client failed: .*alert"):
        outcome.result(TIMEOUT)


def test_an_unknown_authority_is_refused_unless_verification_is_off(
    socket_pair: Sockets, tls_contexts: Contexts, shake_hands: ShakeHands
) -> None:
    with pytest.raises(TLSError, match="the certificate is not accepted: unable to get local issuer certificate"):
        shake_hands(socket_pair, (client_context(cafile=CA().cert_pem.bytes()), tls_contexts[1]))
    left, right = socket.socketpair()
    with left, right:
        client, _ = shake_hands((left, right), (client_context(verify=False), tls_contexts[1]), "whoever.test")
        assert client.alpn_protocol == "h2"


def test_a_clients_certificate_is_asked_for_and_checked(
    certificate: Certificate, certificate_authority: CA, socket_pair: Sockets, shake_hands: ShakeHands
) -> None:
    issued = certificate_authority.issue_cert("client@example.test")
    contexts = (
        client_context(
            cafile=certificate.cafile,
            certfile=issued.cert_chain_pems[0].bytes(),
            keyfile=issued.private_key_pem.bytes(),
        ),
        server_context(certfile=certificate.certfile, keyfile=certificate.keyfile, cafile=certificate.cafile),
    )
    _, server = shake_hands(socket_pair, contexts)
    described = server.peer_certificate()
    assert isinstance(described, dict)
    assert ("email", "client@example.test") in described["subjectAltName"]


def test_a_client_without_the_certificate_learns_why(
    certificate: Certificate, socket_pair: Sockets, tls_contexts: Contexts, background: ThreadPoolExecutor
) -> None:
    context = server_context(certfile=certificate.certfile, keyfile=certificate.keyfile, cafile=certificate.cafile)
    server = TLSEngine(context, server_side=True)
    outcome = background.submit(server.handshake, socket_pair[1], Deadline(TIMEOUT))
    client = TLSEngine(tls_contexts[0], server_side=False, server_hostname="localhost")
    # In TLS 1.3 the client's handshake is over before the server looks for its certificate: the first read tells.
    client.handshake(socket_pair[0], Deadline(TIMEOUT))
    with pytest.raises(TLSError, match="the client failed: peer did not return a certificate"):
        outcome.result(TIMEOUT)
    client.feed(socket_pair[0].recv(1000))
    view = memoryview(bytearray(100))
    with pytest.raises(TLSError, match=r"TLS with localhost failed: .*certificate required"):
        client.read_into(view)
    assert client.read_into(view) == END


def test_http2_must_be_chosen(
    version: str, certificate: Certificate, socket_pair: Sockets, tls_contexts: Contexts, background: ThreadPoolExecutor
) -> None:
    for alpn, chosen in ((["http/1.1"], "nothing"), ([], "nothing")):
        set_alpn(tls_contexts[1], alpn)
        left, right = socket.socketpair()
        with left, right:
            server = TLSEngine(tls_contexts[1], server_side=True)
            outcome = background.submit(server.handshake, right, Deadline(TIMEOUT))
            client = TLSEngine(tls_contexts[0], server_side=False, server_hostname="localhost")
            with pytest.raises(ALPNError, match=f"ALPN with localhost gave {chosen}"):
                client.handshake(left, Deadline(TIMEOUT))
            with pytest.raises(ALPNError, match=f"ALPN with the client gave {chosen}"):
                outcome.result(TIMEOUT)


def test_a_client_that_did_not_choose_http2_is_told_of_the_end(
    version: str, certificate: Certificate, socket_pair: Sockets, tls_contexts: Contexts, background: ThreadPoolExecutor
) -> None:
    outcome = background.submit(
        TLSEngine(tls_contexts[1], server_side=True).handshake, socket_pair[1], Deadline(TIMEOUT)
    )
    context = ssl.create_default_context(cafile=str(certificate.cafile))
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    with context.wrap_socket(socket_pair[0], server_hostname="localhost", suppress_ragged_eofs=False) as client:
        assert client.recv(100) == b""  # a close_notify; without one this raises
    with pytest.raises(ALPNError):
        outcome.result(TIMEOUT)


def test_another_protocol_is_taken_where_that_is_allowed(
    socket_pair: Sockets, tls_contexts: Contexts, shake_hands: ShakeHands
) -> None:
    for context in tls_contexts:
        set_alpn(context, ["http/1.1"])
    engines = shake_hands(socket_pair, tls_contexts, require_h2=False)
    assert [engine.alpn_protocol for engine in engines] == ["http/1.1", "http/1.1"]


def test_the_wrong_protocol_is_named(socket_pair: Sockets, tls_contexts: Contexts, shake_hands: ShakeHands) -> None:
    for context in tls_contexts:
        set_alpn(context, ["http/1.1"])
    with pytest.raises(ALPNError, match=r"ALPN with localhost gave 'http/1.1'"):
        shake_hands(socket_pair, tls_contexts)


def client_handshake(sock: socket.socket, context: ssl.SSLContext, timeout: float = TIMEOUT) -> None:
    TLSEngine(context, server_side=False, server_hostname="localhost").handshake(sock, Deadline(timeout))


def test_a_peer_that_speaks_plain_http_is_recognised(socket_pair: Sockets, tls_contexts: Contexts) -> None:
    socket_pair[1].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(TLSError, match="does it speak plain HTTP"):
        client_handshake(socket_pair[0], tls_contexts[0])


def test_a_plain_http_request_to_a_tls_port_is_recognised(socket_pair: Sockets, tls_contexts: Contexts) -> None:
    socket_pair[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(TLSError, match="plain HTTP request"):
        TLSEngine(tls_contexts[1], server_side=True).handshake(socket_pair[1], Deadline(TIMEOUT))


def test_a_peer_that_says_nothing_is_a_timeout(socket_pair: Sockets, tls_contexts: Contexts) -> None:
    with pytest.raises(Timeout, match=r"no TLS handshake with localhost within 0.05 s"):
        client_handshake(socket_pair[0], tls_contexts[0], 0.05)


def test_a_peer_that_dribbles_does_not_stretch_the_deadline(
    socket_pair: Sockets, tls_contexts: Contexts, background: ThreadPoolExecutor
) -> None:
    # A record that announces 16 KiB and comes octet by octet: each one restarts the socket's own timeout.
    def dribble() -> None:
        socket_pair[1].sendall(b"\x16\x03\x03\x40\x00")
        try:
            while True:
                socket_pair[1].sendall(b"\0")
                socket_pair[1].settimeout(0.01)
                try:
                    while socket_pair[1].recv(1000):
                        pass
                    return
                except TimeoutError:
                    pass
        except OSError:
            return

    dribbling = background.submit(dribble)
    with pytest.raises(Timeout):
        client_handshake(socket_pair[0], tls_contexts[0], 0.2)
    socket_pair[0].close()
    dribbling.result(TIMEOUT)


def test_no_time_is_a_timeout(socket_pair: Sockets, tls_contexts: Contexts) -> None:
    with pytest.raises(Timeout):
        client_handshake(socket_pair[0], tls_contexts[0], 0)


def test_a_peer_that_hangs_up_is_a_lost_connection(socket_pair: Sockets, tls_contexts: Contexts) -> None:
    socket_pair[1].shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionLost, match="localhost hung up during the TLS handshake") as caught:
        client_handshake(socket_pair[0], tls_contexts[0])
    assert caught.value.retryable


def test_a_reset_is_a_lost_connection(tcp_pair: Sockets, tls_contexts: Contexts) -> None:
    tcp_pair[1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    tcp_pair[1].close()
    with pytest.raises(ConnectionLost, match="broke during the TLS handshake") as caught:
        client_handshake(tcp_pair[0], tls_contexts[0])
    assert isinstance(caught.value.__cause__, OSError)


# -- Records


def test_what_one_end_encrypts_the_other_reads(engines: Engines) -> None:
    for source, target in (engines, engines[::-1]):
        pieces = [os.urandom(size) for size in (9, 16_384, 0, 9, 1, 100_000, 300_000)]
        source.encrypt([piece if len(piece) < 10 else memoryview(piece) for piece in pieces])
        carry(source, target)
        assert read_all(target) == b"".join(pieces)
        assert source.outgoing() == []


def test_nothing_to_encrypt_sends_nothing(engines: Engines) -> None:
    engines[0].encrypt([])
    engines[0].encrypt([b"", memoryview(b"")])
    assert engines[0].outgoing() == []


def test_small_buffers_share_records(engines: Engines) -> None:
    client, server = engines
    client.encrypt([b"x" * 9, b"y" * 1000] * 12)
    assert len(list(records(carry(client, server)))) == 1
    client.encrypt([b"x" * 9, b"y" * 16_384] * 16)
    # 262,288 octets of plaintext fill 16 records and a bit; 4 calls may each end with a record that is not full.
    assert 17 <= len(list(records(carry(client, server)))) <= 20
    assert len(read_all(server)) == 12 * 1009 + 16 * 16_393


def test_a_record_in_parts_needs_more(engines: Engines) -> None:
    client, server = engines
    client.encrypt([b"hello"])
    ciphertext = b"".join(client.outgoing())
    view = memoryview(bytearray(100))
    for position in range(len(ciphertext) - 1):
        server.feed(ciphertext[position : position + 1])
        assert server.read_into(view) == 0
    server.feed(ciphertext[-1:])
    assert server.pending == 1
    assert server.read_into(view) == 5
    assert bytes(view[:5]) == b"hello"
    assert server.read_into(view) == server.pending == 0


def test_a_record_larger_than_the_view_comes_in_parts(engines: Engines) -> None:
    client, server = engines
    client.encrypt([b"0123456789"])
    carry(client, server)
    view = memoryview(bytearray(4))
    assert [(server.read_into(view), bytes(view)) for _ in range(2)] == [(4, b"0123"), (4, b"4567")]
    assert server.read_into(view) == 2
    assert server.read_into(view) == 0


def test_as_many_records_as_there_are_come_at_once(engines: Engines) -> None:
    client, server = engines
    octets = bytes(range(256)) * 400
    for start in range(0, len(octets), 10_000):
        client.encrypt([octets[start : start + 10_000]])
    carry(client, server)  # more than is copied at once
    assert server.pending > len(octets)
    view = memoryview(bytearray(60_000))
    first = server.read_into(view)
    assert first == 60_000
    received = bytes(view)
    count = server.read_into(view)
    assert received + view[:count] == octets
    assert server.read_into(view) == server.pending == 0


# -- The end


def test_close_notify_is_a_clean_end_after_the_data(engines: Engines) -> None:
    client, server = engines
    client.encrypt([b"last words"])
    client.close_notify()
    client.close_notify()
    carry(client, server)
    server.feed_eof()
    assert read_all(server) == b"last words"
    view = memoryview(bytearray(10))
    assert [server.read_into(view) for _ in range(2)] == [END, END]
    assert not server.truncated


def test_a_close_notify_that_answers_ours_is_a_clean_end(engines: Engines) -> None:
    client, server = engines
    client.close_notify()
    server.close_notify()
    carry(client, server)
    assert server.read_into(memoryview(bytearray(10))) == END
    assert not server.truncated


@pytest.mark.parametrize("ignore_unexpected_eof", [True, False])
def test_an_end_without_close_notify_is_a_truncation(
    socket_pair: Sockets, tls_contexts: Contexts, shake_hands: ShakeHands, ignore_unexpected_eof: bool
) -> None:
    option = getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    if ignore_unexpected_eof:
        tls_contexts[1].options |= option
    else:
        tls_contexts[1].options &= ~option
    client, server = shake_hands(socket_pair, tls_contexts)
    client.encrypt([b"cut", b"off"])
    carry(client, server)
    server.feed_eof()
    assert read_all(server) == b"cutoff"
    assert server.read_into(memoryview(bytearray(10))) == END
    assert server.truncated


def test_a_cut_record_is_a_truncation(engines: Engines) -> None:
    client, server = engines
    client.encrypt([b"hello"])
    server.feed(b"".join(client.outgoing())[:-1])
    server.feed_eof()
    assert read_all(server) == b""
    assert server.truncated


def test_a_forged_record_is_an_error_and_answered_with_an_alert(engines: Engines) -> None:
    client, server = engines
    client.encrypt([b"hello"])
    ciphertext = bytearray(b"".join(client.outgoing()))
    ciphertext[-1] ^= 1
    server.feed(ciphertext)
    view = memoryview(bytearray(10))
    with pytest.raises(TLSError, match=r"TLS with the client failed: .*(record mac|record layer)"):
        server.read_into(view)
    assert server.read_into(view) == END
    assert carry(server, client)
    with pytest.raises(TLSError, match="alert bad record mac"):
        client.read_into(view)
    server.close_notify()
    with pytest.raises(TLSError, match="TLS with localhost failed"):
        client.encrypt([b"too late"])


def test_what_came_before_a_forged_record_is_good(engines: Engines) -> None:
    client, server = engines
    client.encrypt([b"hello"])
    good = b"".join(client.outgoing())
    client.encrypt([b"world"])
    forged = bytearray(b"".join(client.outgoing()))
    forged[-1] ^= 1
    server.feed(good + forged)
    view = memoryview(bytearray(100))
    assert server.read_into(view) == 5
    assert bytes(view[:5]) == b"hello"
    with pytest.raises(TLSError, match="TLS with the client failed"):
        server.read_into(view)
    assert server.read_into(view) == END


def test_close_notify_before_the_handshake_does_nothing(tls_contexts: Contexts) -> None:
    engine = TLSEngine(tls_contexts[1], server_side=True)
    engine.close_notify()
    assert engine.outgoing() == []


# -- After the handshake: what only another TLS implementation's tool can be made to send


class OpenSSLServer:
    """`openssl s_server`, whose first character of a line is a command; it shows each handshake message."""

    def __init__(self, certificate: Certificate, version: str) -> None:
        command = [program("openssl"), "s_server", "-accept", "127.0.0.1:0", "-alpn", "h2", "-msg", version]
        self._process = subprocess.Popen(
            [*command, "-cert", certificate.certfile, "-key", certificate.keyfile],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.port = int(self.wait_for(rb"ACCEPT 127\.0\.0\.1:(\d+)")[1])

    def say(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()

    def wait_for(self, pattern: bytes) -> re.Match[bytes]:
        """The first line from here on that matches."""
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"openssl s_server ended without {pattern!r}")

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def openssl_server(certificate: Certificate) -> Iterator[Callable[[str], tuple[OpenSSLServer, TLSTransport]]]:
    """Starts the server with one TLS version, and connects to it."""
    closing: list[Callable[[], None]] = []

    def start(version: str) -> tuple[OpenSSLServer, TLSTransport]:
        server = OpenSSLServer(certificate, version)
        closing.append(server.close)
        sock = connect_tcp("127.0.0.1", server.port, Deadline(TIMEOUT))
        closing.append(sock.close)
        engine = TLSEngine(client_context(cafile=certificate.cafile), server_side=False, server_hostname="localhost")
        engine.handshake(sock, Deadline(TIMEOUT))
        return server, TLSTransport(sock, engine)

    yield start
    for close in reversed(closing):
        close()


def test_a_key_update_is_followed_and_answered(
    openssl_server: Callable[[str], tuple[OpenSSLServer, TLSTransport]],
) -> None:
    server, transport = openssl_server("-tls1_3")
    server.say(b"K")
    server.wait_for(rb">>> TLS 1.3, Handshake .*KeyUpdate")
    server.say(b"1 under the new key")
    view = memoryview(bytearray(1000))
    received = b""
    while received != b"1 under the new key\n":
        assert transport.receive(view)
        while (count := transport.plaintext_locked(view)) > 0:
            received += view[:count]
    transport.wrap_locked([b"answer under the new key\n"])
    assert transport.send_some_locked()
    server.wait_for(rb"<<< TLS 1.3, Handshake .*KeyUpdate")
    server.wait_for(rb"^answer under the new key$")


def test_renegotiation_is_refused_by_the_reader_alone(
    openssl_server: Callable[[str], tuple[OpenSSLServer, TLSTransport]],
) -> None:
    server, transport = openssl_server("-tls1_2")
    server.say(b"r")
    view = memoryview(bytearray(1000))
    assert transport.receive(view)
    assert transport.plaintext_locked(view) == 0
    # Nobody wrapped anything: reading left the refusal to be sent.
    assert transport.unsent_locked > 0
    assert transport.send_some_locked()
    server.wait_for(rb"<<< TLS 1.2, Alert .*warning no_renegotiation")
