"""A plugin for requests' tests: sessions of requests have our adapter mounted, and the server speaks HTTP/1.1."""

from __future__ import annotations

import requests.sessions

from sync_h2.adapters import RequestsAdapter

requests.sessions.HTTPAdapter = RequestsAdapter
