"""Exhaustive multiple-instance learning: every tissue patch, pooled by gated attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torchmil.nn import AttentionPool

from baselines.contract import Outcome, Strategy, StrategySettings
from baselines.fixed import only_magnification
from jsma.adapter import Adapter
from jsma.meter import Meter
from jsma.metered import MeteredSlide


class ExhaustiveAll(Strategy):
    """All tissue patches at all magnifications; one gated pool a magnification, concatenated.

    Gated attention: Ilse et al., ICML 2018 (head from torchmil). The trained layer on each feature and one pool a
    magnification are the same choices as the sampler's defaults, so that they are not what decides between them.
    """

    name = "exhaustive-all"
    source = "Ilse, Tomczak & Welling, ICML 2018, arXiv 1802.04712"
    bounded = False

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        n_pools = len(self.pool_mpps())
        self.adapted = Adapter(feature_dim, settings.method.adapter_dim, n_pools)
        dim = self.adapted.dim
        self.pools = nn.ModuleList(
            AttentionPool(in_dim=dim, att_dim=settings.attention_dim, gated=True) for _ in range(n_pools)
        )
        self.head = nn.Linear(n_pools * dim, n_classes)

    def pool_mpps(self) -> tuple[float, ...]:
        """Magnifications that are read, one pool each."""
        return self.settings.method.mpps

    def masks(self, slide: MeteredSlide) -> list[Tensor]:
        """Per pool, the mask [K] of the cells it reads."""
        masks = []
        for part in slide.view.grid.slices:
            mask = torch.zeros_like(slide.view.mask)
            mask[part] = slide.view.mask[part]
            masks.append(mask)
        return masks

    def forward(self, slides: Sequence[MeteredSlide], generator: Generator) -> list[Outcome]:
        """See `Strategy`."""
        cells = [[mask.nonzero()[:, 0] for mask in self.masks(slide)] for slide in slides]
        bags = [
            slide.features(torch.cat(own)).split([len(c) for c in own])
            for slide, own in zip(slides, cells, strict=True)
        ]
        with self.meter.stage("aggregate"):
            pooled = []
            for k, pool in enumerate(self.pools):
                own = [bag[k] for bag in bags]
                padded = pad_sequence(
                    [b if len(b) else b.new_zeros(1, self.feature_dim) for b in own], batch_first=True
                )
                lengths = torch.tensor([max(len(b), 1) for b in own], device=padded.device)
                mask = torch.arange(padded.shape[1], device=padded.device) < lengths[:, None]
                pooled.append(pool(self.adapted.at(padded, k) * self.adapted.dim**0.5, mask.float()))
            logits = self.head(torch.cat(pooled, dim=1))
        return [Outcome(row, cells=torch.cat(own)) for row, own in zip(logits, cells, strict=True)]


class Exhaustive(ExhaustiveAll):
    """All tissue patches at the one magnification `settings.mpp`; as `ExhaustiveAll` (Ilse et al., ICML 2018)."""

    name = "exhaustive"

    def pool_mpps(self) -> tuple[float, ...]:
        """The one magnification."""
        return (self.settings.mpp,)

    def masks(self, slide: MeteredSlide) -> list[Tensor]:
        """Cells of `settings.mpp` only."""
        return [only_magnification(slide, self.settings.mpp)]
