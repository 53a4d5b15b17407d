"""Patch selection against its formula written as loops: value, features' gradient, attention's gradient."""

import torch

from baselines.selection import PatchSelection, SelectionOptions
from tests.baselines.looks import Sketch, build
from tests.jsma.draws.test_topk import naive

LOOK = SelectionOptions(topk_sigma=0.2, topk_samples=60)


def by_hand(strategy, slide, y):
    """Logits of Y [k, K_allowed]: every slot its mixture of features, slots averaged, magnifications apart."""
    allowed = slide.view.mask.nonzero()[:, 0]
    m = slide.view.grid.decode(allowed.numpy())[0]
    pooled = torch.zeros(2, 5).double()
    for slot in y:
        for share, cell, group in zip(slot, allowed, m, strict=True):
            pooled[group] = pooled[group] + share * slide.all[cell] / len(y)
    return strategy.model.head(pooled.flatten() * 5**0.5)


def test_training_is_the_formula_with_the_full_jacobian():
    slide, strategy = Sketch(), build(PatchSelection, options=LOOK)
    (outcome,) = strategy.train()([slide], torch.Generator().manual_seed(3))
    target = torch.tensor([1.0, -2.0, 0.5]).double()
    (outcome.logits @ target).backward()
    got = {n: p.grad.clone() for n, p in strategy.named_parameters() if "attention" in n}
    got_features = slide.all.grad.clone()

    scores = strategy.model.attention.cells(slide.pixels[None], slide.view.pools)[0][slide.view.mask]
    unit = (scores - scores.min()) / (scores.max() - scores.min())
    noise = torch.randn(60, len(unit), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    y, jacobian = naive(unit.detach(), noise, 4, 0.2)
    y.requires_grad_()
    slide.all.grad = None
    strategy.zero_grad()
    logits = by_hand(strategy, slide, y)
    torch.testing.assert_close(outcome.logits, logits)
    (by_y,) = torch.autograd.grad(logits @ target, y, retain_graph=True)
    (logits @ target).backward()
    torch.testing.assert_close(got_features, slide.all.grad)
    strategy.zero_grad()
    unit.backward(torch.einsum("kd,kde->e", by_y, jacobian))
    for name, p in strategy.named_parameters():
        if name in got:
            torch.testing.assert_close(got[name], p.grad, msg=name)
    # read: where Y is not 0, and nowhere else
    chosen = slide.view.mask.nonzero()[:, 0][(y > 0).any(0)].tolist()
    assert slide.asked == [chosen] and 4 < len(chosen) < int(slide.view.mask.sum())


def test_at_test_the_k_best_cells_are_read():
    slide, strategy = Sketch(), build(PatchSelection, options=LOOK).eval()
    (outcome,) = strategy([slide], torch.Generator())
    scores = strategy.model.attention.cells(slide.pixels[None], slide.view.pools)[0]
    scores[~slide.view.mask] = -torch.inf
    assert slide.asked == [sorted(scores.topk(4).indices.tolist())] and outcome.cells.tolist() == slide.asked[0]
    allowed = slide.view.mask.nonzero()[:, 0]
    y = torch.stack([(allowed == cell).double() for cell in slide.asked[0]])
    torch.testing.assert_close(outcome.logits, by_hand(strategy, slide, y))
    want = torch.zeros(len(scores)).double()
    want[slide.asked[0]] = 1 / 4
    torch.testing.assert_close(outcome.attention, want)
