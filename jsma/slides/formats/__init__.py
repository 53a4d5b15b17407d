"""What files say and hold: headers and texts of a TIFF, its pixels, photos, and the way of each to 8-bit RGB."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "colours": ["to_rgb8"],
        "photo": ["Photo", "load_photo", "photo_size"],
        "tiff_headers": ["TiffFacts", "inspect_tiff"],
    },
)

if TYPE_CHECKING:
    from jsma.slides.formats.colours import to_rgb8 as to_rgb8
    from jsma.slides.formats.photo import Photo as Photo
    from jsma.slides.formats.photo import load_photo as load_photo
    from jsma.slides.formats.photo import photo_size as photo_size
    from jsma.slides.formats.tiff_headers import TiffFacts as TiffFacts
    from jsma.slides.formats.tiff_headers import inspect_tiff as inspect_tiff
