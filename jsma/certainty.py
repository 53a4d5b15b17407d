"""How sure a classifier should say that it is."""

from __future__ import annotations

import math

from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn.functional import cross_entropy

WIDEST = 100.0


def best_temperature(logits: Tensor, labels: Tensor) -> float:
    """T in 1 / WIDEST..WIDEST at which the cross-entropy of softmax(logits / T) with the labels is least.

    logits: [n, C]; labels: long [n]. The order of the classes stays as it is. Convex in 1 / T, so that one minimum is
    the only one. Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    bound = math.log(WIDEST)
    rows = logits.double()
    found = minimize_scalar(lambda u: float(cross_entropy(rows * math.exp(-u), labels)), bounds=(-bound, bound),
                            method="bounded")  # fmt: skip
    return math.exp(float(found.x))
