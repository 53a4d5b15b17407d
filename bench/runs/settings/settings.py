"""Settings of a run, and the presets."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from baselines.contract import StrategySettings
from bench.runs.observed.page_cache import WARM
from bench.runs.settings.fields import Path, find, find_one, leaves, merge, nearest
from bench.runs.settings.strategies import lineage, strategy_class
from jsma.checked import Count, checked
from jsma.encoders.encoder import EncoderSettings
from jsma.metered import ViewSettings

Rate = Annotated[float, Field(ge=0, le=10)]


@checked
class TrainSettings:
    """The same schedule for every strategy.

    epochs: most passes over the training slides; batch: slides a step; learning_rate, weight_decay: Adam's;
    encoder_learning_rate: of the encoder where it is trained, None = as the rest; patience: epochs without a better
    validation loss before stopping; clip_norm: of the gradient; val_draws: draws of every validation slide whose mean
    is its loss, for strategies that draw; features: "store" (frozen encoder, a feature is computed once and charged to
    each run that uses it) or "fresh" (every patch is read and encoded each time); standardise: features are brought to
    one scale per magnification, measured on a few training patches (`bench.runs.feature_scale`), and stay at it where
    the encoder is trained.
    """

    epochs: Count = 100
    batch: Count = 16
    learning_rate: Rate = 3e-3
    encoder_learning_rate: Rate | None = None
    weight_decay: Rate = 1e-4
    patience: Count = 30
    clip_norm: Annotated[float, Field(ge=1e-6, le=1e6)] = 1.0
    val_draws: Annotated[int, Field(ge=1, le=1000)] = 4
    features: Literal["store", "fresh"] = "store"
    standardise: bool = True


@checked
class RunSettings:
    """Everything that decides a result, apart from the data, the strategy, the fold and the seed.

    What holds for one strategy is `of(name)`. The magnifications are those of the view for every strategy.

    Attributes:
        strategy: What strategies share.
        encoder: Of patches.
        view: What of a slide can be looked at.
        train: The schedule.
        device: Of the networks.
        cache: Whether inference finds a slide's file in the page cache ("warm") or not ("cold").
        tuned: Strategy -> {key of a setting of its own or of its training: value}, each chosen on validation
            (`bench.studies.tuning`). All runs of one comparison carry the same. A strategy takes what it has none of
            its own of from its `tuned_as`.
        options: Name -> value of options that are set for every strategy that has them.
    """

    strategy: StrategySettings = field(default_factory=StrategySettings)
    encoder: EncoderSettings = field(default_factory=lambda: EncoderSettings(pretrained="package", stage=3))
    view: ViewSettings = field(default_factory=ViewSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    device: str = "cpu"
    cache: Literal["warm", "cold"] = WARM
    tuned: dict[str, dict[str, Any]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.tuned:
            self.of(name)  # an unknown strategy or setting, or a value that is not allowed, is an error at once

    @property
    def regime(self) -> str:
        """One of `REGIMES`."""
        return "frozen" if self.encoder.frozen else "finetuned"

    def of(self, name: str) -> RunSettings:
        """The settings in force for one strategy: these, with its options and what is tuned for it.

        Nothing is left in `tuned` and `options`: what others have does not decide a run of this one. `strategy.mpp` is
        the nearest of the view's magnifications, as it is read.

        Raises:
            ValueError: For a setting that no single strategy may have.
            UsageError: For an unknown strategy.
        """
        hints, cls = option_hints(name), strategy_class(name)
        values = {path: self.options[path[-1]] for path in hints if path[-1] in self.options}
        for relative in reversed(lineage(name)):
            values |= {own_path(relative, key): value for key, value in self.tuned.get(relative, {}).items()}
        given = self.strategy.options
        options = given if isinstance(given, cls.options_class) else cls.options_class()
        options = merge(options, {path[len(OPTIONS) :]: values.pop(path) for path in hints if path in values})
        values = {path: value for path, value in values.items() if path[: len(OPTIONS)] != OPTIONS}
        values[MPPS] = self.view.mpps
        bare = replace(self, strategy=replace(self.strategy, options=None), tuned={}, options={})
        found = merge(bare, values)
        mpp = nearest_mpp(self, found.strategy.mpp)
        return replace(found, strategy=replace(found.strategy, mpp=mpp, options=options))


def nearest_mpp(settings: RunSettings, mpp: float) -> float:
    """The nearest to `mpp` of the magnifications that are looked at."""
    return min(settings.view.mpps, key=lambda own: abs(own / mpp - 1))


OPTIONS: Path = ("strategy", "options")
MPPS: Path = ("strategy", "method", "mpps")
NOT_SET: tuple[Path, ...] = (("device",), ("tuned",), ("options",), OPTIONS, MPPS)
"""What KEY=VALUE does not reach: it has an option of its own, is of single strategies, or is owned by the view."""


def option_hints(name: str) -> dict[Path, Any]:
    """Path and annotation of the options of the strategy called `name`."""
    return {(*OPTIONS, *path): hint for path, hint in leaves(strategy_class(name).options_class).items()}


def own_leaves(name: str) -> dict[Path, Any]:
    """Path and annotation of what the strategy called `name` may have for itself: its settings and its training."""
    shared = {path: hint for path, hint in leaves(RunSettings).items() if path[0] in ("strategy", "train")}
    return {**{path: hint for path, hint in shared.items() if path not in NOT_SET}, **option_hints(name)}


def own_path(name: str, key: str) -> Path:
    """The setting called `key` of the strategy called `name`; ValueError where it may have none for itself."""
    known = own_leaves(name)
    if not find(key, known):
        if find(key, [path for path in leaves(RunSettings) if path[0] == "view"]):
            raise ValueError(
                f"{name}: {key} is of the view, which all strategies share; set it for all of them: {key}=..."
            )
        raise ValueError(f"{name} has no setting called {key!r}{nearest(key, known)}")
    return find_one(key, known)


REGIMES: tuple[str, ...] = ("frozen", "finetuned")
"""frozen: the encoder stays as it is, features computed once and charged; finetuned: trained end to end, fresh."""


def in_regime(settings: RunSettings, regime: str) -> RunSettings:
    """`settings` in one of `REGIMES`, all that it decides set together."""
    frozen = regime == "frozen"
    # weights that were trained already would be lost at the rate of new layers; random ones are new layers
    rate = 1e-4 if not frozen and settings.encoder.pretrained is not None else None
    # where nothing is stored every draw of validation is read and encoded anew
    train = replace(
        settings.train,
        features="store" if frozen else "fresh",
        encoder_learning_rate=rate,
        val_draws=TrainSettings.val_draws if frozen else 1,
    )
    return replace(settings, encoder=replace(settings.encoder, frozen=frozen), train=train)
