"""A user's own class, given as `file.py:Class` or `module:Class`."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from bench.errors import UsageError
from bench.imports import files_of

OURS = frozenset({"jsma", "baselines", "bench"})

Base = TypeVar("Base")


def own_class(target: str, base: type[Base], option: str) -> type[Base]:
    """The subclass of `base` that `target` names; UsageError that names `option` and what the file has."""
    where, _, cls = target.rpartition(":")
    module = _loaded(where, f"{option} {target}")
    found = getattr(module, cls, None)
    if not (inspect.isclass(found) and issubclass(found, base)):
        there = [n for n, v in vars(module).items() if inspect.isclass(v) and issubclass(v, base) and v is not base]
        raise UsageError(f"{option} {target}: no {base.__name__} of that name; there is: {', '.join(there) or 'none'}")
    return found


def source_of(cls: type) -> str:
    """The text of the file that defines `cls`, then names and texts of those that it imports from beside it.

    "" where there is none (a compiled module). This project's own code is left out: `bench.code` tells of that.
    """
    file = getattr(sys.modules[cls.__module__], "__file__", None)
    if file is None or not file.endswith(".py"):
        return ""
    start, *others = files_of(Path(file), OURS)
    return "".join(
        [start.read_text(encoding="utf-8"), *(f"\0{o.name}\0{o.read_text(encoding='utf-8')}" for o in others)]
    )


def _loaded(where: str, what: str) -> ModuleType:
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
