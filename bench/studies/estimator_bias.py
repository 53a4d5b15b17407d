"""Bias and spread of every estimator, by exact enumeration of all samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, permutations, product
from pathlib import Path

import torch
from torch import Tensor

from bench.files import write_text
from bench.markup import write_markdown
from jsma.draws.estimators import ESTIMATORS, estimate
from jsma.draws.sampling import inclusion_threshold

Sample = tuple[tuple[int, ...], float, Tensor | None]  # (cells in draw order, probability, kappa or log tau)

ROUNDING = 1e-6  # float64 and the trapezoid over kappa; what is measured below it is called 0


@dataclass(frozen=True)
class Bias:
    """Errors of the mean over all samples, relative to the truth (norm of the difference / norm of the truth).

    Attributes:
        value: of Phi.
        feature_gradient: of the gradient of g . Phi to the features.
        attention_gradient: of the gradient to the attention logits (a = softmax).
        cosine: of that gradient with the true one.
        std: of g . Phi / |g| over samples.
        gradient_std: of the gradient to the attention logits: root of its summed variances / norm of the truth.
    """

    value: float
    feature_gradient: float
    attention_gradient: float
    cosine: float
    std: float
    gradient_std: float


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


def systematic_samples(a: Tensor, n: int) -> Iterator[Sample]:
    """Every set that a systematic draw of n can give, with the length of the starts that give it, and log tau.

    Written from the definition: cell i covers (c_{i-1}, c_i], of length min(1, a_i / tau); the starts at which some
    start + j crosses an end are the fractional parts of the c_i.
    """
    tau = inclusion_threshold(a, n)
    ends = (a / tau).clamp_max(1.0).cumsum(0)
    turns = torch.cat([torch.zeros(1).to(a), ends.remainder(1.0), torch.ones(1).to(a)]).sort().values
    for low, high in zip(turns[:-1].tolist(), turns[1:].tolist(), strict=True):
        if high - low > 1e-12:
            points = (low + high) / 2 + torch.arange(n, dtype=a.dtype)
            cells = tuple(int((ends < point).sum()) for point in points)
            yield cells, high - low, tau.log()


def samples_for(name: str, a: Tensor, n: int) -> Iterator[Sample]:
    """The samples of the draw that the estimator `name` belongs to."""
    if name == "truncated":  # goes with the n most probable cells, which are no draw
        return iter([(tuple(a.topk(n).indices.tolist()), 1.0, None)])
    if name == "with-replacement":
        return repeated_samples(a, n)
    if name == "systematic":
        return systematic_samples(a, n)
    if name.startswith("horvitz-thompson"):
        return threshold_samples(a, n)
    return ordered_samples(a, n)


def enumerate_bias(name: str, logits: Tensor, features: Tensor, n: int) -> Bias:
    """Bias of an estimator over every sample of n of K cells: logits float64 [K], features float64 [K, d], n < K."""
    g = torch.linspace(-1.0, 1.5, features.shape[1], dtype=torch.float64)
    a = torch.softmax(logits, 0)
    value = torch.zeros_like(features[0])
    feature_gradient, attention_gradient = torch.zeros_like(features), torch.zeros_like(a)
    square = square_gradient = 0.0
    for order, probability, kappa in samples_for(name, a, n):
        index = torch.tensor(order)
        a_leaf, f_leaf = a[index].requires_grad_(), features[index].requires_grad_()
        phi = estimate(name, a_leaf, f_leaf, log_threshold=kappa)
        ga, gf = torch.autograd.grad(phi @ g, (a_leaf, f_leaf))
        value += probability * phi.detach()
        attention_gradient.index_add_(0, index, probability * ga)
        feature_gradient.index_add_(0, index, probability * gf)
        square += probability * float(phi.detach() @ g) ** 2
        of_sample = _through_softmax(a, torch.zeros_like(a).index_add_(0, index, ga))
        square_gradient += probability * float(of_sample @ of_sample)
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
        math.sqrt(max(square_gradient - float(got @ got), 0.0)) / float(want.norm()),
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


def markdown(cells: int = 6, n: int = 3) -> str:
    """Bias and spread of every estimator as a Markdown table; errors are relative, 0 = below ROUNDING."""
    biases = ("bias: value", "bias: feature gradient", "bias: attention gradient")
    headings = ["attention", "estimator", *biases, "cosine", "std of value", "std of attention gradient"]
    lines = []
    for label, peaked in (("peaked", True), ("flat", False)):
        logits, features = example(peaked, cells)
        for name in ESTIMATORS:
            b = enumerate_bias(name, logits, features, n)
            errors = map(_shown, (b.value, b.feature_gradient, b.attention_gradient))
            shown = f"{name} (top-N)" if name == "truncated" else name
            lines.append([label, shown, *errors, f"{b.cosine:.3f}", f"{b.std + 0:.3f}", f"{b.gradient_std + 0:.2f}"])
    return write_markdown(headings, lines, range(2, len(headings)))


def _shown(error: float) -> str:
    return "0" if error < ROUNDING else f"{error:.1g}" if error < 0.01 else f"{error:.3f}"


def page() -> str:
    """The table, with a paragraph that says what it shows."""
    return (
        "Produced by `jsma-bench study estimator-bias`: K = 6 cells, N = 3 draws, float64, exact "
        "enumeration; kappa by "
        f"trapezoid for Horvitz-Thompson. 0: below {ROUNDING:g}.\n\n{markdown()}\n"
    )


def write_page(path: Path) -> None:
    """Write the page, whole or not at all."""
    write_text(path, page())
