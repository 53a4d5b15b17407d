"""Estimators of the attention expectation Phi* = sum_i a_i f_i from the drawn cells only.

Every sampler is written as weights w with E[sum_{q in S} w_q h_q] = sum_i a_i h_i, and used through ONE
surrogate, plain autograd: Phi = sum_q stopgrad(w_q / a_q) a_q f_q. Its value, its feature gradient and its
attention gradient are then all unbiased. What is NOT unbiased: a loss of a head of Phi (Jensen).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Weights = Callable[[Tensor, Tensor | None], Tensor]

EXACT_SUBSETS_MAX = 6  # Murthy: subset sums up to this many draws, quadrature above
QUADRATURE_NODES = 400
QUADRATURE_C = 5.0


def with_replacement(a: Tensor, log_threshold: Tensor | None = None) -> Tensor:
    """w = 1/N for N independent draws with probabilities a [..., N] (duplicates are wasted reads)."""
    return torch.full_like(a, 1.0 / a.shape[-1])


def des_raj(a: Tensor, log_threshold: Tensor | None = None) -> Tensor:
    """Ordered draws without replacement, a [..., N] in draw order; weights sum to 1.

    w_i = (1/N) [(1 - sum_{j<i} a_j) + (N-1-i) a_i], i = 0-based draw position; the sum is EXCLUSIVE.
    Source: Des Raj, JASA 1956; used by Katharopoulos & Fleuret, ICML 2019.
    """
    n = a.shape[-1]
    later = torch.arange(n - 1, -1, -1, device=a.device, dtype=a.dtype)
    return (1.0 - (a.cumsum(-1) - a) + later * a) / n


def murthy(a: Tensor, log_threshold: Tensor | None = None) -> Tensor:
    """Unordered set without replacement: Rao-Blackwellised Des Raj; weights sum to 1; any order of a [..., N].

    w_q = a_q P^{D minus q}(S minus q) / P(S). Subset sums for N <= EXACT_SUBSETS_MAX, quadrature above.
    Source: Murthy, Sankhya 1957; Kool et al., ICLR 2020 (arXiv 2002.06043), equations 10-13.
    """
    p = a.detach().double()
    weights = p.clone()
    # where every cell with mass is in the set both probabilities are 1 (and computing them would divide by 0)
    open_sets = p.sum(-1) <= 1.0 - 1e-5
    rows = p[open_sets]
    if len(rows):
        exact = p.shape[-1] <= EXACT_SUBSETS_MAX
        ratio = torch.stack([murthy_ratio_exact(row) for row in rows]) if exact else murthy_ratio_quadrature(rows)
        weights[open_sets] = rows * ratio
    return weights.to(a.dtype)


def _set_probability(a: list[float], members: int, total: float) -> float:
    """Probability that the first draws are exactly the set of bits `members` of a, from a domain of mass
    total.
    """
    first = {0: (1.0, 0.0)}  # subset -> (probability that the first draws are it, its mass)
    for subset in range(1, members + 1):
        if subset & ~members:
            continue
        probability, mass = 0.0, 0.0
        for i in range(len(a)):
            if subset >> i & 1:
                before, gone = first[subset & ~(1 << i)]
                probability += before * a[i] / (total - gone)
                mass = gone + a[i]
        first[subset] = probability, mass
    return first[members][0]


def murthy_ratio_exact(a: Tensor) -> Tensor:
    """P^{D minus q}(S minus q) / P(S), float64 [N], by sums over all 2^N subsets (small N only)."""
    values: list[float] = a.tolist()
    everything = (1 << len(values)) - 1
    whole = _set_probability(values, everything, 1.0)
    parts = [_set_probability(values, everything & ~(1 << q), 1.0 - p) for q, p in enumerate(values)]
    return a.new_tensor(parts, dtype=torch.float64) / whole


def murthy_ratio_quadrature(a: Tensor) -> Tensor:
    """The same ratio, float64 [..., N] of a [..., N], by Gauss-Legendre on the integral form of P(S).

    P(S) ~ int_0^1 v^{e^c (1-A)-1} prod_s (1 - v^{e^c a_s}) dv, A = sum a. c grows past 5 where 1-A is small, so that
    the integrand stays bounded at v = 0. Logs throughout.
    """
    rest = (1.0 - a.sum(-1)).clamp_min(1e-12)
    scale = torch.exp((-rest.log()).clamp_min(QUADRATURE_C))
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE_NODES)
    log_v = a.new_tensor(np.log((nodes + 1.0) / 2.0))
    log_base = a.new_tensor(np.log(weights)) + (scale * rest - 1.0)[..., None] * log_v
    log_miss = torch.log(-torch.expm1((scale[..., None] * a)[..., None] * log_v))  # [..., N, nodes]
    log_whole = log_base + log_miss.sum(-2)
    return torch.exp(
        torch.logsumexp(log_whole[..., None, :] - log_miss, -1) - torch.logsumexp(log_whole, -1)[..., None]
    )


def horvitz_thompson(a: Tensor, log_threshold: Tensor | None = None) -> Tensor:
    """w_q = a_q / (1 - exp(-exp(log a_q - kappa))), kappa = (N+1)-th largest perturbed log-probability.

    The sum of the weights is random. ValueError without kappa.
    Source: Kool et al., ICML 2019 (arXiv 1903.06059), section 4.2; Duffield et al., JACM 2007.
    """
    if log_threshold is None:
        raise ValueError("horvitz-thompson needs log_threshold; pass Draw.log_threshold")
    kappa = log_threshold.to(a.dtype)[..., None]
    return a / -torch.expm1(-torch.exp(a.log() - kappa))


def horvitz_thompson_normalised(a: Tensor, log_threshold: Tensor | None = None) -> Tensor:
    """Horvitz-Thompson weights divided by their sum: BIASED (slightly), lowest mean squared error."""
    w = horvitz_thompson(a, log_threshold)
    return w / w.sum(-1, keepdim=True)


def systematic(a: Tensor, log_threshold: Tensor | None = None) -> Tensor:
    """w_i = max(a_i, tau) of a systematic draw: a_i over its probability of being drawn, min(1, a_i / tau).

    Certain cells (a_i >= tau) weigh a_i, all others tau; weights sum to 1. ValueError without log tau.
    Source: Horvitz & Thompson, JASA 1952; Madow, Annals of Mathematical Statistics 1949.
    """
    if log_threshold is None:
        raise ValueError("systematic needs log_threshold; pass Draw.log_threshold of sample_systematic")
    return torch.maximum(a, log_threshold.to(a.dtype).exp()[..., None])


def truncated(a: Tensor, log_threshold: Tensor | None = None) -> Tensor:
    """w = a / sum a: the expectation over the drawn cells only, for deterministic top-n. BIASED."""
    return a / a.sum(-1, keepdim=True)


ESTIMATORS: dict[str, Weights] = {
    "des-raj": des_raj,
    "murthy": murthy,
    "horvitz-thompson": horvitz_thompson,
    "horvitz-thompson-normalised": horvitz_thompson_normalised,
    "with-replacement": with_replacement,
    "systematic": systematic,
    "truncated": truncated,
    "published": des_raj,
}
"""Name -> weights(a [N] in draw order, kappa or None) -> w [N]. "published" shares Des Raj's weights (so its
value and feature gradient are right) but takes the attention gradient of the published reference code:
BIASED."""


def _published(a: Tensor, features: Tensor) -> Tensor:
    """Phi [..., d] with the attention gradient that the Attention Sampling reference code returns (an ablation).

    With c the exclusive cumulative sum of a, r = 1 - c and e_i = r_i f_i + sum_{j<i} a_j f_j, that gradient
    is (1/N) [e_i r_i / a_i + sum_{j<i} f_j - i f_i]; the right one is (1/N) [r_i / a_i + N-1-i] f_i.
    Source: github.com/idiap/attention-sampling, expectation without replacement (arXiv 1905.03711).
    """
    p, f = a.detach()[..., None], features.detach()
    n = a.shape[-1]
    rest = 1.0 - (p.cumsum(-2) - p)
    value_per_draw = rest * f + (p * f).cumsum(-2) - p * f
    position = torch.arange(n, device=f.device, dtype=f.dtype)[:, None]
    slope = (value_per_draw * rest / p + (f.cumsum(-2) - f) - position * f) / n
    zero = (a[..., None] - p) * slope  # value 0, gradient `slope`
    return (des_raj(a.detach())[..., None] * features + zero).sum(-2)


def estimate(
    name: str,
    a_drawn: Tensor,
    features: Tensor,
    *,
    log_threshold: Tensor | None = None,
    groups: Tensor | None = None,
    n_groups: int = 1,
) -> Tensor:
    """Estimate Phi [..., d] of features [..., N, d] drawn with probabilities a_drawn [..., N].

    Differentiable in both; rows (slides) are independent; the last axis of a_drawn is in draw order.
    log_threshold: `Draw.log_threshold` [...] (Horvitz-Thompson and systematic only). groups: long [..., N] in
    0..n_groups-1 keeps one sum per group, [..., n_groups, d], with unchanged weights (their sum over groups is Phi).
    ValueError for an unknown name or shapes that do not fit.
    """
    if name not in ESTIMATORS:
        raise ValueError(f"unknown estimator {name!r}; allowed: {', '.join(ESTIMATORS)}")
    if features.shape[:-1] != a_drawn.shape or a_drawn.ndim < 1 or a_drawn.shape[-1] == 0:
        got = f"a_drawn {tuple(a_drawn.shape)}, features {tuple(features.shape)}"
        raise ValueError(f"{got}; allowed: [..., N] and [..., N, d], N >= 1")
    own = None if groups is None else torch.nn.functional.one_hot(groups, n_groups).to(features)
    if name == "published":
        if own is None:
            return _published(a_drawn, features)
        flat = (own[..., :, None] * features[..., None, :]).flatten(-2)
        return _published(a_drawn, flat).unflatten(-1, (n_groups, features.shape[-1]))
    with torch.no_grad():
        ratio = ESTIMATORS[name](a_drawn, log_threshold) / a_drawn
    weighted = (ratio * a_drawn)[..., None] * features
    return weighted.sum(-2) if own is None else own.transpose(-1, -2) @ weighted


def nested_estimate(a_regions: Tensor, inner: Tensor, name: str = "with-replacement") -> Tensor:
    """Estimate sum_c a_c sum_j b_j|c f_j [...] from regions drawn with replacement, each with an estimate inside.

    a_regions: probabilities [R] of the regions drawn; inner: [R, ...], for every draw an estimate of the region's own
    sum_j b_j|c f_j from cells drawn there; name: another estimator for regions chosen otherwise. Unbiased in value and
    in the gradients to a, b and f where the inner estimates are, by the law of total expectation.
    Source: Kong & Henao, CVPR 2022 (arXiv 2106.02214), two-stage sampling.
    """
    flat = inner.reshape(len(inner), -1)
    return estimate(name, a_regions, flat).reshape(inner.shape[1:])
