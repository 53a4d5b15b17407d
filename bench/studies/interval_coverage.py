"""Do the intervals cover the truth, and does a comparison of equals find winners?

Every cell draws slides anew many times. It asks the intervals of `bench.analysis.statistics.intervals`, which is the
code that `compare` runs, whether they hold the truth. A prediction is right where a normal variable lies below a
threshold. The variable is the sum of a patient's, a slide's and a training's own part. Two strategies share a part of
it: what is hard to one is hard to the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from scipy.stats import norm

from bench.analysis.statistics.intervals import difference_bounds, share_bounds
from bench.analysis.statistics.pairs import difference, holm
from bench.markup import write_markdown

CLUSTERS = (3, 5, 10, 20, 30, 240)
ACCURACIES = (0.5, 0.9, 0.97, 1.0)
PAIRS = ((0.5, 0.5), (0.9, 0.9), (0.97, 0.97), (1.0, 1.0), (0.5, 0.9), (0.9, 0.97), (0.9, 1.0))
ALIKE = ((0.0, 0.0), (0.3, 0.3), (0.6, 0.3))
"""(patient, slide): shares of the variance that slides of a patient, and seeds of a slide, have in common."""
SHARED = (0.0, 0.9)
"""Share of the patient's and the slide's part that two strategies have in common."""


@dataclass(frozen=True)
class Cell:
    """One situation that is simulated.

    Attributes:
        clusters: number of patients.
        size: slides of each; 1: slides alone.
        seeds: trainings that predict each slide.
        alike: shares of the variance of the patient and of the slide.
        shared: share of these that two strategies have in common.
    """

    clusters: int
    size: int = 1
    seeds: int = 1
    alike: tuple[float, float] = (0.3, 0.3)
    shared: float = 0.9


@dataclass(frozen=True)
class Rate:
    """What the intervals of a cell did.

    Attributes:
        coverage: share of the intervals that hold the truth, 0..1.
        width: their mean width.
        trials: their number.
    """

    coverage: float
    width: float
    trials: int


def draw_right(cell: Cell, accuracies: tuple[float, ...], trials: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Mean right over the seeds of each slide [trials, clusters, size], of strategies with these true accuracies."""
    patient, slide = cell.alike
    shape = (trials, cell.clusters, cell.size, cell.seeds)
    sizes = ((*shape[:2], 1, 1), (*shape[:3], 1))
    common = [rng.standard_normal(size) for size in sizes]
    found = []
    for accuracy in accuracies:
        own = [rng.standard_normal(size) for size in sizes]
        parts = [cell.shared**0.5 * c + (1 - cell.shared) ** 0.5 * o for c, o in zip(common, own, strict=True)]
        noise = rng.standard_normal(shape)
        score = patient**0.5 * parts[0] + slide**0.5 * parts[1] + (1 - patient - slide) ** 0.5 * noise
        found.append((score < norm.ppf(accuracy)).mean(3))
    return found


def accuracy_rate(cell: Cell, accuracy: float, trials: int, seed: int = 0) -> Rate:
    """Coverage of the interval of one strategy's accuracy."""
    (values,) = draw_right(cell, (accuracy,), trials, np.random.default_rng(seed))
    low, high = share_bounds(values.sum(2), np.full(values.shape[:2], float(cell.size)))
    return _rate(low, high, accuracy)


def difference_rate(cell: Cell, accuracies: tuple[float, float], trials: int, seed: int = 0) -> Rate:
    """Coverage of the interval of the paired difference of two strategies' accuracies."""
    own, other = draw_right(cell, accuracies, trials, np.random.default_rng(seed))
    gap, counts = own - other, np.full(own.shape[:2], float(cell.size))
    low, high = difference_bounds(gap.clip(min=0).sum(2), (-gap).clip(min=0).sum(2), counts)
    return _rate(low, high, accuracies[0] - accuracies[1])


def _rate(low: np.ndarray, high: np.ndarray, truth: float) -> Rate:
    holds = (low <= truth + 1e-9) & (truth - 1e-9 <= high)
    return Rate(float(holds.mean()), float((high - low).mean()), len(low))


def predictions(right: np.ndarray) -> pd.DataFrame:
    """A table of predictions, one slide a row; `right` [slides] says which are right."""
    n = len(right)
    return pd.DataFrame(
        {"slide": [f"s{i}" for i in range(n)], "patient": None, "label": "a", "predicted": np.where(right, "a", "b")}
    )


def winners(trials: int, gap: float, strategies: int = 4, slides: int = 120, seed: int = 0) -> float:
    """Share of comparisons in which Holm over all pairs with the first strategy finds one at 5 %.

    gap: true accuracy of the others minus the first's (0: A/A, a winner is a false alarm). Slides differ in difficulty,
    which strategies share.
    """
    rng = np.random.default_rng(seed)
    found = 0
    for _ in range(trials):
        difficulty = rng.beta(8, 2, slides)
        tables = [
            predictions(rng.random(slides) < np.clip(difficulty + (gap if k else 0.0), 0, 1)) for k in range(strategies)
        ]
        pairs = [difference(table, tables[0]) for table in tables[1:]]
        found += min(holm([p.mcnemar_p for p in pairs if p is not None])) < 0.05
    return found / trials


def coverage_table(trials: int) -> str:
    """Markdown: a line a number of clusters, size and seeds; lowest coverage over ALIKE (and SHARED), mean width."""
    singles, pairs = [f"accuracy {a:g}" for a in ACCURACIES], [f"{a:g} - {b:g}" for a, b in PAIRS]
    headings, lines = ["patients", "slides each", "seeds", *singles, *pairs], []
    for clusters, size, seeds in product(CLUSTERS, (1, 3), (1, 5)):
        single = [
            [accuracy_rate(Cell(clusters, size, seeds, alike), a, trials, k) for k, alike in enumerate(ALIKE)]
            for a in ACCURACIES
        ]
        paired = [
            [
                difference_rate(Cell(clusters, size, seeds, alike, shared), pair, trials, k)
                for k, (alike, shared) in enumerate(product(ALIKE, SHARED))
            ]
            for pair in PAIRS
        ]
        cells = [
            f"{min(rate.coverage for rate in rates):.3f} ({np.mean([rate.width for rate in rates]):.2f})"
            for rates in [*single, *paired]
        ]
        lines.append([str(clusters), str(size), str(seeds), *cells])
    return write_markdown(headings, lines, range(len(headings)))
