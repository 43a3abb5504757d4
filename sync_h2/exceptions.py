"""What the requests-style calls raise: the names and relations of `requests.exceptions`, within this package's tree.

    RequestException (HTTP2Error, OSError)
    ├── HTTPError                      `raise_for_status` of a 4xx or 5xx response
    ├── ConnectionError                no connection came about, or it broke          (sync_h2.ConnectionLost)
    │   ├── ProxyError                 a proxy refused, or could not be reached
    │   ├── SSLError                   the TLS handshake or a certificate check       (sync_h2.TLSError)
    │   └── ConnectTimeout             also a Timeout
    ├── Timeout                                                                       (sync_h2.Timeout)
    │   ├── ConnectTimeout, ReadTimeout, WriteTimeout
    │   └── PoolTimeout                no connection became free
    ├── TooManyRedirects
    ├── RetryError                     retries did not help
    ├── ChunkedEncodingError           the body broke off
    ├── ContentDecodingError           the body does not match its content-encoding
    ├── StreamConsumedError            the body has been read already, or given up    (TypeError)
    ├── UnrewindableBodyError          the body can't be sent once more
    ├── InvalidJSONError               what was given can't be JSON
    │   └── JSONDecodeError            what came is no JSON                           (json.JSONDecodeError)
    ├── URLRequired                    there is no URL
    ├── InvalidURL, MissingSchema, InvalidSchema, InvalidProxyURL, InvalidHeader      (ValueError)

Each carries `request` and `response` (None where there is none), and `processed`: whether the server has processed the
request (False: certainly not; True: it answered; None: nobody knows).
"""

from __future__ import annotations

import json
from typing import Any

from . import errors
from .constants import error_code


class RequestException(errors.HTTP2Error, OSError):
    """Base of what a request can fail with."""

    def __init__(
        self,
        *arguments: Any,
        request: Any = None,
        response: Any = None,
        processed: bool | None = None,
        stream_id: int | None = None,
        code: int | None = None,
    ) -> None:
        # Not `super().__init__`: JSON's error, which is one of the bases below, takes other arguments.
        Exception.__init__(self, *arguments)
        self.message = str(arguments[0]) if arguments else ""
        self.stream_id = stream_id
        self.code = None if code is None else error_code(code)
        self.response = response
        self.request = request if request is not None else getattr(response, "request", None)
        self.processed = True if response is not None and processed is None else processed
        # What is wrong with a certificate, a URL or a field is wrong the next time too.
        self.retryable = processed is False and not isinstance(self, (errors.TLSError, ValueError))

    def __reduce__(self) -> Any:
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[RequestException], arguments: tuple[Any, ...], values: dict[str, Any]) -> RequestException:
    error = kind.__new__(kind)
    Exception.__init__(error, *arguments)
    error.__dict__.update(values)
    return error


class HTTPError(RequestException):
    """A response with a status of 4xx or 5xx; from `raise_for_status`."""


class ConnectionError(RequestException, errors.ConnectionLost):
    """No connection came about, or it broke before the response was there."""


class ProxyError(ConnectionError):
    """A proxy refused to connect, or could not be reached."""


class SSLError(ConnectionError, errors.TLSError):
    """The TLS handshake failed, or the certificate is not to be trusted."""


class Timeout(RequestException, errors.Timeout):
    """Something took longer than the request's timeout."""


class ConnectTimeout(ConnectionError, Timeout):
    """No connection within `connect` seconds. Nothing was sent."""


class ReadTimeout(Timeout):
    """The server sent nothing for `read` seconds."""


class WriteTimeout(Timeout):
    """The server took nothing of the request's body for `write` seconds."""


class PoolTimeout(Timeout):
    """No connection became free within `pool` seconds. Nothing was sent."""


class TooManyRedirects(RequestException):
    """More redirects than `max_redirects`."""


class RetryError(RequestException):
    """The request was sent again as often as is allowed, and was not answered."""


class ChunkedEncodingError(RequestException):
    """The response's body broke off."""


class ContentDecodingError(RequestException):
    """The body does not match its content-encoding."""


class StreamConsumedError(RequestException, TypeError, RuntimeError):
    """The body has been read, and not kept; or the response was closed before it was."""


class UnrewindableBodyError(RequestException):
    """The request's body would have to be sent once more, and can't be read from its start."""


class InvalidJSONError(RequestException):
    """What was given as `json` can't be written as JSON."""


class JSONDecodeError(InvalidJSONError, json.JSONDecodeError):
    """The body is no JSON; `doc` is its text and `pos` the place, as in `json.JSONDecodeError`."""

    def __init__(self, message: str, document: str, position: int, **values: Any) -> None:
        json.JSONDecodeError.__init__(self, message, document, position)
        InvalidJSONError.__init__(self, *self.args, **values)


class URLRequired(RequestException):
    """A valid URL is needed. Nothing here raises it; requests has the name."""


class InvalidURL(RequestException, ValueError):
    """The URL is none that can be asked for."""


class MissingSchema(InvalidURL):
    """The URL has no scheme (`http://` or `https://`)."""


class InvalidSchema(InvalidURL):
    """The URL's scheme is none that is spoken here."""


class InvalidProxyURL(InvalidURL):
    """A proxy's URL is none."""


class InvalidHeader(RequestException, ValueError):
    """A header field that may not be sent."""
