"""Small trained networks: attention over cells, a layer on features, the common scale of features."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "adapter": ["Adapter"],
        "attention": ["AttentionNet", "Pool", "pools_of"],
        "feature_scale": ["FeatureScale"],
    },
)

if TYPE_CHECKING:
    from jsma.networks.adapter import Adapter as Adapter
    from jsma.networks.attention import AttentionNet as AttentionNet
    from jsma.networks.attention import Pool as Pool
    from jsma.networks.attention import pools_of as pools_of
    from jsma.networks.feature_scale import FeatureScale as FeatureScale
