"""Settings that check themselves: a frozen dataclass whose error is one line for whoever set it. No torch."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import field, is_dataclass
from functools import wraps
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, dataclass_transform, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

Count = Annotated[int, Field(ge=1, le=1_000_000)]
"""How many of something there are: at least 1."""
Units = Annotated[int, Field(ge=1, le=8192)]
"""Width of a layer."""
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1000)]
"""Of a term of the loss, or the size of a noise."""
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Mpp = Annotated[float, Field(ge=0.01, le=1000)]
"""Micrometres per pixel."""
Mpps = tuple[Mpp, ...]
"""Magnifications, fine to coarse: `in_order` says whether they are."""

Settings = TypeVar("Settings")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def checked(cls: type[Settings]) -> type[Settings]:
    """Class decorator: a frozen dataclass that holds its fields to their annotations, ranges included.

    ValueError of one line: the setting, what was got, what is allowed, the nearest value that is.
    """
    config = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")
    made: Any = dataclass(cls, frozen=True, config=config)  # pyright: ignore
    check = made.__init__

    @wraps(check)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            check(self, *args, **kwargs)
        except ValidationError as error:
            raise one_line(made, error) from None

    made.__init__ = init
    return made


def refused(name: str, got: Any, allowed: str, nearest: Any = None) -> ValueError:
    """The error of the setting called `name`."""
    near = "" if nearest is None else f"; nearest: {_text(nearest)}"
    return ValueError(f"{name} is {repr(got) if isinstance(got, str) else _text(got)}; allowed: {allowed}{near}")


def choice(name: str, got: str, allowed: Iterable[str]) -> None:
    """ValueError where `got` is none of the names `allowed`."""
    if got not in allowed:
        raise refused(name, got, ", ".join(allowed), _alike(got, allowed))


def in_order(mpps: tuple[float, ...]) -> None:
    """ValueError where the magnifications are none, one twice, or not fine to coarse."""
    if not mpps or list(mpps) != sorted(set(mpps)):
        raise refused("mpps", mpps, "one magnification or more, each once, fine to coarse", sorted(set(mpps)) or None)


def one_line(cls: type, error: ValidationError) -> ValueError:
    """What is wrong with the first setting that `error` names, of `cls` or of a settings class inside it."""
    first = error.errors()[0]
    if first["type"] == "value_error":  # of __post_init__, a line already
        return ValueError(str(first.get("ctx", {}).get("error", first["msg"])))
    if not first["loc"]:  # no value of JSON
        return ValueError(first["msg"])
    name, hint, rest = "", cls, list(first["loc"])
    while rest and isinstance(hint, type) and is_dataclass(hint):
        name, hints = str(rest.pop(0)), get_type_hints(hint, include_extras=True)
        if name not in hints:
            return ValueError(f"{hint.__name__} has no setting called {name!r}")
        hint = hints[name]
    if rest and get_origin(hint) is tuple:  # of one item
        name, hint = f"{name}, item {int(rest[0]) + 1},", get_args(hint)[0]
    allowed, nearest = _described(hint, first["input"])
    return refused(name, first["input"], allowed, nearest)


def _described(hint: Any, got: Any) -> tuple[str, Any]:
    """(what an annotation allows, in words; the nearest of it to `got`, or None)."""
    origin, low, high, step = get_origin(hint), -math.inf, math.inf, 0
    if origin in (Union, UnionType):
        parts = [part for part in get_args(hint) if part is not NoneType]
        words, nearest = _described(parts[0], got)
        return f"{words}, or null", nearest
    if origin is Literal:
        return ", ".join(map(_text, get_args(hint))), _alike(got, get_args(hint))
    if origin is tuple:
        words, nearest = _described(get_args(hint)[0], got)
        return f"a list, such as [{_text(got)}], of {words}", None if nearest is None else [nearest]
    if origin is Annotated:
        hint, *more = get_args(hint)
        for bound in (own for info in more for own in info.metadata):
            low, high = getattr(bound, "ge", low), getattr(bound, "le", high)
            step = getattr(bound, "multiple_of", step)
    if hint not in (int, float):
        return {bool: "true or false", str: "text"}.get(hint, getattr(hint, "__name__", str(hint))), None
    words = "a whole number" if hint is int else "a number"
    words += f" from {_text(low)} to {_text(high)}" if math.isfinite(high) else ""
    nearest = None
    if isinstance(got, int | float) and not isinstance(got, bool) and not math.isnan(got):
        inside = min(max(got, low), high)
        nearest = inside if hint is float else min(round(inside / step) * step, high) if step else round(inside)
    return words + (f" in steps of {step}" if step else ""), nearest


def _alike(got: Any, allowed: Iterable[str]) -> str | None:
    found = difflib.get_close_matches(str(got), [str(name) for name in allowed], 1, 0.0)
    return found[0] if found else None


def _text(value: Any) -> str:
    """A value as it is written after --set KEY=."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_text, value))}]"
    return f"{value:.7g}" if isinstance(value, float) else str(value)
