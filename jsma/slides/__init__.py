"""Reading regions of whole slides. Each stored tile is decoded once per call, in a process of its own."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "readers": ["READERS"],
        "slide": ["ArraySlide", "Slide", "open_slide"],
        "types": ["DamagedSlideError", "Level", "ReadCost", "Regions", "SlideError", "SlideInfo"],
    },
)

if TYPE_CHECKING:
    from jsma.slides.readers import READERS as READERS
    from jsma.slides.slide import ArraySlide as ArraySlide
    from jsma.slides.slide import Slide as Slide
    from jsma.slides.slide import open_slide as open_slide
    from jsma.slides.types import DamagedSlideError as DamagedSlideError
    from jsma.slides.types import Level as Level
    from jsma.slides.types import ReadCost as ReadCost
    from jsma.slides.types import Regions as Regions
    from jsma.slides.types import SlideError as SlideError
    from jsma.slides.types import SlideInfo as SlideInfo
