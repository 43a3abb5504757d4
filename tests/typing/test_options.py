"""What checkers are told of options is what the functions take: a new one can't be forgotten."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from collections.abc import Callable
from typing import Any

import pytest

import sync_h2
from sync_h2.adapters import HTTPAdapter, HTTPXTransport, RequestsAdapter
from sync_h2.client.calls import api, call_options
from sync_h2.client.calls.adapters import PoolAdapter
from sync_h2.client.opening.opener import Opener
from sync_h2.client.pool import options as pool_options
from sync_h2.client.pool.pool import Pool
from sync_h2.connection.session.configuration import Configuration
from sync_h2.protocol.limits import LimitOptions, Limits
from sync_h2.server import create
from sync_h2.testing import HandlerTransport, WSGITransport, pair

LIMITS = {field.name for field in dataclasses.fields(Limits)}
CONFIGURATION = {field.name for field in dataclasses.fields(Configuration)} - {"limits"}
CALLS = ("get", "options", "head", "post", "put", "patch", "delete", "request")


def names_of(function: Callable[..., Any]) -> set[str]:
    """Its arguments that can be given by name, but those that `**` collects."""
    parameters = inspect.signature(function).parameters.values()
    return {one.name for one in parameters if one.kind is not one.VAR_KEYWORD} - {"self"}


def keys_of(options: Any) -> set[str]:
    assert not options.__required_keys__
    return set(options.__optional_keys__)


def collected(function: Callable[..., Any]) -> set[str]:
    """What checkers take `**` for."""
    parameters = inspect.signature(function).parameters.values()
    annotation = next(one.annotation for one in parameters if one.kind is one.VAR_KEYWORD)
    name = annotation.removeprefix("Unpack[").removesuffix("]")
    return keys_of(getattr(sys.modules[inspect.unwrap(function).__module__], name))


def test_limits() -> None:
    assert typing.get_type_hints(LimitOptions) == typing.get_type_hints(Limits)


@pytest.mark.parametrize(
    "function", [sync_h2.connect, sync_h2.create_server, sync_h2.create_secure_server, sync_h2.serve_socket]
)
def test_everything_that_makes_sessions_takes_limits(function: Callable[..., Any]) -> None:
    assert collected(function) == LIMITS


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("owner", [sync_h2.Client, api])
def test_calls_take_what_request_takes(owner: Any, name: str) -> None:
    if owner is sync_h2.Client and name == "request":
        assert names_of(owner.request) == keys_of(call_options.CallOptions) | {"method", "url"}
        return
    function = getattr(owner, name)
    method = {"method"} if name == "request" else set()
    assert not collected(function) & names_of(function)
    assert collected(function) | names_of(function) | {"method"} == names_of(sync_h2.Client.request) | method


def test_a_streams_options_are_those_of_calls_but_that_it_streams() -> None:
    assert collected(sync_h2.Client.stream) == keys_of(call_options.CallOptions) - {"stream"}


def test_types_of_calls_are_those_of_request() -> None:
    wanted = inspect.signature(sync_h2.Client.request).parameters
    for options in (call_options.CallOptions, call_options.GetOptions, call_options.StreamOptions):
        for name, hint in inspect.get_annotations(options).items():
            assert hint.__forward_arg__ == wanted[name].annotation


def test_connections() -> None:
    connection = keys_of(pool_options.ConnectionOptions)
    own = names_of(Opener.__init__) - {"keepalive_expiry", "http1", "h2c"}
    assert connection == LIMITS | CONFIGURATION | own
    assert collected(sync_h2.Client) == connection
    assert not connection & names_of(sync_h2.Client)


def test_pools() -> None:
    connection, own = keys_of(pool_options.ConnectionOptions), names_of(Pool.__init__) - {"limits"}
    everything = connection | own | {"http1", "h2c"}
    assert connection | names_of(sync_h2.Client) >= everything
    for adapter in (HTTPXTransport, RequestsAdapter):
        assert not collected(adapter) & names_of(adapter)
        assert collected(adapter) | names_of(adapter) >= everything
        assert collected(adapter) <= everything
    assert collected(HTTPAdapter) == everything | names_of(PoolAdapter.__init__) - {"limits"}


def test_what_is_for_tests() -> None:
    for transport in (HandlerTransport, WSGITransport):
        assert collected(transport) == keys_of(pool_options.PoolOptions) | {"limits", "retries"}
        assert not collected(transport) & names_of(transport)
    of_both = names_of(sync_h2.connect) & names_of(sync_h2.serve_socket) - {"sock", "context"}
    assert collected(pair) == LIMITS | of_both | {"executor", "max_workers"}


def test_servers() -> None:
    plain, secure = names_of(sync_h2.create_server), names_of(sync_h2.create_secure_server)
    place = {"handler", "host", "port"}
    assert keys_of(create.ServerOptions) == plain - place | LIMITS
    assert keys_of(create.SecureServerOptions) == secure - place - {"certfile", "keyfile"} | LIMITS
    assert collected(sync_h2.serve_wsgi) == keys_of(create.SecureServerOptions)


def test_what_nobody_knows_is_refused_when_it_runs_too() -> None:
    for function in (sync_h2.connect, sync_h2.create_server, sync_h2.Client):
        arguments = ("http://localhost:1",) if function is sync_h2.connect else ()
        with pytest.raises(TypeError, match=r"no option 'red_timeout'; did you mean 'read_timeout'\?"):
            function(*arguments, red_timeout=3)
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'jsn'; did you mean 'json'\?"):
        sync_h2.post("http://localhost:1", jsn={})  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'h2c': h2c is an option of Client"):
        sync_h2.get("http://localhost:1", h2c=True)  # type: ignore[call-arg]
    with sync_h2.Client() as client, pytest.raises(TypeError, match=r"unexpected keyword argument 'xyzzy'$"):
        client.request("GET", "http://localhost:1", xyzzy=True)  # type: ignore[call-arg]
