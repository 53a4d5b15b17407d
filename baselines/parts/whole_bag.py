"""What strategies share that read every tissue patch: bags, the trained layer, one pool a magnification."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from baselines.contract import Outcome, Strategy, StrategySettings
from baselines.parts.cells import only_magnification
from jsma.meter import Meter
from jsma.metered import MeteredSlide
from jsma.networks.adapter import Adapter


class Everything(Strategy):
    """All tissue patches at all magnifications, each through the trained layer of its magnification.

    The sampler has the same layer and one pool a magnification by default, so that these choices do not decide between
    the two.
    """

    bounded = False
    draws = False

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        self.adapted = Adapter(feature_dim, settings.method.adapter_dim, len(self.pool_mpps()))
        self.dim = self.adapted.dim

    def pool_mpps(self) -> tuple[float, ...]:
        """List the magnifications that are read, one pool each."""
        return self.settings.method.mpps

    def masks(self, slide: MeteredSlide) -> list[Tensor]:
        """Find the cells that each pool reads: bool [K] per pool."""
        masks = []
        for part in slide.view.grid.slices:
            mask = torch.zeros_like(slide.view.mask)
            mask[part] = slide.view.mask[part]
            masks.append(mask)
        return masks

    def cells(self, slide: MeteredSlide) -> list[Tensor]:
        """Find the cells that each pool reads: flat indices, long [n] per pool."""
        return [mask.nonzero()[:, 0] for mask in self.masks(slide)]

    def through_layer(self, features: Tensor, k: int) -> Tensor:
        """Take encoder features [n, feature_dim] of pool `k` to [n, dim], with coordinates near 1."""
        return self.adapted.at(features, k) * math.sqrt(self.dim)


class WholeBag(Everything):
    """All patches of a slide, held in memory together."""

    @abstractmethod
    def classify(self, bags: list[list[Tensor]]) -> list[Outcome]:
        """Turn bags into outcomes.

        Args:
            bags: Per slide and per pool, the patches [n, dim], n at least 1. A magnification at which a slide has no
                tissue comes as one patch with a feature of 0 before the layer.

        Returns:
            One outcome a slide, without its cells.
        """

    def forward(self, slides: Sequence[MeteredSlide], generator: Generator) -> list[Outcome]:
        """See `Strategy`."""
        cells = [self.cells(slide) for slide in slides]
        raw = [
            slide.features(torch.cat(own)).split([len(c) for c in own])
            for slide, own in zip(slides, cells, strict=True)
        ]
        with self.meter.stage("aggregate"):
            bags = [
                [self.through_layer(b if len(b) else b.new_zeros(1, self.feature_dim), k) for k, b in enumerate(own)]
                for own in raw
            ]
            outcomes = self.classify(bags)
        for outcome, own in zip(outcomes, cells, strict=True):
            outcome.cells = torch.cat(own)
        return outcomes


class OneMagnification(Everything):
    """The same at the one magnification `settings.mpp`. A mixin, named before the class that reads all."""

    def pool_mpps(self) -> tuple[float, ...]:
        """See `Everything`; the one magnification."""
        return (self.settings.mpp,)

    def masks(self, slide: MeteredSlide) -> list[Tensor]:
        """See `Everything`; cells of the one magnification."""
        return [only_magnification(slide, self.settings.mpp)]


class Pooled(WholeBag):
    """One pool a magnification from a bag to a vector [dim], and a linear head on all of these vectors."""

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        self.pools = nn.ModuleList(self.make_pool() for _ in self.pool_mpps())
        self.head = nn.Linear(len(self.pools) * self.dim, n_classes)

    @abstractmethod
    def make_pool(self) -> nn.Module:
        """Make a pool: bags [b, n, dim], padded to one length, and their mask, bool [b, n] -> vectors [b, dim]."""

    def classify(self, bags: list[list[Tensor]]) -> list[Outcome]:
        """See `WholeBag`."""
        pooled = [pool(*pad_bags([own[k] for own in bags])) for k, pool in enumerate(self.pools)]
        return [Outcome(row) for row in self.head(torch.cat(pooled, dim=1))]


def pad_bags(bags: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Pad bags [n, dim] of any lengths with 0.

    Returns:
        One tensor [b, longest, dim], and its mask, bool [b, longest], True where a patch is.
    """
    lengths = torch.tensor([len(bag) for bag in bags], device=bags[0].device)
    mask = torch.arange(int(lengths.max()), device=lengths.device) < lengths[:, None]
    return pad_sequence(bags, batch_first=True), mask
