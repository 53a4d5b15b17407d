"""Iterative patch selection: what is kept against all patches scored at once, and what is read and charged."""

import math
from itertools import permutations

import numpy as np
import pytest
import tifffile
import torch

from baselines.contract import StrategySettings
from baselines.ips import IPS, IPSAll, IPSOptions
from jsma import JSMASettings
from jsma.encoders.encoder import EncoderSettings, build_encoder
from jsma.meter import Meter
from jsma.metered import Desk, MeteredSlide, ViewSettings
from jsma.slides import open_slide

VIEW = ViewSettings(mpps=(1.0, 2.0), patch_px=32, overlap_from_mpp=9.0, overview_mpp=4.0)


class Given:
    """A slide whose cells have given features; counts what is asked."""

    trains_encoder = False

    def __init__(self, features):
        self.rows, self.asked = features, []

    def features(self, cells):
        self.asked.append(cells.tolist())
        return self.rows[cells]


def build(cls=IPS, **bag):
    torch.manual_seed(0)
    method = JSMASettings(n_patches=bag.pop("memory", 3), mpps=VIEW.mpps, adapter_dim=6)
    return cls(
        StrategySettings(method, mpp=1.0, options=IPSOptions(**{"heads": 1, "ips_load": 2, **bag})), 4, 3, Meter()
    )


def by_hand(strategy, rows):
    """Scores [n] of encoder features, head by head, each a softmax over all rows; their mean."""
    heads, h = strategy.options.heads, strategy.through_layer(rows, 0)
    width = h.shape[1] // heads
    w_q, w_k, _ = strategy.attention.in_proj_weight.chunk(3)
    total = 0.0
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        q = (w_q @ strategy.query[0])[own]
        e = torch.stack([torch.exp(q @ (w_k @ row)[own] / math.sqrt(width)) for row in h])
        total = total + e / e.sum() / heads
    return total


def test_what_is_kept_is_the_best_of_all_in_any_order_of_reading():
    strategy = build(memory=2).double()
    rows = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    best = set(by_hand(strategy, rows).topk(2).indices.tolist())
    for order in permutations(range(5)):
        cells, features = strategy.select(Given(rows), torch.tensor(order))
        assert set(cells.tolist()) == best
        assert torch.equal(features, rows[cells]) and not features.requires_grad


def test_with_several_heads_it_is_the_published_loop():
    strategy = build(heads=3, memory=4, ips_load=3).double()
    rows = 3 * torch.randn(17, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    order = torch.randperm(17, generator=torch.Generator().manual_seed(5)).tolist()
    memory, rest = order[:4], order[4:]
    while rest:
        memory, rest = memory + rest[:3], rest[3:]
        score = by_hand(strategy, rows[memory]).tolist()
        memory = [memory[i] for i in sorted(range(len(memory)), key=lambda i: -score[i])[:4]]
    assert set(strategy.select(Given(rows), torch.tensor(order))[0].tolist()) == set(memory)


def test_memory_does_not_grow_with_the_bag():
    strategy, most = build(), []
    strategy.scores, scores = lambda t: most.append(len(t)) or scores(t), strategy.scores
    slide = Given(torch.randn(101, 4))
    strategy.select(slide, torch.arange(101))
    assert max(most) == 3 + 2 and [len(a) for a in slide.asked] == [3] + [2] * 49
    assert sorted(sum(slide.asked, [])) == list(range(101))  # all are read, each once


@pytest.mark.parametrize("n", (1, 3, 4))
def test_a_bag_no_larger_than_the_memory_is_kept_whole(n):
    slide = Given(torch.randn(n, 4))
    cells, _ = build().select(slide, torch.arange(n))
    assert len(cells) == min(n, 3) and [len(a) for a in slide.asked] == ([n] if n < 4 else [3, 1])


def test_pooling_is_the_same_attention_then_residual_and_feed_forward():
    strategy = build(heads=2).double()
    tokens = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    w_q, w_k, w_v = strategy.attention.in_proj_weight.chunk(3)
    parts = []
    for own in (slice(0, 3), slice(3, 6)):
        e = torch.stack([torch.exp((w_q @ strategy.query[0])[own] @ (w_k @ t)[own] / math.sqrt(3)) for t in tokens])
        parts.append(sum(a * (w_v @ t)[own] for a, t in zip(e / e.sum(), tokens, strict=True)))
    x = strategy.norms[0](strategy.query[0] + strategy.attention.out_proj.weight @ torch.cat(parts))
    up, _, down = strategy.feed_forward
    wanted = strategy.norms[1](x + down.weight @ torch.relu(up.weight @ x + up.bias) + down.bias)
    found = strategy.pool(tokens)
    torch.testing.assert_close(found, wanted)
    inside = [tokens, *strategy.attention.parameters(), strategy.query]
    for own, true in zip(*(torch.autograd.grad((y**3).sum(), inside) for y in (found, wanted)), strict=True):
        torch.testing.assert_close(own, true)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    pixels = np.random.default_rng(0).integers(60, 160, (128, 192, 3), dtype=np.uint8)
    pixels[..., 1] = 40
    path = tmp_path_factory.mktemp("ips") / "s.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(64, 64), resolution=(1e4, 1e4), resolutionunit="CENTIMETER")
    return path


@pytest.mark.parametrize("frozen", (True, False))
@pytest.mark.parametrize("shuffle", (False, True))
def test_all_pixels_are_charged_and_the_kept_once_more_where_the_encoder_is_trained(path, frozen, shuffle):
    encoder = build_encoder(EncoderSettings("test_resnet", pretrained=None, frozen=frozen), seed=0)
    torch.manual_seed(0)
    method = JSMASettings(n_patches=5, mpps=VIEW.mpps, adapter_dim=6)
    meter = Meter()
    options = IPSOptions(heads=1, ips_load=4, ips_shuffle=shuffle)
    strategy = IPSAll(StrategySettings(method, options=options), encoder.dim, 3, meter)
    slide = MeteredSlide("s", lambda: open_slide(path, in_process=True), Desk(meter, encoder, VIEW))
    outcome = strategy([slide], torch.Generator().manual_seed(0))[0]
    n = int(slide.view.mask.sum())
    assert n == 24 + 6 and sorted(outcome.cells.tolist()) == list(range(n))
    assert meter.total().patches == n + (0 if frozen else 5) and meter.total().unique_patches == n
    outcome.logits.square().sum().backward()
    moved = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in encoder.parameters()]
    assert any(moved) != frozen
    assert all(p.grad is not None for p in strategy.parameters())
    slide.close()
