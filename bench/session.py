"""From what the command line asks to what is run, listed or shown."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from baselines import STRATEGIES
from bench.datasets import Dataset, content, demo, labelled, load_dataset
from bench.datasets.loading import limited_to
from bench.datasets.splitting import folds_to_run
from bench.errors import UsageError
from bench.evidence.shares import offers
from bench.options import in_range
from bench.presets import PRESETS, Preset
from bench.run import Plan, Result, Runner
from bench.rundir import writable
from bench.settings import REGIMES, RunSettings, in_regime, keys_of
from bench.strategies import strategy_class
from jsma.checked import refused

ALL = "all"
FILL_FIRST = ("exhaustive-all", "exhaustive")  # they fill the feature store in large reads


@dataclass(frozen=True)
class Request:
    """One `jsma-bench run`, as asked."""

    dataset: str
    slides: Path | None
    strategies: tuple[str, ...]
    preset: str
    seeds: int | None
    folds: int
    device: str
    out: Path
    data: Path
    limit: int | None
    assignments: tuple[str, ...] = ()
    regime: str | None = None
    accept_findings: bool = False
    wait_s: float | None = None


def preset_named(name: str) -> Preset:
    """The preset; UsageError that lists what exists."""
    if name not in PRESETS:
        raise UsageError(f"unknown preset {name!r}; there are: {', '.join(PRESETS)}")
    return PRESETS[name]


def execute(request: Request, report: Any) -> Result:
    """Check the request, bring the data, run what is not complete. `report` also gives named bars."""
    runner, plan = planned(request, report)
    return runner.run(plan)


def planned(request: Request, report: Any) -> tuple[Runner, Plan]:
    """Check the request and bring the data: who runs, and what."""
    preset = preset_named(request.preset)
    in_range("--seeds", request.seeds, 1, 1000, "a number of training seeds")
    for name in request.strategies:
        if name != ALL:
            strategy_class(name)
    settings = RunSettings(device=device_named(request.device))
    settings = replace(settings, train=replace(settings.train, epochs=preset.epochs), tuned=preset.tuned)
    preset, settings = assign(preset, settings, request.assignments)
    if request.regime is not None:
        # what --set says once more has the last word on rates, but may not contradict the regime
        preset, settings = assign(preset, in_regime(settings, regime_named(request.regime)), request.assignments)
        if settings.regime != request.regime:
            raise UsageError(f"--regime {request.regime}, but --set frozen says {settings.regime}; leave one out")
    out = writable(request.out, "--out")
    content.keep_in(out / ".contents.json")
    if request.slides is not None:
        dataset = labelled.load(request.slides, "--slides")
    else:
        if request.limit and request.dataset == "demo":
            preset = demo.limited(preset, request.limit)
        dataset = load_dataset(request.dataset, preset, request.data, report.named("preparing slides"))
    if request.limit and (request.slides is not None or request.dataset != "demo"):
        dataset = limited_to(dataset, request.limit)
    names = sorted(
        meant(request.strategies, dataset), key=lambda n: FILL_FIRST.index(n) if n in FILL_FIRST else len(FILL_FIRST)
    )
    seeds = tuple(range(request.seeds or preset.seeds))
    plan = Plan(tuple(names), seeds, folds_to_run(dataset.records, request.folds), wait_s=request.wait_s)
    return Runner(dataset, settings, out, report, request.accept_findings), plan


def meant(names: tuple[str, ...], dataset: Dataset) -> tuple[str, ...]:
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


def assign(preset: Preset, settings: RunSettings, assignments: tuple[str, ...]) -> tuple[Preset, RunSettings]:
    """KEY=VALUE applied to every field called KEY in the preset or the settings, however nested.

    It goes before what the preset has tuned. STRATEGY:KEY=VALUE is for one strategy, and for those that are tuned as
    it; it goes before KEY=VALUE, in whatever order they are given.
    """
    for_all = [text for text in assignments if ":" not in text.partition("=")[0]]
    for text in for_all:
        key, value = (part.strip() for part in text.partition("=")[::2])
        new_preset, new_settings = _assign(preset, key, value), _assign(settings, key, value)
        if new_preset is None and new_settings is None:
            raise UsageError(
                f"--set {text}: no setting called {key!r}; there are: {', '.join(sorted(keys_of(settings)))}"
            )
        preset, settings = new_preset or preset, new_settings or settings
        others = {name: {k: v for k, v in own.items() if k != key} for name, own in settings.tuned.items()}
        settings = replace(settings, tuned={name: own for name, own in others.items() if own})
    for text in assignments:
        if text not in for_all:
            settings = _tune(settings, text)
    for text in assignments:
        key, value = text.partition("=")[::2]
        if key.rpartition(":")[2].strip() == "mpp" and float(value) not in settings.view.mpps:
            nearest = min(settings.view.mpps, key=lambda own: abs(own / float(value) - 1))
            allowed = f"one of mpps, {', '.join(f'{mpp:g}' for mpp in settings.view.mpps)}"
            raise UsageError(f"--set {text}: {refused('mpp', float(value), allowed, nearest)}")
    return preset, settings


def _tune(settings: RunSettings, text: str) -> RunSettings:
    """STRATEGY:KEY=VALUE; only what a strategy and its training own: the view is the same for all."""
    owner, _, value = text.partition("=")
    name, _, key = (part.strip() for part in owner.rpartition(":"))
    strategy_class(name)
    try:
        settings.check_own(name, key)
    except ValueError as error:
        raise UsageError(f"--set {text}: {error}") from error
    own = (_assign(settings.strategy, key, value.strip()), _assign(settings.train, key, value.strip()))
    parsed = next(_value(part, key) for part in own if part is not None)
    tuned = {**settings.tuned, name: {**settings.tuned.get(name, {}), key: parsed}}
    return replace(settings, tuned=tuned)


def _value(settings: Any, key: str) -> Any:
    """The value of the field called `key`, in `settings` or in a dataclass inside it; None without one."""
    for name, value in vars(settings).items():
        if hasattr(value, "__dataclass_fields__"):
            found = _value(value, key)
            if found is not None:
                return found
        elif name == key:
            return value
    return None


def _assign(settings: Any, key: str, value: str) -> Any | None:
    """`settings` with the text `value` in every field called `key`, however nested; None without one."""
    found = None
    for name, old in vars(settings).items():
        if hasattr(old, "__dataclass_fields__"):
            new = _assign(old, key, value)
            if new is None:
                continue
        elif name == key:
            new = _parsed(value, old)
        else:
            continue
        try:
            settings = found = replace(settings, **{name: new})
        except ValueError as error:
            raise UsageError(f"--set {key}={value}: {error}") from error
    return found


def _parsed(value: str, old: Any) -> Any:
    """The value that a text stands for, in place of `old`: JSON, or the text itself where that is no JSON."""
    try:
        new = json.loads(value)
    except ValueError:
        return value
    if isinstance(old, str) and new is not None and not isinstance(new, str):
        return value  # a name of digits
    return tuple(new) if isinstance(new, list) else new
