"""Options that several commands share: how each is declared, and checks of them. UsageError names the option."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import UsageError

DEMO = "demo"
FRESH, MEMORY = "fresh", "memory"
FEATURES = (
    "Where features of a frozen encoder are kept: fresh (nowhere, computed again at each use), memory, or a folder "
    "that other processes share. Charged alike."
)

DatasetName = Annotated[
    str | None, typer.Option(help="NAME[:TASK] of `data list`, or your own file.py:Class; default demo.")
]
Slides = Annotated[
    Path | None, typer.Option(help="Your own: CSV with path,label[,patient,split,fold,mpp,annotation,site].")
]
Strategies = Annotated[str, typer.Option(help="Comma-separated; see `list strategies`; all.")]
PresetName = Annotated[str, typer.Option(help="demo, full or tiny: slides, seeds, epochs, what is tuned.")]
Seeds = Annotated[int | None, typer.Option(min=1, help="Training seeds 0..n-1; default from the preset.")]
Folds = Annotated[int, typer.Option(min=1, help="How many of 5 folds to run, where the data have no split.")]
Regime = Annotated[
    str | None, typer.Option(help="frozen (features kept, charged in full) or finetuned (encoder trained too).")
]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Out = Annotated[Path, typer.Option(help="Folder of the run directories; finished runs are used.")]
Data = Annotated[Path, typer.Option(help="Folder of the datasets.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only so many slides (to try things out).")]
Wait = Annotated[
    float | None, typer.Option(min=0, help="Minutes to wait for runs that other processes make; default no limit.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="KEY=VALUE or STRATEGY:KEY=VALUE, e.g. n_patches=8; repeatable; see `config`."),
]
AcceptFindings = Annotated[
    bool, typer.Option("--accept-findings", help="Train although the data have findings; they are recorded.")
]
Features = Annotated[str, typer.Option(help=FEATURES)]
AsJson = Annotated[bool, typer.Option("--json")]
Reference = Annotated[
    str | None, typer.Option(help="Strategy that others are set against; default: what reads everything.")
]
Margin = Annotated[float, typer.Option(help="Of non-inferiority, in accuracy.")]
Latest = Annotated[bool, typer.Option("--latest", help="Of each dataset only the newest data and split.")]
Group = Annotated[str | None, typer.Option(help="Only runs on this data or split: how its hash begins.")]
Wide = Annotated[bool, typer.Option("--wide", help="Every column of the table.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes; 0: as many as cores.")]


def at_most_one(given: dict[str, bool]) -> None:
    """Of options that each decide the form of the output, one."""
    if len(asked := [option for option, on in given.items() if on]) > 1:
        raise UsageError(f"{' and '.join(asked)} exclude each other; give one of them")


def in_range(option: str, value: float | None, low: float, high: float, what: str) -> None:
    """None or a number from `low` to `high`; not NaN."""
    if value is not None and not low <= value <= high:
        near = "" if math.isnan(value) else f"; nearest: {min(max(value, low), high):g}"
        raise UsageError(f"{option} {value:g}; allowed: {what}, from {low:g} to {high:g}{near}")


def named_folder(features: str) -> Path | None:
    """The folder that `--features` names; None where it names none."""
    return None if features in (FRESH, MEMORY) else Path(features)


def names(option: str, text: str) -> tuple[str, ...]:
    """The names of a comma-separated list, at least one."""
    if not (found := tuple(name.strip() for name in text.split(",") if name.strip())):
        raise UsageError(f"{option} {text!r} names nothing; give some of `jsma-bench list strategies`, comma-separated")
    return found


def choose(option: str, text: str, allowed: Collection[str]) -> tuple[str, ...]:
    """The names of a comma-separated list, at least one and each of them one of `allowed`."""
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found or set(found) - set(allowed):
        raise UsageError(f"{option} {text}; allowed: {', '.join(allowed)}, comma-separated")
    return found


def numbers(option: str, text: str) -> tuple[float, ...]:
    """The numbers of a comma-separated list, in brackets or not, as `--set` takes it; at least one."""
    try:
        found = tuple(float(part) for part in text.strip("[] ").split(","))
    except ValueError as error:
        raise UsageError(f"{option} {text!r}; allowed: numbers, comma-separated, such as 0.5,1,2") from error
    return found


def source(dataset: str | None, slides: Path | None) -> str:
    """The dataset that is meant: by name, or the demo where nothing is said; not beside slides of one's own."""
    if dataset is not None and slides is not None:
        raise UsageError(f"--dataset {dataset} and --slides {slides} exclude each other; give one of them")
    return dataset or DEMO
