"""The options of every study. Nothing is loaded before a study is run, so that `study NAME --help` answers at once.

Conventions: `--set KEY=VALUE` as in `jsma-bench run`; `--data` is the folder of slides; `--out` the folder of runs;
`--save` the stem of the files with the result. Exit codes are those of every command.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bench.options import AsJson, Data, DatasetName, Device, Limit, Out, PresetName, Set, Slides, names, source
from bench.progress import Bars, Quiet

Strategies = Annotated[str, typer.Option(help="Comma-separated.")]
DATA = Path("data")
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hint_by_evidence(
    hints: Annotated[str, typer.Option(help="Hints of the slides, comma-separated.")] = "0,0.4,0.8",
    shares: Annotated[str, typer.Option(help="Evidence shares of the slides, comma-separated.")] = "0.15,0.3,0.5",
    slides: Annotated[int, typer.Option(min=1, help="Slides of each pair.")] = 160,
    seeds: Annotated[int, typer.Option(min=1, help="Training seeds.")] = 2,
    config: Set = None,
    data: Data = DATA,
    out: Out = Path("runs/dials"),
    save: Annotated[Path, typer.Option(help="Stem of the table, its provenance and its picture.")] = Path("dials"),
) -> None:
    """Train JSMA and exhaustive-all for every pair of hint and evidence share."""
    from bench.options import numbers
    from bench.studies import hint_by_evidence as study

    for option, text in (("--hints", hints), ("--shares", shares)):  # both are checked before anything is trained
        numbers(option, text)
    table, assignments = [], (f"slides={slides}", *(config or ()))
    for row in study.compare(hints.split(","), shares.split(","), assignments, seeds, (out, data)):
        table.append(row)
        typer.echo("  ".join(f"{key} {'-' if value is None else f'{value:.3g}'}" for key, value in row.items()))
    study.write(table, save, {"hints": hints, "shares": shares, "slides": slides, "seeds": seeds, "set": config or []})


def tuning(
    strategies: Strategies = "jsma,exhaustive-all,random,exhaustive,fixed",
    grid: Annotated[list[str] | None, typer.Option(help="KEY=V1,V2,... in place of GRID; repeatable.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Training seeds a point.")] = 2,
    preset: PresetName = "full",
    data_seed: Annotated[int, typer.Option(help="Seed of the slides; not that of a published table.")] = 101,
    config: Set = None,
    data: Data = DATA,
    save: Annotated[Path, typer.Option(help="Stem of the table and the record.")] = Path("tuning"),
) -> None:
    """Try every strategy on its grid, on training and validation slides of another seed; written after each point."""
    from bench.runs.plan import Request
    from bench.studies import tuning as study

    request = Request(
        strategies=names("--strategies", strategies),
        preset=preset,
        seeds=seeds,
        out=save.parent,
        data=data,
        assignments=(f"seed={data_seed}", *(config or ())),
    )
    asked = {"grid": grid, "data_seed": data_seed, "set": config or []}
    for line in study.tune(request, grid, asked, save, Quiet()):
        typer.echo(line)


def slide_size(
    sides: Annotated[str, typer.Option(help="Sides in level-0 pixels, comma-separated.")] = "2048,8192,16384",
    strategies: Annotated[str, typer.Option(help="The last one is the reference.")] = "jsma,random,exhaustive",
    rounds: Annotated[str, typer.Option(help="One number, or one a side, comma-separated.")] = "3",
    data: Data = DATA,
    out: Annotated[Path | None, typer.Option(help="Also write a CSV and its environment here.")] = None,
) -> None:
    """Time inference on one generated slide of each size, strategies interleaved."""
    from bench.studies import slide_size as study

    for row in study.compare(sides, names("--strategies", strategies), rounds, data, out):
        typer.echo("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))


def linear_probe(
    dataset: DatasetName = None,
    slides: Slides = None,
    preset: PresetName = "demo",
    patches: Annotated[int, typer.Option(min=1, help="At most, a slide and magnification.")] = 32,
    device: Device = "cpu",
    out: Annotated[Path, typer.Option(help="Folder of the run directories; gets probe.json.")] = Path("runs"),
    data: Data = DATA,
    limit: Limit = None,
    config: Set = None,
) -> None:
    """Accuracy of a linear probe at each magnification, of the runs' encoder, scale and split."""
    name = source(dataset, slides)
    from bench.runs.plan import Request
    from bench.studies import linear_probe as study

    request = Request(
        dataset=name,
        slides=slides,
        strategies=(),
        preset=preset,
        seeds=1,
        device=device,
        out=out,
        data=data,
        limit=limit,
        assignments=tuple(config or ()),
    )
    with (bars := Bars()).progress:
        found = study.probe_and_save(request, bars, patches)
    typer.echo(study.markdown(found))
    cost = found["cost"]
    typer.echo(f"cost: {cost['patches']} patches, {cost['decoded_px'] / 1e6:.1f} Mpx decoded, {cost['seconds']:.1f} s")


def interval_coverage(trials: Annotated[int, typer.Option(min=100, help="A cell.")] = 2000) -> None:
    """Coverage of the intervals from 3 clusters on, then A/A and detection rates, each with its number of trials."""
    from bench.studies import interval_coverage as study

    typer.echo(study.coverage_table(trials))
    few = max(trials // 5, 100)
    typer.echo(f"\nA/A, winners after Holm, 4 strategies, 120 slides: {study.winners(few, 0.0):.3f} of {few}")
    typer.echo(f"planted -.25, found after Holm: {study.winners(few, -0.25):.3f} of {few}")


def estimator_bias(
    to: Annotated[Path | None, typer.Argument(help="File to write; printed without one.")] = None,
) -> None:
    """Bias and spread of every estimator, by exact enumeration."""
    from bench.studies import estimator_bias as study

    if to is None:
        print(study.page(), end="")
    else:
        study.write_page(to)


def made_up_runs(
    runs: Annotated[int, typer.Option(min=1, help="How many run directories.")],
    to: Annotated[Path, typer.Option(help="Folder to write them to.")],
) -> None:
    """Write made-up runs, to time `jsma-bench compare DIR` and `jsma-bench report DIR --to FOLDER`."""
    from bench.studies import made_up_runs as study

    study.write(runs, to)
    typer.echo(f"wrote {runs} made-up runs to {to}")


def reading(
    slide: Annotated[str | None, typer.Option(help="A tiled JPEG pyramid; without it one is generated.")] = None,
    side: Annotated[int, typer.Option(help="Side of the generated slide in pixels.")] = 20480,
    folder: Annotated[Path | None, typer.Option(help="Keep the generated slide here, and use it again.")] = None,
    patches: Annotated[int, typer.Option(min=1, help="Patches of 256 px.")] = 2000,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds in each process.")] = 3,
    processes: Annotated[int, typer.Option(min=1, help="Fresh processes, one after the other.")] = 5,
    threads: Annotated[int, typer.Option(min=1, help="Decoding threads.")] = CORES,
    seed: Annotated[int, typer.Option(help="Of the places of the patches.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Reading measured against its floor and its rivals."""
    import json

    from bench.studies.reading import measure as study

    found = study.compare(study.Amount(patches, rounds, threads, seed), slide, side, folder, processes)
    print(json.dumps(found, indent=1)) if as_json else study.show(found)
