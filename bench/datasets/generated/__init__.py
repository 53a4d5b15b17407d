"""Slides that are made here, with a known answer, and the pyramids that hold them."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "pyramid": ["write_pyramid"],
        "streamed_pyramid": ["Frame", "write_bands"],
        "wanted": ["Wanted"],
    },
)

if TYPE_CHECKING:
    from bench.datasets.generated.pyramid import write_pyramid as write_pyramid
    from bench.datasets.generated.streamed_pyramid import Frame as Frame
    from bench.datasets.generated.streamed_pyramid import write_bands as write_bands
    from bench.datasets.generated.wanted import Wanted as Wanted
