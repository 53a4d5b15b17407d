"""Reading regions of whole slides: each stored tile decoded once per call, in a process of its own."""

from jsma.slides.slide import ArraySlide, Slide, open_slide
from jsma.slides.types import READERS, DamagedSlideError, Level, ReadCost, Regions, SlideError, SlideInfo

__all__ = [
    "READERS",
    "ArraySlide",
    "DamagedSlideError",
    "Level",
    "ReadCost",
    "Regions",
    "Slide",
    "SlideError",
    "SlideInfo",
    "open_slide",
]
