"""Adaptive JSMA: every later round is unbiased given the rounds before; it stops when certain; it obeys the budget."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from baselines.adaptive import Adaptive, AdaptiveOptions
from baselines.contract import Outcome, ask
from baselines.jsma import Joint
from bench.studies.estimator_bias import ordered_samples
from jsma import Draw
from tests.baselines.looks import Sketch, build, magnification

G = torch.linspace(-1, 1, 3, dtype=torch.float64)


class Scripted(Adaptive):
    """Draws what it is told; `seen`: what each round may draw from; `moved`: the attention of every later round."""

    def sizes(self):
        return [len(order) for order in self.script]

    def draw(self, log_a, n, generator, grid=None):
        self.seen.append(log_a)
        return Draw(torch.tensor(self.script[len(self.seen) - 1]), torch.tensor(-torch.inf))

    def update(self, *arguments):
        self.moved.append(super().update(*arguments))
        return self.moved[-1]

    def told(self, slide, *script):
        self.script, self.seen, self.moved = script, [], []
        return self([slide], torch.Generator())[0]


def scene(cls, **look):
    slide = Sketch(side0_px=24, seed=2, tissue=0.85)
    return slide, build(cls, n_patches=8, options=AdaptiveOptions(**look) if issubclass(cls, Adaptive) else None).eval()


def next_attention(strategy, slide, log_a0, read):
    """The formula of the docstring in loops, smoothing included: a of every tissue cell."""
    tissue = slide.view.mask.nonzero()[:, 0].tolist()
    grid, m = slide.view.grid, magnification(slide)
    centres = grid.centres0(np.arange(len(log_a0))).tolist()
    weight, sizes = strategy.model.head.weight, {}
    for q in read:  # 5 units a patch, those of its magnification
        logits = weight[:, 5 * m[q] : 5 * m[q] + 5] @ slide.all[q] * 5**0.5
        sizes[q] = (logits - logits.mean()).norm()
    mean = sum(sizes.values()) / len(sizes)
    scores = {}
    for i in tissue:
        scores[i] = log_a0[i]
        for q in read:
            if m[q] == m[i]:
                d = math.dist(centres[i], centres[q]) / grid.cell0[m[q]]
                moved = 0.3 * (sizes[q] / mean - 1) - 0.5
                scores[i] = scores[i] + moved * math.exp(-(d**2) / 2)
    total = sum(s.exp() for s in scores.values())
    eps = strategy.settings.method.smoothing_eps
    return {i: (1 - eps) * s.exp() / total + eps / len(scores) for i, s in scores.items()}, m


@torch.no_grad()
def test_a_later_round_is_unbiased_given_the_rounds_before():
    slide, strategy = scene(Scripted)
    tissue = slide.view.mask.nonzero()[:, 0].tolist()
    first = tuple(tissue[i] for i in (4, -1))  # of both magnifications
    strategy.told(slide, first)
    log_a0 = strategy.seen[0]
    a = log_a0.exp()
    # round 0 by hand: Des Raj of two, magnifications apart
    m = magnification(slide)
    phi0 = torch.zeros(2, 5).double()
    for w, q in zip((0.5 * (1 + a[first[0]]), 0.5 * (1 - a[first[0]])), first, strict=True):
        phi0[m[q]] += w * slide.all[q]
    after, m = next_attention(strategy, slide, log_a0, first)
    truth = torch.zeros(2, 5).double()
    for i, p in after.items():
        truth[m[i]] += p * slide.all[i]
    logits = strategy.model.head(((phi0 + truth) / 2).flatten() * 5**0.5)
    cells = [i for i in after if i not in first]
    left = torch.stack([after[i] for i in cells])
    assert 4 <= len(cells) <= 12 and len({int(m[i]) for i in cells}) == 2
    value, total = torch.zeros(3).double(), 0.0
    for order, p, _ in ordered_samples(left / left.sum(), 2):
        outcome = strategy.told(slide, first, tuple(cells[i] for i in order))
        value, total = value + p * outcome.logits, total + p
    assert total == pytest.approx(1)
    torch.testing.assert_close(value, logits)


def test_it_is_trained_as_one_look_of_jsma():
    slide, strategy = scene(Adaptive, first_look=3, next_look=2)
    _, jsma = scene(Joint)
    jsma.load_state_dict({k: v for k, v in strategy.state_dict().items() if k != "sharpness"})
    found = []
    for one in (strategy.train(), jsma.train()):
        one.set_progress(0.1)
        (outcome,) = one([slide], torch.Generator().manual_seed(3))
        loss = outcome.logits @ G + outcome.penalty
        found.append([outcome.logits, *torch.autograd.grad(loss, [slide.all, *one.model.attention.parameters()])])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert len(slide.asked) == 2 and len(slide.asked[0]) == 8


@pytest.mark.parametrize(("confidence", "read"), ((0.0, 3), (1.0, 8), (0.999999, 8)))
def test_it_stops_when_certain(confidence, read):
    slide, strategy = scene(Adaptive, first_look=3, next_look=2, confidence=confidence)
    (outcome,) = strategy.eval()([slide], torch.Generator().manual_seed(0))
    asked = [len(call) for call in slide.asked]
    assert sum(asked) == read == len(set(outcome.cells.tolist())) and asked == [3, 2, 2, 1][: len(asked)]


def test_an_easy_slide_takes_fewer_patches_than_a_hard_one():
    _, strategy = scene(Adaptive, first_look=1, next_look=1, confidence=0.6)
    reads = {}
    for size in (0.01, 30.0):
        slide = Sketch(side0_px=24, seed=2, tissue=0.85)
        with torch.no_grad():  # a head that is sure of one slide and not of the other
            slide.all.mul_(size)
            strategy.model.head.bias.zero_()
        reads[size] = len(strategy.eval()([slide], torch.Generator().manual_seed(0))[0].cells)
    assert reads[30.0] < reads[0.01] == 8


@torch.no_grad()
def test_where_it_read_it_reads_less_unless_that_told_much():
    slide, strategy = scene(Scripted)
    m = torch.from_numpy(magnification(slide))
    finest = [i for i in slide.view.mask.nonzero()[:, 0].tolist() if m[i] == 0]
    dull, telling, last = finest[0], finest[-1], finest[len(finest) // 2]
    slide.all[dull], slide.all[telling] = slide.all[dull] * 0.1, slide.all[telling] * 5
    moved = {}
    for strategy.telling in (0.0, 0.7):
        strategy.told(slide, (dull, telling), (last,))
        found = moved[strategy.telling] = strategy.moved[0] - strategy.seen[0]
        assert found[dull] < found[(m == 1) & slide.view.mask].min()  # the other magnification is as it was
    assert moved[0.7][telling] > moved[0.7][dull] + 0.5
    assert moved[0.0][telling] == pytest.approx(float(moved[0.0][dull]), abs=0.2)


@pytest.mark.parametrize(("purpose", "asked"), (("choose", [8]), ("calibrate", [3, 2, 2, 1]), ("test", [3])))
def test_weights_are_chosen_by_one_look_and_certainty_by_every_round(purpose, asked):
    slide, strategy = scene(Adaptive, first_look=3, next_look=2, confidence=0.0)
    slides: Any = [slide]
    (outcome,) = ask(strategy.eval(), slides, torch.Generator().manual_seed(0), purpose)
    assert strategy.purpose == "test" and outcome.cells is not None
    assert [len(call) for call in slide.asked] == asked and len(outcome.cells) == sum(asked)
    if purpose == "choose":
        assert outcome.rounds is None
    else:
        assert (
            outcome.rounds is not None
            and len(outcome.rounds) == len(asked)
            and torch.equal(outcome.rounds[-1], outcome.logits)
        )


def test_certainty_is_fit_after_every_round_by_its_patches():
    """Rounds of 3, 5 and 7 patches, right as often as .2 (at first) to .6 (at last) of their logits says."""
    _, strategy = scene(Adaptive, first_look=3, next_look=2)
    generator = torch.Generator().manual_seed(0)
    margin = 6 * torch.randn(6000, 2, generator=generator, dtype=torch.float64)
    root = torch.tensor([3.0, 5.0, 7.0], dtype=torch.float64).sqrt()
    factors = 0.2 + 0.4 * (root - root[0]) / (root[2] - root[0])
    labels = torch.multinomial(margin.softmax(1), 1, generator=generator)[:, 0]
    rounds = margin[:, None] / factors[:, None]
    outcomes = [Outcome(rows[-1], cells=torch.arange(7), rounds=rows) for rows in rounds]
    strategy.calibrate(outcomes, labels)
    assert strategy.sharpness.tolist() == pytest.approx([0.2, 0.6, 3, 7], rel=0.1)


def test_the_last_round_of_a_small_slide_is_of_the_patches_it_has():
    _, strategy = scene(Adaptive, first_look=3, next_look=2)
    rounds = torch.tensor([[1.0, 0.0], [2.0, 0.0]])
    strategy.calibrate([Outcome(rounds[-1], cells=torch.arange(4), rounds=rounds)] * 2, torch.tensor([0, 1]))
    assert strategy.sharpness[2:].tolist() == pytest.approx([3, 4])


@pytest.mark.parametrize(("sharpness", "read"), (((100, 100), 1), ((0.01, 0.01), 8), ((0.01, 100), 4)))
def test_the_less_sharp_the_later_it_stops(sharpness, read):
    slide, strategy = scene(Adaptive, first_look=1, next_look=1, confidence=0.6)
    slide = Sketch(side0_px=24, seed=2, tissue=0.85)
    strategy.sharpness.copy_(torch.tensor([*sharpness, 3.0, 4.0]))
    assert len(strategy.eval()([slide], torch.Generator().manual_seed(0))[0].cells) == read


def test_the_budget_binds_and_nothing_is_read_twice():
    for seed in range(10):
        slide, strategy = scene(Adaptive, first_look=3, next_look=2, confidence=1.0)
        (outcome,) = strategy.eval()([slide], torch.Generator().manual_seed(seed))
        cells = outcome.cells.tolist()
        assert len(set(cells)) == len(cells) == 8 and slide.view.mask[outcome.cells].all()
        assert math.isclose(float(outcome.p_magnification.sum()), 1, rel_tol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("script", (((0, 1), (2, 3)), ((0,), (1,), (2, 3)), ((0, 1, 2), (3,))))
def test_where_nothing_moves_the_attention_rounds_are_one_look(script):
    """Of Des Raj, in pieces: the logits are those of jsma with the same draw."""
    slide, strategy = Sketch(side0_px=24, seed=2, tissue=0.85), build(Scripted, n_patches=4, smoothing_eps=0.0).eval()
    strategy.spread = strategy.telling = 0.0
    tissue = slide.view.mask.nonzero()[:, 0].tolist()
    own = torch.tensor(tissue[:4])
    rounds = strategy.told(slide, *(tuple(tissue[i] for i in order) for order in script))
    group = torch.from_numpy(magnification(slide))[own]
    one = strategy.model.classify(strategy.seen[0][own][None], slide.all[own][None], group[None], None)[0]
    torch.testing.assert_close(rounds.logits, one)


@torch.no_grad()
def test_the_attention_it_reports_is_the_mean_of_the_rounds():
    slide, strategy = scene(Scripted)
    tissue = slide.view.mask.nonzero()[:, 0].tolist()
    outcome = strategy.told(slide, tuple(tissue[:3]), (tissue[3],))
    want = sum(n * log_a.exp() for n, log_a in zip((3, 1), (strategy.seen[0], *strategy.moved), strict=True)) / 4
    torch.testing.assert_close(outcome.attention, want)
    m = magnification(slide)
    for g, share in enumerate(outcome.p_magnification):
        torch.testing.assert_close(share, want[(torch.from_numpy(m) == g).nonzero()[:, 0]].sum())
