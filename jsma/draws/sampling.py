"""Attention over cells and draws from it: plain functions of tensors [..., K], one row a slide."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from jsma.cells.grid import CellGrid


class Draw(NamedTuple):
    """Drawn cells, and what the estimators need to know of the draw.

    Attributes:
        indices: Flat indices of the cells, long [..., n], in the order in which they were drawn.
        log_threshold: Float [...]. Without replacement it is kappa, the (n+1)-th largest perturbed log probability.
            Of a systematic draw it is log tau. It is -inf if every cell with mass was drawn, or if the draw has no
            threshold (with replacement, top-n).
    """

    indices: Tensor
    log_threshold: Tensor


def masked_log_probs(logits: Tensor, mask: Tensor | None = None, eps: float = 0.0) -> Tensor:
    """Turn logits into log attention: a = (1 - eps) softmax(logits) + eps / K_allowed over the allowed cells.

    Half precision is raised to float32, where it would give log 0. Float64 stays.
    Source: Katharopoulos & Fleuret, ICML 2019 (smoothing by eps).

    Args:
        logits: Any real numbers, [..., K].
        mask: Bool [..., K], True for a cell that may be drawn; None allows all.
        eps: Share of the attention that is uniform, in [0, 1).

    Returns:
        log a [..., K], -inf for the cells that are not allowed. exp(log a) sums to 1 over the last axis.

    Raises:
        ValueError: No cell of a row is allowed, or eps is out of range.
    """
    if not 0.0 <= eps < 1.0:
        raise ValueError(f"eps is {eps}; allowed: 0 <= eps < 1")
    logits = logits if logits.dtype == torch.float64 else logits.float()
    allowed = torch.ones_like(logits, dtype=torch.bool) if mask is None else mask
    count = allowed.sum(-1, keepdim=True)
    if not bool((count > 0).all()):
        raise ValueError("no cell is allowed: mask is False everywhere; lower min_share or pass mask=None")
    log_a = torch.log_softmax(logits.masked_fill(~allowed, -math.inf), dim=-1)
    if eps == 0.0:
        return log_a
    # logaddexp has a NaN gradient at -inf, so forbidden cells are filled before it and masked again after it
    kept = log_a.masked_fill(~allowed, 0.0)
    smooth = torch.logaddexp(kept + math.log1p(-eps), math.log(eps) - count.to(kept).log())
    return smooth.masked_fill(~allowed, -math.inf)


def entropy(log_a: Tensor) -> Tensor:
    """Compute the entropy [...] in nats of log probabilities [..., K]; an entry of -inf adds nothing."""
    finite = torch.isfinite(log_a)
    safe = log_a.masked_fill(~finite, 0.0)
    return -(safe.exp() * safe * finite).sum(dim=-1)


def gumbel_noise(log_a: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw standard Gumbel noise of the shape of log_a, always finite."""
    # an exponential draw of 0 is raised to the smallest normal number, for its logarithm is infinite
    wait = torch.empty_like(log_a, memory_format=torch.contiguous_format).exponential_(generator=generator)
    return -wait.clamp_min(torch.finfo(log_a.dtype).tiny).log()


def _capped(log_a: Tensor, n: int) -> int:
    """Lower n to the number of cells with mass of the row that has fewest; ValueError where that or n is below 1."""
    mass = int(torch.isfinite(log_a).sum(-1).min())
    if n < 1 or mass == 0:
        raise ValueError(f"cannot draw n={n} of {mass} cells with mass; both must be at least 1")
    return min(n, mass)


@torch.no_grad()
def sample_without_replacement(log_a: Tensor, n: int, generator: torch.Generator | None = None) -> Draw:
    """Draw n different cells of each row by Gumbel top-n.

    Noise is added to the LOG probabilities, and the cells with the n largest sums are drawn, in that order. This is the
    same as drawing one cell after the other, each in proportion to the attention of the cells that are left.
    Source: Kool et al., ICML 2019 (arXiv 1903.06059), section 3.

    Args:
        log_a: Log attention [..., K], -inf for cells that may not be drawn.
        n: Number of cells, at least 1. It is lowered to the number of cells with mass, of the row that has fewest.
        generator: The randomness.

    Returns:
        The draw; `Draw.log_threshold` is kappa.

    Raises:
        ValueError: n is below 1, or a row has no mass.
    """
    n = _capped(log_a, n)
    values, indices = torch.topk(log_a + gumbel_noise(log_a, generator), min(n + 1, log_a.shape[-1]), sorted=True)
    if n == log_a.shape[-1]:
        return Draw(indices, values.new_full(values.shape[:-1], -math.inf))
    return Draw(indices[..., :n], values[..., n])


