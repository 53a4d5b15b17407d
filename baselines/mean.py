"""Mean of every tissue patch: what multiple-instance learning must beat."""

from __future__ import annotations

from torch import nn
from torchmil.nn import MeanPool

from baselines.parts.whole_bag import OneMagnification, Pooled


class MeanAll(Pooled):
    """All tissue, all magnifications: z = 1/n sum_i h_i for each, concatenated (Wang et al., 2018; torchmil)."""

    name = "mean-all"
    source = "Wang et al., Pattern Recognition 74, 2018, arXiv 1610.02501 (embeddings, mean)"
    tuned_as = "exhaustive-all"

    def make_pool(self) -> nn.Module:
        """See `Pooled`."""
        return MeanPool()


class Mean(OneMagnification, MeanAll):
    """The same at the one magnification `settings.mpp` (Wang et al., 2018)."""

    name = "mean"
    tuned_as = "exhaustive"
