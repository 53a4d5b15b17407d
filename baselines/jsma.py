"""Joint spatial and magnification attention sampling."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from baselines.contract import Outcome, Strategy, StrategySettings
from jsma import JSMA, Draw
from jsma.meter import Meter
from jsma.metered import MeteredSlide, features_of


class Joint(Strategy):
    """One attention over (magnification, row, column) from the overview, N patches drawn from it, pooled unbiasedly.

    A reconstruction of Zhang et al., CVPR-W 2021, from its abstract.
    """

    name = "jsma"
    source = "Zhang et al., CVPR-W 2021, doi 10.1109/CVPRW53098.2021.00418 (reconstruction)"

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        self.model = JSMA(settings.method, feature_dim, n_classes)

    def set_progress(self, share: float) -> None:
        """See `Strategy`."""
        self.model.set_progress(share)

    def allowed(self, slide: MeteredSlide) -> Tensor:
        """Find the cells that may be drawn, bool [K]: here every cell with tissue."""
        return slide.view.mask

    def log_attention(self, slides: Sequence[MeteredSlide]) -> Tensor:
        """Compute log a [b, K] of slides of equal geometry."""
        overviews = torch.stack([slide.overview() for slide in slides])
        masks = torch.stack([self.allowed(slide) for slide in slides]).to(overviews.device)
        return self.model.attend(overviews, slides[0].view.pools, masks)

    def used(self, log_a: Tensor, slides: Sequence[MeteredSlide], generator: Generator) -> Tensor:
        """Choose the attention that is drawn from, log a [b, K]: here the learnt one; controls use another."""
        return log_a

    def forward(self, slides: Sequence[MeteredSlide], generator: Generator) -> list[Outcome]:
        """See `Strategy`; slides of equal geometry go through the networks together."""
        groups: dict[object, list[int]] = {}
        for i, slide in enumerate(slides):
            groups.setdefault((slide.view.grid, slide.view.overview.shape), []).append(i)
        found: dict[int, Outcome] = {}
        for members in groups.values():
            found.update(zip(members, self._together([slides[i] for i in members], generator), strict=True))
        return [found[i] for i in range(len(slides))]

    def _together(self, slides: list[MeteredSlide], generator: Generator) -> list[Outcome]:
        with self.meter.stage("attention"):
            log_a = self.used(self.log_attention(slides), slides, generator)
        with self.meter.stage("sample"):
            draws = self.model.draw(log_a, generator, slides[0].view.grid)
        features = features_of(slides, [draw.indices for draw in draws])
        with self.meter.stage("aggregate"):
            parts = slides[0].view.grid.slices
            logits = self._logits(log_a, draws, features, torch.tensor([part.stop for part in parts]))
            sizes = [part.stop - part.start for part in parts]
            p, a = self.model.p_m(log_a, sizes).detach(), log_a.detach().exp()
            penalties = self.model.regulariser(log_a, sizes)
        return [
            Outcome(row, penalty, draw.indices, share, attention)
            for row, penalty, draw, share, attention in zip(logits, penalties, draws, p, a, strict=True)
        ]

    def _logits(self, log_a: Tensor, draws: list[Draw], features: list[Tensor], ends: Tensor) -> list[Tensor]:
        """Compute the logits of each slide; slides with equally many draws go through the estimator together."""
        found: dict[int, Tensor] = {}
        for n in {len(draw.indices) for draw in draws}:
            own = [i for i, draw in enumerate(draws) if len(draw.indices) == n]
            indices = torch.stack([draws[i].indices for i in own])
            logits = self.model.classify(
                log_a[own].gather(-1, indices),
                torch.stack([features[i] for i in own]),
                torch.bucketize(indices, ends.to(indices.device), right=True),
                torch.stack([draws[i].log_threshold for i in own]),
            )
            found.update(zip(own, logits, strict=True))
        return [found[i] for i in range(len(draws))]
