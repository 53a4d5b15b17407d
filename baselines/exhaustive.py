"""Exhaustive multiple-instance learning: every tissue patch, pooled by gated attention."""

from __future__ import annotations

from torch import nn
from torchmil.nn import AttentionPool

from baselines.parts.whole_bag import OneMagnification, Pooled


class ExhaustiveAll(Pooled):
    """All tissue patches at all magnifications; one gated pool a magnification, concatenated.

    Gated attention: Ilse et al., ICML 2018 (head from torchmil): z = sum_i a_i h_i with
    a = softmax(w^T [tanh(V h_i) * sigmoid(U h_i)]).
    """

    name = "exhaustive-all"
    source = "Ilse, Tomczak & Welling, ICML 2018, arXiv 1802.04712"

    def make_pool(self) -> nn.Module:
        """See `Pooled`."""
        return AttentionPool(in_dim=self.dim, att_dim=self.settings.attention_dim, gated=True)


class Exhaustive(OneMagnification, ExhaustiveAll):
    """All tissue patches at the one magnification `settings.mpp`; as `ExhaustiveAll` (Ilse et al., ICML 2018)."""

    name = "exhaustive"
