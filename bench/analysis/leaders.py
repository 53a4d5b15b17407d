"""Who has the highest accuracy, and who is not told apart from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.analysis.entries import Entry
from bench.analysis.statistics.pairs import SAME_ACCURACY, difference


@dataclass(frozen=True)
class Leader:
    """Who has the highest accuracy on one dataset.

    Attributes:
        dataset: Name of the dataset.
        names: The rows of highest accuracy, several where they are equal.
        accuracy: Theirs, 0..1.
        near: Other rows that are not told apart from the first: their paired difference has an interval that holds
            0, or none.
    """

    dataset: str
    names: tuple[str, ...]
    accuracy: float
    near: tuple[str, ...]

    @property
    def said(self) -> str:
        """Of these rows, in words: what follows their names."""
        has = "has" if len(self.names) == 1 else "tie, equal: they have"
        near = (
            f"; not told apart from {self.names[0]} by the 95 % interval: {', '.join(self.near)}" if self.near else ""
        )
        return f"{has} the highest accuracy, {self.accuracy:.3f}{near}"

    def __str__(self) -> str:
        return f"{self.dataset}: {', '.join(self.names)} {self.said}"


def leaders(found: Sequence[Entry], rows: Sequence[dict[str, Any]]) -> list[Leader]:
    """One a dataset of several rows. rows: those of `bench.analysis.rows` of the same entries, in their order."""
    methods = {row["dataset"] for row in rows if not row.get("uses_evidence")}
    by_dataset: dict[str, list[tuple[Entry, float]]] = {}
    for entry, row in zip(found, rows, strict=True):
        if row.get("uses_evidence") and entry.dataset in methods:
            continue  # a control that is handed what the label was given for leads nothing
        by_dataset.setdefault(entry.dataset, []).append((entry, row["accuracy"]))
    return [_leader(name, own) for name, own in by_dataset.items() if len(own) > 1]


def _leader(dataset: str, own: list[tuple[Entry, float]]) -> Leader:
    most = max(accuracy for _, accuracy in own)
    first = [entry for entry, accuracy in own if most - accuracy < SAME_ACCURACY]
    others = [entry for entry, _ in own if entry not in first]
    near = [entry.shown for entry in others if _near(entry, first[0])]
    return Leader(dataset, tuple(entry.shown for entry in first), most, tuple(near))


def _near(entry: Entry, best: Entry) -> bool:
    gap = difference(entry.rows, best.rows)
    return gap is None or gap.high is None or gap.high >= 0
