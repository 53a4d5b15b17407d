"""Whom a strategy is set against: what reads everything, and the search over magnifications, like with like.

Plain data: nothing here loads a strategy, nor torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.analysis.arms import Arm, beside

EVERYTHING = ("exhaustive-all", "exhaustive")
"""The reference of speed-ups and of differences: the first of these that was run; it reads the most magnifications."""
SEARCH = "search"
SAMPLER = ("estimator", "sampling", "n_patches")
"""Settings in which the search and a strategy that draws as it does must agree to be set beside each other."""


def everything_of(found: Sequence[Arm], dataset: str) -> str | None:
    """Name of the strategy that reads everything (of `EVERYTHING`) and was run on the dataset; None without one."""
    run = {arm.strategy for arm in found if arm.dataset == dataset}
    return next((name for name in EVERYTHING if name in run), None)


def searched(arm: Arm, found: Sequence[Arm]) -> Arm | None:
    """The search to set beside `arm`; None without one, or where it drew otherwise (`unlike`)."""
    other = beside(arm, SEARCH, found)
    return None if other is None or unlike(arm, other) else other


def unlike(arm: Arm, search: Arm) -> list[str]:
    """Of a strategy that draws patches from an attention map: the settings of `SAMPLER` in which it differs from the
    search, as `estimator: systematic, not des-raj`.
    """
    if not draws(arm):
        return []
    own, other = (one.runs[0].settings.get("strategy", {}).get("method", {}) for one in (arm, search))
    return [f"{key}: {own.get(key)}, not {other.get(key)}" for key in SAMPLER if own.get(key) != other.get(key)]


def draws(arm: Arm) -> bool:
    """Whether it says with which probability it drew each magnification: it has an attention map, as the search has."""
    rows: Any = arm.rows
    return "p_m0" in rows and bool(rows["p_m0"].notna().any())


def everything_lines(found: Sequence[Arm]) -> list[str]:
    """A line a dataset of several rows: over what its speed-ups, and its differences by default, are."""
    lines = []
    for dataset in dict.fromkeys(arm.dataset for arm in found):
        own = [arm for arm in found if arm.dataset == dataset]
        name = everything_of(own, dataset)
        if len(own) < 2:
            continue
        if name is None:
            lines.append(f"{dataset}: none of {', '.join(EVERYTHING)} was run: there are no speed-ups over everything")
            continue
        named = ", ".join(dict.fromkeys(arm.shown for arm in own if arm.strategy == name))
        least = "" if name == EVERYTHING[0] else f" ({EVERYTHING[0]} was not run: it reads one magnification)"
        lines.append(f"{dataset}: speed-ups over everything are over {named}{least}")
    return lines


def search_notes(found: Sequence[Arm]) -> list[str]:
    """A line for each row that is not set beside the search, which drew otherwise."""
    return [
        f"{arm.dataset}: {arm.name} has no train x {SEARCH}, for it drew otherwise than {SEARCH} ({'; '.join(why)})"
        for arm in found
        if (other := beside(arm, SEARCH, found)) is not None and (why := unlike(arm, other))
    ]
