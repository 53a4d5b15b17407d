"""TransMIL: self-attention between all patches by the Nystrom approximation, and a position encoding."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torchmil.models.transmil import PPEG

from baselines.contract import Outcome, StrategySettings
from baselines.parts.whole_bag import OneMagnification, WholeBag
from jsma.checked import Units, checked
from jsma.meter import Meter

PINV_STEPS = 6


def pseudo_inverse(a: Tensor) -> Tensor:
    """Invert a [..., n, n] (Moore-Penrose) by the iteration of Nystromformer (Xiong et al., AAAI 2021)."""
    z = a.mT / (a.abs().sum(-1).amax(-1) * a.abs().sum(-2).amax(-1))[..., None, None]
    eye = torch.eye(a.shape[-1]).to(a)
    for _ in range(PINV_STEPS):
        az = a @ z
        z = z @ (13 * eye - az @ (15 * eye - az @ (7 * eye - az))) / 4
    return z


def segment_means(x: Tensor, n_segments: int) -> Tensor:
    """Average x [..., n, d] over consecutive segments whose lengths differ by 1 at most: [..., n_segments, d]."""
    n = x.shape[-2]
    segment = torch.arange(n, device=x.device) * n_segments // n
    weight = nn.functional.one_hot(segment, n_segments).to(x)
    return (weight / weight.sum(0)).T @ x


def largest_exact(n_landmarks: int, head_dim: int) -> int:
    """Find up to how many tokens softmax(q k^T) v takes no more operations than its Nystrom approximation.

    4 n^2 d = 12 n m d + 4 m^2 d + 8 s m^3 for n tokens, m landmarks, d a head, s steps of the inverse, solved for n.
    """
    m, d = n_landmarks, head_dim
    return int(1.5 * m + math.sqrt((1.5 * m) ** 2 + (4 * m * m * d + 8 * PINV_STEPS * m**3) / (4 * d)))


class NystromAttention(nn.Module):
    """Multi-head self-attention: softmax(q k~^T) softmax(q~ k~^T)^+ softmax(q~ k^T) v, with landmarks q~ and k~.

    Landmarks are means over segments. This approximates softmax(q k^T) v, which is computed itself up to `n_exact`
    tokens, where it is the cheaper one. So the approximation never makes the strategy slower. torchmil's attention is
    not used. It puts tokens of 0 before a bag until the landmarks divide its length, and these take part in every
    softmax: a bag of 100 under 256 landmarks shares its attention with 156 of them. It also has no output projection.
    """

    def __init__(self, dim: int, heads: int, n_landmarks: int) -> None:
        super().__init__()
        self.heads, self.n_landmarks, self.n_exact = heads, n_landmarks, largest_exact(n_landmarks, dim // heads)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Mix tokens [n, dim]."""
        n, dim = x.shape
        q, k, v = self.qkv(x).view(n, 3, self.heads, dim // self.heads).permute(1, 2, 0, 3)
        q = q / math.sqrt(dim // self.heads)
        if n <= self.n_exact:
            mixed = (q @ k.mT).softmax(-1) @ v
        else:
            q_mean, k_mean = segment_means(q, self.n_landmarks), segment_means(k, self.n_landmarks)
            inverse = pseudo_inverse((q_mean @ k_mean.mT).softmax(-1))
            mixed = (q @ k_mean.mT).softmax(-1) @ (inverse @ ((q_mean @ k.mT).softmax(-1) @ v))
        return self.out(mixed.transpose(0, 1).reshape(n, dim))


class TransformerPool(nn.Module):
    """Squaring, attention, PPEG, attention and norm, from a bag to its class token (the paper's algorithm 2)."""

    def __init__(self, dim: int, heads: int, n_landmarks: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, dim))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.layers = nn.ModuleList(NystromAttention(dim, heads, n_landmarks) for _ in range(2))
        self.positions = PPEG(dim)

    def forward(self, bag: Tensor) -> Tensor:
        """Compute the class token [dim] of a bag [n, dim]."""
        side = math.ceil(math.sqrt(len(bag)))
        x = torch.cat([self.token, bag, bag[: side * side - len(bag)]])
        x = x + self.layers[0](self.norms[0](x))
        x = self.positions(x[None], side, side)[0]
        x = x + self.layers[1](self.norms[1](x))
        return self.norms[2](x[0])


@checked
class TransMILOptions:
    """Options of transmil.

    Attributes:
        heads: Attention heads. They must divide the width of the features. As published: 8 on 512 units.
        landmarks: Of the Nystrom attention, which is taken for bags so large that exact attention would cost more (from
            some 2,000 patches a magnification). As published: 256.
    """

    heads: Units = 4
    landmarks: Units = 256


class TransMILAll(WholeBag):
    """All tissue patches at all magnifications; one TransMIL a magnification, a linear head on their class tokens.

    Shao et al., NeurIPS 2021. Its first layer (linear, ReLU) is the trained layer that all strategies share. Its
    position encoding is that of torchmil. Patches come row by row and are laid out as a square, as published; that is
    not where they lie on the slide.
    """

    name = "transmil-all"
    source = "Shao et al., NeurIPS 2021, arXiv 2106.00908; Xiong et al., AAAI 2021, arXiv 2102.03902"
    options_class = TransMILOptions
    options: TransMILOptions

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        options, n_pools = self.options, len(self.pool_mpps())
        if self.dim % options.heads:
            raise ValueError(
                f"transmil: heads is {options.heads}; allowed: divisors of the {self.dim} features a patch"
            )
        self.pools = nn.ModuleList(TransformerPool(self.dim, options.heads, options.landmarks) for _ in range(n_pools))
        self.head = nn.Linear(n_pools * self.dim, n_classes)

    def classify(self, bags: list[list[Tensor]]) -> list[Outcome]:
        """See `WholeBag`."""
        tokens = [torch.cat([pool(bag) for pool, bag in zip(self.pools, own, strict=True)]) for own in bags]
        return [Outcome(row) for row in self.head(torch.stack(tokens))]


class TransMIL(OneMagnification, TransMILAll):
    """The same at the one magnification `settings.mpp` (Shao et al., NeurIPS 2021)."""

    name = "transmil"
