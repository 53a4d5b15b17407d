"""Opening a slide: which reader, which scale, which decoder, and cheap checks before anything is read."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "decoder": ["settle_decoder"],
        "mpp": ["choose_mpp"],
        "preflight": ["check_tiles", "compare_readers"],
        "reader": ["check_request", "choose_reader"],
    },
)

if TYPE_CHECKING:
    from jsma.slides.opening.decoder import settle_decoder as settle_decoder
    from jsma.slides.opening.mpp import choose_mpp as choose_mpp
    from jsma.slides.opening.preflight import check_tiles as check_tiles
    from jsma.slides.opening.preflight import compare_readers as compare_readers
    from jsma.slides.opening.reader import check_request as check_request
    from jsma.slides.opening.reader import choose_reader as choose_reader
