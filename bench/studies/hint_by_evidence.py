"""Where sampling wins: accuracy of JSMA minus exhaustive-all, over hint and evidence share of the slides."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.columns.column import format_interval
from bench.analysis.statistics.pairs import difference as paired
from bench.errors import UsageError
from bench.files import named
from bench.markup import write_markdown
from bench.progress import Quiet
from bench.report.provenance import make_stamp
from bench.runs.kept.environment import environment
from bench.runs.kept.finished import FinishedRun, load_runs
from bench.runs.layout import Provenance
from bench.runs.plan import Request, execute

PAIR = ("jsma", "exhaustive-all")


def difference(runs: list[FinishedRun]) -> dict[str, Any]:
    """Accuracy of the first strategy of PAIR minus the second's, on the same slides and seeds, with its 95 % interval.

    Raises:
        UsageError: they share no slide.
    """
    rows = {name: pd.concat([r.predictions for r in runs if r.strategy == name]) for name in PAIR}
    found = paired(rows[PAIR[0]], rows[PAIR[1]])
    if found is None:
        raise UsageError(f"{' and '.join(PAIR)} share no test slide; run both on the same data")
    return {
        **{name: float(np.mean(own["label"].to_numpy() == own["predicted"].to_numpy())) for name, own in rows.items()},
        "difference": found.value,
        "low": found.low,
        "high": found.high,
        "slides": found.clusters,
    }


def compare(
    hints: Sequence[str], shares: Sequence[str], assignments: Sequence[str], seeds: int, places: tuple[Path, Path]
) -> Iterator[dict[str, Any]]:
    """Train both strategies for every pair of hint and evidence share.

    Args:
        hints: hints of the slides in 0..1, as text.
        shares: evidence shares of the slides in 0..1, as text.
        assignments: KEY=VALUE for all runs.
        seeds: training seeds of each pair.
        places: folder of the run directories, folder of the slides.

    Returns:
        A row a pair: hint, evidence_share, and what `difference` says.
    """
    out, data = places
    for hint, share in itertools.product(hints, shares):
        chosen = (f"hint={hint}", f"evidence_share={share}", *assignments)
        folder = out / f"h{hint}-e{share}"
        execute(Request(strategies=PAIR, seeds=seeds, out=folder, data=data, assignments=chosen), Quiet())
        yield {"hint": float(hint), "evidence_share": float(share), **difference(load_runs(folder))}


def write(table: list[dict[str, Any]], stem: Path, asked: dict[str, Any]) -> None:
    """Write stem.csv, stem.md, stem.json and stem.png (a heat map of the difference)."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(table)
    frame.to_csv(named(stem, ".csv"), index=False, float_format="%.4f")
    lines = [
        [
            *(f"{row[key]:g}" for key in ("hint", "evidence_share")),
            *(f"{row[name]:.3f}" for name in PAIR),
            f"{row['difference']:+.3f} ({format_interval(row['low'], row['high'], '+.3f')})",
        ]
        for row in table
    ]
    text = write_markdown(["hint", "evidence share", *PAIR, "difference (95 % interval)"], lines, range(5))
    named(stem, ".md").write_text(text + "\n")
    about = Provenance(
        kind="study",
        command="jsma-bench study hint-by-evidence",
        environments=[environment()],
        details={"asked": asked},
    )
    named(stem, ".json").write_text(about.as_json())
    picture(frame, asked["seeds"], named(stem, ".png"), make_stamp(named(stem, ".csv")))


def picture(frame: pd.DataFrame, seeds: int, png: Path, metadata: dict[str, str]) -> None:
    """Heat map of the difference over hint and evidence share."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    grid = frame.pivot(index="hint", columns="evidence_share", values="difference").sort_index(ascending=False)
    figure, axis = plt.subplots(figsize=(5.4, 4), layout="constrained")
    sns.heatmap(grid, annot=True, fmt="+.2f", cmap="vlag", center=0, ax=axis, cbar_kws={"label": "accuracy difference"})
    axis.set_title(f"jsma minus exhaustive-all, {frame['slides'].iloc[0]} test slides, {seeds} seeds")
    axis.set_xlabel("evidence share of the sites")
    axis.set_ylabel("hint")
    figure.savefig(png, dpi=110, metadata=metadata)
    plt.close(figure)
