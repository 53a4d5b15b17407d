"""How sharp what is said must be to fit what is true, by the patches that it is of."""

import numpy as np
import pytest
import torch

from jsma.draws.certainty import FLATTEST, SHARPEST, Sharpness, best_sharpness


def said(factors, counts, n=4000):
    """Logits [n, 4] and labels [n] that are as often right as softmax(factor * logits) says; patches [n]."""
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(n, 4, generator=generator, dtype=torch.float64)
    which = torch.arange(n) % len(counts)
    factor = torch.tensor(factors, dtype=torch.float64)[which]
    labels = torch.multinomial((factor[:, None] * logits).softmax(1), 1, generator=generator)[:, 0]
    return logits, labels, torch.tensor(counts)[which]


def losses(logits, labels, factors):
    """Mean of -log softmax(factor * logits)[label]."""
    return -(logits * factors[:, None]).log_softmax(1)[torch.arange(len(labels)), labels].mean()


def test_it_is_the_minimum_of_a_grid_and_close_to_the_truth():
    logits, labels, patches = said((0.2, 0.4, 0.6), (4, 16, 36))  # linear in the square root: 2, 4, 6
    found = best_sharpness(logits, labels, patches)
    assert (found.fewest, found.most) == pytest.approx((4, 36))
    assert (found.first, found.last) == pytest.approx((0.2, 0.6), rel=0.1)
    assert found.at(16) == pytest.approx((found.first + found.last) / 2)
    share = (patches.double().sqrt() - 2) / 4
    grid = np.geomspace(0.05, 2, 60)
    best = min((float(losses(logits, labels, a + (b - a) * share)), a, b) for a in grid for b in grid)
    own = float(losses(logits, labels, found.first + (found.last - found.first) * share))
    assert own <= best[0] and (found.first, found.last) == pytest.approx(best[1:], rel=0.07)


def test_outside_what_was_seen_it_stays():
    sharpness = Sharpness(0.2, 0.8, 4, 16)
    assert [sharpness.at(n) for n in (1, 4, 9, 16, 64)] == pytest.approx([0.2, 0.2, 0.5, 0.8, 0.8])


@pytest.mark.parametrize("factor", (0.2, 3.0))
def test_where_all_are_of_as_many_patches_there_is_one(factor):
    logits, labels, patches = said((factor,), (8,))
    found = best_sharpness(logits, labels, patches)
    assert found.first == found.last == found.at(8) == found.at(1) == pytest.approx(factor, rel=0.1)


def test_all_right_or_all_wrong_stays_within_the_bounds():
    logits, patches = torch.tensor([[2.0, 0.0], [3.0, 0.0]]), torch.tensor([1, 4])
    assert 3 < best_sharpness(logits, torch.tensor([0, 0]), patches).last <= SHARPEST
    wrong = best_sharpness(logits, torch.tensor([1, 1]), patches)
    assert wrong.first == wrong.last == FLATTEST


def test_it_is_found_where_no_gradients_are_kept():
    logits, labels, patches = said((0.3,), (8,), 400)
    with torch.no_grad():
        assert best_sharpness(logits, labels, patches) == best_sharpness(logits, labels, patches)
        assert best_sharpness(logits, labels, patches).first != 1.0
