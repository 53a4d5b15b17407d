"""Which files beside it a Python file is made of, by its import statements: nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def files_of(start: Path, without: frozenset[str] = frozenset()) -> list[Path]:
    """`start` and every file that it imports from its own package, directly or not; sorted, `start` first.

    For a file that is in no package: from its folder. without: top-level names that are not followed. What is imported
    by a name made at run time is not found.
    """
    start = start.resolve()
    top, todo, seen = _top(start), [start], set[Path]()
    alone = start.parent.name in ("site-packages", "dist-packages")  # beside it lies everything
    package = start.relative_to(top).parts[0] if start.parent != top or alone else None
    while todo:
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        for base, name in _imports(file, top):
            first = name.split(".")[0]
            if base != top or (first not in without and package in (None, first)):
                todo += _found(base, name)
    return [start, *sorted(seen - {start})]


def _top(file: Path) -> Path:
    """The folder from which `file` is imported: its own, or that which holds its outermost package."""
    folder = file.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def _imports(file: Path, top: Path) -> Iterator[tuple[Path, str]]:
    """(folder, dotted name) of whatever the file may import; names of a `from` import may be modules."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):  # no Python, no text: whoever imports it is told
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((top, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level <= len(file.parents):
            base = top if not node.level else file.parents[node.level - 1]
            stem = f"{node.module}." if node.module else ""
            yield from ((base, stem + alias.name) for alias in node.names)


def _found(base: Path, name: str) -> Iterator[Path]:
    """Files of a dotted name below `base`, those of the packages around it among them."""
    place = base
    for part in name.split("."):
        place = place / part
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                yield file
