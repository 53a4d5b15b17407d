"""Strategies by name: their classes, and whose tuned settings they take."""

from __future__ import annotations

from baselines import STRATEGIES
from baselines.contract import Strategy
from bench.errors import UsageError
from bench.plugin import own_class


def strategy_class(name: str, option: str = "--strategies") -> type[Strategy]:
    """The class called `name`, or `file.py:Class`, `module:Class`; UsageError that lists what exists.

    option: what the user gave the name to, for the error.
    """
    target = STRATEGIES.get(name, name)
    if ":" not in target:
        every = "; all of them: all" if option == "--strategies" else ""
        raise UsageError(f"unknown strategy {name!r}; there are: {', '.join(STRATEGIES)}{every}; yours: file.py:Class")
    found = own_class(target, Strategy, option)
    if not getattr(found, "name", "") or not getattr(found, "source", ""):
        raise UsageError(f"{option} {name}: give the class `name` and `source`; see baselines/contract.py")
    return found


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
