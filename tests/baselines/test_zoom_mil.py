"""ZoomMIL against its formula written as loops: hard at test, mixed with the full Jacobian in training."""

import numpy as np
import pytest
import torch

from baselines.zoom_mil import ZoomMIL, ZoomOptions
from tests.baselines.looks import Sketch, build
from tests.jsma.draws.test_topk import naive

LOOK = ZoomOptions(zoom_sigma=0.02, topk_samples=40)
TARGET = torch.tensor([1.0, -2.0, 0.5]).double()


def made(mpps, n_patches):
    strategy = build(ZoomMIL, mpps=mpps, n_patches=n_patches, options=LOOK)
    with torch.no_grad():
        for pool in strategy.pools:
            pool.fc2.weight.mul_(5)
    return strategy


def inside(slide, cell, m):
    """The cells of magnification m whose centre lies in `cell`, in order."""
    grid = slide.view.grid
    (x, y), side = grid.centres0(np.array([cell]))[0], grid.cell0[int(grid.decode(np.array([cell]))[0][0])]
    part = range(*grid.slices[m].indices(10**6))
    near = [abs(c - (x, y)).max() < side / 2 for c in grid.centres0(np.array(part))]
    return [c for c, hit in zip(part, near, strict=True) if hit]


def attend(strategy, m, tokens):
    """Gated attention (Ilse et al.) by hand: (pooled [d], attention) of a list of tokens."""
    pool, scale = strategy.pools[m], 5**0.5
    scores = torch.stack(
        [pool.fc2(torch.tanh(pool.fc1(t * scale)) * torch.sigmoid(pool.fc_gated(t * scale)))[0] for t in tokens]
    )
    a = scores.softmax(0)
    return sum(w * t * scale for w, t in zip(a, tokens, strict=True)), a


def test_at_test_the_best_cells_are_zoomed_into_level_by_level():
    slide = Sketch(mpps=(1.0, 2.0, 4.0), side0_px=64, seed=2, tissue=0.8)
    strategy, mask = made((1.0, 2.0, 4.0), 16).eval(), slide.view.mask
    (outcome,) = strategy([slide], torch.Generator())
    coarse = [c for c in range(*slide.view.grid.slices[2].indices(10**6)) if mask[c]]
    z2, a2 = attend(strategy, 2, [slide.all[c] for c in coarse])
    zoomed = sorted(a2.topk(2).indices.tolist())  # 16 patches, 2 steps, 4 children: 2 cells each
    middle = [c for i in zoomed for c in inside(slide, coarse[i], 1) if mask[c]]
    z1, a1 = attend(strategy, 1, [slide.all[c] for c in middle])
    fine = [c for i in sorted(a1.topk(2).indices.tolist()) for c in inside(slide, middle[i], 0) if mask[c]]
    z0, _ = attend(strategy, 0, [slide.all[c] for c in fine])
    torch.testing.assert_close(outcome.logits, strategy.head(torch.cat([z0, z1, z2])))
    assert slide.asked == [coarse, middle, fine] and outcome.cells.tolist() == coarse + middle + fine
    assert len(middle) + len(fine) <= 16


