"""HTTP/1.1, for servers that have nothing else: the standard library's `http.client` on a socket that is connected.

One exchange at a time, on the thread that makes the request, then on the one that reads the body.
"""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
from collections.abc import Iterator
from functools import partial

from ... import errors
from ...deadline import Deadline
from ...exceptions import RequestException, WriteTimeout
from ...interpreter import Lock
from ...protocol.fields.headers import encode_request
from ..messages.call import Call
from ..options.tracing import in_octets, step
from ..values.fields import Fields, by_name
from .ending import Ending
from .failures import failed, no_response
from .http1_answer import HTTP1Answer
from .http1_response import BROKEN, FinalResponse
from .tls_socket import TLSSocket
from .uploads import PATIENCE_FOR_CONTINUE, Upload

_PIECE = 16 * 1024  # a TLS record; a socket that takes anything takes about as much


class HTTP1Connection:
    """A connection to a server, or, if there are `proxy_fields`, to a proxy that is told whole URLs and these."""

    def __init__(self, sock: socket.socket | TLSSocket, host: str, *, proxy_fields: Fields | None = None) -> None:
        self._sock = sock
        self._proxy_fields = proxy_fields
        # With a port: otherwise it looks for one behind an IPv6 address's last colon.
        self._connection = http.client.HTTPConnection(host, http.client.HTTP_PORT)
        self._connection.auto_open = 0
        self._connection.sock = sock
        self.idle_since = 0.0
        self._answered = False  # any request
        self._closed = False
        self._writing = Lock()  # who writes has left before the descriptor's number is somebody else's

    @property
    def is_alive(self) -> bool:
        """Whether an idle connection can be used: the server has neither closed it nor said anything."""
        with contextlib.suppress(OSError, ValueError, errors.HTTP2Error):
            return not self._has_data()
        return False

    def close(self) -> None:
        """Close the socket; who still sends a body is woken first."""
        self._closed = True
        if not self._writing.acquire(blocking=False):
            self._hang_up()
            self._writing.acquire()
        try:
            # ValueError: another thread may be finalizing the response's file at this moment, which closes it too.
            with contextlib.suppress(OSError, ValueError):
                self._connection.close()
        finally:
            self._writing.release()

    def _cancel(self) -> None:
        """End the exchange: who waits for the response is woken."""
        with self._writing:
            if not self._closed:
                self._hang_up()

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def send(self, call: Call, ending: Ending) -> HTTP1Answer:
        """Make the request and wait for the response's head; `ending` is told when the body has been read.

        Raises `WriteTimeout`, `ReadTimeout`, what the maker of the body raises, and what is in `BROKEN`. After an
        exception the connection is closed.
        """
        try:
            self._sock.settimeout(call.patience.write)
            chunked = call.body is not None and call.announced_length is None
            with step(call.trace, "http11.send_request_headers", request=call.request), self._sending(call):
                self._send_head(call, chunked)
            call.patience.processed = None
            response = FinalResponse(self._sock, method=call.method)
            with contextlib.ExitStack() as stack:
                stack.callback(response.close)
                with step(call.trace, "http11.send_request_body", request=call.request):
                    upload = self._uploaded(call, chunked, response) if call.body is not None else None
                with step(call.trace, "http11.receive_response_headers", request=call.request) as told:
                    self._receive_head(call, response)
                    if told is not None:
                        version = b"HTTP/1.0" if response.version == 10 else b"HTTP/1.1"
                        reason = response.reason.encode("latin-1")
                        told.value = (version, response.status, reason, in_octets(response.msg.items()))
                self._sock.settimeout(call.patience.read)
                if call.timeouts.total is not None:
                    response.incoming.patience = call.patience
                stack.pop_all()
            if upload is not None and upload.is_wanted(response.status):
                upload.go_on()
        except BaseException:
            self.close()
            raise
        return HTTP1Answer(response, call, self._sock, ending, upload)

    def _send_head(self, call: Call, chunked: bool) -> None:
        connection = self._connection
        target = call.target
        fields = call.sent_fields(to_proxy=self._proxy_fields is not None)
        if self._proxy_fields is not None:
            target = f"{call.origin}{target}"
            given = {name.lower() for name, _ in self._proxy_fields}
            fields = [*self._proxy_fields, *(field for field in fields if field[0].lower() not in given)]
        self._check(call, fields)
        connection.putrequest(call.method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", call.host)
        for name, value in fields:
            connection.putheader(name, value)
        if chunked:
            connection.putheader("Transfer-Encoding", "chunked")
        elif call.body is not None and not any(name.lower() == "content-length" for name, _ in call.headers):
            connection.putheader("Content-Length", str(call.body.length))
        connection.endheaders()

    @staticmethod
    def _check(call: Call, fields: Fields) -> None:
        """Raise `InvalidArgument` for what HTTP/2 would not send: here, it would be read as something else."""
        pseudo = [(":method", call.method), (":scheme", call.origin.scheme), (":authority", call.host)]
        fields = [*pseudo, (":path", call.target), *fields]
        encoded = encode_request(by_name(fields), scheme=call.origin.scheme, authority=call.host)
        if call.body is None and encoded.content_length:  # the next request would be taken for the body
            raise errors.InvalidArgument(f"content-length {encoded.content_length} on a request without a body")

    def _uploaded(self, call: Call, chunked: bool, response: FinalResponse) -> Upload:
        """Send the body until the response begins, or the server stops reading: it may have answered first."""
        upload = Upload(call.chunks(), call.announced_length, partial(self._write, call, chunked), self._cancel)
        if call.expects_continue and self._comes(PATIENCE_FOR_CONTINUE):
            with self._receiving(call, response):
                continues = response.continues()
            self._sock.settimeout(call.patience.write)
            if not continues:
                upload.stopped = True
                return upload
        try:
            upload.run()
        except RequestException:
            raise
        except errors.ConnectionLost as error:
            upload.stopped = True
            response.sending_failed = error
        return upload

    def _write(self, call: Call, chunked: bool, data: bytes | memoryview, ends: bool, until_answered: bool) -> int:
        sent = 0
        with memoryview(data).cast("B") as view, self._sending(call):
            while sent < len(view):
                if not self._may_send(call.patience.write, until_answered):
                    return sent
                with view[sent : sent + _PIECE] as piece:
                    self._sock.sendall(b"".join([b"%x\r\n" % len(piece), piece, b"\r\n"]) if chunked else piece)
                    sent += len(piece)
            if ends and chunked:
                self._sock.sendall(b"0\r\n\r\n")
        return sent

    def _may_send(self, timeout: float | None, until_answered: bool) -> bool:
        """Wait until the socket takes something; False if the response begins first. Raises TimeoutError."""
        deadline = Deadline(timeout)
        while True:
            happened = self._poll(select.POLLOUT | (select.POLLIN if until_answered else 0), deadline.remaining())
            if not happened:
                raise TimeoutError
            if until_answered and happened & ~select.POLLOUT and self._has_data():
                return False
            if happened & select.POLLOUT or not until_answered:
                return True
            if deadline.expired:
                raise TimeoutError

    def _comes(self, timeout: float) -> bool:
        """Wait until something comes, for `timeout` seconds."""
        deadline = Deadline(timeout)
        while self._poll(select.POLLIN, deadline.remaining()):
            if self._has_data():
                return True
            if deadline.expired:
                break
        return False

    def _has_data(self) -> bool:
        """Whether there is something to be read, or the end; waits for nothing."""
        return self._sock.has_data() if isinstance(self._sock, TLSSocket) else bool(self._poll(select.POLLIN, 0))

    def _poll(self, events: int, timeout: float | None) -> int:
        """What of `events` holds within `timeout` seconds, and what is wrong with the socket."""
        descriptor = self._sock.fileno()
        if descriptor < 0:
            raise errors.ConnectionLost("the connection is closed")
        poll = select.poll()
        poll.register(descriptor, events)
        happened = poll.poll(None if timeout is None else timeout * 1000)
        return happened[0][1] if happened else 0

    def _receive_head(self, call: Call, response: FinalResponse) -> None:
        connection = self._connection
        connection.response_class = lambda *_, **__: response  # type: ignore[assignment]  # made already
        with self._receiving(call, response):
            connection.getresponse()
        self._answered = True

    @property
    def _may_have_to_speak_tls(self) -> bool:
        """Whether a server that hangs up may want TLS: it has never answered here, and we do not speak it."""
        return not (self._answered or isinstance(self._sock, TLSSocket) or self._proxy_fields is not None)

    @contextlib.contextmanager
    def _sending(self, call: Call) -> Iterator[None]:
        with self._writing, _connection_lost():
            if self._closed:
                raise errors.ConnectionLost("the connection is closed")
            try:
                yield
            except TimeoutError as error:
                call.patience.check()
                raise WriteTimeout(
                    f"{call.url}: the server took nothing of the request for {call.timeouts.write} s",
                    request=call.request,
                ) from error

    @contextlib.contextmanager
    def _receiving(self, call: Call, response: FinalResponse) -> Iterator[None]:
        with _connection_lost():
            try:
                with response.by(Deadline(call.patience.read)):
                    yield
            except TimeoutError as error:
                call.patience.check()
                raise no_response(call) from error
            except (OSError, *BROKEN) as error:
                if response.incoming.has_begun:  # an answer, if a broken one: somebody has seen the request
                    raise failed(call, error, processed=True) from error
                if isinstance(error, http.client.RemoteDisconnected) and self._may_have_to_speak_tls:
                    error = http.client.RemoteDisconnected(f"{error}; does it speak TLS? try https://")
                raise error from response.sending_failed


@contextlib.contextmanager
def _connection_lost() -> Iterator[None]:
    """The operating system's errors as this package's: those of who makes a request's body are left to them."""
    try:
        yield
    except (errors.HTTP2Error, http.client.HTTPException):
        raise
    except OSError as error:
        raise errors.ConnectionLost(f"the connection broke: {error.strerror or error}") from error
