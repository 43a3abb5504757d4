"""Finding an application by the name that the command line gives it. On the main thread."""

from __future__ import annotations

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
        raise CommandError(f"{name!r} is no folder, and no module:app either", ExitStatus.USAGE)
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
        raise CommandError(f"cannot import {name}: {type(error).__name__}: {error}{where}") from error
    if not callable(application):
        raise CommandError(f"{name} is no WSGI application: it can't be called")
    return application
