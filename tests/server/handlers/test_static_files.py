"""The handler that serves a folder: files, folders, what is refused, and that nothing outside of it is sent."""

from __future__ import annotations

import gzip
import html.parser
import os
import socket
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

import sync_h2
from support.peers.http1_client import get as get_request
from support.peers.http1_client import http1_session
from sync_h2 import Headers, static_files
from sync_h2.testing import pair

Get = Callable[..., tuple[Headers, bytes]]

SECRET = b"secret"
PAGE = b"<h1>Hello</h1>"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The folder that is served; beside it lie secrets."""
    folder = tmp_path / "site"
    (folder / "docs" / "deep").mkdir(parents=True)
    (folder / "page.html").write_bytes(PAGE)
    (folder / "docs" / "index.html").write_bytes(b"the index")
    (folder / "docs" / "deep" / "note.txt").write_bytes(b"note")
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "site-secret").mkdir()
    (tmp_path / "site-secret" / "secret").write_bytes(SECRET)
    return folder


def getter(session: sync_h2.ClientSession) -> Get:
    def get(path: str, method: str = "GET", **fields: str) -> tuple[Headers, bytes]:
        more = {name.replace("_", "-"): value for name, value in fields.items()}
        stream = session.request({":method": method, ":path": path, **more}, end_stream=True)
        return stream.wait_response(timeout=10), stream.read(timeout=10)

    return get


@pytest.fixture
def get(site: Path) -> Iterator[Get]:
    """`get(path, method, **fields)` gives headers and body."""
    session, _ = pair(static_files(site))
    with session:
        yield getter(session)


def test_a_file(get: Get, site: Path) -> None:
    os.utime(site / "page.html", (1_700_000_000, 1_700_000_000))
    headers, body = get("/page.html")
    assert body == PAGE
    assert headers[":status"] == "200"
    assert headers["content-type"] == "text/html"
    assert headers["content-length"] == "14"
    assert headers["last-modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert headers["accept-ranges"] == "bytes"
    assert headers["etag"].startswith('"') and headers["etag"].endswith('"')
    assert not {"vary", "content-encoding", "content-range"} & set(headers)


def test_head_is_get_without_the_body(get: Get) -> None:
    for path in ("/page.html", "/docs/", "/", "/missing", "/docs"):
        with_body, body = get(path)
        without, nothing = get(path, "HEAD")
        assert (dict(with_body) | {"date": ""}, nothing) == (dict(without) | {"date": ""}, b"")
        assert int(without["content-length"]) == len(body) > 0


def test_the_query_is_not_part_of_the_name(get: Get) -> None:
    assert get("/page.html?v=1/../2")[1] == PAGE


def test_a_file_is_no_folder(get: Get) -> None:
    assert get("/page.html/")[0][":status"] == "404"
    assert get("/page.html/more")[0][":status"] == "404"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.css", "text/css; charset=utf-8"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.json", "application/json"),
        ("a.html", "text/html"),
        ("a.tar.gz", "application/gzip"),
        ("a.txt.br", "application/x-brotli"),
        ("data:text,a.html", "text/html"),
        ("nothing", "application/octet-stream"),
        ("a.no-such-type", "application/octet-stream"),
    ],
)
def test_content_types(get: Get, site: Path, name: str, kind: str) -> None:
    (site / name).touch()
    headers, body = get(f"/{name}")
    assert (headers["content-type"], headers["content-length"], body) == (kind, "0", b"")
    assert "content-encoding" not in headers


# -- folders


def test_an_index_page(get: Get, site: Path) -> None:
    headers, body = get("/docs/")
    assert (headers[":status"], headers["content-type"], body) == ("200", "text/html", b"the index")
    (site / "docs" / "index.html").rename(site / "docs" / "index.htm")
    assert get("/docs/")[1] == b"the index"


def test_a_redirect_to_the_slash(get: Get) -> None:
    for path, location in (
        ("/docs", "/docs/"),
        ("/docs?a=1&b=/2", "/docs/?a=1&b=/2"),
        ("/docs/deep", "/docs/deep/"),
        ("//docs", "/docs/"),
        ("/.//docs", "/docs/"),
        ("/d%6fcs", "/docs/"),
    ):
        headers, _ = get(path)
        assert (headers[":status"], headers["location"]) == ("301", location)


def test_a_redirect_leads_to_no_other_host(get: Get, site: Path) -> None:
    (site / "evil.example").mkdir()
    (site / "\\evil.example").mkdir()
    assert get("//evil.example")[0]["location"] == "/evil.example/"
    assert get("/\\evil.example")[0]["location"] == "/%5Cevil.example/"


class Links(html.parser.HTMLParser):
    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.tags: set[str] = set()
        self._link: str | None = None
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "a":
            self._link = dict(attrs)["href"]

    def handle_data(self, data: str) -> None:
        if self._link is not None:
            self.found[data] = self._link
            self._link = None


ODD_NAMES = [
    "a b&<script>.txt",
    "100%25.txt",
    "what?.txt",
    "part#1",
    "scheme:name",
    '\'"quotes"',
    "back\\slash",
    "..two",
    ".hidden",
    "caf\xe9 \u2615",
    "line\nbreak",
    os.fsdecode(b"not \xff\xfe utf-8"),
]


def test_links_of_a_listing_lead_to_what_they_are_called(get: Get, site: Path) -> None:
    folder = site / "odd & <names>"
    folder.mkdir()
    for number, name in enumerate(ODD_NAMES):
        (folder / name).write_text(f"file {number}")
    (folder / "inner ?").mkdir()
    headers, page = get("/odd%20&%20%3Cnames%3E/")
    assert headers["content-type"] == "text/html; charset=utf-8"
    links = Links(page)
    assert "script" not in links.tags
    assert "<title>Index of /odd &amp; &lt;names&gt;/</title>" in page.decode()
    contents = set()
    for text, link in links.found.items():
        status, body = get(urljoin("/odd%20&%20%3Cnames%3E/", link))
        assert status[":status"] == "200", (text, link)
        contents.add(body)
    assert {f"file {number}".encode() for number in range(len(ODD_NAMES))} <= contents
    assert links.found["inner ?/"] == "inner%20%3F/"
    assert links.found["../"] == "../"
    assert "a b&<script>.txt" in links.found
    assert "caf\xe9 \u2615" in links.found


def test_a_listing_has_folders_first_and_no_way_up_from_the_top(get: Get, site: Path) -> None:
    (site / "B").touch()
    (site / "a").write_bytes(bytes(1234))
    page = get("/")[1]
    assert list(Links(page).found) == ["docs/", "a", "B", "page.html"]
    assert b"1,234" in page


def test_a_listing_shows_what_would_be_sent(get: Get, site: Path) -> None:
    os.mkfifo(site / "fifo")
    (site / "broken").symlink_to("nowhere")
    (site / "outside").symlink_to(site.parent / "secret")
    (site / "inside").symlink_to("page.html")
    assert list(Links(get("/")[1]).found) == ["docs/", "inside", "page.html"]


def test_without_listings(site: Path) -> None:
    session, _ = pair(static_files(site, listings=False))
    with session:
        get = getter(session)
        assert get("/")[0][":status"] == "403"
        assert get("/docs/")[1] == b"the index"
        assert get("/page.html")[1] == PAGE


# -- nothing outside


@pytest.mark.parametrize(
    "path",
    [
        "/../secret",
        "/..",
        "/docs/../../secret",
        "/%2e%2e/secret",
        "/.%2E/secret",
        "/%2e%2e%2fsecret",
        "/..%2fsecret",
        "/docs/%2e%2e/%2e%2e/secret",
        "/docs/..%2f..%2fsecret",
        "/docs/../page.html",
        "/%252e%252e/secret",
        "/..\\secret",
        "/..%5csecret",
        "/%5c..%5c..%5csecret",
        "//../secret",
        "/./../secret",
        "/..;/secret",
        "/\xc0\xae\xc0\xae/secret",
        "/%c0%ae%c0%ae/secret",
        "/%uff0e%uff0e/secret",
        "/../site-secret/secret",
        "/page.html%00",
        "/page.html%00.txt",
        "/%00",
        "/..%00/secret",
        "/docs%2findex.html",
        "/link",
        "/folder-link/secret",
        "/folder-link/",
        "/folder-link",
        "/absolute-link",
        "/twin-link/secret",
        "/two-steps",
        "/docs/up/secret",
        "/loop",
        "/loop/secret",
        "/fifo",
        "/socket",
        "/device",
        "/" + "x" * 300,
        "/" + "x/" * 3000,
        "/etc/passwd",
        "//etc/passwd",
        "/proc/self/environ",
        "/~root/",
        "/C:/secret",
        "/missing",
        "/missing/",
    ],
)
def test_what_is_not_in_the_folder_is_not_found(get: Get, site: Path, path: str) -> None:
    (site / "link").symlink_to("../secret")
    (site / "folder-link").symlink_to("..")
    (site / "absolute-link").symlink_to(site.parent / "secret")
    (site / "twin-link").symlink_to("../site-secret")
    (site / "hop").symlink_to("../site-secret")
    (site / "two-steps").symlink_to("hop/secret")
    (site / "docs" / "up").symlink_to("../..")
    (site / "loop").symlink_to("loop")
    (site / "device").symlink_to("/dev/zero")
    os.mkfifo(site / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(site)  # a socket's whole path may be too long
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        headers, body = get(path)
    assert (headers[":status"], body) == ("404", b"404 Not Found\n")


@pytest.mark.parametrize("part", ["/a", "/.", "//"])
def test_a_path_longer_than_any_files_is_not_looked_for(get: Get, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_for: list[str] = []
    monkeypatch.setattr(os.path, "realpath", lambda path: looked_for.append(path) or path)
    assert get(part * 10_000)[0][":status"] == "414"
    assert looked_for == []
    assert get("/page.html?" + "a" * 20_000)[0][":status"] == "200"


def test_links_inside_are_followed(get: Get, site: Path) -> None:
    (site / "alias.html").symlink_to("docs/../page.html")
    (site / "folder").symlink_to(site / "docs")
    assert get("/alias.html")[1] == PAGE
    assert get("/folder/")[1] == b"the index"
    assert get("/folder/deep/note.txt")[1] == b"note"


def test_the_folder_may_be_a_link_itself(site: Path) -> None:
    (site.parent / "alias").symlink_to("site")
    session, _ = pair(static_files(site.parent / "alias"))
    with session:
        assert getter(session)("/page.html")[1] == PAGE


def test_the_root_of_the_file_system_is_a_folder_too(site: Path) -> None:
    session, _ = pair(static_files("/"))
    with session:
        assert getter(session)(str(site / "page.html"))[1] == PAGE


def test_an_index_page_outside_is_not_sent(get: Get, site: Path) -> None:
    (site / "docs" / "index.html").unlink()
    (site / "docs" / "index.html").symlink_to("../../secret")
    headers, body = get("/docs/")
    assert headers[":status"] == "200"
    assert SECRET not in body and b"index.html" not in body


def test_a_compressed_sibling_outside_is_not_sent(get: Get, site: Path) -> None:
    (site / "page.html.gz").symlink_to("../secret")
    headers, body = get("/page.html", accept_encoding="gzip")
    assert (headers[":status"], body) == ("200", PAGE)


@pytest.mark.parametrize("failing", ["scandir", "stat", "open"])
def test_what_may_not_be_read_is_forbidden(get: Get, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    real = getattr(os, failing)

    def refuse(path: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(path, str) and path.endswith("/deep" if failing == "scandir" else "/note.txt"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, failing, refuse)
    headers, body = get("/docs/deep/" if failing == "scandir" else "/docs/deep/note.txt")
    assert (headers[":status"], body) == ("403", b"403 Forbidden\n")


def test_the_machines_trouble_is_no_missing_file(
    get: Get, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = os.open

    def refuse(path: Any, *arguments: Any, **options: Any) -> int:
        if str(path).endswith("page.html"):
            raise OSError(5, "Input/output error", path)
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    assert get("/page.html")[0][":status"] == "500"
    assert "Input/output error" in caplog.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods(get: Get, method: str) -> None:
    for path in ("/page.html", "/missing", "/docs"):
        headers, _ = get(path, method)
        assert (headers[":status"], headers["allow"]) == ("405", "GET, HEAD")


def test_what_is_no_folder_is_refused_at_once(site: Path) -> None:
    for path in (site / "page.html", site / "missing"):
        with pytest.raises(NotADirectoryError, match=path.name):
            static_files(path)


# -- conditions, ranges, codings (test_representation.py has the rules)


def test_a_file_that_is_known_already(get: Get) -> None:
    known = get("/page.html")[0]
    for condition in ({"if_none_match": known["etag"]}, {"if_modified_since": known["last-modified"]}):
        headers, body = get("/page.html", **condition)
        assert (headers[":status"], body) == ("304", b"")
        assert (headers["etag"], headers["last-modified"]) == (known["etag"], known["last-modified"])
        assert get("/page.html", "HEAD", **condition)[0][":status"] == "304"
    assert get("/docs/", if_none_match=get("/docs/")[0]["etag"])[0][":status"] == "304"


def test_a_file_from_the_future_is_modified_now(get: Get, site: Path) -> None:
    os.utime(site / "page.html", (4e9, 4e9))
    known = get("/page.html")[0]
    assert parsedate_to_datetime(known["last-modified"]) <= parsedate_to_datetime(known["date"])
    assert get("/page.html", if_none_match=known["etag"])[0][":status"] == "304"


def test_another_content_has_another_tag(get: Get, site: Path) -> None:
    before = get("/page.html")[0]["etag"]
    (site / "page.html").write_bytes(PAGE[::-1])
    os.utime(site / "page.html", ns=(0, (site / "page.html").stat().st_mtime_ns + 1))
    headers, body = get("/page.html", if_none_match=before)
    assert (headers[":status"], body) == ("200", PAGE[::-1])
    assert headers["etag"] != before


def test_a_precondition_that_fails(get: Get) -> None:
    headers, body = get("/page.html", if_match='"another"')
    assert (headers[":status"], body) == ("412", b"412 Precondition Failed\n")


def test_a_part_of_a_file(get: Get) -> None:
    for wanted, begin, end in (("1-3", 1, 4), ("4-", 4, 14), ("-5", 9, 14), ("9-99", 9, 14), ("0-13", 0, 14)):
        headers, body = get("/page.html", range=f"bytes={wanted}")
        assert (headers[":status"], headers["content-range"]) == ("206", f"bytes {begin}-{end - 1}/14")
        assert (headers["content-length"], body) == (str(end - begin), PAGE[begin:end])
        assert headers["etag"] == get("/page.html")[0]["etag"]


def test_a_part_that_is_not_there(get: Get) -> None:
    headers, body = get("/page.html", range="bytes=14-")
    assert (headers[":status"], headers["content-range"]) == ("416", "bytes */14")
    assert body.startswith(b"416 ")


def test_a_part_of_the_same_file_only(get: Get) -> None:
    etag = get("/page.html")[0]["etag"]
    assert get("/page.html", range="bytes=1-2", if_range=etag)[0][":status"] == "206"
    headers, body = get("/page.html", range="bytes=1-2", if_range='"old"')
    assert (headers[":status"], body) == ("200", PAGE)


def test_head_has_no_parts(get: Get) -> None:
    headers, _ = get("/page.html", "HEAD", range="bytes=1-2")
    assert (headers[":status"], headers["content-length"]) == ("200", "14")


@pytest.fixture
def compressed(site: Path) -> None:
    """The page has siblings with other contents, so that one sees which was sent."""
    (site / "page.html.gz").write_bytes(gzip.compress(PAGE))
    (site / "page.html.br").write_bytes(b"brotli")


@pytest.mark.usefixtures("compressed")
def test_compressed_siblings(get: Get, site: Path) -> None:
    contents = {"gzip": (site / "page.html.gz").read_bytes(), "br": b"brotli", None: PAGE}
    etags = set()
    for accepted, coding in (("gzip", "gzip"), ("br, gzip", "br"), ("deflate", None), ("identity", None)):
        headers, body = get("/page.html", accept_encoding=accepted)
        assert headers.get("content-encoding") == coding
        assert headers["vary"] == "accept-encoding"
        assert headers["content-type"] == "text/html"
        assert body == contents[coding]
        etags.add(headers["etag"])
    assert len(etags) == 3


@pytest.mark.usefixtures("compressed")
def test_conditions_and_parts_of_a_compressed_sibling(get: Get) -> None:
    headers, body = get("/page.html", accept_encoding="br", range="bytes=2-3")
    assert (headers[":status"], headers["content-range"], body) == ("206", "bytes 2-3/6", b"ot")
    headers, _ = get("/page.html", accept_encoding="br", if_none_match=headers["etag"])
    assert (headers[":status"], headers["vary"]) == ("304", "accept-encoding")
    assert get("/page.html", if_none_match=headers["etag"])[0][":status"] == "200"


@pytest.mark.usefixtures("compressed")
def test_a_sibling_that_is_older_is_out_of_date(get: Get, site: Path) -> None:
    os.utime(site / "page.html.br", (1, 1))
    headers, _ = get("/page.html", accept_encoding="br, gzip")
    assert headers["content-encoding"] == "gzip"


@pytest.mark.usefixtures("compressed")
def test_a_compressed_file_by_its_own_name(get: Get) -> None:
    headers, body = get("/page.html.gz", accept_encoding="gzip")
    assert "content-encoding" not in headers
    assert gzip.decompress(body) == PAGE


def test_a_folder_with_the_name_of_a_sibling(get: Get, site: Path) -> None:
    (site / "page.html.gz").mkdir()
    assert get("/page.html", accept_encoding="gzip")[1] == PAGE


def test_a_compressed_index_page(get: Get, site: Path) -> None:
    (site / "docs" / "index.html.gz").write_bytes(gzip.compress(b"the index"))
    headers, _ = get("/docs/", accept_encoding="gzip")
    assert headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("name", ["sys/kernel/ostype", "version"])
@pytest.mark.parametrize("fields", [{}, {"range": "bytes=1-2"}, {"if_none_match": "*"}, {"if_range": "x"}])
def test_a_file_whose_size_says_nothing(name: str, fields: dict[str, str]) -> None:
    session, _ = pair(static_files("/proc"))
    with session:
        headers, body = getter(session)(f"/{name}", **fields)
        assert (headers[":status"], body) == ("200", Path("/proc", name).read_bytes())
        assert not {"content-length", "etag", "last-modified", "accept-ranges", "content-range"} & set(headers)
        headers, body = getter(session)(f"/{name}", method="HEAD")
        assert (headers[":status"], body, "content-length" in headers) == ("200", b"", False)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_file_whose_size_says_nothing_over_http_1(version: str) -> None:
    content = Path("/proc/version").read_bytes()
    with http1_session(static_files("/proc"), get_request("/version", version=version)) as (_, client):
        response = client.response()
        assert (response.status, response.body) == (200, content)
        assert "content-length" not in response.headers


@pytest.mark.parametrize("name", ["null", "zero"])
def test_devices_are_not_sent(name: str) -> None:
    session, _ = pair(static_files("/dev"))
    with session:
        assert getter(session)(f"/{name}")[0][":status"] == "404"
