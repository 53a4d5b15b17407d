"""Bias and spread of every estimator by exact enumeration: `python -m jsma.estimator_table`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, permutations, product

import torch
from torch import Tensor

from jsma.estimators import ESTIMATORS, estimate

Sample = tuple[tuple[int, ...], float, Tensor | None]  # (cells in draw order, probability, kappa)

NAMES = tuple(name for name in ESTIMATORS if name != "truncated")  # truncated goes with top-n, not with a draw


@dataclass(frozen=True)
class Bias:
    """Errors of the mean over all samples, relative to the truth (norm of the difference / norm of the truth).

    value: Phi. feature_gradient: of g . Phi with respect to the features. attention_gradient: with respect to the
    attention LOGITS (a = softmax), and cosine with the true one. std: of g . Phi / |g| over samples.
    """

    value: float
    feature_gradient: float
    attention_gradient: float
    cosine: float
    std: float


def ordered_samples(a: Tensor, n: int) -> Iterator[Sample]:
    """Every ordered sample of n of the K cells without replacement, with its probability."""
    p: list[float] = a.tolist()
    for order in permutations(range(len(p)), n):
        probability, left = 1.0, 1.0
        for i in order:
            probability *= p[i] / left
            left -= p[i]
        yield order, probability, None


def repeated_samples(a: Tensor, n: int) -> Iterator[Sample]:
    """Every ordered tuple of n independent draws, with its probability."""
    p: list[float] = a.tolist()
    for order in product(range(len(p)), repeat=n):
        yield order, math.prod(p[i] for i in order), None


def threshold_samples(a: Tensor, n: int, step: float = 0.2) -> Iterator[Sample]:
    """Every set of n cells times a trapezoid over kappa (n < K), with probability = density times step.

    Density of kappa and the set S: (1-A) e^-k exp(-(1-A) e^-k) prod_{s in S} (1 - exp(-a_s e^-k)), A = sum_S a.
    It decays (double) exponentially on both sides, so the trapezoid converges faster than any power of the step.
    """
    nodes = torch.arange(-6.0, 30.0, step, dtype=torch.float64)
    rate = torch.exp(-nodes)
    for cells in combinations(range(len(a)), n):
        drawn = a[list(cells)]
        rest = 1.0 - drawn.sum()
        density = rest * rate * torch.exp(-rest * rate)
        density = density * (-torch.expm1(-drawn[:, None] * rate)).prod(0)
        for kappa, probability in zip(nodes, (density * step).tolist(), strict=True):
            if probability > 1e-14:
                yield cells, probability, kappa


def samples_for(name: str, a: Tensor, n: int) -> Iterator[Sample]:
    """The samples of the draw that the estimator `name` belongs to."""
    if name == "with-replacement":
        return repeated_samples(a, n)
    if name.startswith("horvitz-thompson"):
        return threshold_samples(a, n)
    return ordered_samples(a, n)


def enumerate_bias(name: str, logits: Tensor, features: Tensor, n: int) -> Bias:
    """Bias of an estimator over every sample of n of K cells: logits float64 [K], features float64 [K, d], n < K."""
    g = torch.linspace(-1.0, 1.5, features.shape[1], dtype=torch.float64)
    a = torch.softmax(logits, 0)
    value = torch.zeros_like(features[0])
    feature_gradient, attention_gradient = torch.zeros_like(features), torch.zeros_like(a)
    square = 0.0
    for order, probability, kappa in samples_for(name, a, n):
        index = torch.tensor(order)
        a_leaf, f_leaf = a[index].requires_grad_(), features[index].requires_grad_()
        phi = estimate(name, a_leaf, f_leaf, log_threshold=kappa)
        ga, gf = torch.autograd.grad(phi @ g, (a_leaf, f_leaf))
        value += probability * phi.detach()
        attention_gradient.index_add_(0, index, probability * ga)
        feature_gradient.index_add_(0, index, probability * gf)
        square += probability * float(phi.detach() @ g) ** 2
    slope = features @ g
    truth = a @ features
    got, want = _through_softmax(a, attention_gradient), _through_softmax(a, slope)
    std = math.sqrt(max(square - float(value @ g) ** 2, 0.0)) / float(g.norm())
    cosine = float(torch.cosine_similarity(got, want, dim=0))
    return Bias(
        _relative(value, truth),
        _relative(feature_gradient, a[:, None] * g),
        _relative(got, want),
        cosine,
        std,
    )


def _through_softmax(a: Tensor, gradient: Tensor) -> Tensor:
    return a * (gradient - (a * gradient).sum())


def _relative(got: Tensor, want: Tensor) -> float:
    return float((got - want).norm() / want.norm())


def example(peaked: bool, cells: int = 6, dim: int = 3) -> tuple[Tensor, Tensor]:
    """(logits [K], features of norm 1 [K, dim]), float64: max a about .78 where peaked, near uniform otherwise."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(cells, dim, dtype=torch.float64, generator=generator)
    noise = torch.randn(cells, dtype=torch.float64, generator=generator)
    logits = 0.05 * noise
    if peaked:
        logits = 0.5 * noise
        logits[2] = noise.max() + 2.5
    return logits, features / features.norm(dim=1, keepdim=True)


def main() -> None:
    """Print the table (K = 6, N = 3)."""
    print("K = 6 cells, N = 3 draws, float64, exact enumeration; kappa by trapezoid for Horvitz-Thompson")
    print(f"{'attention':10}{'estimator':28}{'value':>9}{'feature':>9}{'attent.':>9}{'cosine':>8}{'std':>7}")
    for label, peaked in (("peaked", True), ("flat", False)):
        logits, features = example(peaked)
        for name in NAMES:
            b = enumerate_bias(name, logits, features, 3)
            errors = f"{b.value:9.0e}{b.feature_gradient:9.0e}{b.attention_gradient:9.0e}"
            print(f"{label:10}{name:28}{errors}{b.cosine:+8.3f}{b.std:7.3f}")


if __name__ == "__main__":
    main()
