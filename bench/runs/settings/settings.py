"""Settings of a run, and the presets."""

from __future__ import annotations

from dataclasses import field, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from baselines.contract import StrategySettings
from bench.runs.observed.page_cache import WARM
from bench.runs.settings.strategies import lineage
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
    """Everything that decides a result, but for the data, the strategy, the fold and the seed.

    tuned: strategy -> {setting of `strategy`, `method`, `look`, `bag` or `train`: value}, where strategies have
    settings of their own (each chosen on validation, `bench.studies.tuning`); all runs of one comparison carry the
    same. A setting that it has none of its own for a strategy takes from its `tuned_as`.
    strategy.method takes mpps and patch_px from view, which owns them: what is drawn from is what is looked at.
    device: of the networks; cache: whether inference finds a slide's file in the page cache ("warm") or not ("cold").
    """

    strategy: StrategySettings = field(default_factory=StrategySettings)
    encoder: EncoderSettings = field(default_factory=lambda: EncoderSettings(pretrained="package", stage=3))
    view: ViewSettings = field(default_factory=ViewSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    device: str = "cpu"
    cache: Literal["warm", "cold"] = WARM
    tuned: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        method = replace(self.strategy.method, mpps=self.view.mpps, patch_px=self.view.patch_px)
        object.__setattr__(self, "strategy", replace(self.strategy, method=method))
        for name in self.tuned:
            self.of(name)  # an unknown strategy or setting, or a value that is not allowed, is an error at once

    @property
    def regime(self) -> str:
        """One of `REGIMES`."""
        return "frozen" if self.encoder.frozen else "finetuned"

    def of(self, name: str) -> RunSettings:
        """The settings in force for the strategy called `name`: these, with what is tuned for it or for its `tuned_as`.

        Nothing is left in `tuned`: what others have does not decide a run of this one. `strategy.mpp` is the nearest of
        the view's magnifications, as it is read. ValueError for a setting that no single strategy may have; UsageError
        for an unknown strategy.
        """
        own: dict[str, Any] = {}
        for relative in reversed(lineage(name)):
            own |= self.tuned.get(relative, {})
        strategy, train = self.strategy, self.train
        for key, value in own.items():
            self.check_own(name, key)
            strategy, train = with_field(strategy, key, value), with_field(train, key, value)
        mpp = min(self.view.mpps, key=lambda own: abs(own / strategy.mpp - 1))
        return replace(self, strategy=replace(strategy, mpp=mpp), train=train, tuned={})

    def check_own(self, name: str, key: str) -> None:
        """ValueError where `key` is no setting that the strategy called `name` may have for itself."""
        if key in keys_of(self.view):
            raise ValueError(
                f"{name}: {key} is of the view, which all strategies share; set it for all of them: {key}=..."
            )
        allowed = keys_of(self.strategy) | keys_of(self.train)
        if key not in allowed:
            raise ValueError(f"{name} has no setting called {key!r}; there are: {', '.join(sorted(allowed))}")


def with_field(settings: Any, key: str, value: Any) -> Any:
    """`settings` with `value` in the field called `key`, in it or in a dataclass inside it; unchanged without one."""
    for name, old in vars(settings).items():
        if hasattr(old, "__dataclass_fields__"):
            settings = replace(settings, **{name: with_field(old, key, value)})
        elif name == key:
            settings = replace(settings, **{name: value})
    return settings


def keys_of(settings: Any) -> set[str]:
    """Names of the fields of a dataclass and of the dataclasses inside it."""
    keys: set[str] = set()
    for name, value in vars(settings).items():
        keys |= keys_of(value) if hasattr(value, "__dataclass_fields__") else {name}
    return keys


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
