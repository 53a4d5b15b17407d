"""What every strategy in the registry must do, on one small generated dataset."""

import io
from pathlib import Path

import pytest
import torch

from baselines import STRATEGIES
from baselines.contract import Strategy, StrategySettings
from bench.demo import DemoSettings, generate
from bench.run import strategy_class
from jsma import JSMASettings
from jsma.encoder import EncoderSettings, build_encoder
from jsma.meter import Meter
from jsma.metered import Desk, MeteredSlide, ViewSettings
from jsma.slides import open_slide

METHOD = JSMASettings(n_patches=5)
SETTINGS = StrategySettings(method=METHOD, mpp=1.0)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = generate(DemoSettings(slides=2, side0_px=1024), tmp_path_factory.mktemp("demo"), workers=1)
    return sorted(folder.glob("*.tif"))


@pytest.fixture(scope="module")
def encoder():
    return build_encoder(EncoderSettings("test_resnet", pretrained=None), seed=0)


def build(name, encoder, paths) -> tuple[Strategy, list[MeteredSlide], Meter]:
    meter = Meter()
    desk = Desk(meter, encoder, ViewSettings())
    torch.manual_seed(0)
    strategy = strategy_class(name)(SETTINGS, encoder.dim, 3, meter)
    return strategy, [MeteredSlide(p.name, lambda p=p: open_slide(p), desk) for p in paths], meter


OWN = str(Path(__file__).with_name("mine.py")) + ":Mine"  # the one that README shows


@pytest.mark.parametrize("name", [*STRATEGIES, OWN])
def test_contract(name, encoder, paths):
    strategy, slides, meter = build(name, encoder, paths)
    assert strategy.name == (name if name in STRATEGIES else "mine") and strategy.source and type(strategy).__doc__
    outcomes = strategy(slides, torch.Generator().manual_seed(1))
    assert [tuple(o.logits.shape) for o in outcomes] == [(3,), (3,)]
    # the same seed gives the same answer
    again = strategy(slides, torch.Generator().manual_seed(1))
    for a, b in zip(outcomes, again, strict=True):
        torch.testing.assert_close(a.logits, b.logits)
    # cells lie in tissue and within the budget
    for slide, outcome in zip(slides, outcomes, strict=True):
        if outcome.cells is not None:
            assert slide.view.mask[outcome.cells].all()
            if strategy.trains_within_budget:
                assert 1 <= len(outcome.cells) <= METHOD.n_patches
                assert len(outcome.cells) == len(set(outcome.cells.tolist()))
    # the meter counted what the outcome names, twice over for the two calls
    used = sum(len(o.cells) for o in outcomes if o.cells is not None)
    assert meter.total().patches == 2 * used
    # finite gradients for everything the loss reaches, and something is reached
    added = [o.penalty_of(0) for o in outcomes]
    loss = torch.stack([o.logits.logsumexp(0) - o.logits[0] for o in outcomes]).sum()
    loss = loss + sum((p for p in added if p is not None), torch.zeros(()))
    loss.backward()
    grads = [p.grad for p in strategy.parameters() if p.grad is not None]
    assert grads and all(torch.isfinite(g).all() for g in grads)
    if name in ("jsma", "fixed", "search", "patch-selection"):
        attention = [p.grad for n, p in strategy.named_parameters() if "attention" in n]
        assert any(g is not None and g.abs().sum() > 0 for g in attention)
    # saves and loads bit-identically
    buffer = io.BytesIO()
    torch.save(strategy.state_dict(), buffer)
    buffer.seek(0)
    other, other_slides, _ = build(name, encoder, paths)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    for a, b in zip(outcomes, other(other_slides, torch.Generator().manual_seed(1)), strict=True):
        assert torch.equal(a.logits, b.logits)
    for slide in slides + other_slides:
        slide.close()


def test_fixed_reads_one_magnification_and_search_tries_them_all(encoder, paths):
    strategy, slides, _ = build("fixed", encoder, paths)
    outcome = strategy(slides[:1], torch.Generator().manual_seed(0))[0]
    assert outcome.cells is not None
    assert set(slides[0].view.grid.mpp_of(outcome.cells.numpy())) == {1.0}
    assert [c.mpp for c in strategy_class("search").candidates(SETTINGS)] == list(METHOD.mpps)


def test_exhaustive_reads_every_tissue_cell_once(encoder, paths):
    strategy, slides, _ = build("exhaustive-all", encoder, paths)
    outcome = strategy(slides[:1], torch.Generator())[0]
    assert outcome.cells is not None
    assert sorted(outcome.cells.tolist()) == slides[0].view.mask.nonzero()[:, 0].tolist()
