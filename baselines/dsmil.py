"""DSMIL: the best patch of every class, and attention of all patches to it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from baselines.contract import Outcome, StrategySettings
from baselines.parts.whole_bag import OneMagnification, WholeBag
from jsma.meter import Meter


class DualStream(nn.Module):
    """Both streams of one bag, for every class c.

    The scores are s_c = max_i w_c^T h_i + b_c, reached at the critical patch m(c). The embeddings are
    b_c = sum_i softmax_i(<q_i, q_m(c)> / sqrt(dim q)) v_i with q = W_q h, v = W_v h (equations 3 to 6).
    """

    def __init__(self, dim: int, query_dim: int, n_classes: int) -> None:
        super().__init__()
        self.scores = nn.Linear(dim, n_classes)
        self.query = nn.Linear(dim, query_dim)
        self.value = nn.Linear(dim, dim)

    def forward(self, bag: Tensor) -> tuple[Tensor, Tensor]:
        """Compute scores [C] and embeddings [C, dim] of a bag [n, dim]."""
        best, critical = self.scores(bag).max(0)
        query = self.query(bag)
        alike = query @ query[critical].T / math.sqrt(query.shape[1])
        return best, alike.softmax(0).T @ self.value(bag)


class DSMILAll(WholeBag):
    """All tissue patches at all magnifications; two streams for each.

    Li et al., CVPR 2021: logits = (max stream + bag stream) / 2. The max stream of a class is its best patch at any
    magnification. The bag stream is linear in the embeddings of all classes and magnifications. Against saturation,
    the attention is scaled by 1/sqrt(dim q), which the equation does not have. torchmil's DSMIL is not used: it has one
    class and no W_v, and padding may become its critical patch.
    """

    name = "dsmil-all"
    source = "Li, Li & Eliceiri, CVPR 2021, arXiv 2011.08939"

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        n_pools = len(self.pool_mpps())
        self.streams = nn.ModuleList(DualStream(self.dim, settings.attention_dim, n_classes) for _ in range(n_pools))
        self.head = nn.Linear(n_pools * n_classes * self.dim, n_classes)

    def classify(self, bags: list[list[Tensor]]) -> list[Outcome]:
        """See `WholeBag`."""
        return [Outcome(self._one(own)) for own in bags]

    def _one(self, bags: list[Tensor]) -> Tensor:
        both = [stream(bag) for stream, bag in zip(self.streams, bags, strict=True)]
        best = torch.stack([scores for scores, _ in both]).amax(0)
        return (best + self.head(torch.cat([embeddings.flatten() for _, embeddings in both]))) / 2


class DSMIL(OneMagnification, DSMILAll):
    """The same at the one magnification `settings.mpp` (Li, Li & Eliceiri, CVPR 2021)."""

    name = "dsmil"
