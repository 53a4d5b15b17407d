"""Fields of nested settings by name: found by their dotted or short key, read from text, and replaced with a check."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from jsma.checked import one_line

Path = tuple[str, ...]
"""Names of a field from the outermost settings inwards, such as ("train", "learning_rate")."""
Settings = TypeVar("Settings")


@cache
def leaves(cls: type) -> dict[Path, Any]:
    """Path and annotation of every field of a settings class and of the classes inside it."""
    found: dict[Path, Any] = {}
    hints = get_type_hints(cls, include_extras=True)
    for field in fields(cls):
        hint = hints[field.name]
        inner = leaves(hint) if is_dataclass(hint) and isinstance(hint, type) else {(): hint}
        found.update({(field.name, *path): own for path, own in inner.items()})
    return found


def find(key: str, known: Iterable[Path]) -> list[Path]:
    """The paths that end in the dotted names of `key`. One that `key` names from its beginning goes before others."""
    parts = tuple(key.split("."))
    found = [path for path in known if path[-len(parts) :] == parts]
    return [path for path in found if path == parts] or found


def find_one(key: str, known: Iterable[Path]) -> Path:
    """The one path that `key` names.

    Raises:
        ValueError: None or several are called so. The line names what is near, or all that are meant.
    """
    known = list(known)
    found = find(key, known)
    if not found:
        raise ValueError(f"no setting called {key!r}{nearest(key, known)}; `jsma-bench config` shows all")
    if len(found) > 1:
        raise ValueError(f"{key!r} is each of {' and '.join(map(dotted, found))}; give one of them in full")
    return found[0]


def nearest(key: str, known: Iterable[Path]) -> str:
    """The end of a line: names that are like `key`, or nothing."""
    parts = key.count(".") + 1
    names = {dotted(path[-parts:]) for path in known}
    found = difflib.get_close_matches(key, sorted(names), 3, 0.6)
    return f"; nearest: {', '.join(found)}" if found else ""


def dotted(path: Path) -> str:
    """A path as a user writes it."""
    return ".".join(path)


def short(path: Path, known: Iterable[Path]) -> str:
    """The last name of a path where no other path of `known` ends in it, else the whole path."""
    return path[-1] if len(find(path[-1], known)) == 1 else dotted(path)


def read_value(text: str, hint: Any) -> Any:
    """The value that a text stands for: JSON, a number without its 0 (.01), or else the text itself.

    The text stays as it is where a name is wanted.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        if not re.fullmatch(r"[-+]?(\d+\.?|\.\d)\d*(e[-+]?\d+)?", text, re.IGNORECASE):
            return text
        value = float(text)
    named = hint is str or str in get_args(hint)
    return text if named and value is not None and not isinstance(value, str) else value


def value_at(settings: Any, path: Path) -> Any:
    """The value of the field at `path`."""
    for name in path:
        settings = getattr(settings, name)
    return settings


def merge(settings: Settings, values: Mapping[Path, Any]) -> Settings:
    """`settings` with other values at some paths, checked where the fields are declared.

    Raises:
        ValueError: One line with what was got, what is allowed and what is near.
    """
    plain = asdict(settings)  # pyright: ignore[reportArgumentType]
    for path, value in values.items():
        part = plain
        for name in path[:-1]:
            part = part[name]
        part[path[-1]] = value
    try:
        return _adapter(type(settings)).validate_json(json.dumps(plain))
    except ValidationError as error:
        raise one_line(type(settings), error) from None


@cache
def _adapter(cls: type) -> TypeAdapter[Any]:
    return TypeAdapter(cls)
