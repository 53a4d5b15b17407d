"""What a request comes to, with every default, as a file for `--config` holds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from baselines import STRATEGIES
from bench.runs.kept.identity import plain
from bench.runs.settings.fields import Path, short, value_at
from bench.runs.settings.overrides import GENERATED, MPP, shared_leaves
from bench.runs.settings.presets import Preset
from bench.runs.settings.request import ALL, Request
from bench.runs.settings.settings import OPTIONS, RunSettings, nearest_mpp, own_leaves


def describe(request: Request, preset: Preset, settings: RunSettings) -> dict[str, Any]:
    """Options and settings of a request. A file that holds them asks for runs of the same names."""
    asked = {
        **({"dataset": request.dataset} if request.slides is None else {"slides": str(request.slides)}),
        "strategies": list(request.strategies),
        "preset": request.preset,
        "seeds": request.seeds or preset.seeds,
        "folds": request.folds,
        "regime": request.regime,
        "device": request.device,
        "out": str(request.out),
        "data": str(request.data),
        "features": request.features,
        "limit": request.limit,
        "wait": None if request.wait_s is None else request.wait_s / 60,
        "accept-findings": request.accept_findings or None,
    }
    chosen = describe_settings(preset, settings, expand(request.strategies))
    if request.slides is not None:
        chosen.pop(GENERATED)
    return {**{name: value for name, value in asked.items() if value is not None}, "set": chosen}


def describe_settings(preset: Preset, settings: RunSettings, strategies: Sequence[str]) -> dict[str, Any]:
    """Every setting below its names, and below each strategy what is its own."""
    found: dict[str, Any] = {}
    for path in shared_leaves():
        if path == (GENERATED, "seeds"):  # an option of its own
            continue
        value = value_at(preset, path[1:]) if path[0] == GENERATED else value_at(settings, path)
        _put(found, path, nearest_mpp(settings, value) if path == MPP else value)
    for name in dict.fromkeys([*settings.tuned, *strategies]):
        own = {key: nearest_mpp(settings, v) if key == "mpp" else v for key, v in settings.tuned.get(name, {}).items()}
        in_force, known = settings.of(name), own_leaves(name)
        options = [path for path in known if path[: len(OPTIONS)] == OPTIONS] if name in strategies else []
        if section := {**{short(path, known): value_at(in_force, path) for path in options}, **own}:
            found[name] = section
    return plain(found)


def expand(names: Sequence[str]) -> list[str]:
    """`names` with those of this project in place of "all"."""
    return list(dict.fromkeys(own for name in names for own in (STRATEGIES if name == ALL else (name,))))


def _put(nested: dict[str, Any], path: Path, value: Any) -> None:
    for name in path[:-1]:
        nested = nested.setdefault(name, {})
    nested[path[-1]] = value
