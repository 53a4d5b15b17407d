"""KEY=VALUE of the command line to settings."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from bench.errors import UsageError
from bench.runs.settings.presets import Preset
from bench.runs.settings.settings import RunSettings, keys_of
from bench.runs.settings.strategies import strategy_class
from jsma.checked import refused


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
