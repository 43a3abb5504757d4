"""`sync-h2 serve`: a folder, or a WSGI application. On the main thread."""

from __future__ import annotations

import argparse
import functools
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...connection.server_side.handling_session import Handler
from ...errors import InvalidArgument, TLSError
from ...server.accepting.handshake import http1_is_installed
from ...server.create import create_secure_server, create_server
from ...server.handlers.static_files import static_files
from ...server.server import ThreadingServer
from ...server.shutdown_notice import telling_what_is_waited_for
from ...transport.contexts import PEM
from ...transport.sockets import UNIX_PREFIX, close_listener, listen
from ..exit_status import CommandError, ExitStatus, complain, reason_of
from .application import did_you_mean, find_application
from .certificate import fingerprint, made_for
from .signals import STOPPING, StopSignals
from .workers import run_workers


def serve(options: argparse.Namespace) -> int:
    """Serve the files of a folder, or a WSGI application. Ctrl-C or SIGTERM end it when the requests under way are
    answered.
    """
    _check(options)
    _log_to_stderr(access=not options.quiet)
    if ":" in options.target and not os.path.isdir(options.target):
        handler = functools.partial(_application, options.target, options.workers > 1)
    else:
        handler = functools.partial(_folder, options.target)
    certificate: PEM | None = options.cert
    key: PEM | None = options.key
    remark = ""
    if not options.h2c and certificate is None:
        certificate, key = made_for(options.host)
        remark = f", with a certificate made for this run (SHA-256 {fingerprint(certificate)})"
    port = options.port if options.port is not None else 8080 if options.h2c else 8443
    # HTTP/1.1 too, where the extra for it is installed.
    http1 = not options.http2_only and http1_is_installed()
    shares_port = options.workers > 1
    service = _Service(handler, options.host, port, certificate, key, http1, options.drain_timeout, shares_port)

    def say_where(url: str) -> None:
        complain(f"serving {options.target} at {url}{remark}")

    if options.workers == 1:
        return service.run(say_where)
    if options.host.startswith(UNIX_PREFIX):
        raise CommandError("processes can't share a Unix socket: leave out --workers", ExitStatus.USAGE)
    service.port = _free_port(service)
    return run_workers(options.workers, service.run, say_where)


def _check(options: argparse.Namespace) -> None:
    if options.h2c and (options.cert or options.key):
        raise CommandError("--h2c is without TLS: leave out --cert and --key", ExitStatus.USAGE)
    if options.key and not options.cert:
        raise CommandError("--key needs --cert", ExitStatus.USAGE)


def _log_to_stderr(*, access: bool) -> None:
    logging.basicConfig(format="sync-h2: %(message)s")
    if access:
        access_log = logging.getLogger("sync_h2.access")
        access_log.setLevel(logging.INFO)
        access_log.propagate = False
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        access_log.addHandler(handler)


def _application(name: str, multiprocess: bool) -> Handler:
    from ...compat import wsgi  # which is much to import for who serves a folder

    return wsgi(find_application(name), environ={"wsgi.multiprocess": multiprocess})


def _folder(directory: str) -> Handler:
    try:
        return static_files(directory)
    except OSError as error:
        raise CommandError(f"cannot serve {directory}: {reason_of(error)}{did_you_mean(directory)}") from error


@dataclass
class _Service:
    """What a process that serves needs to know."""

    handler: Callable[[], Handler]
    host: str
    port: int
    certificate: PEM | None
    key: PEM | None
    http1: bool
    drain_timeout: float
    shares_port: bool

    def run(self, listening: Callable[[str], None], *others: Any) -> int:
        """Serve until a signal comes, or one of `others` can be read; on the main thread. `listening(url)` is called
        once connections are accepted.
        """
        handler = self.handler()  # which may take long to import: a signal ends that at once
        with StopSignals() as signals:
            server = self._server(handler)
            server.start()
            listening(server.url)
            signals.wait(*others)
            signals.release()
            if not self.shares_port:  # otherwise the first process says it, for all workers
                complain(STOPPING)
            with telling_what_is_waited_for(server, complain):
                server.close(self.drain_timeout)
        return ExitStatus.SUCCESS

    def _server(self, handler: Handler) -> ThreadingServer:
        options: dict[str, Any] = {"reuse_port": self.shares_port, "allow_http1": self.http1}
        try:
            if self.certificate is None:
                return create_server(handler, self.host, self.port, **options)
            options |= {"certfile": self.certificate, "keyfile": self.key}
            return create_secure_server(handler, self.host, self.port, **options)
        except TLSError as error:
            raise CommandError(error.message) from error
        except (OSError, InvalidArgument) as error:
            raise _cannot_listen(self, error) from error


def _free_port(service: _Service) -> int:
    """The port that workers can share: the one that was asked for, or a free one."""
    try:
        listener = listen(service.host, service.port, reuse_port=True)
    except (OSError, InvalidArgument) as error:
        raise _cannot_listen(service, error) from error
    port: int = listener.getsockname()[1]
    close_listener(listener)
    return port


def _cannot_listen(service: _Service, error: OSError | InvalidArgument) -> CommandError:
    where = service.host if service.host.startswith(UNIX_PREFIX) else f"{service.host}:{service.port}"
    return CommandError(f"cannot listen on {where}: {reason_of(error) if isinstance(error, OSError) else error}")