def test_training_mixes_the_children_and_takes_the_full_jacobian():
    slide, strategy = Sketch(side0_px=48, seed=1), made((1.0, 2.0), 8).train()
    slide.view.mask[:] = True
    (outcome,) = strategy([slide], torch.Generator().manual_seed(4))
    (outcome.logits @ TARGET).backward()
    got = {n: p.grad.clone() for n, p in strategy.named_parameters()}
    got_features = slide.all.grad.clone()
    strategy.zero_grad()
    slide.all.grad = None

    coarse = list(range(*slide.view.grid.slices[1].indices(10**6)))
    z1, a1 = attend(strategy, 1, [slide.all[c] for c in coarse])
    noise = torch.randn(40, len(coarse), generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    y, jacobian = naive(a1.detach(), noise, 2, 0.02)
    y.requires_grad_()
    family = [inside(slide, c, 0) for c in coarse]
    assert {len(f) for f in family} == {4}
    tokens = [sum(y[k, i] * slide.all[family[i][q]] for i in range(len(coarse))) for k in range(2) for q in range(4)]
    z0, _ = attend(strategy, 0, tokens)
    logits = strategy.head(torch.cat([z0, z1]))
    torch.testing.assert_close(outcome.logits, logits)
    (by_y,) = torch.autograd.grad(logits @ TARGET, y, retain_graph=True)
    (logits @ TARGET + a1 @ torch.einsum("kd,kde->e", by_y, jacobian)).backward()
    torch.testing.assert_close(got_features, slide.all.grad)
    for name, p in strategy.named_parameters():
        torch.testing.assert_close(got[name], p.grad, msg=name)
    assert float(by_y.norm()) > 1e-3
    several = [i for i in range(len(coarse)) if float(y[:, i].detach().sum()) > 0]
    assert 2 < len(several) < len(coarse) and sorted(slide.asked[1]) == sorted(c for i in several for c in family[i])


def test_a_mixture_is_carried_through_two_steps():
    slide, strategy = Sketch(mpps=(1.0, 2.0, 4.0), side0_px=64, seed=5, tissue=0.9), made((1.0, 2.0, 4.0), 16).train()
    slide.view.mask[:] = True
    (outcome,) = strategy([slide], torch.Generator().manual_seed(4))
    grid, noise = slide.view.grid, torch.Generator().manual_seed(4)
    cells = [list(range(*grid.slices[m].indices(10**6))) for m in range(3)]
    # [slots, cells of the level] as whole matrices, children in every column
    assign, pooled = torch.eye(len(cells[2])).double(), [None, None, None]
    for m in (2, 1, 0):
        tokens = assign @ slide.all[cells[m]]
        pooled[m], a = attend(strategy, m, tokens)
        if m:
            draws = torch.randn(40, len(a), generator=noise, dtype=torch.float64)
            parent = naive(a.detach(), draws, 2, 0.02)[0] @ assign
            assign = torch.zeros(2, 4, len(cells[m - 1])).double()
            for i, cell in enumerate(cells[m]):
                for q, child in enumerate(inside(slide, cell, m - 1)):
                    assign[:, q, cells[m - 1].index(child)] += parent[:, i]
            assign = assign.flatten(0, 1)
    torch.testing.assert_close(outcome.logits, strategy.head(torch.cat(pooled)))


@pytest.mark.parametrize("n", (1, 2, 4, 7, 16, 40))
def test_below_the_coarsest_it_stays_within_the_budget(n):
    for seed in range(4):
        slide, strategy = Sketch(mpps=(1.0, 2.0, 4.0), side0_px=96, seed=seed), made((1.0, 2.0, 4.0), n).eval()
        (outcome,) = strategy([slide], torch.Generator())
        below = [c for call in slide.asked[1:] for c in call]
        assert len(below) == len(set(below)) <= n and slide.view.mask[outcome.cells].all()
        assert n < 4 or below


def test_features_pass_through_the_trained_layer_before_they_are_mixed():
    slide, strategy = Sketch(side0_px=48, seed=1), build(ZoomMIL, n_patches=8, options=LOOK).train()
    adapted = build(ZoomMIL, n_patches=8, options=LOOK, adapter_dim=5).train()
    with torch.no_grad():  # the layer on every feature beforehand, then no layer: the same
        m = torch.from_numpy(slide.view.grid.decode(np.arange(len(slide.view.mask)))[0])
        layers = adapted.adapted.layers
        through = torch.stack(
            [
                torch.relu(layers[g].weight @ (f * 5**0.5) + layers[g].bias) / 5**0.5
                for g, f in zip(m.tolist(), slide.all, strict=True)
            ]
        )
        strategy.load_state_dict({k: v for k, v in adapted.state_dict().items() if not k.startswith("adapted")})
        (want,) = adapted([slide], torch.Generator().manual_seed(4))
        slide.all = through
        (outcome,) = strategy([slide], torch.Generator().manual_seed(4))
    torch.testing.assert_close(outcome.logits, want.logits)
    assert outcome.cells.tolist() == want.cells.tolist()
