"""What a user asks for when runs are wanted. Plain data: it is made and checked before torch is loaded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from baselines import DEFAULT, STRATEGIES
from bench.errors import UsageError
from bench.options import DEMO, MEMORY, in_range
from bench.runs.settings.assignment import Assignment
from bench.runs.settings.presets import PRESETS, Preset

ALL = "all"
"""In place of names: every strategy of this project that the dataset allows."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One `jsma-bench run`, as asked. Every field is named when a request is made.

    Attributes:
        dataset: Name of a dataset, NAME:TASK, or `file.py:Class`. It is not looked at where `slides` is given.
        slides: CSV of the user's own slides, or None.
        strategies: Names, `file.py:Class`, or "all".
        preset: One of `PRESETS`.
        seeds: Number of training seeds, 1 to 1000. None: as many as the preset has.
        folds: How many of 5 folds to run, where the data have no split.
        device: "cpu", "cuda" or "cuda:N".
        out: Folder of the run directories.
        data: Folder of the datasets.
        limit: At most so many slides. None: all.
        assignments: What `--set` says, KEY=VALUE or STRATEGY:KEY=VALUE, or what a file sets.
        regime: "frozen", "finetuned", or None where nothing is said.
        accept_findings: Whether to train although the data have findings.
        wait_s: How long to wait for runs that other processes make, in seconds. None: until they are done.
        features: Where features of a frozen encoder are kept: "fresh" (nowhere), "memory", or a folder. This decides no
            result, and names no run.
    """

    dataset: str = DEMO
    slides: Path | None = None
    strategies: tuple[str, ...] = DEFAULT
    preset: str = "demo"
    seeds: int | None = None
    folds: int = 1
    device: str = "cpu"
    out: Path = Path("runs")
    data: Path = Path("data")
    limit: int | None = None
    assignments: tuple[str | Assignment, ...] = ()
    regime: str | None = None
    accept_findings: bool = False
    wait_s: float | None = None
    features: str = MEMORY

    def check(self) -> None:
        """Find mistakes that need neither torch nor the slides.

        Raises:
            UsageError: One line that names the option.
        """
        preset_named(self.preset)
        in_range("--seeds", self.seeds, 1, 1000, "a number of training seeds")
        if self.slides is not None and not os.path.isfile(self.slides):
            raise UsageError(f"--slides {self.slides}: no such file; give a CSV with the columns path,label")
        for name in self.strategies:
            if name != ALL and name not in STRATEGIES and ":" not in name:
                raise UsageError(unknown_strategy(name, "--strategies"))


def preset_named(name: str) -> Preset:
    """The preset called `name`; UsageError lists what exists."""
    if name not in PRESETS:
        raise UsageError(f"unknown preset {name!r}; there are: {', '.join(PRESETS)}")
    return PRESETS[name]


def unknown_strategy(name: str, option: str) -> str:
    """The line for a name that no strategy has; option: what the user gave it to."""
    every = f"; all of them: {ALL}" if option == "--strategies" else ""
    return f"unknown strategy {name!r}; there are: {', '.join(STRATEGIES)}{every}; yours: file.py:Class"
