"""What makes two runs the same run, and which runs may be set beside each other. Plain data, no network code."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

SHARED = ("n_folds", "split", "view", "encoder", "device", "cache")
"""Settings that all strategies of one comparison have in common; with data, fold and seed they make a group."""
Path = tuple[str, ...]
OPTIONS: Path = ("strategy", "options")
"""Where the options of the run's own strategy stand."""
FORMER: dict[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(("first_look", "next_look", "confidence"), ("look", ("adaptive",))),
    "topk_sigma": ("look", ("patch-selection",)),
    "topk_samples": ("look", ("patch-selection", "zoom-mil")),
    "zoom_sigma": ("look", ("zoom-mil",)),
    "heads": ("bag", ("transmil", "transmil-all", "ips", "ips-all")),
    "landmarks": ("bag", ("transmil", "transmil-all")),
    **dict.fromkeys(("clam_top", "clam_weight"), ("bag", ("clam", "clam-all"))),
    **dict.fromkeys(("ips_load", "ips_shuffle"), ("bag", ("ips", "ips-all"))),
    **dict.fromkeys(("site_sharpness", "site_magnifications"), ("sites", ("candidates",))),
}
"""Option -> where it stood when every strategy carried the options of all, and whose it is. Names of runs keep it."""


@dataclass(frozen=True)
class RunKey:
    """Identity of a run.

    Attributes:
        dataset: Name.
        data_hash: Fingerprint of the data.
        strategy: Name.
        fold: From 0.
        seed: Of training.
        settings: Everything else that decides this run, as plain data, those of the strategy as they are in force.
        code: Of a strategy that is not in the registry.
        at_default: Dotted paths of the settings whose value is the default. They enter no name, so that a new setting
            renames no run that does not use it.
        of_others: Former path -> value of options that are set for all and that the strategy does not have. They
            decide nothing, but earlier names held them.
    """

    dataset: str
    data_hash: str
    strategy: str
    fold: int
    seed: int
    settings: dict[str, Any]
    code: str = ""
    at_default: tuple[str, ...] = ()
    of_others: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Directory name: readable, then a content hash."""
        return self._name({})

    @property
    def former_names(self) -> tuple[str, ...]:
        """Other names that this run may have been given by earlier versions."""
        return (self._name(self.of_others),) if self.of_others else ()

    def record(self) -> dict[str, Any]:
        """What is stored of it, as plain data."""
        return plain({key: value for key, value in asdict(self).items() if key != "of_others"})

    def _name(self, also: dict[str, Any]) -> str:
        stored = {**self.record(), "settings": None, "at_default": None}
        kept = {
            ".".join(former_path(path)): value
            for path, value in flat(self.settings)
            if path[0] != "tuned" and ".".join(path) not in self.at_default
        }
        if "view.patch_px" in kept:  # which stood twice
            kept["strategy.method.patch_px"] = kept["view.patch_px"]
        text = json.dumps([stored, {**kept, **also}], sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{self.dataset}-{self.strategy}-f{self.fold}-s{self.seed}-{digest}"


def former_path(path: Path) -> Path:
    """The path by which the name of a run knows a setting."""
    if path[:-1] == OPTIONS and path[-1] in FORMER:
        return ("strategy", FORMER[path[-1]][0], path[-1])
    return path


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
    """The settings of a stored key as they were in force, laid out as those of a run that is made now.

    `tuned` is name -> value of those set for its strategy alone. Earlier runs kept the settings of all strategies, and
    in `tuned` what was set for each, by strategy.
    """
    settings = copy.deepcopy(key["settings"])
    tuned: dict[str, Any] = settings.get("tuned", {})
    if any(isinstance(value, dict) for value in tuned.values()):
        own = [n for n in tuned if n == key["strategy"] or (key.get("code") and ":" in n)]
        tuned = tuned[own[0]] if own else {}
        for part in ("strategy", "train"):
            for name, value in tuned.items():
                _put(settings.get(part, {}), name, value)
    _take_own_options(key, settings)
    return {**settings, "tuned": tuned}


def _take_own_options(key: dict[str, Any], settings: dict[str, Any]) -> None:
    """Of an earlier run: put the strategy's own options where they stand now, and drop those of others."""
    strategy = settings.get("strategy", {})
    if not isinstance(strategy, dict):
        return
    found: dict[str, Any] = {}
    for part in ("look", "bag", "sites"):
        options = strategy.pop(part, {})
        for name, value in options.items() if isinstance(options, dict) else ():
            changed = f"strategy.{part}.{name}" not in key.get("at_default", ())
            if key["strategy"] in FORMER.get(name, ("", ()))[1] or (key.get("code") and changed):
                found[name] = value
    if found:
        strategy["options"] = {**found, **strategy.get("options", {})}
    if not strategy.get("options"):  # of a strategy that has none
        strategy.pop("options", None)
    if isinstance(method := strategy.get("method"), dict):
        method.pop("patch_px", None)  # the view's


def _put(settings: dict[str, Any], name: str, value: Any) -> None:
    for key, old in settings.items():
        if isinstance(old, dict):
            _put(old, name, value)
        elif key == name:
            settings[key] = value


def known_defaults(keys: Iterable[dict[str, Any]]) -> dict[Path, Any]:
    """Path -> value of every setting that some stored key has at its default; options below the strategy's name."""
    found: dict[Path, Any] = {}
    for key in keys:
        at_default = set(key.get("at_default", ()))
        settings = dict(flat(key["settings"]))
        own = {path: value for path, value in settings.items() if ".".join(path) in at_default}
        found.update({_of_strategy(path, key["strategy"]): value for path, value in own.items()})
    return {path: value for path, value in found.items() if former_part(path) is None}


def _of_strategy(path: Path, strategy: str) -> Path:
    return (strategy, *path) if path[:-1] == OPTIONS else path


def former_part(path: Path) -> str | None:
    """The part of the settings that a path lay in which runs have no longer; None for a path of now."""
    if path == ("strategy", "method", "patch_px"):
        return "method"
    return path[1] if path[:1] == ("strategy",) and path[1:2] in (("look",), ("bag",), ("sites",)) else None


def fill(settings: dict[str, Any], defaults: dict[Path, Any], strategy: str) -> dict[str, Any]:
    """`settings` with the defaults of what they lack, being of a run made before there was such a setting.

    Args:
        settings: As `in_force` gives them.
        defaults: As `known_defaults` gives them.
        strategy: Whose options are filled in.
    """
    settings = copy.deepcopy(settings)
    for path, value in defaults.items():
        if path[1:-1] == OPTIONS:
            if path[0] != strategy:
                continue
            path = path[1:]
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
