import math
from collections import Counter

import pytest
import torch
from scipy.stats import chisquare

from bench.studies.estimator_bias import ordered_samples, systematic_samples
from jsma.cells.grid import CellGrid
from jsma.draws.estimators import systematic
from jsma.draws.sampling import (
    entropy,
    inclusion_threshold,
    masked_log_probs,
    sample_systematic,
    sample_with_replacement,
    sample_without_replacement,
    sampler_of,
    top_n,
)

A = torch.tensor([0.5, 0.25, 0.15, 0.1], dtype=torch.float64)


def test_gumbel_top_n_follows_the_ordered_probabilities():
    generator, draws = torch.Generator().manual_seed(3), 6000
    seen = Counter(tuple(sample_without_replacement(A.log(), 2, generator).indices.tolist()) for _ in range(draws))
    expected = {order: p * draws for order, p, _ in ordered_samples(A, 2)}
    assert chisquare([seen[k] for k in expected], list(expected.values())).pvalue > 1e-3


def test_draws_are_capped_at_cells_with_mass_and_threshold_is_below_them():
    log_a = torch.tensor([0.5, 0.0, 0.5]).log()
    draw = sample_without_replacement(log_a, 9, torch.Generator().manual_seed(0))
    assert sorted(draw.indices.tolist()) == [0, 2] and draw.log_threshold == -math.inf
    assert torch.isfinite(sample_without_replacement(A.log(), 3).log_threshold)
    assert len(sample_with_replacement(log_a, 9).indices) == 9
    assert top_n(A.log(), 2).indices.tolist() == [0, 1]


def test_masked_log_probs_smooths_over_allowed_cells_only():
    logits = torch.tensor([50.0, -50.0, 3.0], dtype=torch.float16).requires_grad_()
    mask = torch.tensor([True, True, False])
    log_a = masked_log_probs(logits, mask, 0.1)
    torch.testing.assert_close(log_a.exp(), torch.tensor([0.95, 0.05, 0.0]))
    entropy(log_a).backward()
    assert torch.isfinite(logits.grad).all()
    with pytest.raises(ValueError, match="no cell"):
        masked_log_probs(logits, ~torch.ones(3, dtype=torch.bool))


def test_entropy_of_uniform_cells():
    assert float(entropy(masked_log_probs(torch.zeros(8)))) == pytest.approx(math.log(8))


@pytest.mark.parametrize("n", (1, 2, 3, 4))
def test_the_inclusion_threshold_gives_probabilities_that_sum_to_n(n):
    a = torch.stack([A, A.flip(0), torch.full((4,), 0.25).double(), torch.tensor([1 - 3e-9, 1e-9, 1e-9, 1e-9])])
    inclusion = (a / inclusion_threshold(a, n)[:, None]).clamp_max(1.0)
    torch.testing.assert_close(inclusion.sum(-1), torch.full((4,), float(n)).double())


@pytest.mark.parametrize("path", (None, torch.tensor([2, 0, 3, 1])))
def test_systematic_draws_follow_their_enumeration(path):
    generator, draws = torch.Generator().manual_seed(5), 6000
    found = sample_systematic(A.log().expand(draws, 4), 2, generator, path)
    seen = Counter(tuple(sorted(row)) for row in found.indices.tolist())
    a, names = (A, [0, 1, 2, 3]) if path is None else (A[path], path.tolist())
    expected: Counter[tuple[int, ...]] = Counter()
    for cells, probability, kappa in systematic_samples(a, 2):
        expected[tuple(sorted(names[c] for c in cells))] += probability * draws  # type: ignore[assignment]
        torch.testing.assert_close(found.log_threshold[0], kappa)
    assert set(seen) == set(expected) and len(expected) > 1
    assert chisquare([seen[k] for k in expected], list(expected.values())).pvalue > 1e-3
    first = Counter(found.indices[:, 0].tolist())  # in random order: the first is any of the two
    inclusion = (A / inclusion_threshold(A, 2)).clamp_max(1.0) / 2 * draws
    assert chisquare([first[c] for c in range(4)], inclusion.tolist()).pvalue > 1e-3


def test_systematic_draws_are_distinct_capped_and_never_without_mass():
    log_a = (40 * torch.randn(50, 200, generator=torch.Generator().manual_seed(1))).log_softmax(-1)
    log_a[:, ::3] = -math.inf
    found = sample_systematic(log_a.log_softmax(-1), 60, torch.Generator().manual_seed(0))
    assert all(len(set(row)) == 60 for row in found.indices.tolist())
    assert torch.isfinite(log_a.gather(-1, found.indices)).all()
    weights = systematic(log_a.log_softmax(-1).exp().gather(-1, found.indices), found.log_threshold)
    torch.testing.assert_close(weights.sum(-1), torch.ones(50))
    whole = sample_systematic(torch.tensor([0.5, 0.0, 0.5]).log(), 9)
    assert sorted(whole.indices.tolist()) == [0, 2]


def test_a_systematic_draw_is_spread_over_the_slide_and_over_magnifications():
    """Uniform attention, 16 of an 8 x 8 grid's cells: one in every 2 x 2 square. As they come, it is not so."""
    grid = CellGrid(8, 8, 1.0, (1.0, 2.0), 1)
    weights = torch.cat([torch.full((64,), 0.5 / 64), torch.full((16,), 0.5 / 16)]).double()

    def squares(sampler):
        cells = sampler(weights.log(), 32, torch.Generator().manual_seed(2)).indices
        m, row, col = grid.decode(cells.numpy())
        return (m == 0).sum(), len({(r // 2, c // 2) for r, c in zip(row[m == 0], col[m == 0], strict=True)})

    assert squares(sampler_of("systematic", grid)) == (16, 16)
    assert squares(sampler_of("systematic")) != (16, 16) and squares(sampler_of("des-raj", grid)) != (16, 16)
