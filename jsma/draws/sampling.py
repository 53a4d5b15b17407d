"""Attention over cells and draws from it: plain functions of tensors [..., K], a slide a row."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from jsma.cells.grid import CellGrid


class Draw(NamedTuple):
    """Drawn cells and what the estimators need to know about the draw.

    indices: long [..., n], flat cell indices in draw order (the order of decreasing perturbed log-probability).
    log_threshold: float [...], kappa = the (n+1)-th largest perturbed log-probability, or log tau of a systematic
    draw; -inf when every cell with mass was drawn, or when the draw has no threshold (with replacement, top-n).
    """

    indices: Tensor
    log_threshold: Tensor


def masked_log_probs(logits: Tensor, mask: Tensor | None = None, eps: float = 0.0) -> Tensor:
    """Log attention [..., K] of logits [..., K]: a = (1-eps) softmax + eps/K_allowed over the allowed cells.

    mask: bool [..., K], True = the cell may be drawn; the other cells get -inf. eps in [0, 1). Half precision is
    raised to float32 (log 0 otherwise); float64 stays. ValueError when no cell is allowed.
    Source: Katharopoulos & Fleuret, ICML 2019 (eps smoothing).
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
    """Entropy in nats over the last axis of log probabilities [..., K]; -inf entries count as 0 * log 0 =
    0.
    """
    finite = torch.isfinite(log_a)
    safe = log_a.masked_fill(~finite, 0.0)
    return -(safe.exp() * safe * finite).sum(dim=-1)


def gumbel_noise(log_a: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard Gumbel noise shaped like log_a, always finite (an exponential draw of 0 is raised to tiny)."""
    wait = torch.empty_like(log_a, memory_format=torch.contiguous_format).exponential_(generator=generator)
    return -wait.clamp_min(torch.finfo(log_a.dtype).tiny).log()


def _cap(log_a: Tensor, n: int) -> tuple[int, int]:
    """(draws possible, fewest cells with mass of a row); ValueError for n < 1 or an attention without mass."""
    mass = int(torch.isfinite(log_a).sum(-1).min())
    if n < 1 or mass == 0:
        raise ValueError(f"cannot draw n={n} of {mass} cells with mass; both must be at least 1")
    return min(n, mass), mass


@torch.no_grad()
def sample_without_replacement(log_a: Tensor, n: int, generator: torch.Generator | None = None) -> Draw:
    """Draw n different cells of each row of log_a [..., K] by Gumbel top-n.

    n is capped at the number of cells with mass (of the row that has fewest). Noise is added to LOG
    probabilities; draw order is kept.
    Source: Kool et al., ICML 2019 (arXiv 1903.06059), section 3.
    """
    n, _ = _cap(log_a, n)
    values, indices = torch.topk(log_a + gumbel_noise(log_a, generator), min(n + 1, log_a.shape[-1]), sorted=True)
    if n == log_a.shape[-1]:
        return Draw(indices, values.new_full(values.shape[:-1], -math.inf))
    return Draw(indices[..., :n], values[..., n])


@torch.no_grad()
def sample_with_replacement(log_a: Tensor, n: int, generator: torch.Generator | None = None) -> Draw:
    """Draw n independent cells of each row of log_a [K] or [b, K]; duplicates are possible (count unique reads
    when you time it).
    """
    _cap(log_a, n)
    indices = torch.multinomial(log_a.exp(), n, replacement=True, generator=generator)
    return Draw(indices, log_a.new_full(log_a.shape[:-1], -math.inf))


def inclusion_threshold(a: Tensor, n: int) -> Tensor:
    """tau [...] with sum_i min(1, a_i / tau) = n over the cells of a [..., K]; n at most the cells with mass.

    Cells with a_i >= tau are certain. With k of them tau = (mass of the others) / (n - k): the smallest k for which the
    next largest cell is not above it.
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
    """Draw n different cells of each row of log_a [..., K], cell i with probability min(1, a_i / tau), exactly.

    The probabilities are laid end to end along `path` (long [K], a permutation of the cells; None: as they come) and
    read off at steps of 1 from one random start: cells that are neighbours on the path are rarely drawn together, so
    that every stretch of it gets its share of the n up to rounding. On `CellGrid.path` these are every magnification
    and every region. `log_threshold` is log tau; the indices are in random order. n is capped as in
    `sample_without_replacement`.
    Source: Madow, Annals of Mathematical Statistics 1949 (unequal probabilities, one start); Stevens & Olsen, JASA 2004
    (a space-filling path, for draws that are spread over a plane).
    """
    n, _ = _cap(log_a, n)
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


def sampler_of(estimator: str, grid: CellGrid | None = None) -> Sampler:
    """The draw that belongs to an estimator (a name of `jsma.draws.estimators.ESTIMATORS`).

    grid: of all K cells, for systematic draws that are spread over the slide; None: cells as they come.
    """
    if estimator == "with-replacement":
        return sample_with_replacement
    if estimator == "systematic":
        return partial(sample_systematic, path=None if grid is None else torch.from_numpy(grid.path))
    return sample_without_replacement


@torch.no_grad()
def top_n(log_a: Tensor, n: int) -> Draw:
    """The n most probable cells of each row of log_a [..., K], most probable first. Deterministic, NOT unbiased."""
    n, _ = _cap(log_a, n)
    return Draw(torch.topk(log_a, n, sorted=True).indices, log_a.new_full(log_a.shape[:-1], -math.inf))
