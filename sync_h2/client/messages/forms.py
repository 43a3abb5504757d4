"""Forms as bodies: `application/x-www-form-urlencoded`, and `multipart/form-data` (RFC 7578) where there are files.

Runs on the thread that makes the request.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from ...exceptions import InvalidHeader
from .bodies import Body, BytesBody, FileBody, body_of

_is_field_name = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch  # a token (RFC 9110 section 5.6.2)
_forbidden_in_value = re.compile(r"[\0\r\n]").search


def encoded(data: Any) -> Any:
    """A form, or a query: mappings and pairs are encoded, str and bytes stay, files too."""
    if data is None or isinstance(data, (str, bytes)) or hasattr(data, "read"):
        return data
    if not hasattr(data, "__iter__"):
        return str(data)
    pairs: Iterable[Any] = data.items() if isinstance(data, Mapping) else data
    found: list[tuple[Any, Any]] = []
    for key, values in pairs:
        if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
            values = [values]
        found.extend((key, value) for value in values if value is not None)
    return urlencode(found, errors="surrogatepass")


class MultipartBody(Body):
    """A form with files (RFC 7578): each part a head, and a body of its own."""

    def __init__(self, parts: list[tuple[bytes, Body]], boundary: str) -> None:
        self._parts = parts
        self._boundary = boundary.encode()
        lengths = [len(head) + body.length for head, body in parts if body.length is not None]
        if len(lengths) == len(parts):
            # Before each head: --, the boundary, CRLF; behind each body: CRLF; in the end the boundary with -- twice.
            self.length = sum(lengths) + len(parts) * (len(self._boundary) + 6) + len(self._boundary) + 6

    @property
    def rewindable(self) -> bool:
        return all(body.rewindable for _, body in self._parts)

    def chunks(self) -> Iterator[bytes]:
        for head, body in self._parts:
            yield b"--" + self._boundary + b"\r\n" + head
            yield from body.chunks()
            yield b"\r\n"
        yield b"--" + self._boundary + b"--\r\n"

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks()


def form_with_files(fields: Any, files: Any) -> tuple[bytes | MultipartBody, str]:
    """A form, and its content-type; made at once if all of it is in memory."""
    boundary = secrets.token_hex(16)
    form = multipart(fields, files, boundary)
    return b"".join(form.chunks()) if _in_memory(files) else form, f"multipart/form-data; boundary={boundary}"


def _in_memory(files: Any) -> bool:
    """Whether a form is small enough to be made at once: its files are bytes or str already."""
    values = files.values() if isinstance(files, Mapping) else (value for _, value in files)
    contents = (value[1] if isinstance(value, (tuple, list)) and len(value) > 1 else value for value in values)
    return all(isinstance(content, (bytes, bytearray, str, type(None))) for content in contents)


def multipart(fields: Any, files: Any, boundary: str) -> MultipartBody:
    """A form of `fields`, then `files`, each as requests takes them: mappings or pairs; a file is a file object, bytes
    or str, or `(name, file[, content type[, headers]])`.
    """
    parts: list[tuple[bytes, Body]] = []
    for name, value in _pairs(fields or {}):
        values = [value] if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__") else value
        for single in values:
            if single is not None:
                text = single if isinstance(single, bytes) else str(single)
                parts.append((_part_head(name, None, None, {}), BytesBody(text)))
    for name, file in _pairs(files or {}):
        file_name, content, content_type, headers = _of_file(name, file)
        if content is None:
            continue
        body = body_of(str(content) if isinstance(content, int) else content)
        if isinstance(body, FileBody) and body.length is None:
            # Read now, as requests does: the form would have no length either, and many servers take no chunks.
            body = BytesBody(b"".join(body.chunks()))
        assert body is not None
        parts.append((_part_head(name, file_name, content_type, headers or {}), body))
    return MultipartBody(parts, boundary)


def _of_file(name: Any, file: Any) -> tuple[Any, Any, str | None, Mapping[str, str] | None]:
    if not isinstance(file, (tuple, list)):
        return _file_name(file) or name, file, None, None
    if not 2 <= len(file) <= 4:
        raise ValueError(f"a file is (name, file[, content type[, headers]]), not {len(file)} things")
    file_name, content, *rest = file
    content_type = rest[0] if rest else None
    return file_name, content, content_type, rest[1] if len(rest) > 1 else None


def _file_name(file: Any) -> str | None:
    name = getattr(file, "name", None)
    if isinstance(name, str) and name and not (name[0] == "<" and name[-1] == ">"):
        return os.path.basename(name)
    return None


def _part_head(name: Any, file_name: Any, content_type: str | None, headers: Mapping[str, str]) -> bytes:
    disposition = f'form-data; name="{_quoted(name)}"'
    if file_name is not None:
        disposition += f'; filename="{_quoted(file_name)}"'
    fields = {"Content-Disposition": disposition, "Content-Type": content_type, **headers}
    for field, value in fields.items():
        if not _is_field_name(_text(field)) or (value and _forbidden_in_value(_text(value))):
            raise InvalidHeader(f"the part {name!r} of the form has a field {field!r} that can't be sent")
    lines = [f"{_text(field)}: {_text(value)}\r\n" for field, value in fields.items() if value]
    return "".join([*lines, "\r\n"]).encode()


def _quoted(name: Any) -> str:
    """As browsers write a name (the HTML standard's multipart/form-data)."""
    return _text(name).replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _pairs(value: Any) -> Iterable[tuple[Any, Any]]:
    return value.items() if isinstance(value, Mapping) else value
