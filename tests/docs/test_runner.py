"""The runner of the documentation's blocks runs what it should, and fails where a page is wrong, with page and line."""

from __future__ import annotations

import errno
import fcntl
import socket
from pathlib import Path
from typing import Any

import pytest

from support.pages.blocks import PageError, blocks_of
from support.pages.runner import PORTS, free_port, matches, run_page
from support.pages.shell import commands_of, runs_in_background


@pytest.fixture
def run(tmp_path: Path):
    def run(text: str) -> Path:
        """Runs a page and returns the directory that it ran in. `'''` stands for the backticks of a fence."""
        page = tmp_path / "page.md"
        page.write_text(text.replace("'''", "```"))
        run_page(page, tmp_path / "run")
        return tmp_path / "run"

    return run


def test_the_kinds_of_blocks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        """# Title

```python
one
```

<!-- not run: it needs the internet -->
```sh
two
```

````{note}
```console
$ three
```
````

1. a list:
   ```text
   four
     five
   ```

```{code-block} ini
:caption: a/b.ini

six
```

```{toctree}
:glob:

seven
```
"""
    )
    blocks = blocks_of(page)
    assert [(block.kind, block.name, block.source, block.line, block.not_run) for block in blocks] == [
        ("python", "", "one\n", 4, False),
        ("sh", "", "two\n", 9, True),
        ("console", "", "$ three\n", 14, False),
        ("text", "", "four\n  five\n", 20, False),
        ("file", "a/b.ini", "six\n", 27, False),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# A\n\n```ini\na = 1\n```\n", "page.md:3: nobody knows how to run a block of ini"),
        ("# A\n\n```\na = 1\n```\n", "page.md:3: nobody knows how to run a block of no kind"),
        ("```{code-block} ini\na = 1\n```\n", "page.md:1: nobody knows how to run a block of ini"),
        ("```{mermaid}\na\n```\n", "page.md:1: an unknown directive"),
        ("\n```python\na = 1\n", "page.md:2: the block has no end"),
        ("````{note}\n```python\na = 1\n```\n", "a directive has no end"),
        ("```{code-block} ini\n:caption: ../a\n\n```\n", "page.md:1: a file outside of the page's directory"),
        ("```python\nprint(1)  # 2\n```\n", "page.md:2: the block printed\n    1\nand its comments say\n    2"),
        ("```python\nprint(1)\n```\n", "page.md:2: the block printed\n    1\nand its comments say\n    nothing"),
        ("```python\na = 1\n```\n\n```python\na\nb\n```\n", "page.md:6: the block raised"),
        ("```python\nimport warnings\nwarnings.warn('old')\n```\n", "UserWarning: old"),
        ("```python\nimport sys\nsys.exit(3)\n```\n", "SystemExit: 3"),
        ("```python\nimport os\nos._exit(3)\n```\n", "page.md:2: the interpreter ended"),
        (
            "```python\nimport threading\nt = threading.Thread(target=int, args=['x'])\nt.start()\nt.join()\n```\n",
            "besides what its blocks say there came\nTraceback",
        ),
        ("```python\nf = open('a', 'w')\n```\n", "besides what its blocks say there came\nResourceWarning"),
        ("```sh\necho oh\nfalse\necho no\n```\n", "page.md:2: the commands ended with 1, after\n    oh\n"),
        ("```sh\necho $UNKNOWN\n```\n", "UNKNOWN: unbound variable"),
        (
            "```console\n$ echo oh\nno\n```\n",
            "page.md:2: $ echo oh\ngave (and status 0)\n    oh\nand the page says\n",
        ),
        ("```console\necho oh\n```\n", "page.md:2: the block begins with no command"),
        ("```sh\nfalse | cat\n```\n", "page.md:2: the commands ended with 1"),
        ("```sh\nexit 0\n```\n\n```sh\nfalse\n```\n", "page.md:2: a command has ended the shell"),
        ("```console\n$ exit 0\n```\n", "page.md:2: a command has ended the shell"),
        ("```console\n$ false\n$ echo no\nno\n```\n", "page.md:2: $ false\nended with 1, and the page does not say so"),
        ("```console\n$ true\n$ echo oh | grep no\n```\n", "page.md:2: $ echo oh | grep no\nended with 1"),
        (
            "```sh\necho oh; python -c 'raise SystemExit(3)' &\ncat < /dev/null\nsleep 1\n```\n",
            "page.md:2: the program in the background ended by itself with 3, "
            "$ echo oh; python -c 'raise SystemExit(3)' &\nafter\n    oh\n",
        ),
        (
            "```console\n$ (exit 4) &\n$ sleep 1\n```\n",
            "page.md:2: the program in the background ended by itself with 4",
        ),
        (
            "```sh\n(exit 5) &\nwait\n```\n\n```sh\nwait\n```\n",
            "page.md:2: the program in the background ended by itself with 5",
        ),
        ("# A\n\n> ```python\n> 1 / 0\n> ```\n", "page.md:3: a block in a quote, or on the line of a list's item"),
        ("- ```python\n  1 / 0\n  ```\n", "page.md:1: a block in a quote, or on the line of a list's item"),
        ("```{code-block} python\n:caption: a.py\n\na = (\n```\n", "page.md:4: a.py: '(' was never closed"),
        ("```sh\nsleep 0 &\n: 9000\n```\n", "the program in the background has ended, and nothing accepts connections"),
    ],
)
def test_a_page_that_is_wrong_fails(run, text: str, message: str) -> None:
    with pytest.raises(PageError) as failed:
        run(text)
    assert message in str(failed.value)


