"""Adaptive JSMA: every later round is unbiased given the rounds before; it stops when certain; it obeys the budget."""

import math

import pytest
import torch

from baselines.adaptive import Adaptive
from baselines.contract import LookSettings, Outcome
from jsma import Draw
from jsma.estimator_table import ordered_samples
from tests.baselines.looks import Sketch, build

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
    strategy = build(cls, n_patches=8, look=LookSettings(**look))
    with torch.no_grad():
        strategy.gain.fill_(0.14)
    return slide, strategy


def gradients(strategy, slide, scalar):
    targets = [slide.all, *(p for n, p in strategy.named_parameters() if not n.startswith("model.head"))]
    found = torch.autograd.grad(scalar, targets, allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for t, g in zip(targets, found, strict=True)]


def next_attention(strategy, slide, log_a0, read):
    """The formula of the docstring in loops, smoothing included: a of every tissue cell."""
    tissue = slide.view.mask.nonzero()[:, 0].tolist()
    m = slide.view.grid.decode(torch.arange(len(log_a0)).numpy())[0]
    grid, weight, sizes = slide.view.grid, strategy.model.head.weight.detach(), {}
    centres = grid.centres0(torch.arange(len(log_a0)).numpy()).tolist()
    for q in read:  # 5 units a patch, those of its magnification
        logits = weight[:, 5 * m[q] : 5 * m[q] + 5] @ slide.all[q].detach() * 5**0.5
        sizes[q] = (logits - logits.mean()).norm()
    mean = sum(sizes.values()) / len(sizes)
    scores = {}
    for i in tissue:
        scores[i] = log_a0[i]
        for q in read:
            if m[q] == m[i]:
                d = math.dist(centres[i], centres[q]) / grid.cell0[m[q]]
                moved = 5 * strategy.gain * (sizes[q] / mean - 1) - 0.5
                scores[i] = scores[i] + moved * math.exp(-(d**2) / 2)
    total = sum(s.exp() for s in scores.values())
    eps = strategy.settings.method.smoothing_eps
    return {i: (1 - eps) * s.exp() / total + eps / len(scores) for i, s in scores.items()}, m


def test_a_later_round_is_unbiased_given_the_rounds_before():
    slide, strategy = scene(Scripted)
    strategy.train()
    tissue = slide.view.mask.nonzero()[:, 0].tolist()
    first = tuple(tissue[i] for i in (4, -1))  # of both magnifications
    strategy.told(slide, first)
    log_a0 = strategy.seen[0]
    a = log_a0.exp()
    # round 0 by hand: Des Raj of two, magnifications apart
    m = slide.view.grid.decode(torch.arange(len(a)).numpy())[0]
    weights = [0.5 * (1 + a[first[0]]).detach(), 0.5 * (1 - a[first[0]]).detach()]
    phi0 = torch.zeros(2, 5).double()
    for w, q in zip(weights, first, strict=True):
        one = torch.zeros(2, 1).double().index_fill(0, torch.tensor(m[q]), 1.0)
        phi0 = phi0 + one * ((w / a[q]).detach() * a[q] * slide.all[q])
    after, m = next_attention(strategy, slide, log_a0, first)
    truth = torch.zeros(2, 5).double()
    for i, p in after.items():
        truth = truth + torch.zeros(2, 1).double().index_fill(0, torch.tensor(m[i]), 1.0) * p * slide.all[i]
    logits = strategy.model.head(((phi0 + truth) / 2).flatten() * 5**0.5)
    want = gradients(strategy, slide, logits @ G)
    cells = [i for i in after if i not in first]
    left = torch.stack([after[i] for i in cells]).detach()
    assert 4 <= len(cells) <= 12 and len({int(m[i]) for i in cells}) == 2
    value, got, total = torch.zeros(3).double(), [torch.zeros_like(w) for w in want], 0.0
    for order, p, _ in ordered_samples(left / left.sum(), 2):
        outcome = strategy.told(slide, first, tuple(cells[i] for i in order))
        value, total = value + p * outcome.logits.detach(), total + p
        for g, own in zip(got, gradients(strategy, slide, outcome.logits @ G), strict=True):
            g += p * own
    assert total == pytest.approx(1)
    torch.testing.assert_close(value, logits.detach())
    for g, w in zip(got, want, strict=True):
        torch.testing.assert_close(g, w)
    names = [n for n, _ in strategy.named_parameters() if not n.startswith("model.head")]
    reached = {n for n, g in zip(names, got[1:], strict=True) if float(g.abs().sum()) > 1e-6}
    assert reached >= {"gain", "model.attention.heads.0.weight"}


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


