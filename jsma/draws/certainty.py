"""How certain a classifier should say that it is after what it has read so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import cross_entropy

FLATTEST, SHARPEST = 0.01, 100.0


@dataclass(frozen=True)
class Sharpness:
    """What logits are multiplied by before the softmax, depending on the number of patches that were read.

    Logits of few patches are noisy: the same margin means less after four patches than after thirty-two. The noise of a
    mean falls with the square root of n. The factor is therefore linear in sqrt(n), and constant outside the ends.
    Source: temperature scaling (Guo et al., ICML 2017, eq. 9; sharpness = 1 / T), with T depending on the patches.

    Attributes:
        first: The factor after `fewest` patches, above 0.
        last: The factor after `most` patches, above 0.
        fewest: Number of patches at one end.
        most: Number of patches at the other.
    """

    first: float = 1.0
    last: float = 1.0
    fewest: float = 1.0
    most: float = 1.0

    def at(self, n: float) -> float:
        """Find the factor after `n` patches."""
        return float(np.interp(n**0.5, (self.fewest**0.5, self.most**0.5), (self.first, self.last)))


def best_sharpness(logits: Tensor, labels: Tensor, patches: Tensor) -> Sharpness:
    """Find the sharpness at which the cross-entropy of softmax(factor * logits) is least.

    The cross-entropy is convex in (first, last), so that there is one minimum. The order of the classes is not changed.

    Args:
        logits: [n, C].
        labels: Class of each row, long [n].
        patches: Number of patches that had been read for each row, [n].

    Returns:
        The sharpness, both ends within FLATTEST to SHARPEST.
    """
    rows, root = logits.double(), patches.double().sqrt()
    low, high = float(root.min()), float(root.max())
    share = (root - low) / max(high - low, 1e-12)

    def loss(ends: np.ndarray) -> tuple[float, np.ndarray]:
        first, last = (torch.tensor(end, dtype=rows.dtype, device=rows.device, requires_grad=True) for end in ends)
        value = cross_entropy(rows * (first + (last - first) * share)[:, None], labels)
        return float(value.detach()), np.array([float(g) for g in torch.autograd.grad(value, (first, last))])

    with torch.enable_grad():
        found = minimize(loss, (1.0, 1.0), jac=True, method="L-BFGS-B", bounds=[(FLATTEST, SHARPEST)] * 2).x
    first, last = float(found[0]), float(found[1] if high > low else found[0])
    return Sharpness(first, last, low**2, high**2)
