"""A plugin for requests' tests: `import requests` gives them this package.

What has no counterpart here (`requests.utils`, `requests.compat`, requests' private names) stays requests' own.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import sync_h2
import sync_h2.adapters
from sync_h2.client.calls import client
from sync_h2.client.messages import prepared_request, request, response
from sync_h2.client.values import structures

# By requests' module, what has its names here.
_COUNTERPARTS = {
    "requests": (sync_h2, sync_h2.exceptions),
    "requests.adapters": (sync_h2.adapters,),
    "requests.auth": (sync_h2.auth,),
    "requests.cookies": (sync_h2.cookies,),
    "requests.exceptions": (sync_h2.exceptions,),
    "requests.models": (prepared_request, request, response),
    "requests.sessions": (client,),
    "requests.structures": (structures,),
}
# The names that differ.
_RENAMED = {
    "requests.auth": {"_basic_auth_str": sync_h2.client.options.auth.basic_credentials},
    "requests.cookies": {"RequestsCookieJar": sync_h2.cookies.CookieJar},
    "requests.sessions": {"Session": sync_h2.Session},
}


def _in_place_of(name: str) -> ModuleType:
    theirs = importlib.import_module(name)
    module = ModuleType(name)
    module.__dict__.update(vars(theirs))
    for ours in _COUNTERPARTS[name]:
        module.__dict__.update({word: getattr(ours, word) for word in {*dir(theirs)} & {*dir(ours)} if word[0] != "_"})
    module.__dict__.update(_RENAMED.get(name, {}))
    return module


_modules = {name: _in_place_of(name) for name in _COUNTERPARTS}
for _name, _module in _modules.items():
    sys.modules[_name] = _module
    if "." in _name:
        setattr(_modules["requests"], _name.partition(".")[2], _module)
