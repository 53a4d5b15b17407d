"""Features brought to one scale: standardised per magnification, then of norm 1."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize


class FeatureScale(nn.Module):
    """(f - mean) / std per channel and magnification, then L2-normalised.

    Encoder features of tissue share a large common part, and differ more between magnifications than within one;
    a linear head on pooled features then sees little else. The norm is 1 because sampling from the attention has
    the least variance only for features of equal norm (Katharopoulos & Fleuret, ICML 2019).
    mean, std: buffers [groups, dim], one group a magnification and one more for the overview.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, groups: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(groups, dim))
        self.register_buffer("std", torch.ones(groups, dim))

    @torch.no_grad()
    def fit(self, features: Sequence[Tensor]) -> FeatureScale:
        """Take mean and standard deviation from features [n, dim] of each group; a group with fewer than 2 rows
        takes those of all rows together.
        """
        everything = torch.cat(list(features))
        for group, rows in enumerate(features):
            rows = rows if len(rows) > 1 else everything
            self.mean[group] = rows.mean(0)
            # a channel that never varies says nothing: it is left near 0, not blown up
            self.std[group] = rows.std(0).clamp_min(1e-3 * float(rows.std(0).max()) + 1e-12)
        return self

    def forward(self, features: Tensor, group: Tensor) -> Tensor:
        """Scaled features [n, dim] of features [n, dim] with their group, long [n]."""
        return normalize((features - self.mean[group]) / self.std[group], dim=-1)
