"""Which code made a run: a digest of every source file that can change its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from bench.runs.layout import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[3]
DECIDES = ("jsma", "baselines", "bench/datasets", "bench/runs")
"""What makes slides, trains, infers and measures; not what reads finished runs (tables, reports, the gate)."""


@cache
def code_digest(root: Path = ROOT) -> str:
    """12 hexadecimal digits over the paths and texts of the Python files under DECIDES.

    Not part of a run's name: after a change a user decides what to run again, and is told that there was one.
    """
    found = hashlib.sha256()
    for place in DECIDES:
        path = root / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            found.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()[:12]


def find_runs_of_other_code(folders: Sequence[Path]) -> list[Path]:
    """Those complete runs that other code made, or code that did not yet say which it was."""
    found = []
    for folder in folders:
        file = folder / ENVIRONMENT
        if file.is_file() and json.loads(file.read_bytes()).get("code") != code_digest():
            found.append(folder)
    return found
