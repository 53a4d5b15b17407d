"""Estimators of the attention expectation Phi* = sum_i a_i f_i from the drawn cells only.

An estimator is a function of the drawn probabilities that gives weights w with E[sum_{q in S} w_q h_q] = sum_i a_i h_i.
All of them are used through ONE expression, Phi = sum_q stopgrad(w_q / a_q) a_q f_q, by plain automatic
differentiation. The value of Phi, its gradient to the features and its gradient to the attention are then all unbiased.
A loss of a head of Phi is NOT unbiased (Jensen).

Each function here takes a [..., N], the attention of the drawn cells in the order of the draw, and `log_threshold`
[...], `Draw.log_threshold`, which only some of them read. It returns the weights w [..., N].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Weights = Callable[[Tensor, Tensor | None], Tensor]
"""Attention of the drawn cells [..., N], threshold [...] or None -> weights [..., N]."""

EXACT_SUBSETS_MAX = 6  # Murthy: subset sums up to this many draws, quadrature above
QUADRATURE_NODES = 400
QUADRATURE_C = 5.0


def with_replacement(a: Tensor, log_threshold: Tensor | None = None) -> Tensor:
    """Weigh N independent draws: w = 1/N. A cell that comes twice is read once too often."""
    return torch.full_like(a, 1.0 / a.shape[-1])


def des_raj(a: Tensor, log_threshold: Tensor | None = None) -> Tensor:
    """Weigh ordered draws without replacement; the weights sum to 1.

    w_i = (1/N) [(1 - sum_{j<i} a_j) + (N-1-i) a_i], where i is the position in the draw, from 0. The sum leaves i out.
    Source: Des Raj, JASA 1956; used by Katharopoulos & Fleuret, ICML 2019.
    """
    n = a.shape[-1]
    later = torch.arange(n - 1, -1, -1, device=a.device, dtype=a.dtype)
    return (1.0 - (a.cumsum(-1) - a) + later * a) / n


def murthy(a: Tensor, log_threshold: Tensor | None = None) -> Tensor:
    """Weigh a set that was drawn without replacement, whatever its order; the weights sum to 1.

    It is Des Raj's estimator, averaged over the orders of the set (Rao-Blackwell).
    w_q = a_q P^{D minus q}(S minus q) / P(S), by sums over subsets up to N = EXACT_SUBSETS_MAX, by quadrature above.
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
    """Compute the probability that the first draws are exactly the set of bits `members`.

    a: probability of every cell that was drawn; total: mass of all cells that could be drawn.
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
    """Compute P^{D minus q}(S minus q) / P(S), float64 [N] of a [N], by sums over all 2^N subsets."""
    values: list[float] = a.tolist()
    everything = (1 << len(values)) - 1
    whole = _set_probability(values, everything, 1.0)
    parts = [_set_probability(values, everything & ~(1 << q), 1.0 - p) for q, p in enumerate(values)]
    return a.new_tensor(parts, dtype=torch.float64) / whole


def murthy_ratio_quadrature(a: Tensor) -> Tensor:
    """Compute the same ratio, float64 [..., N] of a [..., N], by Gauss-Legendre quadrature of an integral for P(S).

    P(S) ~ int_0^1 v^{e^c (1-A)-1} prod_s (1 - v^{e^c a_s}) dv, where A = sum a. c grows past 5 where 1-A is small, so
    that the integrand stays bounded at v = 0. All of it is done in logarithms.
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
    """Weigh each drawn cell by a_q over the probability that it is above the threshold kappa.

    w_q = a_q / (1 - exp(-exp(log a_q - kappa))). The sum of the weights is random. ValueError without kappa.
    Source: Kool et al., ICML 2019 (arXiv 1903.06059), section 4.2; Duffield et al., JACM 2007.
    """
    if log_threshold is None:
        raise ValueError("horvitz-thompson needs log_threshold; pass Draw.log_threshold")
    kappa = log_threshold.to(a.dtype)[..., None]
    return a / -torch.expm1(-torch.exp(a.log() - kappa))


def horvitz_thompson_normalised(a: Tensor, log_threshold: Tensor | None = None) -> Tensor:
    """Divide Horvitz-Thompson weights by their sum. Slightly BIASED, with the lowest mean squared error."""
    w = horvitz_thompson(a, log_threshold)
    return w / w.sum(-1, keepdim=True)


def systematic(a: Tensor, log_threshold: Tensor | None = None) -> Tensor:
    """Weigh each cell of a systematic draw by a_i over its probability of being drawn, min(1, a_i / tau).

    w_i = max(a_i, tau): cells that are drawn for certain (a_i >= tau) weigh a_i, all others tau. The weights sum to 1.
    ValueError without log tau.
    Source: Horvitz & Thompson, JASA 1952; Madow, Annals of Mathematical Statistics 1949.
    """
    if log_threshold is None:
        raise ValueError("systematic needs log_threshold; pass Draw.log_threshold of sample_systematic")
    return torch.maximum(a, log_threshold.to(a.dtype).exp()[..., None])


def truncated(a: Tensor, log_threshold: Tensor | None = None) -> Tensor:
    """Weigh by w = a / sum a, which is the expectation over the drawn cells only, for top-n. BIASED."""
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
"""Name -> function that gives the weights. "published" has the weights of Des Raj, so that its value and its gradient
to the features are right, and the gradient to the attention of the published reference code, which is BIASED."""


def _published(a: Tensor, features: Tensor) -> Tensor:
    """Estimate Phi [..., d] with the attention gradient of the Attention Sampling reference code, for an ablation.

    Let c be the cumulative sum of a that leaves i out, r = 1 - c and e_i = r_i f_i + sum_{j<i} a_j f_j. That gradient
    is (1/N) [e_i r_i / a_i + sum_{j<i} f_j - i f_i]. The right one is (1/N) [r_i / a_i + N-1-i] f_i.
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
    """Estimate Phi* = sum_i a_i f_i over all cells from the cells that were drawn.

    It can be differentiated with respect to the attention and to the features. Rows (slides) are independent.

    Args:
        name: A name of `ESTIMATORS`.
        a_drawn: Attention of the drawn cells [..., N], in the order of the draw.
        features: Their features [..., N, d].
        log_threshold: `Draw.log_threshold` [...], read by the Horvitz-Thompson and systematic estimators only.
        groups: Long [..., N], 0 to n_groups - 1: one sum is kept per group. None keeps one sum of all.
        n_groups: Number of groups.

    Returns:
        Phi [..., d], or with groups [..., n_groups, d], whose sum over the groups is Phi.

    Raises:
        ValueError: There is no such estimator, or the shapes do not fit.
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
    """Estimate sum_c a_c sum_j b_j|c f_j from drawn regions c, each with an estimate from the cells j inside it.

    Its value and its gradients to a, b and f are unbiased where those of the inner estimates are, by the law of total
    expectation. Source: Kong & Henao, CVPR 2022 (arXiv 2106.02214), two-stage sampling.

    Args:
        a_regions: Probabilities of the drawn regions, [R].
        inner: For every drawn region, an estimate of its own sum_j b_j|c f_j, [R, ...].
        name: Estimator of the regions. The default is for regions that were drawn with replacement.

    Returns:
        The estimate [...].
    """
    flat = inner.reshape(len(inner), -1)
    return estimate(name, a_regions, flat).reshape(inner.shape[1:])
