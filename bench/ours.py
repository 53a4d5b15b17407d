"""A command overwrites only what it made itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bench.errors import UsageError

PRODUCED = "Produced by `"  # how the Markdown that `--save` writes begins


def check_saved(files: Sequence[Path], stem: Path) -> None:
    """Refuse to overwrite files that an earlier `--save` did not write; its Markdown and its JSON tell.

    Args:
        files: what is about to be written.
        stem: the value of `--save`.

    Raises:
        UsageError: one of the files is there, and was not written by `--save`.
    """
    there = [path for path in files if path.exists()]
    if there and not any(_is_saved(path) for path in there):
        raise UsageError(
            f"--save {stem}: {there[0]} is there and was not written by --save; choose another name, or move it away"
        )


def _is_saved(path: Path) -> bool:
    try:
        if path.suffix == ".md":
            return path.read_text(encoding="utf-8").startswith(PRODUCED)
        return path.suffix == ".json" and "command" in json.loads(path.read_bytes())
    except (OSError, ValueError, TypeError):
        return False
