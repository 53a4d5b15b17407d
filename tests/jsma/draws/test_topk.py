"""Perturbed top-k against loops, against the exact smoothed choice, and against finite differences of it."""

import math

import pytest
import torch

from jsma.draws.topk import hard_top_k, perturbed_top_k, top_k_under, used_columns

SCORES = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)
SIGMA = 0.5


def naive(scores, noise, k, sigma):
    """(Y [k, d], Jacobian [k, d, e]) by loops: mean of onehot, mean of onehot x noise / sigma (bnkd,bne->bkde)."""
    n, d = noise.shape
    y, jacobian = torch.zeros(k, d).double(), torch.zeros(k, d, d).double()
    for z in noise:
        value = [float(s + sigma * e) for s, e in zip(scores, z, strict=True)]
        for row, column in enumerate(sorted(sorted(range(d), key=lambda i: -value[i])[:k])):
            y[row, column] += 1 / n
            jacobian[row, column] += z / (n * sigma)
    return y, jacobian


@pytest.mark.parametrize("k", (1, 2, 4))
def test_value_and_full_jacobian_are_the_formula(k):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(6, dtype=torch.float64, generator=generator)
    noise = torch.randn(40, 6, dtype=torch.float64, generator=generator)
    y, jacobian = naive(scores, noise, k, 0.7)
    torch.testing.assert_close(top_k_under(scores, noise, k, 0.7), y)
    got = torch.autograd.functional.jacobian(lambda s: top_k_under(s, noise, k, 0.7), scores)
    torch.testing.assert_close(got, jacobian)
    diagonal = torch.diag_embed(torch.diagonal(jacobian, dim1=1, dim2=2))
    assert float((jacobian - diagonal).norm()) > 0.3 * float(jacobian.norm()), "the diagonal alone is another thing"


def exact(scores):
    """Top-2 of 3 under normal noise, exactly: one of three is left out, P(i is least) by quadrature."""
    x, w = torch.linspace(-8, 8, 4001, dtype=torch.float64), 16 / 4000
    phi = torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    above = lambda i, j: 0.5 * torch.erfc((scores[i] + SIGMA * x - scores[j]) / (SIGMA * math.sqrt(2)))  # noqa: E731
    out = torch.stack(
        [(phi * math.prod((above(i, j) for j in range(3) if j != i), start=torch.ones(()))).sum() * w for i in range(3)]
    )
    zero = torch.zeros(()).double()
    # rows in the order of the index: without 0 the rows are (1, 2), without 1 (0, 2), without 2 (0, 1)
    return torch.stack([torch.stack([out[1] + out[2], out[0], zero]), torch.stack([zero, out[2], out[0] + out[1]])])


def test_it_estimates_the_smoothed_choice_and_its_derivative():
    noise = torch.randn(400_000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(top_k_under(SCORES, noise, 2, SIGMA), exact(SCORES), atol=4e-3, rtol=0)
    truth = torch.autograd.functional.jacobian(exact, SCORES)
    got = torch.autograd.functional.jacobian(lambda s: top_k_under(s, noise, 2, SIGMA), SCORES)
    torch.testing.assert_close(got, truth, atol=2e-2, rtol=0)
    assert float(truth.abs().max()) > 0.4
    # the same noise on both sides of a finite difference
    step = 0.05
    for e in range(3):
        moved = torch.eye(3).double()[e] * step
        slope = (top_k_under(SCORES + moved, noise, 2, SIGMA) - top_k_under(SCORES - moved, noise, 2, SIGMA)) / 0.1
        torch.testing.assert_close(got[..., e], slope, atol=2e-2, rtol=0)


def test_only_the_cells_that_a_sample_chose_are_used():
    scores = torch.tensor([0.0, 5.0, 0.1, 4.9, -9.0])
    y = perturbed_top_k(scores, 2, 0.05, 100, torch.Generator().manual_seed(0))
    assert used_columns(y).tolist() == [1, 3] and torch.allclose(y.sum(1), torch.ones(2))
    assert torch.equal(hard_top_k(scores, 2), perturbed_top_k(scores, 2, 0.0, 100))
    assert hard_top_k(scores, 9).shape == (5, 5), "no more than there are"
    wide = perturbed_top_k(scores, 2, 5.0, 200, torch.Generator().manual_seed(0))
    assert set(used_columns(y).tolist()) < set(used_columns(wide).tolist())
    with pytest.raises(ValueError, match="sigma -1"):
        perturbed_top_k(scores, 2, -1, 10)
