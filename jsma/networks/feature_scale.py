"""Features brought to one scale: standardised per magnification, then of norm 1."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize


class FeatureScale(nn.Module):
    """Standardises features per channel and magnification, (f - mean) / std, and brings them to norm 1.

    Encoder features of tissue have a large part in common, and differ more between magnifications than within one. A
    linear head on pooled features would see little else. The norm is 1 because sampling from the attention has the
    least variance only for features of equal norm (Katharopoulos & Fleuret, ICML 2019).

    Attributes:
        mean: [groups, dim]. Every magnification is a group, and the overview is one more.
        std: [groups, dim].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, groups: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(groups, dim))
        self.register_buffer("std", torch.ones(groups, dim))

    @torch.no_grad()
    def fit(self, features: Sequence[Tensor]) -> FeatureScale:
        """Take mean and standard deviation from features.

        Args:
            features: Per group, features [n, dim]. A group with fewer than 2 rows takes the numbers of all rows.

        Returns:
            Itself.
        """
        everything = torch.cat(list(features))
        for group, rows in enumerate(features):
            rows = rows if len(rows) > 1 else everything
            self.mean[group] = rows.mean(0)
            # a channel that never varies says nothing; it stays near 0
            self.std[group] = rows.std(0).clamp_min(1e-3 * float(rows.std(0).max()) + 1e-12)
        return self

    def forward(self, features: Tensor, group: Tensor) -> Tensor:
        """Scale features [n, dim] of the groups `group`, long [n]."""
        return normalize((features - self.mean[group]) / self.std[group], dim=-1)
