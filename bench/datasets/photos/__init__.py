"""Photos to tiled pyramids, once, so that reading a part of one costs a part of it."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "plan": ["PrepareSettings", "Prepared"],
        "prepare": ["prepare_photos", "use_pyramids"],
    },
)

if TYPE_CHECKING:
    from bench.datasets.photos.plan import Prepared as Prepared
    from bench.datasets.photos.plan import PrepareSettings as PrepareSettings
    from bench.datasets.photos.prepare import prepare_photos as prepare_photos
    from bench.datasets.photos.prepare import use_pyramids as use_pyramids
