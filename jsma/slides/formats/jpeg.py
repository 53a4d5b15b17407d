"""JPEG tiles of a TIFF by libjpeg-turbo, strictly: what the library only warns about is an error here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
_AS_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"  # APP14, transform 0: components are R, G, B
_IN_SCAN = frozenset([0x00, 0xFF, *range(0xD0, 0xD8)])  # what may follow FF in entropy-coded data
_ENDS_SCAN = frozenset([0xD9, 0xC4, 0xDA])  # the end, or the next scan's tables or start


@dataclass(frozen=True)
class JpegPage:
    """What the tiles or strips of one page have in common.

    Attributes:
        tables: Segments that come before the data of every tile (TIFF Technical Note 2).
        rgb: Whether the components are RGB.
        inverted: Whether it is grey and its white is zero.
    """

    tables: bytes
    rgb: bool
    inverted: bool = False

    @classmethod
    def of(cls, page: Any) -> JpegPage | None:
        """Look at a tifffile page; None if its tiles are not plain 8-bit JPEG, grey or of three components."""
        plain = page.compression == 7 and page.bitspersample == 8 and int(page.planarconfig or 1) == 1
        kind = (int(page.samplesperpixel), int(page.photometric))
        if not plain or kind not in ((1, 0), (1, 1), (3, 2), (3, 6)) or page.jpegheader:
            return None
        return cls((page.jpegtables or SOI + EOI)[2:-2], kind[1] == 2, kind[1] == 0)

    def decode(self, data: bytes, buffer: np.ndarray) -> np.ndarray:
        """Decode RGB pixels into `buffer`; ValueError for anything that libjpeg-turbo finds wrong with the data."""
        import simplejpeg

        # Aperio stores RGB components and its JPEG stream does not say so: an Adobe marker does
        extra = self.tables if not self.rgb or data[6:10] == b"JFIF" else _AS_RGB + self.tables
        if extra:
            if data[:2] != SOI:
                raise ValueError(f"Not a JPEG file: starts with {data[:2].hex(' ')}")
            data = SOI + extra + data[2:]
        pixels = simplejpeg.decode_jpeg(data, "RGB", buffer=buffer, strict=True)
        return np.subtract(255, pixels, out=pixels) if self.inverted else pixels


def is_whole(data: bytes) -> bool:
    """Tell whether the markers of a JPEG are in order from start to end, at a hundredth of the cost of decoding.

    This finds tiles that were zeroed, cut short or overwritten. It finds a few changed bytes only by chance.
    """
    at = 2
    while data[:2] == SOI and len(data) - at > 4 and data[at] == 0xFF:
        scan = data[at + 1] == 0xDA
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if scan:
            while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
                if data[at + 1] in _ENDS_SCAN:
                    return True
                if data[at + 1] not in _IN_SCAN:
                    return False
                at += 1 if data[at + 1] == 0xFF else 2
            return False
    return False
