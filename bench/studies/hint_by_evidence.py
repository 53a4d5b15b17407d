"""Where sampling wins: accuracy of JSMA minus exhaustive-all over hint x evidence share (`python -m
bench.studies.hint_by_evidence`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer

from bench.analysis.columns.column import format_interval
from bench.analysis.statistics.pairs import difference as paired
from bench.errors import UsageError
from bench.files import named
from bench.markup import write_markdown
from bench.progress import Quiet
from bench.report.provenance import make_stamp
from bench.runs.kept.environment import environment
from bench.runs.kept.finished import FinishedRun, load_runs
from bench.runs.plan import Request, execute

PAIR = ("jsma", "exhaustive-all")


def difference(runs: list[FinishedRun]) -> dict[str, Any]:
    """Accuracy of the first strategy of PAIR minus the second's, on the same slides and seeds, with its 95 % interval
    (`bench.analysis.statistics.pairs.difference`: a slide keeps its seeds together). UsageError where they share no
    slide.
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


def main(
    hints: Annotated[str, typer.Option()] = "0,0.4,0.8",
    shares: Annotated[str, typer.Option()] = "0.15,0.3,0.5",
    slides: Annotated[int, typer.Option()] = 160,
    seeds: Annotated[int, typer.Option()] = 2,
    config: Annotated[list[str] | None, typer.Option("--set", help="As in `jsma-bench run`.")] = None,
    data: Annotated[Path, typer.Option()] = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder of the run directories.")] = Path("runs/dials"),
    save: Annotated[Path, typer.Option(help="Stem of the table, its provenance and its picture.")] = Path("dials"),
) -> None:
    """Train JSMA and exhaustive-all for every pair of hint and evidence share."""
    table = []
    for hint in hints.split(","):
        for share in shares.split(","):
            chosen = (f"hint={hint}", f"evidence_share={share}", f"slides={slides}", *(config or ()))
            folder = out / f"h{hint}-e{share}"
            request = Request(strategies=PAIR, seeds=seeds, out=folder, data=data, assignments=chosen)
            execute(request, Quiet())
            table.append({"hint": float(hint), "evidence_share": float(share), **difference(load_runs(folder))})
            typer.echo("  ".join(f"{k} {'-' if v is None else f'{v:.3g}'}" for k, v in table[-1].items()))
    write(table, save, {"hints": hints, "shares": shares, "slides": slides, "seeds": seeds, "set": config or []})


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
    provenance = {"command": "jsma-bench study hint-by-evidence", "asked": asked, **environment()}
    named(stem, ".json").write_text(json.dumps(provenance, indent=1) + "\n")
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
