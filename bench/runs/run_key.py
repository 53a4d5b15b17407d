"""The identity of a run, from the settings in force for its strategy."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from baselines import STRATEGIES
from bench.datasets import Dataset
from bench.own_code import source_of
from bench.runs.context import Context
from bench.runs.kept.identity import FORMER, RunKey, defaults_of, former_path, plain, set_for_one
from bench.runs.settings.fields import dotted, merge
from bench.runs.settings.settings import OPTIONS, RunSettings, option_hints
from bench.runs.settings.strategies import strategy_class

N_FOLDS = 5
"""Parts into which data without a split are cut. Another number enters the name of a run."""


def key_of(context: Context, name: str, fold: int, seed: int, n_folds: int = N_FOLDS) -> RunKey:
    """The key of the run of one strategy, fold and seed."""
    return make_key(context.dataset, context.settings, name, fold, seed, n_folds)


def make_key(
    dataset: Dataset, settings: RunSettings, name: str, fold: int, seed: int, n_folds: int = N_FOLDS
) -> RunKey:
    """The key of one run of `settings`: what others have set for themselves does not decide it.

    Args:
        dataset: Whose slides are used.
        settings: Of all runs.
        name: Of the strategy, in the registry or `file.py:Class`.
        fold: Number of the fold, from 0.
        seed: Of training.
        n_folds: How many parts the data are cut into.
    """
    cls, own = strategy_class(name), _plain(settings.of(name))
    shared = {"n_folds": n_folds, "split": dataset.split_digest(fold, n_folds)}
    usual = {**_plain(RunSettings().of(name)), "n_folds": N_FOLDS}
    for_all = _plain(replace(settings, tuned={}).of(name))
    return RunKey(
        dataset.name,
        dataset.fingerprint,
        cls.name,
        fold,
        seed,
        {**own, "tuned": set_for_one(own, for_all), **shared},
        # another version of a user's own class is another run
        "" if name in STRATEGIES else source_of(cls),
        defaults_of({**own, **shared}, usual),
        _of_others(settings, name),
    )


def _plain(settings: RunSettings) -> dict[str, Any]:
    """Settings in force as plain data. `options` is empty in them: those of the strategy stand in `strategy`."""
    return plain({key: value for key, value in asdict(settings).items() if key != "options"})


def _of_others(settings: RunSettings, name: str) -> dict[str, Any]:
    """Former path -> value of options that are set for all and that the strategy called `name` does not have."""
    own, found = option_hints(name), {}
    for key, value in settings.options.items():
        path = (*OPTIONS, key)
        if path in own or key not in FORMER:
            continue
        usual = strategy_class(FORMER[key][1][0]).options_class()
        checked = getattr(merge(usual, {(key,): value}), key)
        if checked != getattr(usual, key):  # defaults never entered a name
            found[dotted(former_path(path))] = checked
    return plain(found)
