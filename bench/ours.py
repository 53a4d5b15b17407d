"""What a command is about to overwrite must be of its own making."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bench.errors import UsageError
from bench.rundir import writable

PRODUCED = "Produced by `"  # how the Markdown that `--save` writes begins


def check_study(files: Sequence[Path], given: Path, option: str = "--save") -> None:
    """Before hours of work: UsageError where its `files` cannot be written, or are there and are not of a study."""
    writable(given.parent, option)
    check_saved(files, given, option)


def check_saved(files: Sequence[Path], stem: Path, option: str = "--save") -> None:
    """UsageError where one of `files` is there and an earlier `--save` did not write them.

    Its Markdown, which is written first, and its JSON tell.
    """
    there = [path for path in files if path.exists()]
    if there and not any(_is_saved(path) for path in there):
        raise UsageError(
            f"{option} {stem}: {there[0]} is there and was not written by {option}; choose another name, or move it "
            "away"
        )


def _is_saved(path: Path) -> bool:
    try:
        if path.suffix == ".md":
            return path.read_text(encoding="utf-8").startswith(PRODUCED)
        return path.suffix == ".json" and not {"command", "asked"}.isdisjoint(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return False
