"""Does the gate work? `python -m bench.checks.speed.proof`: planted faults in a clone of this repository, and A/A
checks.

Every check is the command a user would type, in a clone whose last commit plants the fault. The planted code burns
processor time in proportion to what each read itself took, so that it is 15 % on any machine.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.checks.speed.measuring.process import ROOT
from bench.checks.speed.measuring.revision import git
from bench.checks.speed.measuring.slides import gate_slides
from bench.errors import INTERRUPTED, NOT_COMPARABLE, OK, REGRESSION, UsageError

SLOWDOWN = """

_plain, _time = execute, __import__("time")


def execute(*arguments):  # planted: every read burns {share:.0%} more
    started = _time.process_time()
    _plain(*arguments)
    ended = _time.process_time()
    while _time.process_time() - ended < {share} * (ended - started):
        pass
"""
EXTRA_TILE = """

_plain = execute


def execute(source, plan, *rest):  # planted: the first tile of every read is decoded once more, and nobody says so
    source.read_tile(*plan.tiles.tolist()[0])
    _plain(source, plan, *rest)
"""
PLANTS = {"slowdown": SLOWDOWN.format(share=0.15), "extra-tile": EXTRA_TILE, "none": "\n# planted: nothing\n"}
READ_PATH = Path("jsma/slides/reading/execute.py")


@dataclass(frozen=True)
class Ran:
    """One check: its exit code and what it printed with --json."""

    code: int
    found: dict[str, Any]

    def regressions(self, tier: str) -> list[dict[str, Any]]:
        """Findings of that tier that say regression."""
        return [f for f in self.found["findings"] if f["tier"] == tier and f["verdict"] == "regression"]


@contextmanager
def planted(plant: str) -> Iterator[Path]:
    """A clone of this repository's last commit, with one more commit that plants `plant`."""
    with tempfile.TemporaryDirectory(prefix="jsma-proof-") as folder:
        git("clone", "--quiet", "--shared", str(ROOT), folder)
        clone = Path(folder)
        with (clone / READ_PATH).open("a") as code:
            code.write(PLANTS[plant])
        author = ("-c", "user.name=proof", "-c", "user.email=proof@localhost", "-c", "commit.gpgsign=false")
        git(*author, "commit", "--quiet", "--all", "--no-verify", "-m", f"planted: {plant}", root=clone)
        yield clone


def check(clone: Path, data: Path, *options: str) -> Ran:
    """`jsma-bench speed check --against HEAD~1` in the clone."""
    command = [
        sys.executable,
        "-m",
        "bench.cli",
        "speed",
        "check",
        "--json",
        "--data",
        str(data.resolve()),
        *options,
    ]
    environment = {**os.environ, "PYTHONPATH": str(clone), "PYTHONDONTWRITEBYTECODE": "1"}
    running = subprocess.Popen(
        command, cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        out, err = running.communicate()
    finally:
        running.terminate()  # interrupted: it tidies up after itself
        running.wait()
    if running.returncode not in (OK, REGRESSION):
        last = err.strip().splitlines()[-1:] or [f"exit code {running.returncode}"]
        raise UsageError(f"a check could not be made: {last[0]}")
    return Ran(running.returncode, json.loads(out))


def extra_tile(data: Path) -> bool:
    """Whether the counters alone catch a tile that is decoded once more without being counted."""
    with planted("extra-tile") as clone:
        ran = check(clone, data, "--against", "HEAD~1", "--tiers", "counters")
    for finding in ran.regressions("counters"):
        print(f"  {finding['name']}: {finding['base']} -> {finding['head']}")
    return ran.code == REGRESSION


def slowdown(data: Path, options: Sequence[str]) -> bool:
    """Whether the timings catch reads that are 15 % slower."""
    with planted("slowdown") as clone:
        ran = check(clone, data, "--against", "HEAD~1", *options)
    for finding in ran.regressions("against"):
        print(f"  {finding['name']}: {finding['text']}")
    return ran.code == REGRESSION and not ran.regressions("counters") and bool(ran.regressions("against"))


def alarms(data: Path, checks: int, options: Sequence[str]) -> int:
    """How many of `checks` checks of the same code against itself fail."""
    number = 0
    with planted("none") as clone:
        for index in range(checks):
            ran = check(clone, data, "--against", "HEAD~1", *options)
            number += ran.code != OK
            worst = max(f["change"]["ratio"] for f in ran.found["findings"] if f["change"])
            again = sum("not seen again" in f["text"] for f in ran.found["findings"])
            print(
                f"  A/A {index + 1}: exit code {ran.code}, largest ratio {worst:.3f}, second looks {again}", flush=True
            )
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the proof and print its figures; exit code 0 if the gate did all it claims."""
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m bench.checks.speed.proof", description=about)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the generated slides")
    parser.add_argument("--checks", type=int, default=20, help="A/A checks")
    parser.add_argument("--plants", type=int, default=3, help="checks of the planted slowdown")
    parser.add_argument("check_options", nargs="*", help="after --: options of every timed check, e.g. -- --blocks 8")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        gate_slides(asked.data)
        print("a tile decoded once more, counters alone:", flush=True)
        tile = extra_tile(asked.data)
        print(f"  {'caught' if tile else 'MISSED'}\nreads 15 % slower:", flush=True)
        caught = sum(slowdown(asked.data, asked.check_options) for _ in range(asked.plants))
        print(f"  caught {caught} of {asked.plants}\nthe same code against itself:", flush=True)
        false = alarms(asked.data, asked.checks, asked.check_options)
        print(f"  {false} alarms in {asked.checks} checks")
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return NOT_COMPARABLE
    except KeyboardInterrupt:
        return INTERRUPTED
    return OK if tile and caught == asked.plants and not false else REGRESSION


if __name__ == "__main__":
    sys.exit(main())
