"""TLS: an engine that turns octets into octets.

An `ssl.SSLSocket` must not be read and written by two threads, so the engine is an `ssl.SSLObject` between two memory
buffers and never touches the connection's socket, the handshake excepted. The handshake runs on the connection's own
thread before anything is shared; every other method needs the session's lock and does no I/O.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Sequence
from typing import Any, cast

from ..deadline import Deadline
from ..errors import ALPNError, ConnectionLost, InvalidArgument, Timeout, TLSError
from .contexts import HTTP2_ALPN, in_use, reason
from .fork import close_in_forked_child
from .host_names import encode_host

END = -1

# A record carries at most 16 KiB. Encrypting several per call spares calls; more than this would only cost memory,
# which OpenSSL's buffers keep for as long as the connection lives.
_ENCRYPT_SIZE = 64 * 1024
DECRYPT_SIZE = 64 * 1024
_HANDSHAKE_READ_SIZE = 16 * 1024

# OpenSSL's X509_V_ERR_…: the chain of a peer's certificate leads to nobody who is trusted.
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
ADVICE_ON_AUTHORITIES = "; name the authority that signed it (cafile= or verify=), or trust anybody (verify=False)"
"""What a user of `connect` can do about that."""


class TLSEngine:
    """One connection's TLS: ciphertext in with `feed`, plaintext out with `read_into`, and back with `encrypt` and
    `outgoing`.

    `outgoing` must be asked after every other call, the reading ones too: they may leave alerts and key updates to
    send.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        server_hostname: str | None = None,
        advice_on_authorities: str = ADVICE_ON_AUTHORITIES,
    ) -> None:
        self._advice_on_authorities = advice_on_authorities
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ciphertext: list[bytes] = []
        self._unfed = memoryview(b"")
        self._end_of_file = False
        self._ended = False
        self._failure: TLSError | None = None
        self.truncated = False
        self._peer = "the client" if server_side else server_hostname or "the server"
        if context.check_hostname and not server_side and not server_hostname:
            # `ssl.SSLObject`, unlike `ssl.SSLSocket`, would take a certificate for any name then.
            raise InvalidArgument("TLS needs the server's name, because the context checks it against the certificate")
        name = None if server_hostname is None else _name_to_verify(server_hostname)
        try:
            with in_use.lock:
                self._object = context.wrap_bio(
                    self._incoming, self._outgoing, server_side=server_side, server_hostname=name
                )
        except ValueError as error:
            raise InvalidArgument(f"no TLS with server name {server_hostname!r}: {error}") from error
        except ssl.SSLError as error:  # a server's context, say
            raise TLSError(f"the context can't be used for TLS with {self._peer}: {reason(error)}") from error

    # -- The connection's own thread, before anything is shared --

    def handshake(self, sock: socket.socket, deadline: Deadline, *, require_h2: bool = True) -> None:
        """Shake hands over `sock`, which is left with a timeout set; `prepare` undoes that.

        With `require_h2`, a peer that did not choose HTTP/2 is an `ALPNError`.
        """
        close_in_forked_child(sock)
        try:
            self._handshake(sock, deadline)
            if require_h2 and self.alpn_protocol != HTTP2_ALPN:
                self.close_notify()
                chosen = "nothing" if self.alpn_protocol is None else repr(self.alpn_protocol)
                raise ALPNError(
                    f"HTTP/2 was not chosen in the TLS handshake: ALPN with {self._peer} gave {chosen}"
                    + ("" if self._object.server_side else "; the server speaks HTTP/1 on this port")
                )
        except TimeoutError as error:
            raise Timeout(f"no TLS handshake with {self._peer} within {deadline.timeout} s") from error
        except ConnectionLost:
            raise
        except OSError as error:
            raise ConnectionLost(
                f"the connection to {self._peer} broke during the TLS handshake ({error.strerror})", retryable=True
            ) from error
        finally:
            # After success there is nothing left to send; after a failure, an alert. What failed matters more than
            # whether this works.
            with contextlib.suppress(OSError):
                self._send_outgoing(sock, deadline)

    def _handshake(self, sock: socket.socket, deadline: Deadline) -> None:
        finished = False
        while not finished:
            try:
                self._object.do_handshake()
                finished = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                raise TLSError(
                    f"the TLS handshake with {self._peer} failed: {reason(error)}{self._advice(error)}"
                ) from error
            self._send_outgoing(sock, deadline)
            if not finished:
                _limit(sock, deadline)
                data = sock.recv(_HANDSHAKE_READ_SIZE)
                if not data:
                    raise ConnectionLost(f"{self._peer} hung up during the TLS handshake{self._hint}", retryable=True)
                self._incoming.write(data)

    @property
    def _hint(self) -> str:
        return "" if self._object.server_side else "; does it speak plain HTTP on this port?"

    def _advice(self, error: ssl.SSLError) -> str:
        """What the user can do about a failed handshake."""
        unknown = isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _UNKNOWN_AUTHORITY
        return "" if self._object.server_side or not unknown else self._advice_on_authorities

    def _send_outgoing(self, sock: socket.socket, deadline: Deadline) -> None:
        for data in self.outgoing():
            _limit(sock, deadline)
            sock.sendall(data)

    # -- Any thread that holds the session's lock; no I/O --

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take ciphertext that arrived. The first `DECRYPT_SIZE` octets are copied; what follows them must not change
        before `read_into` has given 0 or `END`.
        """
        while self._feed_piece():
            pass  # what is older comes first
        self._unfed = memoryview(data)
        self._feed_piece()

    def _feed_piece(self) -> bool:
        """Let the TLS object have a piece of what was fed; False when it has everything."""
        if not self._unfed:
            return False
        self._incoming.write(self._unfed[:DECRYPT_SIZE])
        self._unfed = self._unfed[DECRYPT_SIZE:]
        return True

    def feed_eof(self) -> None:
        """The peer will send nothing more."""
        self._end_of_file = True

    @property
    def pending(self) -> int:
        """Octets of ciphertext that `read_into` has not looked at. Only `feed` and `read_into` change it."""
        return self._incoming.pending + len(self._unfed)

    def read_into(self, view: memoryview) -> int:
        """Decrypt into `view` (not empty), record by record for as long as there is ciphertext and room, and return how
        many octets that gave.

        0 means that more ciphertext is needed. `END` is the end; `truncated` is true then if it came without a
        close_notify alert, so that somebody else than the peer may have caused it. An end or an error behind plaintext
        waits for the next call.
        """
        filled = 0
        room = len(view)
        incoming = self._incoming
        while filled < room and not self._ended and (incoming.pending or self._feed_piece() or self._object.pending()):
            try:
                # typeshed knows only what `read` without a buffer returns.
                count = cast(int, self._object.read(room - filled, view[filled:]))
                # 0 and SSLZeroReturnError both are a close_notify; which one comes depends on whether ours was sent.
                self._ended = count == 0
                filled += count
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLZeroReturnError:
                self._ended = True
            except ssl.SSLError as error:
                self._ended = True
                self._failure = TLSError(f"TLS with {self._peer} failed: {reason(error)}")
                self._failure.__cause__ = error
        if filled:
            return filled
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        # Not `MemoryBIO.write_eof`: Python's contexts set OP_IGNORE_UNEXPECTED_EOF, with which OpenSSL 3 reports a cut
        # like a close_notify.
        if self._end_of_file and not self._ended:
            self._ended = self.truncated = True
        return END if self._ended else 0

    def encrypt(self, buffers: Sequence[bytes | memoryview]) -> None:
        """Encrypt `buffers`, which are not needed afterwards. Small ones share records."""
        batch: list[bytes | memoryview] = []
        size = 0
        for buffer in buffers:
            batch.append(buffer)
            size += len(buffer)
            if size >= _ENCRYPT_SIZE:
                self._encrypt_batch(batch)
                batch = []
                size = 0
        if size:
            self._encrypt_batch(batch)

    def _encrypt_batch(self, batch: list[bytes | memoryview]) -> None:
        rest = memoryview(batch[0] if len(batch) == 1 else b"".join(batch))
        try:
            while rest:
                rest = rest[self._object.write(rest) :]
        except ssl.SSLError as error:
            raise TLSError(f"TLS with {self._peer} failed: {reason(error)}") from error
        self._ciphertext.append(self._outgoing.read())

    def outgoing(self) -> list[bytes]:
        """What is to be sent, in order; it is handed out once."""
        if self._outgoing.pending:
            self._ciphertext.append(self._outgoing.read())
        ciphertext = self._ciphertext
        if ciphertext:
            self._ciphertext = []
        return ciphertext

    def close_notify(self) -> None:
        """Say that nothing more will come from this side. Nothing may be encrypted after this; never raises."""
        # It would like to wait for the peer's answer, or the connection has failed already.
        with contextlib.suppress(ssl.SSLError):
            self._object.unwrap()

    @property
    def alpn_protocol(self) -> str | None:
        """What ALPN chose; None before the handshake, and when the peers had nothing in common."""
        return self._object.selected_alpn_protocol()

    @property
    def ssl_object(self) -> ssl.SSLObject:
        """To look at; what reads, writes or shakes hands is the engine's alone."""
        return self._object

    @property
    def cipher(self) -> tuple[str, str, int] | None:
        return self._object.cipher()

    @property
    def version(self) -> str | None:
        return self._object.version()

    def peer_certificate(self, binary_form: bool = False) -> dict[str, Any] | bytes | None:
        """The peer's certificate as `ssl.SSLSocket.getpeercert` gives it."""
        return self._object.getpeercert(binary_form)


def _name_to_verify(host: str) -> str:
    """`host` as certificates and the SNI extension have it (RFC 6066 section 3): no final dot, no IPv6 zone."""
    return encode_host(host).partition("%")[0].removesuffix(".")


def _limit(sock: socket.socket, deadline: Deadline) -> None:
    """Give the socket's next call what is left of the time."""
    if deadline.expired:
        raise TimeoutError
    sock.settimeout(deadline.remaining())
