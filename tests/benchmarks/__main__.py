"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import contextlib
import re
import resource
import signal
import sys
import time
from pathlib import Path

from . import report, sitting
from .rows import ROWS, Setting
from .workplace import FREE_THREADED_PYTHONS, free_threaded_python, versions, workplace

FILE_SIZE, QUICK_FILE_SIZE = 100_000_000, 1_000_000


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measures sync_h2 and its peers in turns."
    )
    parser.add_argument("--list", action="store_true", help="name the rows, and measure nothing")
    parser.add_argument("--only", metavar="PATTERN", default="", help="rows whose name matches this regular expression")
    parser.add_argument("--peers", metavar="A,B", help="only these peers, as in --peers sync_h2,node")
    parser.add_argument(
        "--free-threaded",
        metavar="PYTHON",
        default=free_threaded_python(),
        help=f"the interpreter of the rows free-threaded ({' or '.join(FREE_THREADED_PYTHONS)})",
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each measurement takes, about (2)")
    parser.add_argument(
        "--hold", type=float, default=5.0, help="seconds for which attackers hold on in the rows of hostages (5)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one round as short as can be: shows that it runs, not how fast"
    )
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        type=Path,
        default=Path(".tox/bench-results"),
        help="where results.txt, results.json and results.svg go (.tox/bench-results)",
    )
    return parser.parse_args()


def main() -> None:
    options = arguments()
    rows = [row for row in ROWS if re.search(options.only, row.name)]
    if options.list or not rows:
        print("\n".join(row.name for row in rows or ROWS))
        sys.exit(0 if rows else f"no row matches {options.only!r}")
    peers = set(options.peers.split(",")) if options.peers else None
    known = {peer for row in ROWS for peer in row.peers}
    if peers is not None and not peers <= known:
        sys.exit(f"no peer is called {', '.join(peers - known)}; there are {', '.join(sorted(known))}")
    rounds = 1 if options.quick else options.rounds
    # Termination is to end the servers too; and thousands of connections need descriptors.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    with contextlib.suppress(ValueError):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    results: list[sitting.Result] = []
    lines: list[str] = []
    started = time.time()
    found = versions(options.free_threaded)
    show(lines, ", ".join(f"{name} {version}" for name, version in found.items()) + "\n")
    if options.quick:
        show(
            lines, "Quick: too short, and with too few connections, to tell how fast anything is. No goal is judged.\n"
        )
    try:
        with workplace(QUICK_FILE_SIZE if options.quick else FILE_SIZE, options.free_threaded) as places:
            setting = Setting(places, options.seconds, 0.3 if options.quick else options.hold, options.quick)
            for row in rows:
                result = sitting.measure(row, setting, rounds, peers, progress)
                results.append(result)
                progress("")
                show(lines, report.as_text(result, judged=not options.quick))
    except KeyboardInterrupt:
        sys.exit("interrupted")
    finally:  # what was found until then is kept
        described = {
            "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "took_seconds": round(time.time() - started),
            "rounds": rounds,
            "seconds": options.seconds,
            "hold": options.hold,
            "quick": options.quick,
            "versions": found,
        }
        options.output.mkdir(parents=True, exist_ok=True)
        if not report.draw(results, options.output / "results.svg"):
            show(lines, "No chart is drawn: that takes results, and matplotlib.")
        (options.output / "results.txt").write_text("\n".join(lines) + "\n")
        (options.output / "results.json").write_text(report.as_json(results, described) + "\n")
        print(f"These results are in {options.output}.")
    failures = [f"{entry}: {why}" for result in results for entry, why in result.failures.items()]
    if failures:
        sys.exit("\n".join(["Not all of it could be measured.", *failures]))


def show(lines: list[str], text: str) -> None:
    lines.append(text)
    print(text, flush=True)


def progress(text: str) -> None:
    """What is going on, on a terminal's last line."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
