"""The terminal of one page: one bash for all its commands. It waits until programs in the background can be used."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from .blocks import Block, PageError
from .interpreter import shown
from .time_limit import TimeLimit

# Those of the signals HUP, INT, KILL and TERM: the page has ended that program.
ENDED_BY_THE_PAGE = {129, 130, 137, 143}

# bash reads these, and then what each block has as a file of its own. It outlives the TERM that ends its programs.
PRELUDE = """
trap : TERM
set -o pipefail
__programs=()
__began() {
    __programs+=($!)
}
__statuses=()
__wait_for_program() {
    local status=0
    builtin wait "${__programs[$1]}" 2> /dev/null || status=$?
    __statuses[$1]=${__statuses[$1]:-$status}
}
# Without arguments bash's own forgets how each program ended.
wait() {
    local number
    if [ $# -eq 0 ]; then
        for number in "${!__programs[@]}"; do
            __wait_for_program "$number"
        done
    fi
    builtin wait "$@"
}
__ended() {
    local number
    for number in "${!__programs[@]}"; do
        kill -0 "${__programs[number]}" 2> /dev/null && continue
        __wait_for_program "$number"
        echo "$number ${__statuses[number]}"
    done
}
__accepts() {
    case $1 in
        */*|*.sock) [ -S "$1" ] ;;
        # As the kernel has it (0A: it listens), where that can be read: a connection would be one more for the program.
        *)
            if [ -e /proc/net/tcp ]; then
                grep -q "$(printf ': [0-9A-F]*:%04X [0-9A-F]*:0000 0A ' "$1")" /proc/net/tcp /proc/net/tcp6 2> /dev/null
            else
                (exec 3<> "/dev/tcp/localhost/$1") 2> /dev/null
            fi ;;
    esac
}
__wait_for() {
    local place end=$((SECONDS + 60))
    for place in "$@"; do
        until __accepts "$place"; do
            if ! kill -0 $! 2> /dev/null; then
                __accepts "$place" && break
                echo "the program in the background has ended, and nothing accepts connections at $place" >&2
                exit 1
            fi
            [ $SECONDS -lt $end ] || { echo "nothing accepts connections at $place" >&2; exit 1; }
            sleep 0.1
        done
    done
}
"""
IN_BACKGROUND = re.compile(r"\s&\s*(#.*)?$")
HEREDOC = re.compile(r"<<(?P<tabs>-?)\s*(?P<quote>['\"]?)(?P<word>\w+)(?P=quote)")


def commands_of(source: str) -> Iterator[str]:
    """The commands of a script by lines, with those that a backslash continues, and here-documents, as one."""
    lines = iter(source.splitlines())
    for line in lines:
        command = line
        while command.endswith("\\"):
            command += "\n" + next(lines, "")
        if heredoc := HEREDOC.search(line):
            for following in lines:
                command += "\n" + following
                if following.strip() == heredoc["word"]:
                    break
        yield command


def runs_in_background(command: str) -> bool:
    return HEREDOC.search(command) is None and IN_BACKGROUND.search(command) is not None


class Shell:
    """Runs sh and console blocks. `folder` takes the scripts and what they write; `places_in` finds the ports and the
    sockets that a text names.
    """

    def __init__(
        self,
        directory: Path,
        environment: dict[str, str],
        folder: Path,
        limit: TimeLimit,
        places_in: Callable[[str], list[str]],
    ) -> None:
        self._folder, self._limit, self._places_in = folder, limit, places_in
        self._scripts = 0
        self._programs: list[tuple[str, str, Path]] = []  # commands, where they stand, what they say
        self._done, done = os.pipe()
        self._done_mark = done
        self._process = subprocess.Popen(
            ["bash"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            pass_fds=[done],
            start_new_session=True,
        )
        self._say(PRELUDE)

    def run(self, block: Block, later: list[str]) -> None:
        """Runs the commands of an sh block, and raises PageError when one fails. `later` are the texts behind it."""
        script = "".join(
            f"{command}\n" for command in self._with_waits(block.place, list(commands_of(block.source)), later)
        )
        status, said = self._script(script, block.place, stops=True)
        if status:
            raise PageError(f"{block.place}: the commands ended with {status}, after\n{shown(said)}")

    def run_console(self, block: Block, later: list[str], matches: Callable[[list[str], list[str]], bool]) -> None:
        """Runs the commands of a console block, and raises PageError unless each gives the output below it."""
        pairs = list(console_pairs(block))
        status = 0
        for number, (command, expected) in enumerate(pairs):
            script = command
            if runs_in_background(command):
                following = ["\n".join(command for command, _ in pairs[number + 1 :]), *later]
                script += self._began(block.place, command) + self._waiting([command], following)
            status, said = self._script(script + "\n", block.place, stops=False, status_before=status)
            told = number + 1 < len(pairs) and "$?" in pairs[number + 1][0]
            if matches(expected, said) and status and not told:
                raise PageError(
                    f"{block.place}: $ {command}\nended with {status}, and the page does not say so: "
                    "a command that may fail has `$ echo $?` behind it"
                )
            if not matches(expected, said):
                raise PageError(
                    f"{block.place}: $ {command}\ngave (and status {status})\n{shown(said)}"
                    f"and the page says\n{shown(expected)}"
                )

    def finish(self) -> None:
        """Raises PageError when a program in the background has failed, which nobody may have noticed."""
        if not self._programs:
            return
        _, said = self._script("__ended\n", self._programs[-1][1], stops=False)
        for number, status in (map(int, line.split()) for line in said):
            command, place, output = self._programs[number]
            if status and status not in ENDED_BY_THE_PAGE:
                wrote = output.read_text(errors="replace").splitlines()
                raise PageError(
                    f"{place}: the program in the background ended by itself with {status}, $ {command}\n"
                    f"after\n{shown(wrote)}"
                )

    def close(self) -> None:
        """Ends the programs in the background, and the shell."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            try:
                # As soon as its programs have ended.
                self._say('set +eu\nwhile [ -n "$(jobs -pr)" ]; do builtin wait; done\n')
                self._process.communicate(timeout=10)
            except (subprocess.TimeoutExpired, BrokenPipeError):
                pass
        self._signal(signal.SIGKILL)
        self._process.communicate()
        os.close(self._done)
        os.close(self._done_mark)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # none is left
            os.killpg(self._process.pid, number)

    def _with_waits(self, place: str, commands: list[str], later: list[str]) -> Iterator[str]:
        started: list[str] = []
        for number, command in enumerate(commands):
            yield command
            if runs_in_background(command):
                yield self._began(place, command)
                started.append(command)
            if started and not (number + 1 < len(commands) and runs_in_background(commands[number + 1])):
                yield self._waiting(started, ["\n".join(commands[number + 1 :]), *later])
                started = []

    def _began(self, place: str, command: str) -> str:
        self._programs.append((command, place, self._file(self._scripts + 1, "out")))
        return "\n__began\n"

    def _file(self, number: int, kind: str) -> Path:
        return self._folder / f"{number}.{kind}"

    def _waiting(self, started: list[str], later: list[str]) -> str:
        """Waits for the places that those programs name, and for those of the first later text that names any, if a
        program names none.
        """
        named = [self._places_in(command) for command in started]
        if not all(named):
            named.append(next(filter(None, map(self._places_in, later)), []))
        places = dict.fromkeys(place for places in named for place in places)
        return f"\n__wait_for {shlex.join(places)}\n" if places else ""

    def _script(self, script: str, place: str, *, stops: bool, status_before: int = 0) -> tuple[int, list[str]]:
        self._scripts += 1
        file, output = (self._file(self._scripts, kind) for kind in ("sh", "out"))
        file.write_text(script)
        output.touch()  # which bash may not have got to when the time is over
        self._say(
            f"set {'-' if stops else '+'}eu\n"
            + (f"(exit {status_before})\n" if status_before else "")
            + f". {shlex.quote(str(file))} < /dev/null > {shlex.quote(str(output))} 2>&1\n"
            f"echo $? >&{self._done_mark}\n"
        )
        status = self._wait(place, output)
        return status, output.read_text(errors="replace").splitlines()

    def _wait(self, place: str, output: Path) -> int:
        """The exit status of the script; that of the shell, where the script has ended that."""
        while self._limit.left():
            if select.select([self._done], [], [], 0.1)[0]:
                return int(os.read(self._done, 16))
            if self._process.poll() is not None and not select.select([self._done], [], [], 0)[0]:
                if self._process.returncode == 0:
                    raise PageError(f"{place}: a command has ended the shell, so that nothing more would be run")
                return self._process.returncode
        said = output.read_text(errors="replace").splitlines()
        raise PageError(f"{place}: {self._limit}; it gave\n{shown(said)}")

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(text)
            self._process.stdin.flush()
        except BrokenPipeError:  # a command has ended the shell: who waits for the script finds that
            pass


def console_pairs(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Each command with the lines that it gives."""
    command = ""
    output: list[str] = []
    for line in block.source.splitlines():
        if command.endswith("\\") or (command and not output and line.startswith("> ")):
            command += "\n" + line.removeprefix("> ")
        elif line.startswith("$ "):
            if command:
                yield command, output
            command, output = line.removeprefix("$ "), []
        elif command:
            output.append(line)
        else:
            raise PageError(f"{block.place}: the block begins with no command, that is no line that begins with $")
    if not command:
        raise PageError(f"{block.place}: the block has no command")
    yield command, output