def test_where_it_read_it_reads_less_unless_that_told_much():
    slide, strategy = scene(Scripted)
    m = torch.from_numpy(slide.view.grid.decode(torch.arange(len(slide.view.mask)).numpy())[0])
    finest = [i for i in slide.view.mask.nonzero()[:, 0].tolist() if m[i] == 0]
    dull, telling, last = finest[0], finest[-1], finest[len(finest) // 2]
    with torch.no_grad():
        slide.all[dull], slide.all[telling] = slide.all[dull] * 0.1, slide.all[telling] * 5
    moved = {}
    for gain in (0.0, 0.14):
        with torch.no_grad():
            strategy.gain.fill_(gain)
        strategy.told(slide, (dull, telling), (last,))
        moved[gain] = (strategy.moved[0] - strategy.seen[0]).detach()
        assert moved[gain][dull] < moved[gain][m == 1].min()  # the other magnification is as it was
    assert moved[0.14][telling] > moved[0.14][dull] + 0.5
    assert moved[0.0][telling] == pytest.approx(float(moved[0.0][dull]), abs=0.2)


def test_it_does_not_stop_while_weights_are_chosen():
    slide, strategy = scene(Adaptive, first_look=3, next_look=2, confidence=0.0)
    for may_stop, read in ((False, 8), (True, 3)):
        strategy.may_stop = may_stop
        (outcome,) = strategy.eval()([slide], torch.Generator().manual_seed(0))
        assert len(outcome.cells) == read and len(outcome.rounds) == {8: 4, 3: 1}[read]
        assert torch.equal(outcome.rounds[-1], outcome.logits)


def test_certainty_is_fit_after_every_round_and_decides_when_to_stop():
    """Rounds that are right as often as a softmax at T = 4 says have T = 4; the hotter, the later it stops."""
    _, strategy = scene(Adaptive, first_look=1, next_look=1, confidence=0.6)
    generator = torch.Generator().manual_seed(0)
    logits = 8 * torch.randn(4000, 1, 2, generator=generator, dtype=torch.float64)
    labels = torch.multinomial((logits[:, 0] / 4).softmax(1), 1, generator=generator)[:, 0]
    outcomes = [Outcome(rows[-1], rounds=rows.expand(3, 2)) for rows in logits]
    strategy.calibrate(outcomes, labels)
    assert float(strategy.temperature) == pytest.approx(4, rel=0.1)
    reads = []
    for temperature in (0.01, 100.0):
        strategy.temperature.fill_(temperature)
        slide = Sketch(side0_px=24, seed=2, tissue=0.85)
        reads.append(len(strategy.eval()([slide], torch.Generator().manual_seed(0))[0].cells))
    assert reads[0] < reads[1] == 8


def test_training_takes_every_round_and_the_budget_binds():
    for seed in range(10):
        slide, strategy = scene(Adaptive, first_look=3, next_look=2)
        (outcome,) = strategy.train()([slide], torch.Generator().manual_seed(seed))
        cells = outcome.cells.tolist()
        assert len(set(cells)) == len(cells) == 8 and slide.view.mask[outcome.cells].all()
        assert math.isclose(float(outcome.p_magnification.sum()), 1, rel_tol=1e-6)


@pytest.mark.parametrize("script", (((0, 1), (2, 3)), ((0,), (1,), (2, 3)), ((0, 1, 2), (3,))))
def test_it_begins_as_one_look(script):
    """Where nothing moves the attention, rounds are one look of Des Raj in pieces: logits and gradients."""
    slide, strategy = Sketch(side0_px=24, seed=2, tissue=0.85), build(Scripted, n_patches=4, smoothing_eps=0.0)
    assert not strategy.gain.any()
    strategy.spread = 0.0
    tissue = slide.view.mask.nonzero()[:, 0].tolist()
    outcomes = []
    for rounds in (((0, 1, 2, 3),), script):
        logits = strategy.told(slide, *(tuple(tissue[i] for i in order) for order in rounds)).logits
        heads = strategy.model.attention.heads.parameters()
        outcomes.append([logits, *torch.autograd.grad(logits @ G, [slide.all, *heads])])
    for one, other in zip(*outcomes, strict=True):
        torch.testing.assert_close(one, other)
    assert float(outcomes[0][2].abs().sum()) > 1e-6


def test_the_attention_it_reports_is_the_mean_of_the_rounds():
    slide, strategy = scene(Scripted)
    tissue = slide.view.mask.nonzero()[:, 0].tolist()
    outcome = strategy.train().told(slide, tuple(tissue[:3]), (tissue[3],))
    want = sum(n * log_a.exp() for n, log_a in zip((3, 1), (strategy.seen[0], *strategy.moved), strict=True)) / 4
    torch.testing.assert_close(outcome.attention, want.detach())
    m = slide.view.grid.decode(torch.arange(len(want)).numpy())[0]
    for g, share in enumerate(outcome.p_magnification):
        torch.testing.assert_close(share, want.detach()[torch.from_numpy(m) == g].sum())


def test_every_round_keeps_the_magnifications_read_until_half_of_training():
    """The entropy of p(m), averaged over the rounds' attentions, is in force at first and annealed away."""
    slide, strategy = scene(Scripted)
    strategy.train()
    tissue = slide.view.mask.nonzero()[:, 0].tolist()
    script, found = ((tissue[4], tissue[0]), (tissue[1], tissue[2])), []
    for share in (0.0, 0.5):
        strategy.set_progress(share)
        penalty = strategy.told(slide, *script).penalty
        assert penalty is not None
        found.append(float(penalty.detach()))
    m = torch.as_tensor(slide.view.grid.decode(torch.arange(len(slide.view.mask)).numpy())[0])
    entropies = []
    for log_a in (strategy.seen[0], *strategy.moved):
        p = torch.stack([log_a.exp()[m == k].sum() for k in (0, 1)])
        entropies.append(float(-(p.detach() * p.detach().log()).sum()) / math.log(2))
    weight = strategy.settings.method.magnification_entropy_weight
    assert weight > 0 and found[0] - found[1] == pytest.approx(-weight * sum(entropies) / 2)
