"""Servers over TLS."""

from __future__ import annotations

import queue
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.threads.background import Background, eventually
from support.tls.authority import CA
from sync_h2 import ALPNError, ErrorCode, HTTP2Error, InvalidArgument, TLSError, connect, create_secure_server, get
from sync_h2.testing import pair
from sync_h2.transport.contexts import client_context


def echo(stream: Any, headers: Any) -> None:
    stream.end(stream.read())


def url(server: Any, host: str = "localhost") -> str:
    return f"https://{host}:{server.address[1]}"


def ask(session: Any, body: bytes = b"question") -> bytes:
    stream = session.request({":method": "POST"})
    stream.end(body)
    return bytes(stream.read(timeout=10))


@pytest.fixture
def errors() -> queue.SimpleQueue[Any]:
    return queue.SimpleQueue()


@pytest.fixture
def server(certificate: Any, errors: Any) -> Iterator[Any]:
    with create_secure_server(
        echo, certfile=certificate.certfile, keyfile=certificate.keyfile, listeners={"error": errors.put}
    ) as server:
        yield server


def test_a_request_over_tls(server: Any, ca_file: str) -> None:
    with connect(url(server), cafile=ca_file) as session:
        assert session.encrypted
        assert session.alpn_protocol == "h2"
        assert ask(session, b"x" * 3_000_000) == b"x" * 3_000_000
        stream = session.request()
        assert stream.sent_headers[":scheme"] == "https"
        assert stream.sent_headers[":authority"] == f"localhost:{server.address[1]}"


@pytest.mark.parametrize(
    "refused", [None, RuntimeError, MemoryError], ids=["another thread", "no more threads", "no memory for one"]
)
def test_who_made_the_handshake_leaves_the_reading_to_another(
    monkeypatch: Any, server: Any, ca_file: str, refused: type[Exception] | None
) -> None:
    makers: list[threading.Thread] = []
    start = threading.Thread.start

    def start_unless_refused(thread: threading.Thread) -> None:
        if thread.name == threading.current_thread().name == "sync_h2-reader":
            makers.append(threading.current_thread())
            if refused is not None:
                raise refused("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_unless_refused)
    with connect(url(server), cafile=ca_file) as session:
        assert ask(session) == b"question"
        eventually(lambda: makers[0].is_alive() is (refused is not None))
        assert ask(session) == b"question"
    assert len(makers) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_names_and_addresses_of_the_certificate(server: Any, ca_file: str, host: str) -> None:
    with connect(url(server, host), cafile=ca_file) as session:
        assert ask(session) == b"question"


def test_pem_bytes(certificate: Any) -> None:
    with (
        create_secure_server(echo, certfile=certificate.certificate_pem, keyfile=certificate.key_pem) as server,
        connect(url(server), cafile=certificate.authority_pem) as session,
    ):
        assert ask(session) == b"question"


def test_an_unknown_authority_is_refused_and_both_ends_are_told(server: Any, errors: Any, caplog: Any) -> None:
    with pytest.raises(TLSError, match="certificate"):
        connect(url(server), timeout=5)
    error = errors.get(timeout=5)
    assert isinstance(error, HTTP2Error)
    assert server.sessions == []
    with connect(url(server), verify=False) as session:
        assert ask(session) == b"question"


def test_a_wrong_name_is_refused(server: Any, ca_file: str) -> None:
    sock = socket.create_connection(server.address)
    with pytest.raises(TLSError):
        connect("https://example.com", sock=sock, cafile=ca_file, timeout=5)
    assert sock.fileno() == -1


def test_a_client_without_alpn_is_turned_away(server: Any, ca_file: str, errors: Any) -> None:
    context = ssl.create_default_context(cafile=ca_file)
    with socket.create_connection(server.address) as raw:
        with (
            pytest.raises((OSError, ssl.SSLError)) as raised,
            context.wrap_socket(raw, server_hostname="localhost") as sock,
        ):
            sock.settimeout(5)
            if not sock.recv(1000):
                raise ConnectionError("closed")
        assert raised.value is not None
    assert isinstance(errors.get(timeout=5), ALPNError)


def test_a_server_that_does_not_choose_h2(certificate: Any) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certfile, certificate.keyfile)
    context.set_alpn_protocols(["http/1.1"])
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        sock, _ = listener.accept()
        with sock:
            try:
                with context.wrap_socket(sock, server_side=True) as secure:
                    secure.recv(1)
            except OSError:
                pass

    accepting = threading.Thread(target=accept)
    accepting.start()
    with listener, pytest.raises(ALPNError):
        connect(f"https://localhost:{listener.getsockname()[1]}", cafile=certificate.cafile, timeout=5)
    accepting.join()


