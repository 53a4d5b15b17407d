"""Perturbed top-k: a differentiable choice of the k highest scores."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def hard_top_k(scores: Tensor, k: int) -> Tensor:
    """Choose the k highest scores [K]: indicators [min(k, K), K], one row a choice, in the order of the index."""
    k = min(k, scores.shape[-1])
    chosen = scores.topk(k).indices.sort().values
    return torch.nn.functional.one_hot(chosen, scores.shape[-1]).to(scores)


def perturbed_top_k(
    scores: Tensor, k: int, sigma: float, n_samples: int, generator: torch.Generator | None = None
) -> Tensor:
    """Choose the k highest scores under noise, on average, so that the choice can be differentiated.

    Y = E_Z[onehot(sort(topk(scores + sigma Z)))] over samples of a standard normal Z. The gradient is the estimate
    E[Y(scores + sigma Z) Z^T] / sigma of the FULL Jacobian [k, K, K] of that smoothed choice. It is applied to the
    incoming gradient and never built. Only the columns of Y that are not 0 choose anything: see `used_columns`.
    Source: Berthet et al., NeurIPS 2020 (arXiv 2002.08676); Cordonnier et al., CVPR 2021 (arXiv 2104.03059).

    Args:
        scores: [K].
        k: Number of choices, at least 1.
        sigma: Size of the noise. 0 gives the hard choice, without a gradient.
        n_samples: Samples of Z, at least 1.
        generator: The randomness.

    Returns:
        Y [min(k, K), K]: one row a choice, in the order of the index. Each row sums to 1.

    Raises:
        ValueError: A number is out of range.
    """
    if k < 1 or n_samples < 1 or sigma < 0:
        raise ValueError(f"k {k}, n_samples {n_samples}, sigma {sigma}; allowed: at least 1, at least 1, at least 0")
    if sigma == 0:
        return hard_top_k(scores, k)
    noise = torch.randn((n_samples, len(scores)), generator=generator, device=scores.device, dtype=scores.dtype)
    return top_k_under(scores, noise, k, sigma)


def top_k_under(scores: Tensor, noise: Tensor, k: int, sigma: float) -> Tensor:
    """Choose as `perturbed_top_k` does, under the noise [n, K] that is given."""
    return _PerturbedTopK.apply(scores, noise, min(k, scores.shape[-1]), sigma)  # pyright: ignore[reportReturnType]


def used_columns(y: Tensor) -> Tensor:
    """Find the columns of Y [k, K] with an entry that is not 0: indices [u], ascending."""
    return (y.detach() != 0).any(0).nonzero()[:, 0]


class _PerturbedTopK(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, noise: Tensor, k: int, sigma: float) -> Tensor:
        chosen = (scores + sigma * noise).topk(k, dim=-1).indices.sort(-1).values  # [n, k]
        ctx.save_for_backward(chosen, noise)
        ctx.sigma = sigma
        y = scores.new_zeros(k, scores.shape[-1])
        return y.scatter_add_(1, chosen.T, scores.new_full(chosen.T.shape, 1 / len(noise)))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        chosen, noise = ctx.saved_tensors
        rows = torch.arange(chosen.shape[1], device=chosen.device)
        # sum over (row, column) of the incoming gradient where a sample chose: <G, Y_n>, then times Z_n
        of_sample = grads[0][rows, chosen].sum(-1)
        return of_sample @ noise / (len(noise) * ctx.sigma), None, None, None
