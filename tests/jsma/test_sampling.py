import math
from collections import Counter

import pytest
import torch
from scipy.stats import chisquare

from jsma.estimator_table import ordered_samples
from jsma.sampling import entropy, masked_log_probs, sample_with_replacement, sample_without_replacement, top_n

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
