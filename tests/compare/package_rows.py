"""The table of the libraries as packages; the questions are functions of test_packages.py. "node" is Node."""

from __future__ import annotations

from .cells import YES, Cell, Row, no

COLUMNS = ("sync_h2", "requests", "httpx", "niquests", "hypercorn", "gunicorn", "node")

PART_OF_NODE = "it is part of Node, and no package whose metadata could be asked"
BY_OTHERS = "what other people have written can't be counted without the internet"


def untested(text: str, why: str) -> Cell:
    return Cell(text, untested=why)


ROWS = (
    Row(
        "packages that come with it",
        "dependencies",
        {
            "sync_h2": "4",
            "requests": "4",
            "httpx": "6, with HTTP/2 9",
            "niquests": "6",
            "hypercorn": "6",
            "gunicorn": "0, with HTTP/2 3",
        },
        {
            "sync_h2": Cell("4"),
            "requests": Cell("4"),
            "httpx": Cell("6, with HTTP/2 9"),
            "niquests": Cell("6"),
            "hypercorn": Cell("6"),
            "gunicorn": Cell("0, with HTTP/2 3"),
            "node": untested("0", PART_OF_NODE),
        },
    ),
    Row(
        "how finished it says it is",
        "status",
        {
            "sync_h2": "Beta",
            "requests": "Production/Stable",
            "httpx": "Beta",
            "niquests": "Production/Stable",
            "hypercorn": "Beta",
            "gunicorn": "Production/Stable",
        },
        {
            "sync_h2": Cell("Beta"),
            "requests": Cell("Production/Stable"),
            "httpx": Cell("Beta"),
            "niquests": Cell("Production/Stable"),
            "hypercorn": Cell("Beta"),
            "gunicorn": Cell("Production/Stable"),
            "node": untested("stable", PART_OF_NODE),
        },
    ),
    Row(
        "Windows",
        "windows",
        True,
        {
            "sync_h2": no(False),
            "requests": YES,
            "httpx": YES,
            "niquests": YES,
            "hypercorn": YES,
            "gunicorn": no(False),
            "node": untested("yes", PART_OF_NODE),
        },
    ),
    Row(
        "types for mypy and pyright",
        "typed",
        True,
        {
            "sync_h2": YES,
            "requests": YES,
            "httpx": YES,
            "niquests": YES,
            "hypercorn": YES,
            "gunicorn": no(False),
            "node": untested("for TypeScript, with `@types/node`", PART_OF_NODE),
        },
    ),
    Row(
        "add-ons by other people",
        "add_ons",
        None,
        {
            "sync_h2": untested("none; those of requests and httpx, through the adapters", BY_OTHERS),
            "requests": untested("very many", BY_OTHERS),
            "httpx": untested("many", BY_OTHERS),
            "niquests": untested("some; many of requests' too", BY_OTHERS),
            "hypercorn": untested("all of ASGI and WSGI", BY_OTHERS),
            "gunicorn": untested("all of WSGI, much for itself", BY_OTHERS),
            "node": untested("very many", BY_OTHERS),
        },
    ),
)
