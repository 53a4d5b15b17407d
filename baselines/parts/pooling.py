"""A weighted sum of patch features through the method's head, for strategies whose weights are no estimator's."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from jsma import JSMA


def by_magnification(weights: Tensor, features: Tensor, magnification: Tensor, n: int) -> Tensor:
    """sum_q w_q f_q kept apart per magnification, [n, d], of weights [q], features [q, d], magnification long [q]."""
    own = torch.nn.functional.one_hot(magnification, n).to(features)
    return own.T @ (weights.to(features)[:, None] * features)


def classify(model: JSMA, phi: Tensor) -> Tensor:
    """Logits [..., C] of pooled (adapted) features [..., M, d] by JSMA's head, pooled and scaled as there."""
    pooled = phi.flatten(-2) if model.settings.pool == "concat" else phi.sum(-2)
    return model.head(pooled * math.sqrt(model.pooled_dim))