@torch.no_grad()
def sample_with_replacement(log_a: Tensor, n: int, generator: torch.Generator | None = None) -> Draw:
    """Draw n independent cells of each row; the same cell may come more than once.

    Args:
        log_a: Log attention [K] or [b, K].
        n: Number of draws, at least 1.
        generator: The randomness.

    Returns:
        The draw, without a threshold.

    Raises:
        ValueError: n is below 1, or a row has no mass.
    """
    _capped(log_a, n)
    indices = torch.multinomial(log_a.exp(), n, replacement=True, generator=generator)
    return Draw(indices, log_a.new_full(log_a.shape[:-1], -math.inf))


def inclusion_threshold(a: Tensor, n: int) -> Tensor:
    """Find tau [...] with sum_i min(1, a_i / tau) = n over the cells of a [..., K].

    Cells with a_i >= tau are drawn for certain. With k of them, tau = (mass of the others) / (n - k); k is the smallest
    number for which the next largest cell is not above tau. n is at most the number of cells with mass.
    """
    largest, where = a.topk(n, -1)
    tail = a.scatter(-1, where, 0.0).sum(-1, keepdim=True)
    rest = tail + largest.flip(-1).cumsum(-1).flip(-1)  # mass without the k largest; 1 - sum would cancel
    tau = rest / torch.arange(n, 0, -1, device=a.device)
    first = (largest <= tau).to(torch.uint8).argmax(-1, keepdim=True)  # k = n - 1 always holds
    return tau.gather(-1, first)[..., 0]


@torch.no_grad()
def sample_systematic(
    log_a: Tensor, n: int, generator: torch.Generator | None = None, path: Tensor | None = None
) -> Draw:
    """Draw n different cells of each row, cell i with probability min(1, a_i / tau) exactly.

    The probabilities are laid end to end along `path`, and read off at steps of 1 from one random start. Neighbours on
    the path are then rarely drawn together, and every stretch of it gets its share of the n, up to rounding. On
    `CellGrid.path` the stretches are the magnifications and the regions of a slide.
    Source: Madow, Annals of Mathematical Statistics 1949 (unequal probabilities, one start); Stevens & Olsen, JASA 2004
    (a space-filling path, for draws that are spread over a plane).

    Args:
        log_a: Log attention [..., K], -inf for cells that may not be drawn.
        n: Number of cells, at least 1; lowered as in `sample_without_replacement`.
        generator: The randomness.
        path: A permutation of the cells, long [K]; None takes them as they come.

    Returns:
        The draw, in random order; `Draw.log_threshold` is log tau (`inclusion_threshold`).

    Raises:
        ValueError: n is below 1, or a row has no mass.
    """
    n = _capped(log_a, n)
    a = log_a.double().exp()
    tau = inclusion_threshold(a, n)
    share = (a / tau[..., None]).clamp_max(1.0)
    path = None if path is None else path.to(log_a.device)
    ends = (share if path is None else share[..., path]).cumsum(-1)
    ends = ends * (n / ends[..., -1:])
    shape = (*log_a.shape[:-1], 1)
    start = 1.0 - torch.rand(shape, generator=generator, device=log_a.device, dtype=torch.float64)  # 0 < start <= 1
    steps = start + torch.arange(n, device=log_a.device)
    drawn = torch.searchsorted(ends, steps).clamp_max(log_a.shape[-1] - 1)
    mixed = torch.rand(drawn.shape, generator=generator, device=log_a.device).argsort(-1)
    drawn = drawn.gather(-1, mixed)
    return Draw(drawn if path is None else path[drawn], tau.log().to(log_a.dtype))


Sampler = Callable[[Tensor, int, torch.Generator | None], Draw]
"""Log attention [..., K], number of cells, randomness -> draw."""


def sampler_of(estimator: str, grid: CellGrid | None = None) -> Sampler:
    """Find the sampler that belongs to an estimator.

    Args:
        estimator: A name of `jsma.draws.estimators.ESTIMATORS`.
        grid: Of all K cells, so that systematic draws are spread over the slide. None takes the cells as they come.

    Returns:
        `sample_with_replacement`, `sample_systematic` or `sample_without_replacement`.
    """
    if estimator == "with-replacement":
        return sample_with_replacement
    if estimator == "systematic":
        return partial(sample_systematic, path=None if grid is None else torch.from_numpy(grid.path))
    return sample_without_replacement


@torch.no_grad()
def top_n(log_a: Tensor, n: int) -> Draw:
    """Take the n most probable cells of each row of log_a [..., K], the most probable first.

    It is deterministic, and an estimate from it is NOT unbiased. n is lowered as in `sample_without_replacement`.
    """
    n = _capped(log_a, n)
    return Draw(torch.topk(log_a, n, sorted=True).indices, log_a.new_full(log_a.shape[:-1], -math.inf))
