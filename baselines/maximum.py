"""Maximum over every tissue patch, channel by channel."""

from __future__ import annotations

from torch import nn
from torchmil.nn import MaxPool

from baselines.parts.whole_bag import OneMagnification, Pooled


class MaxAll(Pooled):
    """All tissue, all magnifications: z_d = max_i h_id for each, concatenated (Wang et al., 2018; torchmil)."""

    name = "max-all"
    source = "Wang et al., Pattern Recognition 74, 2018, arXiv 1610.02501 (embeddings, maximum)"
    tuned_as = "exhaustive-all"

    def make_pool(self) -> nn.Module:
        """See `Pooled`."""
        return MaxPool()


class Max(OneMagnification, MaxAll):
    """The same at the one magnification `settings.mpp` (Wang et al., 2018)."""

    name = "max"
    tuned_as = "exhaustive"