@pytest.mark.parametrize(
    "blocks",
    [
        "```sh\nsleep 1\n```\n\n" * 3 + "```sh\nsleep 100\n```\n",
        "```sh\nsleep 1\n```\n\n```python\nimport time\ntime.sleep(100)\n```\n",
        "```python\nimport threading, time\nthreading.Thread(target=time.sleep, args=[100]).start()\n```\n",
    ],
)
def test_a_page_that_takes_too_long_fails_at_its_block(tmp_path: Path, blocks: str) -> None:
    (tmp_path / "page.md").write_text(blocks)
    with pytest.raises(PageError, match=r"page.md.*the page took more than 3 s"):
        run_page(tmp_path / "page.md", tmp_path / "run", 3)


def test_what_raises_is_shown_as_it_stands_on_the_page(run) -> None:
    with pytest.raises(PageError, match=r'page.md", line 4, in <module>\n    1 / 0\n'):
        run("# A\n\n'''python\n1 / 0\n'''\n")


def test_blocks_share_names_and_files(run) -> None:
    directory = run(
        """
'''{code-block} python
:caption: shop/stock.py

apples = 3
'''

'''python
from shop.stock import apples

print(apples)  # 3


class Fruit:
    pass


print(Fruit.__module__, __name__)  # __main__ __main__
'''

'''sh
python -c 'from shop.stock import apples; print(apples)' > apples
fruit=pear
'''

'''console
$ cat apples
3
$ echo $fruit; \\
  echo and
pear
and
$ cat nowhere
cat: nowhere…
$ echo $?
1
$ seq 5
1
...
5
'''

'''python
from pathlib import Path

print(Path("apples").read_text().strip())  # …
with open("done", "w") as file:
    print("ran", file=file)
'''
"""
    )
    assert (directory / "done").read_text() == "ran\n"


def test_what_is_not_to_be_run_is_not(run) -> None:
    directory = run("<!-- not run: REASON -->\n'''sh\ntouch a\n'''\n\n'''text\ntouch b\n'''\n\n'''sh\ntouch c\n'''\n")
    assert [path.name for path in directory.iterdir()] == ["c"]


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_programs_in_the_background_are_waited_for_and_ended(run) -> None:
    directory = run(
        """
'''{code-block} python
:caption: server.py

import time
import sync_h2

time.sleep(0.3)
sync_h2.create_server(lambda stream, headers: stream.end(b"hello"), port=8080).serve_forever()
'''

'''sh
python server.py &
'''

'''python
import sync_h2

with sync_h2.Client(h2c=True) as client:
    print(client.get("http://localhost:8080").text)  # hello
port = 8080
'''

'''sh
python -c 'import sync_h2, sys
sync_h2.create_server(print, "unix:" + sys.argv[1]).serve_forever()' here.sock &
python -m http.server --bind 127.0.0.1 8081 > served 2>&1 &
test -S here.sock
curl -s http://127.0.0.1:8081/server.py > copy
echo 8080 > first
'''
"""
    )
    assert (directory / "copy").read_text() == (directory / "server.py").read_text()
    port = int((directory / "first").read_text())
    assert port not in range(8080, 9010)
    assert not accepts(port)


def test_a_server_that_a_page_leaves_open_is_closed(run) -> None:
    directory = run(
        "'''python\nimport sync_h2\n\nserver = sync_h2.create_server(print, port=8080)\nserver.start()\n"
        "with open('port', 'w') as file:\n    file.write('8080')\n'''\n"
    )
    assert not accepts(int((directory / "port").read_text()))


def test_which_numbers_are_ports() -> None:
    assert PORTS.findall("8080 :8443 127.0.0.1:8081, 9000-9009 18080 80801 0.8080 a8080 9010") == [
        *("8080", "8443", "8081", "9000", "9009")
    ]


def test_dots_stand_for_what_differs() -> None:
    assert matches(["a … c", "...", "e"], ["a b c", "d", "d", "e"])
    assert matches(["...", "e"], ["e"])
    assert not matches(["a … c"], ["a b"])
    assert not matches(["a.c"], ["abc"])
    assert not matches(["a"], ["a", "b"])


def test_commands_are_told_apart() -> None:
    script = "one &\ntwo \\\n  more &  # and more\ncat > file <<'END'\nthree &\nEND\nfour && five\n"
    commands = list(commands_of(script))
    assert commands == ["one &", "two \\\n  more &  # and more", "cat > file <<'END'\nthree &\nEND", "four && five"]
    assert [runs_in_background(command) for command in commands] == [True, True, False, False]


def test_a_free_port_is_found_without_ipv6_and_none_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    create_server = socket.create_server

    def without_ipv6(address: tuple[str, int], **options: Any) -> socket.socket:
        if options.get("family") == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return create_server(address, **options)

    def none(address: tuple[str, int], **options: Any) -> socket.socket:
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(socket, "create_server", without_ipv6)
    assert int(free_port()) in range(20_000, 32_000)
    monkeypatch.setattr(socket, "create_server", none)
    with pytest.raises(PageError, match=r"no port is free: .*Address already in use"):
        free_port()


def test_a_program_in_the_background_may_end_well_and_be_ended(run) -> None:
    directory = run("""
'''sh
echo here > here &
sleep 100 &
pid=$!
while [ ! -s here ]; do sleep 0.1; done
kill $pid
wait $pid || echo $? > there
sleep 0.1 &
wait
'''
""")
    assert [(directory / name).read_text() for name in ("here", "there")] == ["here\n", "143\n"]


def test_what_python_started_is_ended_when_its_block_fails(run, tmp_path: Path) -> None:
    with pytest.raises(PageError, match="ZeroDivisionError"):
        run("""
'''python
import fcntl, subprocess

lock = open("lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
subprocess.Popen(["sleep", "1000"], pass_fds=[lock.fileno()])
1 / 0
'''
""")
    with (tmp_path / "run" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert (tmp_path / "run" / "lock").read_text() == ""
