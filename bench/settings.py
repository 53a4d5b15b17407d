"""Settings of a run, and the presets."""

from __future__ import annotations

from dataclasses import dataclass, field

from baselines.contract import StrategySettings
from bench.cache import CACHES, WARM
from jsma.encoder import EncoderSettings
from jsma.metered import ViewSettings


@dataclass(frozen=True)
class TrainSettings:
    """The same schedule for every strategy.

    epochs: most passes over the training slides; batch: slides a step; learning_rate, weight_decay:
    Adam's; patience: epochs without a better validation loss before stopping; clip_norm: of the
    gradient; features: "store" (frozen encoder, a feature is computed once and charged to each run
    that uses it) or "fresh" (every patch is read and encoded each time); standardise: features are
    brought to one scale per magnification, measured on a few training patches (`bench.calibrate`).
    """

    epochs: int = 100
    batch: int = 16
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    patience: int = 30
    clip_norm: float = 1.0
    features: str = "store"
    standardise: bool = True


@dataclass(frozen=True)
class RunSettings:
    """Everything that decides a result, but for the data, the strategy, the fold and the seed.

    device: of the networks; cache: whether inference finds a slide's file in the page cache ("warm") or not ("cold").
    """

    strategy: StrategySettings = field(default_factory=StrategySettings)
    encoder: EncoderSettings = field(default_factory=lambda: EncoderSettings(pretrained="package", stage=3))
    view: ViewSettings = field(default_factory=ViewSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    device: str = "cpu"
    cache: str = WARM

    def __post_init__(self) -> None:
        if self.cache not in CACHES:
            raise ValueError(f"cache is {self.cache!r}; allowed: {', '.join(CACHES)}")


@dataclass(frozen=True)
class Preset:
    """What `--preset` chooses: the demo's slides, the number of seeds, the schedule."""

    slides: int
    seeds: int
    epochs: int
    side0_px: int = 2048
    hint: float = 0.8
    evidence_share: float = 0.5
    variant: str = "both"
    seed: int = 0


PRESETS: dict[str, Preset] = {
    "demo": Preset(slides=200, seeds=1, epochs=80, side0_px=1536),
    "full": Preset(slides=400, seeds=5, epochs=100, side0_px=1536),
    "tiny": Preset(slides=16, seeds=1, epochs=2, side0_px=1024),
}
