"""What makes two runs the same run, and which runs may be set beside each other. Plain data, no network code."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

SHARED = ("n_folds", "split", "view", "encoder", "device", "cache")
"""Settings that all strategies of one comparison have in common; with data, fold and seed they make a group."""
Path = tuple[str, ...]


@dataclass(frozen=True)
class RunKey:
    """Identity of a run. settings: everything else that decides this run, as plain data, those of the strategy as they
    are in force; code: of a strategy that is not in the registry; at_default: dotted paths of the settings whose value
    is the default, which enter no name, so that a new setting renames no run that does not use it.
    """

    dataset: str
    data_hash: str
    strategy: str
    fold: int
    seed: int
    settings: dict[str, Any]
    code: str = ""
    at_default: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Directory name: readable, then a content hash."""
        plain = {**json.loads(json.dumps(asdict(self), default=str)), "settings": None, "at_default": None}
        decides = {".".join(path): value for path, value in flat(self.settings) if path[0] != "tuned"}
        kept = {path: value for path, value in decides.items() if path not in self.at_default}
        text = json.dumps([plain, kept], sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{self.dataset}-{self.strategy}-f{self.fold}-s{self.seed}-{digest}"


def flat(settings: dict[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """(path of names, value) of every setting, however nested."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from flat(value, (*above, name))
        else:
            yield (*above, name), value


def defaults_of(settings: dict[str, Any], defaults: dict[str, Any]) -> tuple[str, ...]:
    """Dotted paths of the `settings` that have the value they have in `defaults`."""
    usual = dict(flat(plain(defaults)))
    return tuple(sorted(".".join(p) for p, v in flat(plain(settings)) if p in usual and usual[p] == v))


def plain(settings: dict[str, Any]) -> dict[str, Any]:
    """`settings` as JSON keeps them: lists in place of tuples."""
    return json.loads(json.dumps(settings, default=str))


def set_for_one(settings: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """Name -> value of the settings in force that are not those of `base`, which the other strategies have."""
    usual = dict(flat(plain(base)))
    return {path[-1]: value for path, value in flat(plain(settings)) if path in usual and usual[path] != value}


def in_force(key: dict[str, Any]) -> dict[str, Any]:
    """The settings of a stored key as they were in force, with `tuned`: name -> value of those set for it alone.

    Runs made before kept the settings of all strategies, and in `tuned` what was set for each, by strategy.
    """
    settings = copy.deepcopy(key["settings"])
    tuned: dict[str, Any] = settings.get("tuned", {})
    if any(isinstance(value, dict) for value in tuned.values()):
        own = [n for n in tuned if n == key["strategy"] or (key.get("code") and ":" in n)]
        tuned = tuned[own[0]] if own else {}
        for part in ("strategy", "train"):
            for name, value in tuned.items():
                _put(settings.get(part, {}), name, value)
    return {**settings, "tuned": tuned}


def _put(settings: dict[str, Any], name: str, value: Any) -> None:
    for key, old in settings.items():
        if isinstance(old, dict):
            _put(old, name, value)
        elif key == name:
            settings[key] = value


def known_defaults(keys: Iterable[dict[str, Any]]) -> dict[Path, Any]:
    """Path -> value of every setting that some stored key has at its default."""
    found: dict[Path, Any] = {}
    for key in keys:
        at_default = set(key.get("at_default", ()))
        found.update({path: value for path, value in flat(key["settings"]) if ".".join(path) in at_default})
    return found


def filled(settings: dict[str, Any], defaults: dict[Path, Any]) -> dict[str, Any]:
    """`settings` with the defaults of what they lack, being of a run made before there was such a setting."""
    settings = copy.deepcopy(settings)
    for path, value in defaults.items():
        part = settings
        for name in path[:-1]:
            part = part.setdefault(name, {}) if isinstance(part, dict) else part
        if isinstance(part, dict):
            part.setdefault(path[-1], value)
    return settings


def group_of(key: dict[str, Any], settings: dict[str, Any]) -> str:
    """What runs that are set beside each other have in common, as text."""
    shared = {name: settings.get(name) for name in SHARED}
    return json.dumps([key["data_hash"], key["fold"], key["seed"], shared], sort_keys=True)
