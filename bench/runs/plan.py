"""From what the command line asks to what is run, listed or shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from baselines import STRATEGIES
from bench.datasets import Dataset, content, labelled, load_dataset
from bench.datasets.evidence.shares import offers
from bench.datasets.known import demo
from bench.datasets.loading import limited_to
from bench.datasets.splitting import folds_to_run
from bench.errors import UsageError
from bench.files import writable
from bench.options import named_folder
from bench.runs.context import Context
from bench.runs.features.folder import feature_folder
from bench.runs.result import Result
from bench.runs.runner import Plan, Runner
from bench.runs.settings.effective import expand
from bench.runs.settings.overrides import assign
from bench.runs.settings.presets import Preset
from bench.runs.settings.request import ALL, Request, preset_named
from bench.runs.settings.settings import REGIMES, RunSettings, in_regime
from bench.runs.settings.strategies import strategy_class

__all__ = ["ALL", "Request", "execute", "expand_all", "planned", "preset_named", "settle"]

FILL_FIRST = ("exhaustive-all", "exhaustive")  # they fill the feature store in large reads


def execute(request: Request, report: Any) -> Result:
    """Check the request, bring the data, run what is not complete. `report` also gives named bars."""
    runner, plan = planned(request, report)
    return runner.run(plan)


def settle(request: Request) -> tuple[Preset, RunSettings]:
    """Check the request; what it says of the generated slides and of all runs, defaults and preset included.

    Raises:
        UsageError: One line that names the option.
    """
    request.check()
    preset = preset_named(request.preset)
    strategies = expand(request.strategies)
    for name in request.strategies:
        if name != ALL:
            strategy_class(name)
    settings = RunSettings(device=device_named(request.device))
    settings = replace(settings, train=replace(settings.train, epochs=preset.epochs), tuned=preset.tuned)
    preset, settings = assign(preset, settings, request.assignments, strategies)
    if request.regime is not None:
        # what --set says once more has the last word on rates, but may not contradict the regime
        settings = in_regime(settings, regime_named(request.regime))
        preset, settings = assign(preset, settings, request.assignments, strategies)
        if settings.regime != request.regime:
            raise UsageError(f"--regime {request.regime}, but --set frozen says {settings.regime}; leave one out")
    return preset, settings


def planned(request: Request, report: Any) -> tuple[Runner, Plan]:
    """Check the request and bring the data: who runs, and what."""
    preset, settings = settle(request)
    out = writable(request.out, "--out")
    if (kept := named_folder(request.features)) is not None:
        feature_folder(kept, "--features")  # refused before slides are prepared
    content.keep_in(out / ".contents.json")
    if request.slides is not None:
        dataset = labelled.load(request.slides, "--slides")
    else:
        if request.limit and request.dataset == "demo":
            preset = demo.limited(preset, request.limit)
        dataset = load_dataset(request.dataset, preset, request.data, report.named("preparing slides"))
    if request.limit and (request.slides is not None or request.dataset != "demo"):
        dataset = limited_to(dataset, request.limit)
    asked = expand_all(request.strategies, dataset)
    names = [name for name in FILL_FIRST if name in asked] + [name for name in asked if name not in FILL_FIRST]
    seeds = tuple(range(request.seeds or preset.seeds))
    plan = Plan(tuple(names), seeds, folds_to_run(dataset.records, request.folds), wait_s=request.wait_s)
    context = Context(
        dataset, settings, out, report, accept_findings=request.accept_findings, features=request.features
    )
    return Runner(context), plan


def expand_all(names: tuple[str, ...], dataset: Dataset) -> tuple[str, ...]:
    """`names`, each once, with `all` for every strategy of this project that the dataset allows."""
    every = tuple(n for n in STRATEGIES if offers(strategy_class(n), dataset.records))
    return tuple(dict.fromkeys(n for name in names for n in (every if name == ALL else (name,))))


def regime_named(name: str) -> str:
    """`name`, checked."""
    if name not in REGIMES:
        raise UsageError(f"--regime {name!r}; allowed: {', '.join(REGIMES)}")
    return name


def device_named(name: str) -> str:
    """`name`, checked; UsageError for a device that torch does not know or that is not here."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device {name!r}; allowed: cpu, cuda, cuda:N") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"--device {name}: no CUDA device is visible here; use --device cpu")
    return name
