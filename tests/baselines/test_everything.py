"""Each head against its paper's formula, written out patch by patch in float64: value and gradient."""

import math
from dataclasses import fields

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchmil.nn import NystromAttention as TorchmilNystrom

from baselines.clam import CLAM, CLAMAll, smooth_svm
from baselines.contract import StrategySettings
from baselines.dsmil import DSMIL, DSMILAll
from baselines.exhaustive import Exhaustive
from baselines.maximum import MaxAll
from baselines.mean import MeanAll
from baselines.parts.whole_bag import pad_bags
from baselines.transmil import NystromAttention, TransMIL, largest_exact, pseudo_inverse, segment_means
from jsma import JSMASettings
from jsma.meter import Meter

DIM, CLASSES = 6, 3


def build(cls, **bag):
    torch.manual_seed(0)
    method = JSMASettings(mpps=(1.0, 2.0), adapter_dim=DIM)
    own = {field.name for field in fields(cls.options_class)}
    options = cls.options_class(**{name: value for name, value in {"heads": 2, **bag}.items() if name in own})
    settings = StrategySettings(method, attention_dim=5, options=options)
    return cls(settings, 4, CLASSES, Meter()).double()


def bags_of(sizes, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [[torch.randn(n, DIM, dtype=torch.float64, generator=generator) for n in own] for own in sizes]


def agree(strategy, bags, reference):
    """Logits of every slide, and the gradients of every parameter and patch, against `reference(strategy, bag)`."""
    leaves = [b.requires_grad_() for own in bags for b in own]
    inside = [p for name, p in strategy.named_parameters() if not name.startswith(("adapted", "instances"))]
    found = torch.stack([o.logits for o in strategy.classify(bags)])
    wanted = torch.stack([reference(strategy, own) for own in bags])
    torch.testing.assert_close(found, wanted)
    seed = torch.randn(found.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    pairs = zip(
        torch.autograd.grad((found * seed).sum(), inside + leaves),
        torch.autograd.grad((wanted * seed).sum(), inside + leaves),
        strict=True,
    )
    for own, true in pairs:
        torch.testing.assert_close(own, true)


def softmax(values):
    e = [torch.exp(v) for v in values]
    return [v / sum(e) for v in e]


def head(strategy, vectors):
    return strategy.head.weight @ torch.cat(vectors) + strategy.head.bias


def test_mean():
    agree(build(MeanAll), bags_of([(3, 2), (5, 1)]), lambda s, own: head(s, [sum(b) / len(b) for b in own]))


def test_max():
    def highest(bag):
        return torch.stack([max(bag[i, d] for i in range(len(bag))) for d in range(DIM)])

    agree(build(MaxAll), bags_of([(3, 2), (5, 1)]), lambda s, own: head(s, [highest(b) for b in own]))


def gated(pool, bag):
    """(z, attention before softmax) of Ilse et al., equations 7 and 9."""
    v, u, w = pool.fc1.module, pool.fc_gated.module, pool.fc2.weight[0]
    scores = [w @ (torch.tanh(v(h)) * torch.sigmoid(u(h))) for h in bag]
    return sum(a * h for a, h in zip(softmax(scores), bag, strict=True)), torch.stack(scores)


@pytest.mark.parametrize("cls", (Exhaustive, CLAM))
def test_gated_attention(cls):
    agree(build(cls), bags_of([(4,), (7,)]), lambda s, own: head(s, [gated(s.pools[0], own[0])[0]]))


def dual(stream, bag):
    """(scores, embeddings) class by class: Li et al., equations 3 to 6, with the attention over sqrt(dim q)."""
    best, embeddings = [], []
    for c in range(CLASSES):
        scores = [stream.scores.weight[c] @ h + stream.scores.bias[c] for h in bag]
        m = max(range(len(bag)), key=lambda i: scores[i].item())
        q = [stream.query(h) for h in bag]
        attention = softmax([q_i @ q[m] / math.sqrt(len(q_i)) for q_i in q])
        best.append(scores[m])
        embeddings.append(sum(a * stream.value(h) for a, h in zip(attention, bag, strict=True)))
    return torch.stack(best), embeddings


def test_dsmil():
    def one(s, own):
        best, embeddings = dual(s.streams[0], own[0])
        return (best + head(s, embeddings)) / 2

    agree(build(DSMIL), bags_of([(4,), (7,)]), one)


def test_dsmil_at_all_magnifications_takes_the_best_patch_of_any():
    def one(s, own):
        both = [dual(stream, bag) for stream, bag in zip(s.streams, own, strict=True)]
        best = torch.stack([max(both[k][0][c] for k in range(2)) for c in range(CLASSES)])
        return (best + head(s, [*both[0][1], *both[1][1]])) / 2

    agree(build(DSMILAll), bags_of([(4, 3), (1, 7)]), one)


def test_smooth_svm():
    scores = torch.tensor([[1.0, -0.5], [0.2, 2.0], [9.0, -9.0]], dtype=torch.float64)
    for label in (0, 1):
        each = [math.log(math.exp(0) + math.exp(1 + float(s[1 - label] - s[label]))) for s in scores]
        assert float(smooth_svm(scores, label)) == pytest.approx(sum(each) / 3, rel=1e-12)


def test_clam_instance_loss_for_each_label():
    strategy, bags = build(CLAMAll, clam_top=2), bags_of([(6, 3), (1, 9)])
    found = strategy.classify(bags)
    for outcome, own in zip(found, bags, strict=True):
        for label in range(CLASSES):
            total = 0.0
            for k, bag in enumerate(own):
                order = gated(strategy.pools[k], bag)[1].argsort(descending=True).tolist()
                top = min(2, len(bag) // 2)  # 6, 3, 1 and 9 patches: 2, 1, 0 and 2
                for c, classifier in enumerate(strategy.instances[k]):
                    high, low = classifier(bag[order[:top]]), classifier(bag[order[len(bag) - top :]])
                    if top and c == label:
                        total += (smooth_svm(high, 1) + smooth_svm(low, 0)) / 2
                    elif top:
                        total += smooth_svm(high, 0)
            wanted = strategy.options.clam_weight * total / (2 * CLASSES)
            torch.testing.assert_close(outcome.penalty_of(label), wanted)
    found[0].penalty_of(1).backward()
    assert all(p.grad.abs().sum() > 0 for p in strategy.instances.parameters())
    assert all(p.grad is None for p in strategy.pools.parameters())  # attention only chooses
    assert strategy.eval().classify(bags)[0].label_penalty is None


def attention_by_hand(layer, x):
    """Multi-head softmax attention, token by token."""
    n, dim = x.shape
    width = dim // layer.heads
    q, k, v = (x @ layer.qkv.weight[i * dim : (i + 1) * dim].T for i in range(3))
    rows = []
    for i in range(n):
        parts = []
        for h in range(layer.heads):
            own = slice(h * width, (h + 1) * width)
            a = softmax([q[i, own] @ k[j, own] / math.sqrt(width) for j in range(n)])
            parts.append(sum(a[j] * v[j, own] for j in range(n)))
        rows.append(layer.out(torch.cat(parts)))
    return torch.stack(rows)


def norm(layer, x):
    mean, var = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
    return (x - mean) / torch.sqrt(var + layer.eps) * layer.weight + layer.bias


def positions_by_hand(ppeg, x, side):
    """Token + three depth-wise convolutions on the square, 0 outside; the class token as it is."""
    rows = [x[0]]
    for i in range(side):
        for j in range(side):
            total = x[1 + i * side + j].clone()
            for conv in (ppeg.proj, ppeg.proj1, ppeg.proj2):
                reach = conv.kernel_size[0] // 2
                total = total + conv.bias
                for di in range(-reach, reach + 1):
                    for dj in range(-reach, reach + 1):
                        if 0 <= i + di < side and 0 <= j + dj < side:
                            weight = conv.weight[:, 0, di + reach, dj + reach]
                            total = total + weight * x[1 + (i + di) * side + j + dj]
            rows.append(total)
    return torch.stack(rows)


def test_transmil_with_a_landmark_for_every_token_is_the_transformer_of_the_paper():
    def one(s, own):
        pool, bag = s.pools[0], own[0]
        side = next(k for k in range(9) if k * k >= len(bag))
        x = torch.stack([pool.token[0], *bag, *bag[: side * side - len(bag)]])
        x = x + attention_by_hand(pool.layers[0], norm(pool.norms[0], x))
        x = positions_by_hand(pool.positions, x, side)
        x = x + attention_by_hand(pool.layers[1], norm(pool.norms[1], x))
        return head(s, [norm(pool.norms[2], x)[0]])

    agree(build(TransMIL), bags_of([(5,), (4,), (1,)]), one)


def test_nystrom_attention_below_that():
    torch.manual_seed(0)
    layer = NystromAttention(DIM, 2, 4).double()
    layer.n_exact = 4
    x = torch.randn(7, DIM, dtype=torch.float64)
    q, k, v = (part.view(7, 2, 3).transpose(0, 1) for part in layer.qkv(x).split(DIM, dim=1))
    segments = ((0, 1), (2, 3), (4, 5), (6,))  # 7 tokens in 4 segments
    q_mean, k_mean = (torch.stack([t[:, s].mean(1) for s in segments], dim=1) for t in (q, k))
    f = (q @ k_mean.mT / math.sqrt(3)).softmax(-1)
    a = (q_mean @ k_mean.mT / math.sqrt(3)).softmax(-1)
    b = (q_mean @ k.mT / math.sqrt(3)).softmax(-1)
    # the paper's six steps are an approximation of the inverse too
    inverse = a.mT / (a.sum(-1).amax(-1) * a.sum(-2).amax(-1))[:, None, None]
    eye = torch.eye(4, dtype=torch.float64)
    for _ in range(6):
        az = a @ inverse
        inverse = 0.25 * inverse @ (13 * eye - az @ (15 * eye - az @ (7 * eye - az)))
    wanted = layer.out((f @ inverse @ b @ v).transpose(0, 1).reshape(7, DIM))
    torch.testing.assert_close(layer(x), wanted)


def test_nystrom_attention_agrees_with_torchmil_where_the_landmarks_divide_the_bag(monkeypatch):
    monkeypatch.setattr("baselines.transmil.PINV_STEPS", 12)  # theirs starts from another matrix: let both arrive
    torch.manual_seed(0)
    own = NystromAttention(DIM, 2, 4).double()
    theirs = TorchmilNystrom(DIM, DIM, DIM, 2, n_landmarks=4, pinv_iterations=12).double()
    theirs.qkv_nn.load_state_dict(own.qkv.state_dict())
    own.n_exact, own.out = 4, nn.Identity()
    x = torch.randn(8, DIM, dtype=torch.float64)
    torch.testing.assert_close(own(x), theirs(x[None])[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("landmarks", "head_dim"), ((4, 3), (16, 8)))
def test_attention_is_exact_while_that_takes_fewer_operations(landmarks, head_dim):
    class Thrice(nn.Module):
        def forward(self, x):
            return torch.cat([x, x, x], dim=1)

    def operations(n, n_exact):
        layer = NystromAttention(head_dim, 1, landmarks)
        layer.n_exact, layer.qkv, layer.out = n_exact, Thrice(), nn.Identity()  # neither way has more of these
        with FlopCounterMode(display=False) as counter:
            layer(torch.zeros(n, head_dim))
        return counter.get_total_flops()

    n = largest_exact(landmarks, head_dim)
    assert NystromAttention(2 * head_dim, 2, landmarks).n_exact == n
    assert operations(n, n) <= operations(n, 0) and operations(n + 1, n + 1) > operations(n + 1, 0)


def test_pseudo_inverse_and_segment_means():
    # six steps are enough where attention is peaked; where it is flat they stop short, as published
    noise = torch.rand(2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    a = (noise + 3 * torch.eye(4)).softmax(-1)
    torch.testing.assert_close(pseudo_inverse(a), torch.linalg.pinv(a), rtol=1e-6, atol=1e-6)
    x = torch.arange(5, dtype=torch.float64)[:, None]
    assert segment_means(x, 2).flatten().tolist() == [1.0, 3.5] and torch.equal(segment_means(x, 5), x)


@pytest.mark.parametrize("cls", (Exhaustive, CLAM))
def test_a_slide_does_not_depend_on_the_others_of_its_batch(cls):
    strategy, bags = build(cls), bags_of([(4,), (9,), (2,)])
    together = strategy.classify(bags)
    for outcome, own in zip(together, bags, strict=True):
        alone = strategy.classify([own])[0]
        torch.testing.assert_close(outcome.logits, alone.logits)
        torch.testing.assert_close(outcome.label_penalty, alone.label_penalty) if cls is CLAM else None


def test_padded():
    x, mask = pad_bags([torch.ones(2, 3), torch.ones(1, 3)])
    assert mask.tolist() == [[True, True], [True, False]] and x[1].tolist() == [[1, 1, 1], [0, 0, 0]]


def test_heads_that_do_not_divide_the_features_are_refused():
    with pytest.raises(ValueError, match="heads is 4; allowed: divisors of the 6"):
        build(TransMIL, heads=4)
