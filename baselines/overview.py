"""Overview only: one downscaled view through the encoder, no patch read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, nn

from baselines.contract import Outcome, Strategy, StrategySettings
from jsma.meter import Meter
from jsma.metered import MeteredSlide


class Overview(Strategy):
    """Control: linear head on the encoder's feature of the overview."""

    name = "overview"
    source = "control"
    draws = False

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        self.scale = feature_dim**0.5
        self.head = nn.Linear(feature_dim, n_classes)

    def forward(self, slides: Sequence[MeteredSlide], generator: Generator) -> list[Outcome]:
        """See `Strategy`."""
        for slide in slides:
            _ = slide.view
        features = torch.stack([slide.overview_feature() for slide in slides])
        with self.meter.stage("aggregate"):
            return [Outcome(row) for row in self.head(features * self.scale)]
