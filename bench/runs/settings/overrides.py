"""KEY=VALUE, of the command line or of a file, to settings: one parser for presets, runs and strategies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from baselines import STRATEGIES
from bench.runs.settings.assignment import Assignment
from bench.runs.settings.fields import Path, dotted, find, find_one, leaves, merge, read_value, short, value_at
from bench.runs.settings.presets import Preset
from bench.runs.settings.settings import NOT_SET, OPTIONS, RunSettings, option_hints, own_leaves, own_path
from bench.runs.settings.strategies import strategy_class
from jsma.checked import refused

GENERATED = "generated"
"""How the settings of a preset are called in full: generated.slides, generated.side0_px."""
MPP: Path = ("strategy", "mpp")


def assign(
    preset: Preset, settings: RunSettings, asked: Sequence[str | Assignment], strategies: Sequence[str] = ()
) -> tuple[Preset, RunSettings]:
    """Set what the user asks for.

    KEY=VALUE is for all strategies and goes before what a preset has tuned for one. An option that only some strategies
    have is for those of them that are asked. STRATEGY:KEY=VALUE is for one strategy, and for those that are tuned as
    it. It goes before KEY=VALUE, whatever the order. The command line goes before a file.

    Args:
        preset: Of the generated slides.
        settings: Of all runs.
        asked: Assignments, or their texts.
        strategies: Names of the strategies that are to run. Empty: those of this project.

    Raises:
        UsageError: One line that begins with what the user gave.
    """
    given = [Assignment.parse(one) if isinstance(one, str) else one for one in asked]
    for batch in ([one for one in given if one.in_file], [one for one in given if not one.in_file]):
        for one in batch:
            if not one.strategy:
                preset, settings = _assign_to_all(preset, settings, one, strategies)
        for one in batch:
            if one.strategy:
                settings = _assign_to_one(settings, one)
    for one in given:
        _check_mpp(settings, one)
    return preset, settings


def shared_leaves() -> dict[Path, Any]:
    """Path and annotation of what can be set for all strategies, without options that only some have."""
    run = {path: hint for path, hint in leaves(RunSettings).items() if path not in NOT_SET}
    generated = {
        (GENERATED, *path): hint for path, hint in leaves(Preset).items() if path[0] not in ("epochs", "tuned")
    }
    return {**run, **generated}


def _assign_to_all(
    preset: Preset, settings: RunSettings, one: Assignment, strategies: Sequence[str]
) -> tuple[Preset, RunSettings]:
    known, owners = shared_leaves(), _owners(strategies)
    try:
        if not find(one.key, [*known, *owners]):
            owners = _owners([*STRATEGIES])
            if strategies and (found := find(one.key, owners)):
                having = ", ".join(name for path in found for name in owners[path])
                raise ValueError(f"none of {', '.join(strategies)} has it; an option of {having}: ask for one of them")
        path = find_one(one.key, [*known, *owners])
        if path in owners:
            settings = _set_option(settings, path[-1], one.value, owners[path])
        elif path[0] == GENERATED:
            preset = merge(preset, {path[1:]: read_value(one.value, known[path])})
        else:
            settings = merge(settings, {path: read_value(one.value, known[path])})
    except ValueError as error:
        raise one.fail(error) from error
    return preset, _untune(settings, path)


def _owners(strategies: Sequence[str]) -> dict[Path, list[str]]:
    """Path of every option, and which of the strategies have it."""
    found: dict[Path, list[str]] = {}
    for name in strategies:
        for path in option_hints(name):
            found.setdefault(path, []).append(name)
    return found


def _set_option(settings: RunSettings, name: str, text: str, owners: Sequence[str]) -> RunSettings:
    """`settings` with an option for every strategy that has it, checked against each of the `owners`."""
    path = (*OPTIONS, name)
    for owner in owners:
        options = strategy_class(owner).options_class()
        merge(options, {(name,): read_value(text, option_hints(owner)[path])})
    return replace(settings, options={**settings.options, name: read_value(text, option_hints(owners[0])[path])})


def _untune(settings: RunSettings, path: Path) -> RunSettings:
    """`settings` without what is tuned at `path` for single strategies."""
    left = {
        name: {key: value for key, value in own.items() if own_path(name, key) != path}
        for name, own in settings.tuned.items()
    }
    return replace(settings, tuned={name: own for name, own in left.items() if own})


def _assign_to_one(settings: RunSettings, one: Assignment) -> RunSettings:
    """Set what a strategy and its training own: the view and the encoder are the same for all."""
    name = one.strategy
    strategy_class(name)
    try:
        path = own_path(name, one.key)
        known = own_leaves(name)
        key, value = short(path, known), read_value(one.value, known[path])
        own = {**settings.tuned.get(name, {}), key: value}
        settings = replace(settings, tuned={**settings.tuned, name: own})
        own[key] = value_at(settings.of(name), path) if path != MPP else float(value)
        return replace(settings, tuned={**settings.tuned, name: own})
    except ValueError as error:
        raise one.fail(error) from error


def _check_mpp(settings: RunSettings, one: Assignment) -> None:
    """UsageError where the one magnification is none of those that are looked at."""
    if one.key not in ("mpp", dotted(MPP)):
        return
    value, mpps = float(one.value), settings.view.mpps
    if value not in mpps:
        nearest = min(mpps, key=lambda own: abs(own / value - 1))
        allowed = f"one of mpps, {', '.join(f'{mpp:g}' for mpp in mpps)}"
        raise one.fail(refused("mpp", value, allowed, nearest))
