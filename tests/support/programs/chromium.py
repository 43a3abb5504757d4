"""A headless Chromium that looks at one page."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .others import program

PATIENCE = 100.0  # seconds: it starts a dozen processes


def page_in_chromium(url: str, certificate: bytes, folder: Path) -> str:
    """The page after its `load` event, as HTML; its certificate (PEM) is trusted, and nothing else is.

    `folder` is empty, and takes Chromium's files.
    """
    key = x509.load_pem_x509_certificate(certificate).public_key()
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    options = [
        "--headless",
        "--no-sandbox",  # which root can't have
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-breakpad",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        f"--user-data-dir={folder}",
        f"--ignore-certificate-errors-spki-list={base64.b64encode(digest).decode()}",
        "--dump-dom",
    ]
    # Not into pipes, which a child that stays behind would keep open; and in a group, so that none stays behind.
    with (folder.parent / "page.html").open("w+b") as page, (folder.parent / "chromium.log").open("w+b") as log:
        process = subprocess.Popen(
            [program("chromium"), *options, url],
            stdin=subprocess.DEVNULL,
            stdout=page,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "HOME": str(folder)},
        )
        try:
            status = process.wait(PATIENCE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        page.seek(0)
        log.seek(0)
        assert status == 0, log.read().decode("utf-8", "replace")
        return page.read().decode()
