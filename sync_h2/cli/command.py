"""The arguments of the command line, and from there to the commands. On the main thread."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from .. import __version__
from .exit_status import MEANINGS, CommandError, ExitStatus, complain, give_up_unwritten, reason_of
from .get.command import get
from .misbehave.command import misbehave
from .serve.command import serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command (of `sys.argv` by default) and return its exit status."""
    _open_standard_streams()
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            if not status:  # otherwise that has been said
                raise CommandError(f"cannot write stdout: {reason_of(error)}", ExitStatus.CANNOT_WRITE) from error
        return status
    except CommandError as error:
        complain(str(error))
        return error.status
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except BrokenPipeError:
        return ExitStatus.OUTPUT_CLOSED
    finally:
        give_up_unwritten(sys.stdout)
        give_up_unwritten(sys.stderr)


def _open_standard_streams() -> None:
    """Those that the shell has closed lead nowhere; otherwise the next file or socket would have their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, os.O_RDWR), mode, closefd=False))  # noqa: SIM115 - to the end


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        complain(f"{message} (see {self.prog} --help)")
        sys.exit(ExitStatus.USAGE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="sync-h2", description="HTTP/2 from the command line.")
    parser.add_argument("--version", action="version", version=f"{parser.prog} {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="serve | get | misbehave")
    _add_serve(commands.add_parser("serve", help="serve a folder, or a WSGI application", description=serve.__doc__))
    statuses = "\n".join(f"  {status:3}  {meaning}" for status, meaning in MEANINGS.items())
    _add_get(
        commands.add_parser(
            "get",
            help="get URLs, all at once",
            description=get.__doc__,
            epilog=f"exit statuses, and what went wrong first:\n{statuses}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    about = "serve HTTP/2 that misbehaves, to try clients on"
    _add_misbehave(commands.add_parser("misbehave", help=about, description=misbehave.__doc__))
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "target",
        nargs="?",
        default=".",
        metavar="DIR | MODULE:APP",
        help="a folder (by default this one), or a WSGI application and the module that it is in",
    )
    add("--host", "--bind", default="127.0.0.1", help='where to listen, "" for all addresses (default: %(default)s)')
    add("--port", "-p", type=_port, help="0 for a free one (default: 8443, and 8080 with --h2c)")
    add("--cert", metavar="FILE", help="the certificate with its chain, PEM; without it, one is made for this run")
    add("--key", metavar="FILE", help="its private key, PEM, when that is in a file of its own")
    add("--h2c", action="store_true", help="cleartext: no TLS")
    add(
        "--http2-only",
        action="store_true",
        help="no HTTP/1.1, which is served too where the extra 'http1' is installed",
    )
    add("--workers", type=_positive, default=1, metavar="N", help="processes that share the port (default: 1)")
    add(
        "--drain-timeout",
        type=_seconds,
        default=30.0,
        metavar="SECONDS",
        help="how long requests may go on after SIGTERM or Ctrl-C (default: 30); a second one ends it at once",
    )
    add("--quiet", "-q", action="store_true", help="no access log")
    parser.set_defaults(run=serve)


def _add_get(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("urls", nargs="+", metavar="URL", help="https://… (ALPN h2), or http://… (HTTP/2 with prior knowledge)")
    add(
        "--output",
        "-o",
        metavar="FILE | DIR",
        help="write there, not to stdout; files in a folder are called as the URLs end",
    )
    add("--remote-name", "-O", action="store_const", dest="output", const=os.curdir, help="the same as -o .")
    add("--header", "-H", action="append", default=[], metavar="NAME: VALUE", help="one more header; may be repeated")
    add("--request", "-X", metavar="METHOD", help="in place of GET, or of POST with --data")
    add("--data", "-d", metavar="TEXT | @FILE", help="the request's body; @- is stdin")
    add("--include", "-i", action="store_true", help="headers too, before the body")
    add("--fail", "-f", action="store_true", help="no output, and exit status 22, for a status of 400 or above")
    add("--location", "-L", action="store_true", help="follow redirects, 50 at most")
    add("--raw", action="store_true", help="bodies as they come, with their content-encoding")
    add(
        "--continue-at",
        "-C",
        type=_dash,
        metavar="-",
        help="with -o or -O: get what files lack, and keep what came of a body that breaks off",
    )
    add("--insecure", "-k", action="store_true", help="trust any certificate")
    add("--cacert", metavar="FILE", help="the authorities to trust, PEM")
    add("--timeout", "-m", type=_seconds, metavar="SECONDS", help="how long each request may take")
    add("--verbose", "-v", action="store_true", help="the frames as they pass, on stderr")
    add("--quiet", "-q", action="store_true", help="no progress bar")
    add("--timing", action="store_true", help="when what came of each stream, as a waterfall on stderr")
    add("--timing-svg", metavar="FILE", help="the same as a picture")
    parser.set_defaults(run=get)


def _add_misbehave(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--host", "--bind", default="127.0.0.1", help='where to listen, "" for all addresses (default: %(default)s)')
    add("--port", "-p", type=_port, help="0 for a free one (default: 8080, and 8443 with TLS)")
    add("--tls", action="store_true", help="TLS; a certificate is made for this run unless --cert is given")
    add("--cert", metavar="FILE", help="the certificate with its chain, PEM: TLS")
    add("--key", metavar="FILE", help="its private key, PEM, when that is in a file of its own")
    add("--quiet", "-q", action="store_true", help="no line for each request")
    parser.set_defaults(run=misbehave)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 65536:
        raise argparse.ArgumentTypeError(f"{text} is no port (0 to 65535)")
    return port


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _dash(text: str) -> str:
    if text != "-":
        raise argparse.ArgumentTypeError(f"{text} is not -, for as much as there is: nothing else is known")
    return text


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return seconds


# What argparse calls the type in its message when the text is no number at all.
_port.__name__ = "port"
_positive.__name__ = "number"
_seconds.__name__ = "number of seconds"
