"""One KEY=VALUE as a user gives it, on the command line or in a file. It is read before torch is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from baselines import STRATEGIES
from bench.errors import UsageError


@dataclass(frozen=True)
class Assignment:
    """One KEY=VALUE.

    Attributes:
        strategy: Whom it is for, or "" for all.
        key: Dotted names of the setting, or the last of them.
        value: JSON, or text that is no JSON.
        where: How an error begins.
        in_file: Whether it stands in a file, which the command line goes before.
    """

    strategy: str
    key: str
    value: str
    where: str
    in_file: bool = False

    @classmethod
    def parse(cls, text: str) -> Assignment:
        """KEY=VALUE or STRATEGY:KEY=VALUE, as `--set` takes it; UsageError where it is neither."""
        left, equals, value = text.partition("=")
        strategy, _, key = (part.strip() for part in left.rpartition(":"))
        if not equals or not key:
            raise UsageError(f"--set {text}: write KEY=VALUE, such as n_patches=8, or STRATEGY:KEY=VALUE")
        return cls(strategy, key, value.strip(), f"--set {text}")

    def fail(self, error: ValueError | str) -> UsageError:
        """The error of this assignment."""
        return UsageError(f"{self.where}: {error}")


def from_mapping(nested: Mapping[Any, Any], where: str) -> list[Assignment]:
    """The assignments of a nested mapping, such as {"train": {"epochs": 3}, "jsma": {"n_patches": 8}}.

    Args:
        nested: Settings below their names, and below the name of a strategy those that are for it alone.
        where: How errors begin, such as "--config run.yaml: set".
    """
    found = []
    for first, value in nested.items():
        name = str(first)
        if isinstance(value, Mapping) and (name in STRATEGIES or ":" in name):
            found += [Assignment(name, key, text, f"{where}.{name}.{key}", True) for key, text in _flatten(value)]
            continue
        for key, text in _flatten({name: value}):
            strategy, _, own = key.rpartition(":")
            found.append(Assignment(strategy, own, text, f"{where}.{key}", True))
    return found


def _flatten(nested: Mapping[Any, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """(dotted key, value as text) of every leaf."""
    for name, value in nested.items():
        key = f"{above}{name}"
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{key}.")
        else:
            yield key, value if isinstance(value, str) else json.dumps(value, default=str)
