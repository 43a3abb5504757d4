"""`sync-h2 misbehave`: a server that does on demand what none should. On the main thread."""

from __future__ import annotations

import argparse
from typing import Any

from ...errors import InvalidArgument, TLSError
from ...transport.sockets import UNIX_PREFIX
from ..exit_status import CommandError, ExitStatus, complain, reason_of
from ..serve.certificate import fingerprint, made_for
from ..serve.signals import StopSignals

_KEPT_REQUESTS = 10  # it may run for long, and nobody looks at them
_KEPT_BODY = 1024


def misbehave(options: argparse.Namespace) -> int:
    """Serve HTTP/2 that misbehaves, to see what a client does then: resets, stalls, cut bodies, malformed fields and
    more, each at a path of its own; / lists them. Ctrl-C or SIGTERM end it.
    """
    # What a command imports that is not run is paid for by all commands.
    from ...testing import ReceivedRequest, ScriptedServer
    from .paths import route_all

    if options.key and not options.cert:
        raise CommandError("--key needs --cert", ExitStatus.USAGE)
    certificate, key, remark = options.cert, options.key, ""
    if options.tls and certificate is None:
        certificate, key = made_for(options.host, "leave out --tls")
        remark = f", with a certificate made for this run (SHA-256 {fingerprint(certificate)})"
    port = options.port if options.port is not None else 8443 if certificate else 8080

    def log(request: ReceivedRequest) -> None:
        complain(f"connection {request.connection}, stream {request.stream_id}: {request.method} {request.path}")

    given: dict[str, Any] = {"certfile": certificate, "keyfile": key, "log": None if options.quiet else log}
    try:
        server = ScriptedServer(options.host, port, max_requests=_KEPT_REQUESTS, max_body=_KEPT_BODY, **given)
    except TLSError as error:
        raise CommandError(error.message) from error
    except (OSError, InvalidArgument) as error:
        where = options.host if options.host.startswith(UNIX_PREFIX) else f"{options.host}:{port}"
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise CommandError(f"cannot listen on {where}: {reason}") from error
    with StopSignals() as signals, server:
        route_all(server)
        complain(f"misbehaving at {server.url}{remark}; / lists how")
        signals.wait()
    return ExitStatus.SUCCESS