def test_a_connection_that_is_no_tls_is_reported(server: Any, errors: Any, ca_file: str) -> None:
    with socket.create_connection(server.address) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert isinstance(errors.get(timeout=5), TLSError)
    with connect(url(server), cafile=ca_file) as session:
        assert ask(session) == b"question"


def test_a_silent_handshake_is_ended_and_holds_up_nobody(certificate: Any, errors: Any) -> None:
    with (
        create_secure_server(
            echo,
            certfile=certificate.certfile,
            keyfile=certificate.keyfile,
            handshake_timeout=0.3,
            listeners={"error": errors.put},
        ) as server,
        socket.create_connection(server.address) as silent,
    ):
        with connect(url(server), cafile=certificate.cafile) as session:
            assert ask(session) == b"question"
        silent.settimeout(5)
        assert silent.recv(100) == b""
        assert isinstance(errors.get(timeout=5), HTTP2Error)


def test_a_silent_handshake_does_not_hold_up_the_close(certificate: Any) -> None:
    server = create_secure_server(echo, certfile=certificate.certfile, keyfile=certificate.keyfile)
    server.start()
    with socket.create_connection(server.address):
        eventually(lambda: server._connections._newcomers)
        server.close(timeout=1)


def test_a_handshake_that_is_under_way_when_the_server_closes_leads_to_a_goaway(
    certificate: Any, background: Background
) -> None:
    """A client sends its first request behind its handshake: hanging up on it would leave it in doubt about that."""
    server = create_secure_server(echo, certfile=certificate.certfile, keyfile=certificate.keyfile)
    server.start()
    sock = socket.create_connection(server.address)
    eventually(lambda: server._connections._newcomers)
    closing = background(server.close, timeout=10)
    eventually(lambda: server._acceptor.stopped)
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    session = connect(
        url(server), sock=sock, cafile=certificate.cafile, listeners={"goaway": lambda *arguments: heard.put(arguments)}
    )
    try:
        assert session.request().read(timeout=10) == b""
    except HTTP2Error as error:  # it has heard of the end already
        assert error.retryable
    assert heard.get(timeout=10)[0] == ErrorCode.NO_ERROR
    closing.result(10)
    session.destroy()


def test_client_certificates(certificate: Any, certificate_authority: Any) -> None:
    issued = certificate_authority.issue_cert("client@example.com")
    chain, key = b"".join(blob.bytes() for blob in issued.cert_chain_pems), issued.private_key_pem.bytes()
    with create_secure_server(
        echo, certfile=certificate.certfile, keyfile=certificate.keyfile, cafile=certificate.cafile
    ) as server:
        with connect(url(server), cafile=certificate.cafile, certfile=chain, keyfile=key) as session:
            assert ask(session) == b"question"
        with pytest.raises(HTTP2Error):  # with TLS 1.3 it hears of it after its own handshake
            session = connect(url(server), cafile=certificate.cafile)
            try:
                ask(session)
            finally:
                session.destroy()


def test_without_the_certificate_no_request_is_worth_sending_again(certificate: Any) -> None:
    """Whoever asks, and whether the request was sent before the server had said so."""
    ended = threading.Event()
    with create_secure_server(
        echo, certfile=certificate.certfile, keyfile=certificate.keyfile, cafile=certificate.cafile
    ) as server:
        with connect(url(server), cafile=certificate.cafile, listeners={"close": ended.set}) as session:
            assert ended.wait(20)
            with pytest.raises(TLSError, match="certificate required") as late:
                session.request()
        with pytest.raises(TLSError, match="certificate required") as called:
            get(url(server), verify=str(certificate.cafile))
        for error in (late.value, called.value):
            assert not error.retryable
            assert "safe to retry" not in str(error)


def test_a_context_of_ones_own(certificate: Any) -> None:
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(certificate.certfile, certificate.keyfile)
    client_context = ssl.create_default_context(cafile=str(certificate.cafile))
    with (
        create_secure_server(echo, context=server_context) as server,
        connect(url(server), context=client_context) as session,
    ):
        assert ask(session) == b"question"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"certfile": "/does/not/exist.pem"},
        {"certfile": b"no certificate"},
        {"certfile": "both", "context": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)},
    ],
)
def test_bad_certificates_and_options(options: Any) -> None:
    with pytest.raises((InvalidArgument, TLSError, OSError)):
        create_secure_server(echo, **options)


