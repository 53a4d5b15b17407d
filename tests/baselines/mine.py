"""A strategy of one's own: the N tissue cells that look darkest on the overview, averaged."""

from collections.abc import Sequence

import torch
from torch import Generator, nn

from baselines.contract import Outcome, Strategy, StrategySettings
from jsma.meter import Meter
from jsma.metered import MeteredSlide


class Mine(Strategy):
    """Darkest cells first; no attention is learnt. From the README."""

    name = "mine"
    source = "README"
    draws = False  # the same cells each time

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        self.head = nn.Linear(feature_dim, n_classes)

    def forward(self, slides: Sequence[MeteredSlide], generator: Generator) -> list[Outcome]:
        outcomes = []
        for slide in slides:
            grey = slide.overview().mean(0)  # [h, w]; the pools average it over every cell
            mean = torch.cat([(rows @ grey @ columns.T).flatten() for rows, columns in slide.view.pools])
            mean[~slide.view.mask] = torch.inf
            cells = mean.argsort()[: self.settings.method.n_patches]
            outcomes.append(Outcome(self.head(slide.features(cells).mean(0)), cells=cells))
        return outcomes
