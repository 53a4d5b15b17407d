"""Do the intervals cover, and does A/A find winners? `python -m bench.statistics.simulation` prints the rates."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
import typer
from scipy.stats import binomtest

from bench.entry import command
from bench.statistics.pairs import cluster_interval, difference, holm


def wilson_coverage(trials: int, n: int = 60, seed: int = 0) -> float:
    """Share of Wilson 95 % intervals of n slides that hold the true accuracy, which is uniform in .5 to .95.

    (At one fixed accuracy the counts are so few that coverage jumps: .966 at .8 with 60 slides.)
    """
    rng = np.random.default_rng(seed)
    accuracy = rng.uniform(0.5, 0.95, trials)
    right = rng.binomial(n, accuracy)
    known = {k: binomtest(int(k), n).proportion_ci(method="wilson") for k in np.unique(right)}
    return float(np.mean([known[k].low <= a <= known[k].high for k, a in zip(right, accuracy, strict=True)]))


def cluster_coverage(trials: int, patients: int = 60, slides: int = 3, seed: int = 0) -> float:
    """Share of cluster-bootstrap intervals that hold the true mean: patients differ (beta), slides of one are alike."""
    rng = np.random.default_rng(seed)
    hits = 0
    for trial in range(trials):
        skill = rng.beta(6, 2, patients)
        right = rng.binomial(slides, skill).astype(float)
        low, high = cluster_interval(np.stack([right, np.full(patients, float(slides))], 1), seed=trial)
        hits += low <= 0.75 <= high
    return hits / trials


def predictions(right: np.ndarray) -> pd.DataFrame:
    """A table of predictions, one slide a row, right where told."""
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


def main(trials: Annotated[int, typer.Option(min=100)] = 4000) -> None:
    """Coverage, A/A and detection rates, each with its number of trials."""
    few = max(trials // 10, 100)
    typer.echo(f"coverage, Wilson, 60 slides: {wilson_coverage(trials):.3f} of {trials}")
    typer.echo(f"coverage, cluster bootstrap, 60 patients of 3 slides: {cluster_coverage(trials):.3f} of {trials}")
    typer.echo(f"A/A, winners after Holm, 4 strategies, 120 slides: {winners(few, 0.0):.3f} of {few}")
    typer.echo(f"planted -.25, found after Holm: {winners(few, -0.25):.3f} of {few}")


if __name__ == "__main__":
    command(main)
