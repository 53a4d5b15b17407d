"""How well probes tell classes without tissue: accuracy, interval, and whether that is above chance."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bench.analysis.metrics import accuracy_interval


@dataclass(frozen=True)
class Shortcut:
    """One probe.

    Attributes:
        probe: Its name.
        slides: That it was tested on.
        clusters: Patients (or photos) of these slides.
        accuracy: 0..1.
        low: Lower end of the 95 % interval over clusters. None: there is one cluster.
        high: Upper end.
        chance: Share of the largest class.
    """

    probe: str
    slides: int
    clusters: int
    accuracy: float
    low: float | None
    high: float | None
    chance: float

    @property
    def above_chance(self) -> bool:
        """Whether the whole interval lies above the share of the largest class."""
        return self.low is not None and self.low > self.chance


def rate_shortcuts(answers: pd.DataFrame) -> list[Shortcut]:
    """One entry a probe.

    Args:
        answers: Rows with probe, slide, patient, label, predicted.
    """
    found = []
    for name, rows in answers.groupby("probe", sort=False):
        chance = float(rows["label"].value_counts(normalize=True).max())
        clusters = len(set(rows["patient"]))
        found.append(Shortcut(str(name), len(rows), clusters, *accuracy_interval(rows), chance))
    return found
