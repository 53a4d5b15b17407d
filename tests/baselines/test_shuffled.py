"""Shuffled attention against its definition, on slides without files."""

import numpy as np
import pytest
import torch

from baselines.jsma import Joint
from baselines.shuffled import Shuffled, permute
from baselines.shuffled_magnification import ShuffledMagnification, draw_derangement, move_mass
from baselines.shuffled_place import ShuffledPlace
from tests.baselines.looks import Sketch, build, by_hand, learnt, said


# --- shuffled --------------------------------------------------------------------------------------------
def test_a_permutation_is_uniform_over_the_allowed_cells():
    log_a = torch.tensor([0.5, 0.0, 0.3, 0.2]).log()
    seen = [tuple(permute(log_a, torch.Generator().manual_seed(s)).exp().tolist()) for s in range(600)]
    assert {row[1] for row in seen} == {0.0} and len(set(seen)) == 6
    assert min(seen.count(row) for row in set(seen)) > 60  # of 100 expected


@pytest.mark.parametrize("cls", (Shuffled, ShuffledPlace, ShuffledMagnification))
def test_nothing_is_shuffled_before_training_is_over(cls):
    slide, strategy = Sketch(), build(cls, entropy_weight=0.1)
    plain = build(Joint, entropy_weight=0.1)
    for training in (True, False):
        for one in (strategy, plain):
            one.set_progress(0.9)
        mine, theirs = (said(s.train(training), slide, seed=5) for s in (strategy, plain))
        assert torch.equal(mine.logits, theirs.logits) and torch.equal(mine.attention, theirs.attention)
        assert torch.equal(mine.penalty, theirs.penalty)
    strategy.set_progress(1.0)
    assert not torch.equal(said(strategy.eval(), slide).attention, theirs.attention)
    assert torch.equal(said(strategy.train(), slide).attention, theirs.attention)
    # another object with the trained weights, as a run restores them, is told nothing and shuffles
    again = build(cls, entropy_weight=0.1).eval()
    assert torch.equal(said(again, slide, 2).attention, said(strategy.eval(), slide, 2).attention)


def test_shuffled_keeps_the_values_and_estimates_with_the_shuffled_attention():
    slide, strategy = Sketch(side0_px=24, seed=3), build(Shuffled, n_patches=2).eval()
    outcome, a = said(strategy, slide, 7), learnt(strategy, slide).exp()
    assert torch.equal(outcome.attention.sort().values, a.sort().values)
    assert torch.equal(outcome.attention > 0, slide.view.mask)
    first, second = outcome.cells.tolist()
    p = outcome.attention
    weights = torch.zeros_like(p)
    weights[first], weights[second] = 0.5 * (1 + p[first]), 0.5 * (1 - p[first])  # Des Raj of two draws
    torch.testing.assert_close(outcome.logits, by_hand(strategy, slide, weights))


def test_shuffled_place_keeps_the_magnifications():
    slide, strategy = Sketch(side0_px=64), build(ShuffledPlace).eval()
    outcome, a = said(strategy, slide, 7), learnt(strategy, slide).exp()
    for part in slide.view.grid.slices:
        assert torch.equal(outcome.attention[part].sort().values, a[part].sort().values)
        assert not torch.equal(outcome.attention[part], a[part])
    torch.testing.assert_close(outcome.p_magnification, torch.stack([a[p].sum() for p in slide.view.grid.slices]))


def overlap(grid, i, j):
    """Share of cell i's area that lies in cell j, by rectangles."""
    boxes = []
    for cell in (i, j):
        centre, half = grid.centres0(np.array([cell]))[0], grid.cell0[int(grid.decode(np.array([cell]))[0][0])] / 2
        boxes.append((centre - half, centre + half))
    sides = np.minimum(boxes[0][1], boxes[1][1]) - np.maximum(boxes[0][0], boxes[1][0])
    return float(np.prod(sides.clip(0))) / float(np.prod(boxes[0][1] - boxes[0][0]))


@pytest.mark.parametrize("mpps", ((1.0, 2.0), (1.0, 1.5)))
def test_shuffled_magnification_exchanges_the_maps_and_leaves_the_place(mpps):
    slide, strategy = Sketch(mpps=mpps, side0_px=48, seed=1), build(ShuffledMagnification, mpps=mpps).eval()
    grid, mask, a = slide.view.grid, slide.view.mask, learnt(strategy, slide).exp()
    want = torch.zeros_like(a)
    for source, target in ((0, 1), (1, 0)):  # with two magnifications there is one way
        cells = [range(*grid.slices[m].indices(10**6)) for m in (source, target)]
        for j in cells[1]:
            want[j] = sum(a[i] * overlap(grid, i, j) for i in cells[0]) * bool(mask[j])
        want[cells[1]] *= a[cells[0]].sum() / want[cells[1]].sum()
    eps, n = strategy.settings.method.smoothing_eps, int(mask.sum())
    want = ((1 - eps) * want + eps / n) * mask
    torch.testing.assert_close(said(strategy, slide, 7).attention, want, rtol=1e-5, atol=1e-9)


def test_mass_is_moved_whole_and_a_derangement_leaves_nothing_in_its_place():
    grid = Sketch(mpps=(1.0, 2.0), side0_px=32).view.grid
    a = torch.rand(grid.slices[0].stop, dtype=torch.float64)
    blocks = a.reshape(2, 2, 2, 2).sum((1, 3)) if len(a) == 16 and grid.shapes[0] == (4, 4) else None
    assert blocks is not None
    torch.testing.assert_close(move_mass(a, grid, 0, 1), blocks.flatten())
    seen = {tuple(draw_derangement(3, torch.Generator().manual_seed(s))) for s in range(40)}
    assert seen == {(1, 2, 0), (2, 0, 1)} and draw_derangement(1, torch.Generator()) == [0]


def test_a_magnification_without_tissue_takes_no_part_in_the_exchange():
    slide, strategy = Sketch(), build(ShuffledMagnification).eval()
    slide.view.mask[slide.view.grid.slices[1]] = False
    torch.testing.assert_close(said(strategy, slide).attention, learnt(strategy, slide).exp())
    with pytest.raises(ValueError, match="at least 2 magnifications"):
        build(ShuffledMagnification, mpps=(1.0,))
