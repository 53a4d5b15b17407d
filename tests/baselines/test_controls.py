"""Controls and variants of JSMA against their definitions, written naively, on slides without files."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from baselines.candidates import Candidates, SiteOptions
from baselines.contract import StrategySettings
from baselines.factorised import Factorised
from baselines.jsma import Joint
from baselines.oracle import Oracle
from baselines.random import Random
from baselines.random_one import RandomOne
from baselines.shuffled import Shuffled
from baselines.stratified import Stratified, shares, strata
from baselines.stratified_one import StratifiedOne
from baselines.top import Top
from bench.studies.estimator_bias import ordered_samples
from jsma.draws.sampling import sample_systematic
from jsma.meter import Meter
from tests.baselines.looks import Sketch, build, by_hand, learnt, magnification, said

TARGET = torch.tensor([1.0, -2.0, 0.5]).double()


def uniform(slide):
    """1/M a magnification, uniform over its tissue cells."""
    m, mask = magnification(slide), slide.view.mask
    n = len(slide.view.grid.mpps)
    return [float(mask[i]) / n / sum(bool(mask[j]) for j in range(len(m)) if m[j] == m[i]) for i in range(len(m))]


def of_one(slide, mpp):
    m, mask = magnification(slide), slide.view.mask
    own = [bool(mask[i]) and slide.view.grid.mpps[m[i]] == mpp for i in range(len(m))]
    return [o / sum(own) for o in own]


def one(cls, mpp, **method):
    """A strategy of one magnification."""
    strategy = build(cls, **method)
    strategy.settings = replace(strategy.settings, mpp=mpp)
    return strategy


# --- random and stratified -------------------------------------------------------------------------------
@pytest.mark.parametrize("mpp", (1.0, 2.0))
def test_random_at_one_magnification_draws_its_tissue_cells_evenly(mpp):
    slide, strategy = Sketch(side0_px=24, seed=3), one(RandomOne, mpp, n_patches=2)
    outcome, a = said(strategy, slide), of_one(slide, mpp)
    torch.testing.assert_close(outcome.attention.double(), torch.tensor(a).double())
    assert all(a[c] > 0 for c in outcome.cells) and len(set(outcome.cells.tolist())) == 2
    want = [1 / sum(p > 0 for p in a) * (p > 0) for p in a]
    assert a == pytest.approx(want)
    # two of n without replacement, equal probabilities: their mean, magnifications apart
    weights = [0.5 * (i in outcome.cells.tolist()) for i in range(len(a))]
    des_raj = [1 + 1 / sum(p > 0 for p in a), 1 - 1 / sum(p > 0 for p in a)]
    for cell, w in zip(outcome.cells.tolist(), des_raj, strict=True):
        weights[cell] *= w
    torch.testing.assert_close(outcome.logits, by_hand(strategy, slide, weights), rtol=1e-5, atol=1e-6)


def test_strata_are_compact_parts_of_equal_size():
    points = np.stack(np.meshgrid(np.arange(8), np.arange(8)), -1).reshape(-1, 2).astype(float)
    parts = strata(points, 16)
    assert sorted(np.concatenate(parts).tolist()) == list(range(64)) and {len(p) for p in parts} == {4}
    assert all(np.ptp(points[p], axis=0).max() == 1 for p in parts)  # 2 x 2 blocks
    rng = np.random.default_rng(0)
    for n, k in ((1, 1), (5, 5), (7, 3), (50, 49), (23, 6)):
        parts = strata(rng.random((n, 2)), k)
        assert sorted(np.concatenate(parts).tolist()) == list(range(n)) and len(parts) == k
        assert min(len(p) for p in parts) >= 1 and max(len(p) for p in parts) <= -(-n // k) + 1


def test_patches_are_dealt_in_turn_until_cells_run_out():
    assert shares([9, 9, 9], 7, [2, 0, 1]) == [2, 2, 3]
    assert shares([9, 1, 9], 8, [0, 1, 2]) == [4, 1, 3]
    assert shares([2, 1], 9, [0, 1]) == [2, 1] and shares([5, 5, 5], 2, [1, 2, 0]) == [0, 1, 1]


@pytest.mark.parametrize("n", (1, 3, 4))
def test_stratified_is_unbiased_for_the_mean_of_random(n, monkeypatch):
    """Every draw enumerated: the order of the magnifications, then one cell a stratum."""
    slide, strategy = Sketch(mpps=(1.0, 2.0), side0_px=24, seed=3, tissue=0.8), build(Stratified, n_patches=n)
    truth = by_hand(strategy, slide, uniform(slide))
    script, asked = [], []

    def told(high):
        asked.append(high)
        return script[len(asked) - 1] if len(asked) <= len(script) else 0

    monkeypatch.setattr(torch, "randint", lambda high, size, **_: torch.tensor([told(high)]))
    value, grads, count = torch.zeros(3).double(), torch.zeros_like(slide.all), 0
    for order in itertools.permutations(range(2)):
        monkeypatch.setattr(torch, "randperm", lambda size, order=order, **_: torch.tensor(order))
        script.clear()
        asked.clear()
        said(strategy, slide)
        sizes = tuple(asked)
        for choice in itertools.product(*map(range, sizes)):
            script[:] = choice
            asked.clear()
            outcome = said(strategy, slide)
            assert tuple(asked) == sizes and len(set(outcome.cells.tolist())) == n
            p = 0.5 / np.prod(sizes)
            value, count = value + p * outcome.logits.detach(), count + 1
            grads = grads + p * torch.autograd.grad(outcome.logits @ TARGET, slide.all)[0]
    assert count > 2
    torch.testing.assert_close(value, truth.detach())
    torch.testing.assert_close(grads, torch.autograd.grad(truth @ TARGET, slide.all)[0])


def test_stratified_at_one_magnification_weighs_by_the_size_of_the_stratum():
    slide, strategy = Sketch(side0_px=40, seed=1), one(StratifiedOne, 1.0, n_patches=3)
    outcome, a = said(strategy, slide), of_one(slide, 1.0)
    cells = [i for i, p in enumerate(a) if p]
    weights = [0.0] * len(a)
    for part in strata(slide.view.grid.centres0(np.array(cells)), 3):
        (drawn,) = set(outcome.cells.tolist()) & {cells[i] for i in part}
        weights[drawn] = len(part) / len(cells)
    torch.testing.assert_close(outcome.logits, by_hand(strategy, slide, weights), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(outcome.attention.double(), torch.tensor(a).double())


def test_all_cells_in_strata_of_one_give_the_mean_itself():
    slide, strategy = Sketch(side0_px=24, seed=3), build(Stratified, n_patches=500)
    outcome = said(strategy, slide)
    assert sorted(outcome.cells.tolist()) == slide.view.mask.nonzero()[:, 0].tolist()
    torch.testing.assert_close(outcome.logits, by_hand(strategy, slide, uniform(slide)))


# --- oracle ----------------------------------------------------------------------------------------------
class Annotated(Sketch):
    found = None

    def evidence(self):
        return self.found


def test_oracle_draws_where_the_evidence_is():
    slide, strategy = Annotated(side0_px=24, seed=3, tissue=0.8), build(Oracle, n_patches=4)
    share = torch.rand(len(slide.view.mask), generator=torch.Generator().manual_seed(1))
    slide.found = share * (share > 0.5)
    slide.view.mask[2], slide.found[2] = False, 0.9  # evidence on glass is not drawn
    m, mask = magnification(slide), slide.view.mask
    own = [float(slide.found[i]) * bool(mask[i]) for i in range(len(m))]
    a = [p / 2 / sum(q for j, q in enumerate(own) if m[j] == m[i]) for i, p in enumerate(own)]
    outcome = said(strategy, slide)
    torch.testing.assert_close(outcome.attention.double(), torch.tensor(a).double(), rtol=1e-5, atol=1e-7)
    assert all(own[c] > 0 for c in outcome.cells)


def test_oracle_reads_less_where_little_is_evidence_and_anywhere_where_nothing_is_known():
    slide, strategy = Annotated(side0_px=24, seed=3, tissue=0.8), build(Oracle, n_patches=4)
    slide.view.mask[2] = False
    first = int(slide.view.mask.nonzero()[0, 0])
    slide.found = torch.zeros(len(slide.view.mask))
    slide.found[first] = 0.2
    assert said(strategy, slide).cells.tolist() == [first]
    for nothing in (None, torch.zeros(len(slide.view.mask)), (~slide.view.mask).float()):
        slide.found = nothing
        a = said(strategy, slide).attention
        torch.testing.assert_close(a.double(), torch.tensor(uniform(slide)).double(), rtol=1e-5, atol=1e-7)
    assert Oracle.uses_evidence and not any(c.uses_evidence for c in (Random, Joint, Stratified, Shuffled))


@pytest.mark.parametrize("sharpness", (0.0, 1.0, 3.0, 90.0))
@pytest.mark.parametrize("weights", ((), (3.0, 1.0), (0.0, 1.0)))
def test_candidates_draw_by_a_power_of_the_share_of_a_site(sharpness, weights):
    slide, strategy = Annotated(side0_px=24, seed=3, tissue=0.8), build(Candidates, n_patches=3)
    strategy.options = SiteOptions(sharpness, weights)
    share = torch.rand(len(slide.view.mask), generator=torch.Generator().manual_seed(1))
    slide.found = 0.4 * share * (share > 0.3)
    slide.view.mask[2], slide.found[2] = False, 0.9  # a site on glass is not drawn
    m, mask = magnification(slide), slide.view.mask
    own = [0.0 if not (mask[i] and slide.found[i] > 0) else float(slide.found[i]) ** sharpness for i in range(len(m))]
    p = [w / sum(weights) for w in weights] if weights else [0.5, 0.5]
    a = [p[m[i]] * q / sum(r for j, r in enumerate(own) if m[j] == m[i]) for i, q in enumerate(own)]
    outcome = said(strategy, slide)
    torch.testing.assert_close(outcome.attention.double(), torch.tensor(a).double(), rtol=1e-4, atol=1e-6)
    assert all(a[c] > 0 for c in outcome.cells) and len(set(outcome.cells.tolist())) == 3


def test_candidates_without_a_site_at_one_magnification_or_at_all():
    slide, strategy = Annotated(side0_px=24, seed=3, tissue=0.8), build(Candidates, n_patches=4)
    slide.found = torch.zeros(len(slide.view.mask))
    torch.testing.assert_close(said(strategy, slide).attention.double(), torch.tensor(uniform(slide)).double())
    second = slide.view.grid.slices[1]
    slide.found[second.start] = 0.5  # tissue, by the sketch
    assert said(strategy, slide).cells.tolist() == [second.start]
    assert Candidates.uses_evidence and Candidates.told() == "knows the sites" and Oracle.told() == "uses evidence"


@pytest.mark.parametrize("weights", ((1.0,), (0.0, 0.0), (1.0, 1.0, 1.0)))
def test_candidates_needs_a_weight_for_every_magnification(weights):
    settings = replace(build(Candidates).settings, options=SiteOptions(1.0, weights))
    with pytest.raises(ValueError, match=r"site_magnifications is .*; allowed: one weight for each of \[1.0, 2.0\]"):
        Candidates(settings, 5, 3, Meter())


# --- factorised and top ----------------------------------------------------------------------------------
def test_factorised_is_p_of_m_times_p_of_x_given_m():
    slide, strategy = Sketch(side0_px=24, seed=3, tissue=0.8), build(Factorised, smoothing_eps=0.0)
    assert strategy.settings.method.factorised
    logits = torch.cat(strategy.model.attention(slide.pixels[None], slide.view.pools), 1)[0]
    parts = [slide.view.mask[part].nonzero()[:, 0] + part.start for part in slide.view.grid.slices]
    scores = torch.stack([logits[cells].mean() for cells in parts])  # balanced: p(m) starts at 1/M
    want = torch.zeros(len(slide.view.mask)).double()
    for cells, p in zip(parts, scores.exp() / scores.exp().sum(), strict=True):
        for cell in cells:
            want[cell] = p * logits[cell].exp() / logits[cells].exp().sum()
    torch.testing.assert_close(strategy.log_attention([slide])[0].exp(), want)
    outcome = said(strategy, slide)
    torch.testing.assert_close(outcome.p_magnification, (scores.exp() / scores.exp().sum()).detach())


def test_factorised_is_unbiased_in_value_and_gradients():
    """Every ordered sample of two enumerated."""
    slide, strategy = Sketch(side0_px=16, seed=3, tissue=0.8), build(Factorised, n_patches=2, entropy_weight=0.0)
    a = strategy.log_attention([slide])[0].exp()
    truth = by_hand(strategy, slide, a)
    weights = [p for n, p in strategy.named_parameters() if "attention" in n]
    want = torch.autograd.grad(truth @ TARGET, [slide.all, *weights], retain_graph=True)
    value, got = torch.zeros(3).double(), [torch.zeros_like(w) for w in want]
    cells = slide.view.mask.nonzero()[:, 0]
    ends = torch.tensor([part.stop for part in slide.view.grid.slices])
    for order, p, _ in ordered_samples(a[cells].detach(), 2):
        drawn = cells[list(order)]
        logits = strategy.model.classify(a[drawn].log(), slide.all[drawn], torch.bucketize(drawn, ends, right=True))
        value = value + p * logits.detach()
        own = torch.autograd.grad(logits @ TARGET, [slide.all, *weights], retain_graph=True)
        got = [g + p * new for g, new in zip(got, own, strict=True)]
    torch.testing.assert_close(value, truth.detach())
    for g, w in zip(got, want, strict=True):
        torch.testing.assert_close(g, w)


def test_top_takes_the_best_at_test_and_draws_in_training():
    slide, strategy = Sketch(), build(Top, n_patches=3)
    outcome, a = said(strategy.eval(), slide), learnt(strategy, slide).exp()
    best = sorted(range(len(a)), key=lambda i: -a[i])[:3]
    assert outcome.cells.tolist() == best
    total = sum(a[i] for i in best)
    torch.testing.assert_close(
        outcome.logits, by_hand(strategy, slide, [a[i] / total * (i in best) for i in range(len(a))])
    )
    # biased: that is not the expectation over all cells
    assert float((outcome.logits - by_hand(strategy, slide, a)).detach().abs().max()) > 1e-3
    mine, plain = strategy.train(), build(Joint, n_patches=3).train()
    assert torch.equal(said(mine, slide, 4).logits, said(plain, slide, 4).logits)


def test_top_stays_top_at_another_budget():
    other = Top(replace(build(Top).settings, method=replace(build(Top).settings.method, sampling="sample")), 5, 3, None)
    assert other.settings.method.sampling == "top" and isinstance(other.settings, StrategySettings)


# --- systematic draws ------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("cls", (Joint, Factorised))
def test_systematic_draws_give_every_magnification_its_share_and_weigh_by_inclusion(cls, seed):
    slide, strategy = Sketch(side0_px=64, seed=3), build(cls, n_patches=12, estimator="systematic")
    a, outcome = learnt(strategy, slide).exp(), said(strategy, slide, seed)
    low, high = 0.0, 1.0  # tau by bisection: sum of min(1, a / tau) = 12
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if float((a / middle).clamp_max(1).sum()) > 12 else (low, middle)
    inclusion = (a / high).clamp_max(1)
    cells = outcome.cells.tolist()
    assert len(set(cells)) == 12
    along = torch.from_numpy(slide.view.grid.path)  # spread over the slide, not over rows as they come
    wanted = sample_systematic(a.log(), 12, torch.Generator().manual_seed(seed), along).indices
    assert cells == wanted.tolist()
    for part in slide.view.grid.slices:
        share = float(inclusion[part].sum())
        assert abs(sum(part.start <= c < part.stop for c in cells) - share) < 1
    weights = [float(a[i] / inclusion[i]) if i in cells else 0.0 for i in range(len(a))]
    torch.testing.assert_close(outcome.logits, by_hand(strategy, slide, weights), rtol=1e-5, atol=1e-6)
