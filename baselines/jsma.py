"""Joint spatial and magnification attention sampling."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from baselines.contract import Outcome, Strategy, StrategySettings
from jsma import JSMA
from jsma.meter import Meter
from jsma.metered import MeteredSlide


class Joint(Strategy):
    """Overview -> one distribution over (magnification, row, column) -> N patches -> unbiased pooling.

    Reconstruction of Zhang et al., CVPR-W 2021, from its abstract.
    """

    name = "jsma"
    source = "Zhang et al., CVPR-W 2021, doi 10.1109/CVPRW53098.2021.00418 (reconstruction)"

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        self.model = JSMA(settings.method, feature_dim, n_classes)

    def allowed(self, slide: MeteredSlide) -> Tensor:
        """Cells [K] that may be drawn; every cell with tissue here."""
        return slide.view.mask

    def log_attention(self, slides: Sequence[MeteredSlide]) -> list[Tensor]:
        """log a [K] of each slide; slides of equal geometry go through the network together."""
        found: dict[int, Tensor] = {}
        groups: dict[object, list[int]] = {}
        for i, slide in enumerate(slides):
            groups.setdefault((slide.view.grid, slide.view.overview.shape), []).append(i)
        for members in groups.values():
            overviews = torch.stack([slides[i].overview() for i in members])
            masks = torch.stack([self.allowed(slides[i]) for i in members]).to(overviews.device)
            with self.meter.stage("attention"):
                log_a = self.model.attend(overviews, slides[members[0]].view.pools, masks)
            found.update(zip(members, log_a, strict=True))
        return [found[i] for i in range(len(slides))]

    def forward(self, slides: Sequence[MeteredSlide], generator: Generator) -> list[Outcome]:
        """See `Strategy`."""
        for slide in slides:
            _ = slide.view  # the overviews are read before the first attention is timed
        return [
            self._one(slide, log_a, generator) for slide, log_a in zip(slides, self.log_attention(slides), strict=True)
        ]

    def _one(self, slide: MeteredSlide, log_a: Tensor, generator: Generator) -> Outcome:
        with self.meter.stage("sample"):
            draw = self.model.draw(log_a[None], generator)[0]
        features = slide.features(draw.indices)
        with self.meter.stage("aggregate"):
            parts = slide.view.grid.slices
            ends = torch.tensor([part.stop for part in parts], device=log_a.device)
            magnification = torch.bucketize(draw.indices, ends, right=True)
            logits = self.model.classify(log_a[draw.indices], features, magnification, draw.log_threshold)
            p = torch.stack([log_a[part].exp().sum() for part in parts]).detach()
            return Outcome(logits, self.model.regulariser(log_a), draw.indices, p)
