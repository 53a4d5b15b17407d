"""Strategies by name: their classes, and whose tuned settings they take."""

from __future__ import annotations

import re
from collections.abc import Sequence

from baselines import STRATEGIES
from baselines.contract import Strategy
from bench.errors import UsageError
from bench.own_code import own_class
from bench.runs.settings.request import unknown_strategy


def strategy_class(name: str, option: str = "--strategies") -> type[Strategy]:
    """The class called `name`, or `file.py:Class`, `module:Class`; UsageError that lists what exists.

    option: what the user gave the name to, for the error.
    """
    target = STRATEGIES.get(name, name)
    if ":" not in target:
        raise UsageError(unknown_strategy(name, option))
    found = own_class(target, Strategy, option)
    own = getattr(found, "name", "")
    if not own or not getattr(found, "source", ""):
        raise UsageError(f"{option} {name}: give the class `name` and `source`; see baselines/contract.py")
    if not isinstance(own, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", own):
        raise UsageError(f"{option} {name}: its `name` is {own!r}; allowed: letters, digits, dots, dashes, underscores")
    if name not in STRATEGIES and own in STRATEGIES and found is not strategy_class(own, option):
        raise UsageError(f"{option} {name}: this project has a strategy called {own!r}; give the class another `name`")
    return found


def one_of_each(names: Sequence[str]) -> None:
    """UsageError where two different classes of `names` are called the same: their runs could not be told apart."""
    called: dict[str, str] = {}
    for name in names:
        first = called.setdefault(strategy_class(name).name, name)
        if first != name:
            own = strategy_class(name).name
            raise UsageError(f"--strategies: {first} and {name} are both called {own!r}; give each a `name` of its own")


def lineage(name: str) -> list[str]:
    """`name`, then the strategy whose tuned settings it takes (`Strategy.tuned_as`), then that one's, and so on."""
    found = [name]
    while (last := strategy_class(found[-1]).tuned_as) is not None:
        if last in found or last not in STRATEGIES:
            raise UsageError(
                f"--strategies {name}: tuned_as is {last!r}; allowed: None or another of {', '.join(STRATEGIES)}"
            )
        found.append(last)
    return found
