"""Faults planted in a clone of this repository, whose last commit holds one, and the check that must find them.

The planted code burns processor time in proportion to what each read itself took, so that it is 15 % on any machine.
"""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from bench.checks.speed.measuring.process import ROOT
from bench.checks.speed.measuring.revision import git

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


@contextmanager
def plant(fault):
    """A clone of this repository's last commit, with one more commit that plants a fault of PLANTS."""
    with tempfile.TemporaryDirectory(prefix="jsma-proof-") as folder:
        git("clone", "--quiet", "--shared", str(ROOT), folder)
        clone = Path(folder)
        with (clone / READ_PATH).open("a") as code:
            code.write(PLANTS[fault])
        author = ("-c", "user.name=proof", "-c", "user.email=proof@localhost", "-c", "commit.gpgsign=false")
        git(*author, "commit", "--quiet", "--all", "--no-verify", "-m", f"planted: {fault}", root=clone)
        yield clone


def check(clone, data, *options):
    """Exit code and regressions of each tier, by `jsma-bench speed check --against HEAD~1` in the clone."""
    command = [sys.executable, "-m", "bench.cli", "speed", "check", "--against", "HEAD~1", "--json"]
    command += ["--data", str(data.resolve()), *options]
    environment = {**os.environ, "PYTHONPATH": str(clone), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)
    assert done.returncode in (0, 1), f"a check could not be made: {done.stderr}"
    found = {"counters": [], "against": []}
    for finding in json.loads(done.stdout)["findings"]:
        print(finding)  # pytest -s, or where a test fails
        if finding["verdict"] == "regression":
            found[finding["tier"]].append(finding["name"])
    return done.returncode, found
