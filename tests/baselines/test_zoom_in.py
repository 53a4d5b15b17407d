"""Zoom-In by enumeration: every tuple of regions, every ordered draw inside each, against the double expectation."""

import itertools

import numpy as np
import pytest
import torch

from baselines.zoom_in import ZoomIn
from bench.studies.estimator_bias import ordered_samples, repeated_samples
from jsma import Draw
from jsma.cells.grid import CellGrid
from jsma.cells.hierarchy import parents
from tests.baselines.looks import Sketch, build

G = torch.linspace(-1, 1, 3, dtype=torch.float64)


class Scripted(ZoomIn):
    """Draws what it is told."""

    script: list = []

    def draw_regions(self, log_a, generator):
        return Draw(torch.tensor(self.script[0]), torch.tensor(-torch.inf))

    def draw_inside(self, log_b, generator):
        self.at += 1
        return Draw(torch.tensor(self.script[self.at]), torch.tensor(-torch.inf))

    def told(self, slide, *script):
        self.script, self.at = script, 0
        return self([slide], torch.Generator())[0]


def gradients(strategy, slide, scalar):
    trained = [p for n, p in strategy.named_parameters() if p.requires_grad and not n.startswith("model.head")]
    targets = [slide.all, *trained]
    found = torch.autograd.grad(scalar, targets, allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for t, g in zip(targets, found, strict=True)]


def scene():
    slide = Sketch(side0_px=32, tissue=0.55, seed=3)
    strategy = build(Scripted, n_patches=6)  # 2 regions, 2 patches inside each
    keep = slide.view.grid.slices[1]
    slide.view.mask[keep] = torch.arange(keep.stop - keep.start) < 3  # three regions are enough to enumerate
    with torch.no_grad():
        strategy.score.weight.mul_(100)
    return slide, strategy.train()


def test_every_sample_together_gives_the_double_expectation():
    slide, strategy = scene()
    assert (strategy.n_regions, strategy.n_inside) == (2, 2)
    regions, log_a, hidden = strategy.attend(slide)
    inside = [strategy.inside(slide, hidden, r, slide.all[r]) for r in regions]
    assert len(regions) == 3 and sorted(len(c) for c, _ in inside)[0] >= 1
    # the truth: sum_c a_c sum_j b_j|c f_j, linear head on it, magnifications apart
    truth = torch.zeros(2, 5, dtype=torch.float64)
    m = torch.from_numpy(slide.view.grid.decode(np.arange(slide.view.grid.n_cells))[0])
    for a, (cells, log_b) in zip(log_a.exp(), inside, strict=True):
        for b, cell in zip(log_b.exp(), cells, strict=True):
            truth = truth + a * b * torch.nn.functional.one_hot(m[cell], 2)[:, None] * slide.all[cell]
    logits = strategy.model.head(truth.flatten() * 5**0.5)
    want = gradients(strategy, slide, logits @ G)
    value, got, total = torch.zeros(3).double(), [torch.zeros_like(w) for w in want], 0.0
    for pair, p_pair, _ in repeated_samples(log_a.exp().detach(), 2):
        per_region = [list(ordered_samples(inside[r][1].exp().detach(), min(2, len(inside[r][0])))) for r in pair]
        for (one, p_one, _), (two, p_two, _) in itertools.product(*per_region):
            outcome = strategy.told(slide, pair, one, two)
            p = p_pair * p_one * p_two
            value, total = value + p * outcome.logits.detach(), total + p
            for g, own in zip(got, gradients(strategy, slide, outcome.logits @ G), strict=True):
                g += p * own
    assert total == pytest.approx(1)
    torch.testing.assert_close(value, logits.detach())
    for g, w in zip(got, want, strict=True):
        torch.testing.assert_close(g, w)
    assert sum(float(w.abs().sum()) > 1e-4 for w in want) > 6, "attention of both stages is reached"


@pytest.mark.parametrize("n", (1, 2, 3, 5, 8, 16))
def test_regions_and_patches_inside_stay_within_the_budget(n):
    for seed in range(5):
        slide, strategy = Sketch(seed=seed, side0_px=64), build(ZoomIn, n_patches=n)
        (outcome,) = strategy([slide], torch.Generator().manual_seed(seed))
        asked = [c for call in slide.asked for c in call]
        assert sorted(asked) == sorted(outcome.cells.tolist()) and len(asked) == len(set(asked)) <= n
        assert slide.view.mask[outcome.cells].all()


def test_every_fine_cell_has_the_parent_that_holds_its_centre():
    grid = CellGrid(100, 70, 1.0, (1.0, 1.5, 5.0), 8)
    family = parents(grid, 2)
    for cell in range(grid.n_cells):
        x, y = grid.centres0(np.array([cell]))[0]
        _, row, col = (int(v[0]) for v in grid.decode(np.array([family[cell]])))
        assert row == min(int(y // 40), grid.shapes[2][0] - 1) and col == min(int(x // 40), grid.shapes[2][1] - 1)
    assert (family[grid.slices[2]] == np.arange(grid.slices[2].start, grid.n_cells)).all()
