"""Whom a strategy is set against: what reads everything, and the search over magnifications, like with like.

Plain data: nothing here loads a strategy, nor torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.analysis.entries import Entry, find_beside
from bench.runs.layout import magnification_column

EVERYTHING = ("exhaustive-all", "exhaustive")
"""The reference of speed-ups and of differences: the first of these that was run; it reads the most magnifications."""
SEARCH = "search"
SAMPLER = ("estimator", "sampling", "n_patches")
"""Settings in which the search and a strategy that draws as it does must agree to be set beside each other."""


def choose_everything(found: Sequence[Entry], dataset: str) -> str | None:
    """Name of the strategy that reads everything (of `EVERYTHING`) and was run on the dataset; None without one."""
    run = {entry.strategy for entry in found if entry.dataset == dataset}
    return next((name for name in EVERYTHING if name in run), None)


def find_search(entry: Entry, found: Sequence[Entry]) -> Entry | None:
    """The search to set beside `entry`; None without one, or where it drew otherwise (`compare_samplers`)."""
    other = find_beside(entry, SEARCH, found)
    return None if other is None or compare_samplers(entry, other) else other


def compare_samplers(entry: Entry, search: Entry) -> list[str]:
    """The settings of `SAMPLER` in which an entry differs from the search, as `estimator: systematic, not des-raj`.

    Empty for a strategy that draws no patches from an attention map.
    """
    if not has_attention(entry):
        return []
    own, other = (one.runs[0].settings.get("strategy", {}).get("method", {}) for one in (entry, search))
    return [f"{key}: {own.get(key)}, not {other.get(key)}" for key in SAMPLER if own.get(key) != other.get(key)]


def has_attention(entry: Entry) -> bool:
    """Whether it says with which probability it drew each magnification: it has an attention map, as the search has."""
    rows: Any = entry.rows
    finest = magnification_column(0)
    return finest in rows and bool(rows[finest].notna().any())


def describe_everything(found: Sequence[Entry]) -> list[str]:
    """A line a dataset of several rows: over what its speed-ups, and its differences by default, are."""
    lines = []
    for dataset in dict.fromkeys(entry.dataset for entry in found):
        own = [entry for entry in found if entry.dataset == dataset]
        name = choose_everything(own, dataset)
        if len(own) < 2:
            continue
        if name is None:
            lines.append(f"{dataset}: none of {', '.join(EVERYTHING)} was run: there are no speed-ups over everything")
            continue
        named = ", ".join(dict.fromkeys(entry.shown for entry in own if entry.strategy == name))
        least = "" if name == EVERYTHING[0] else f" ({EVERYTHING[0]} was not run: it reads one magnification)"
        lines.append(f"{dataset}: speed-ups over everything are over {named}{least}")
    return lines


def describe_search(found: Sequence[Entry]) -> list[str]:
    """A line for each row that is not set beside the search, which drew otherwise."""
    return [
        f"{entry.dataset}: {entry.name} has no train x {SEARCH}, for it drew otherwise than {SEARCH} ({'; '.join(why)})"
        for entry in found
        if (other := find_beside(entry, SEARCH, found)) is not None and (why := compare_samplers(entry, other))
    ]