def test_another_certificate_for_new_sessions(certificate: Any, certificate_authority: Any) -> None:
    other = CA()
    issued = other.issue_cert("localhost")
    with (
        create_secure_server(echo, certfile=certificate.certfile, keyfile=certificate.keyfile) as server,
        connect(url(server), cafile=certificate.cafile) as first,
    ):
        server.reload_certificate(
            b"".join(blob.bytes() for blob in issued.cert_chain_pems), issued.private_key_pem.bytes()
        )
        with pytest.raises(TLSError):
            connect(url(server), cafile=certificate.cafile, timeout=5)
        with connect(url(server), cafile=other.cert_pem.bytes()) as second:
            assert ask(second) == b"question"
        assert ask(first) == b"question"
        with pytest.raises((TLSError, OSError)):
            server.reload_certificate(b"nonsense", b"nonsense")
        with connect(url(server), cafile=other.cert_pem.bytes()) as third:
            assert ask(third) == b"question"


def own_context(certificate: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certfile, certificate.keyfile)
    return context


@pytest.mark.parametrize("own", [False, True], ids=["certfile", "context"])
def test_a_reload_that_fails_changes_nothing(own: bool, certificate: Any, tmp_path: Path) -> None:
    other = CA().issue_cert("localhost")
    chain, key = other.cert_chain_pems[0].bytes(), other.private_key_pem.bytes()
    how: Any = {"certfile": certificate.certfile, "keyfile": certificate.keyfile}
    if own:
        how = {"context": own_context(certificate)}
    with create_secure_server(echo, **how) as server:
        for certfile, keyfile, message in (
            (certificate.certfile, key, "server.pem' and key the given PEM text: key values mismatch"),
            (chain, certificate.keyfile, "server.key': key values mismatch"),
            (chain, None, "the private key is missing"),
            (tmp_path / "missing.pem", None, "missing.pem': No such file"),
        ):
            with pytest.raises(TLSError, match=message):
                server.reload_certificate(certfile, keyfile)
            with connect(url(server), cafile=certificate.cafile) as session:
                assert ask(session) == b"question"


@pytest.mark.parametrize("own", [False, True], ids=["certfile", "context"])
def test_a_reload_disturbs_no_handshake(own: bool, certificate: Any, ca_file: str, background: Background) -> None:
    how: Any = {"certfile": certificate.certfile, "keyfile": certificate.keyfile}
    if own:
        how = {"context": own_context(certificate)}
    trust = ssl.create_default_context(cafile=ca_file)
    done = threading.Event()

    def reload(server: Any) -> None:
        while not done.is_set():
            server.reload_certificate(certificate.certfile, certificate.keyfile)

    def shake_hands(server: Any) -> None:
        for _ in range(20):
            connect(url(server), context=trust).destroy()

    with create_secure_server(echo, **how) as server:
        reloading = background(reload, server)
        try:
            callers = [background(shake_hands, server) for _ in range(4)]
            for caller in callers:
                caller.result(60)
        finally:
            done.set()
            reloading.result(60)


def test_a_reload_keeps_what_clients_must_show(certificate: Any, certificate_authority: Any) -> None:
    mine = certificate_authority.issue_cert("me@example.com")
    chain, key = mine.cert_chain_pems[0].bytes(), mine.private_key_pem.bytes()
    with create_secure_server(
        echo, certfile=certificate.certfile, keyfile=certificate.keyfile, cafile=certificate.cafile
    ) as server:
        server.reload_certificate(certificate.certfile, certificate.keyfile)
        with connect(url(server), cafile=certificate.cafile, certfile=chain, keyfile=key) as session:
            assert session.alpn_protocol == "h2"
            assert ask(session) == b"question"
        with pytest.raises(HTTP2Error):
            session = connect(url(server), cafile=certificate.cafile)
            try:
                ask(session)
            finally:
                session.destroy()


def test_no_certificate_of_before_is_left_after_a_reload(certificate: Any) -> None:
    """OpenSSL keeps one for each type of key, and shows the one that a client likes better."""
    making = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "-"]
    rsa = subprocess.run(making, check=True, capture_output=True).stdout
    only_ecdsa = client_context(cafile=certificate.cafile)
    only_ecdsa.maximum_version = ssl.TLSVersion.TLSv1_2
    only_ecdsa.set_ciphers("ECDHE+ECDSA")
    with create_secure_server(echo, certfile=certificate.certfile, keyfile=certificate.keyfile) as server:
        connect(url(server), context=only_ecdsa).close()
        server.reload_certificate(rsa)
        with pytest.raises(TLSError, match="handshake failure"):
            connect(url(server), context=only_ecdsa)


def test_a_pair_over_tls(certificate: Any) -> None:
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(certificate.certfile, certificate.keyfile)
    client_context = ssl.create_default_context(cafile=str(certificate.cafile))
    client, server = pair(echo, tls=True, client_context=client_context, server_context=server_context)
    with client:
        assert client.encrypted
        assert server.encrypted
        assert ask(client, b"x" * 1_000_000) == b"x" * 1_000_000
    server.close(timeout=5)
