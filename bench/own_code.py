"""A user's own class, given as `file.py:Class` or `module:Class`."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from bench.errors import UsageError

OURS = frozenset({"jsma", "baselines", "bench"})

Base = TypeVar("Base")


def own_class(target: str, base: type[Base], option: str) -> type[Base]:
    """Load a user's own class.

    Args:
        target: `file.py:Class` or `module:Class`.
        base: what it must be a subclass of.
        option: the option that named it, for errors.

    Raises:
        UsageError: there is no such class, or its file cannot be imported.
    """
    where, _, cls = target.rpartition(":")
    module = _load(where, f"{option} {target}")
    found = getattr(module, cls, None)
    if not (inspect.isclass(found) and issubclass(found, base)):
        there = [n for n, v in vars(module).items() if inspect.isclass(v) and issubclass(v, base) and v is not base]
        raise UsageError(f"{option} {target}: no {base.__name__} of that name; there is: {', '.join(there) or 'none'}")
    return found


def source_of(cls: type) -> str:
    """The text of the file that defines `cls`, then names and texts of the files that it imports from beside it.

    It is "" for a compiled module. This project's own code is left out, because `bench.runs.kept.code_digest` covers
    that.
    """
    file = getattr(sys.modules[cls.__module__], "__file__", None)
    if file is None or not file.endswith(".py"):
        return ""
    start, *others = files_of(Path(file), OURS)
    return "".join(
        [start.read_text(encoding="utf-8"), *(f"\0{o.name}\0{o.read_text(encoding='utf-8')}" for o in others)]
    )


def _load(where: str, what: str) -> ModuleType:
    try:
        if not where.endswith(".py"):
            return importlib.import_module(where)
        path = Path(where)
        if not path.is_file():
            raise UsageError(f"{what}: no such file; give file.py:Class")
        name = f"own_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        if (folder := str(path.resolve().parent)) not in sys.path:
            sys.path.append(folder)  # modules beside it; last, so that none of theirs hides an installed one
        sys.modules[name] = module  # dataclasses, pickle and inspect look a class's module up there
        spec.loader.exec_module(module)
        return module
    except (UsageError, KeyboardInterrupt):
        raise
    except BaseException as error:  # whatever a user's file raises, sys.exit too, is the user's to mend
        words = " ".join(str(error).split())
        raise UsageError(f"{what}: cannot be imported ({type(error).__name__}: {words})") from error


def files_of(start: Path, without: frozenset[str] = frozenset()) -> list[Path]:
    """A file, and every file that it imports from its own package, directly or not.

    Args:
        start: the file. If it is in no package, files in its folder count.
        without: top-level names that are not followed.

    Returns:
        `start`, then the others in order of their names. What is imported by a name that is made at run time is not
        found.
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
    except (SyntaxError, ValueError):  # no Python or no text; importing it says so
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
