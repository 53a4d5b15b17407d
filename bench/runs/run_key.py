"""The key of a run: all that decides its result. The name of its directory is made of it."""

from __future__ import annotations

from dataclasses import asdict

from baselines import STRATEGIES
from bench.own_code import source_of
from bench.runs.context import Context
from bench.runs.kept.identity import RunKey, defaults_of, plain, set_for_one
from bench.runs.settings.settings import RunSettings
from bench.runs.settings.strategies import strategy_class

N_FOLDS = 5
"""Parts that the data are cut into where a plan does not say it."""


def key_of(context: Context, name: str, fold: int, seed: int, n_folds: int = N_FOLDS) -> RunKey:
    """The key of the run of one strategy, fold and seed.

    It holds the settings in force for the strategy called `name`; those that other strategies have do not decide it.
    """
    dataset, cls = context.dataset, strategy_class(name)
    base, own = asdict(context.settings), asdict(context.settings.of(name))
    shared = {"n_folds": n_folds, "split": dataset.split_digest(fold, n_folds)}
    settings = {**own, "tuned": set_for_one(own, base), **shared}
    usual = {**asdict(RunSettings()), "n_folds": N_FOLDS}
    code = "" if name in STRATEGIES else source_of(cls)  # another version of one's own is another run
    at_default = defaults_of(settings, usual)
    return RunKey(dataset.name, dataset.fingerprint, cls.name, fold, seed, plain(settings), code, at_default)
