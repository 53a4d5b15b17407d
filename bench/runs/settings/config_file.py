"""A run written down: the options of the command line as YAML, with the settings below `set`."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.runs.settings.assignment import Assignment, from_mapping

SET = "set"


def read_options(path: Path, allowed: Collection[str]) -> dict[str, Any]:
    """The options in a file, by name, without `set` and without those that are null.

    Args:
        path: YAML whose keys are names of options, with dashes or underscores.
        allowed: Names of the options that the command has, with dashes.

    Raises:
        UsageError: The file is no such YAML, or names an option that is none.
    """
    found = {}
    for key, value in _read(path).items():
        name = str(key).replace("_", "-")
        if name == SET or value is None:
            continue
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, 1, 0.0)
            raise UsageError(
                f"--config {path}: unknown key {str(key)!r}; nearest: {''.join(near)}; allowed: "
                f"{', '.join(sorted([*allowed, SET]))}"
            )
        if isinstance(value, dict):
            raise UsageError(f"--config {path}: {key} is a mapping; give a value, and settings below {SET}")
        found[name] = ",".join(map(str, value)) if isinstance(value, list) else value
    return found


def read_assignments(path: Path | None) -> list[Assignment]:
    """What a file sets; nothing where there is no file."""
    given = {} if path is None else _read(path).get(SET) or {}
    if not isinstance(given, dict):
        raise UsageError(f"--config {path}: {SET} is {given!r}; allowed: KEY: VALUE, below each other or nested")
    return from_mapping(given, f"--config {path}: {SET}")


def _read(path: Path) -> dict[Any, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path}: cannot be read ({error.strerror}); give a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"--config {path}: no YAML: {' '.join(str(error).split())}") from error
    if found is not None and not isinstance(found, dict):
        raise UsageError(f"--config {path}: holds no KEY: VALUE; `jsma-bench config` prints what it may hold")
    return found or {}


def write_yaml(content: dict[str, Any]) -> str:
    """`content` as YAML, in its order."""
    import yaml

    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
