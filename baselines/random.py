"""Random patches over (place, magnification): the floor that attention must beat."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from baselines.contract import StrategySettings
from baselines.jsma import Joint
from jsma.meter import Meter
from jsma.metered import MeteredSlide


class Random(Joint):
    """Control: N patches without replacement, with p(m) uniform and the tissue cells of m uniform."""

    name = "random"
    source = "control"

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        self.model.attention.requires_grad_(False)  # nothing is drawn by it

    def log_attention(self, slides: Sequence[MeteredSlide]) -> Tensor:
        """See `Joint`; constant, 1/M for each magnification and uniform inside it."""
        rows, like = [], next(self.model.parameters())
        for slide in slides:
            mask, parts = self.allowed(slide), slide.view.grid.slices
            log_a = torch.full(mask.shape, -torch.inf, dtype=like.dtype)
            held = [part for part in parts if mask[part].any()]
            for part in held:
                log_a[part][mask[part]] = -math.log(int(mask[part].sum()) * len(held))
            rows.append(log_a)
        return torch.stack(rows).to(like.device)
