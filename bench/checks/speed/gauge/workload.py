"""What the operations work on: sizes, slides, networks. All draws come from fixed seeds."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from baselines import STRATEGIES
from baselines.contract import Strategy, StrategySettings
from jsma import Encoder, EncoderSettings, JSMASettings, build_encoder
from jsma.meter import Meter
from jsma.metered import Desk, MeteredSlide, ViewSettings
from jsma.slides import Slide, open_slide

CLASSES = 4


def _settings(cls: type, **values: Any) -> Any:
    """Settings of a class of `jsma` or `baselines`, from those of `values` that its revision has."""
    known = {field.name for field in fields(cls)}
    return cls(**{name: value for name, value in values.items() if name in known})


@dataclass(frozen=True)
class Sizes:
    """Sizes of the work; results for other sizes are not comparable.

    large0_px: side of the slide that the reading operations use; small0_px: side of the two slides of
    inference and training; scattered: patches read at random places and magnifications; encoded:
    patches encoded; drawn_slides: slides in a batch of draws; n_patches: patches a slide that a
    sampler draws; patch_px: their side.
    """

    large0_px: int = 2048
    small0_px: int = 1024
    scattered: int = 128
    encoded: int = 32
    drawn_slides: int = 16
    n_patches: int = 16
    patch_px: int = 64


@dataclass(frozen=True)
class Place:
    """Where to work: folder of the slides, torch device, decoding threads (None: the product's default).

    in_process: decode in this process, so that decoded tiles can be counted one by one.
    """

    folder: Path
    device: str = "cpu"
    workers: int | None = None
    in_process: bool = False


class Workload:
    """Slides and networks, made when first used; the weights are random, from a fixed seed."""

    def __init__(self, place: Place, sizes: Sizes | None = None):
        self.place, self.sizes = place, sizes or Sizes()
        self.device = torch.device(place.device)
        self.view = ViewSettings(patch_px=self.sizes.patch_px)
        self.method = _settings(
            JSMASettings, n_patches=self.sizes.n_patches, patch_px=self.sizes.patch_px, mpps=self.view.mpps
        )
        self.settings = _settings(StrategySettings, method=self.method)

    def open(self, name: str) -> Slide:
        """The slide `name` of the folder."""
        path = self.place.folder / f"{name}.tif"
        return open_slide(path, workers=self.place.workers, in_process=self.place.in_process)

    @cached_property
    def large(self) -> Slide:
        """The slide of the reading operations, open."""
        return self.open("large")

    @cached_property
    def encoder(self) -> Encoder:
        """EfficientNet-Lite0 cut after stage 3, as the presets use it, with random weights."""
        return build_encoder(EncoderSettings(pretrained=None, stage=3)).to(self.device)

    def desk(self) -> Desk:
        """A desk of its own, with a fresh meter: every patch is read and encoded."""
        desk = Desk(Meter(), self.encoder, self.view, device=self.device)
        desk.flops_per_patch(self.view.patch_px, self.view.patch_px)
        return desk

    def metered(self, name: str, desk: Desk) -> MeteredSlide:
        """A slide that nobody has looked at, every cell of which counts as tissue.

        The tissue mask depends on decoded pixels, and those on the version of a library; counters must not.
        """
        slide = MeteredSlide(name, lambda: self.open(name), desk)
        slide.view.mask.fill_(True)
        return slide

    def strategy(self, name: str) -> Strategy:
        """An untrained strategy whose attention is the same for all pixels, for the same reason."""
        module, _, cls = STRATEGIES[name].partition(":")
        torch.manual_seed(0)
        strategy = getattr(import_module(module), cls)(self.settings, self.encoder.dim, CLASSES, Meter())
        with torch.no_grad():
            for key, parameter in strategy.named_parameters():
                if ".attention.heads." in f".{key}":
                    parameter.zero_()
        return strategy.to(self.device)

    def generator(self) -> Generator:
        """Fresh randomness from the same seed."""
        return Generator(device=self.device).manual_seed(0)

    def log_a(self, batch: int) -> Tensor:
        """Log-probabilities [batch, K] over the cells of the large slide, mildly uneven."""
        cells = sum((-(-self.sizes.large0_px // int(self.sizes.patch_px * m / 0.5))) ** 2 for m in self.view.mpps)
        rng = np.random.default_rng(1)
        logits = torch.from_numpy(rng.normal(size=(batch, cells)).astype(np.float32))
        return logits.log_softmax(-1).to(self.device)

    def synchronise(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
