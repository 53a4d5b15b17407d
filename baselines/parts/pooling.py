"""Weighted sums of patch features, for strategies whose weights are not those of an estimator."""

from __future__ import annotations

import torch
from torch import Tensor


def by_magnification(weights: Tensor, features: Tensor, magnification: Tensor, n: int) -> Tensor:
    """Sum weighted features, magnification by magnification.

    Args:
        weights: [q].
        features: [q, d].
        magnification: Index of the magnification of each patch, long [q], 0 to n - 1.
        n: Number of magnifications.

    Returns:
        sum_q w_q f_q over the patches of each magnification, [n, d].
    """
    own = torch.nn.functional.one_hot(magnification, n).to(features)
    return own.T @ (weights.to(features)[:, None] * features)
