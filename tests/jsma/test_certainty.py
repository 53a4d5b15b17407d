"""The temperature at which what is said fits what is true best."""

import numpy as np
import pytest
import torch

from jsma.certainty import WIDEST, best_temperature


@pytest.mark.parametrize("temperature", (0.3, 1.0, 5.0))
def test_it_is_the_minimum_of_a_grid_and_close_to_the_truth(temperature):
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(3000, 4, generator=generator, dtype=torch.float64)
    labels = torch.multinomial((logits / temperature).softmax(1), 1, generator=generator)[:, 0]
    found = best_temperature(logits, labels)
    grid = np.geomspace(0.1, 10, 400)
    losses = [float(-(logits / t).log_softmax(1)[torch.arange(3000), labels].mean()) for t in grid]
    assert found == pytest.approx(grid[int(np.argmin(losses))], rel=0.02)
    assert found == pytest.approx(temperature, rel=0.1)


def test_all_right_or_all_wrong_stays_within_the_bounds():
    logits = torch.tensor([[2.0, 0.0], [3.0, 0.0]])
    assert 1 / WIDEST <= best_temperature(logits, torch.tensor([0, 0])) < 0.1
    assert 10 < best_temperature(logits, torch.tensor([1, 1])) <= WIDEST
