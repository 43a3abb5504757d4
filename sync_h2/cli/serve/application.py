"""Finding an application by the name that the command line gives it. On the main thread."""

from __future__ import annotations

import ast
import importlib
import os
import sys
import traceback
from typing import Any

from ..exit_status import CommandError, ExitStatus


def find_application(name: str) -> Any:
    """The application called `module:attribute`; modules are looked for in the working directory first."""
    module_name, _, attributes = name.partition(":")
    if not module_name or not attributes:
        hint = did_you_mean(name)
        raise CommandError(f"{name!r} is no folder, and no module:app either{hint}", ExitStatus.USAGE)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        application: Any = importlib.import_module(module_name)
        for attribute in attributes.split("."):
            application = getattr(application, attribute)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        is_import_itself = frame.filename.startswith("<frozen ") or frame.filename == importlib.__file__
        where = (
            "" if is_import_itself or isinstance(error, AttributeError) else f" ({frame.filename}, line {frame.lineno})"
        )
        hint = did_you_mean(name) if isinstance(error, (AttributeError, ModuleNotFoundError)) else ""
        if isinstance(error, ModuleNotFoundError) and error.name == module_name.partition(".")[0]:
            hint = f" (looked in {os.getcwd()}){hint}"
        raise CommandError(f"cannot import {name}: {type(error).__name__}: {error}{where}{hint}") from error
    if not callable(application):
        raise CommandError(f"{name} is no WSGI application: it can't be called")
    return application


_USUAL_NAMES = ("app", "application", "wsgi")


def did_you_mean(target: str) -> str:
    """What an error message ends with where `target` names a module's file, a module without an application, or one
    that has another: "; did you mean 'shop:app'?".
    """
    place, _, attribute = target.partition(":")
    file = place if place.endswith(".py") else place.replace(".", os.sep) + ".py"
    if not os.path.isfile(file) or os.path.relpath(file).startswith(os.pardir):
        return ""
    names = _names_in(file)
    found = next((name for name in (attribute, *_USUAL_NAMES) if name in names), None)
    meant = f"{os.path.relpath(file)[:-3].replace(os.sep, '.')}:{found or 'app'}"
    return "" if meant == target or (attribute and found is None) else f"; did you mean {meant!r}?"


def _names_in(file: str) -> set[str]:
    """What a module defines at its top level, as far as a look at its text tells."""
    try:
        with open(file, "rb") as text:
            module = ast.parse(text.read())
    except (OSError, SyntaxError, ValueError):
        return set()
    names = set()
    for statement in module.body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            names.add(statement.name)
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names.update(target.id for target in targets if isinstance(target, ast.Name))
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            names.update(alias.asname or alias.name for alias in statement.names)
    return names
