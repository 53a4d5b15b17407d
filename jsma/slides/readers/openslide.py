"""OpenSlide: vendor formats, and TIFFs that only it gets right. It can crash: decoding process only."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from jsma.slides.formats.colours import APERIO_YCBCR
from jsma.slides.formats.descriptions import number
from jsma.slides.formats.geometry import match_levels
from jsma.slides.formats.tiff_headers import open_pyramid
from jsma.slides.readers.base import Geometry, Reader, SlideFile, SourceSpec, tile_box
from jsma.slides.types import Level, both_axes

VIRTUAL_TILE_PX = 256  # side of a tile where OpenSlide does not tell that of the file's own
FAINT = 64  # alpha below which a pixel counts as absent


class OpenslideReader(Reader):
    """Vendor formats, TIFFs whose tiles overlap, and Aperio's JPEG 2000 in YCbCr."""

    name: ClassVar[str] = "openslide"
    description: ClassVar[str] = "OpenSlide: vendor formats (.ndpi, .mrxs, .scn, .vms, .bif, .dcm, ...)"
    extensions: ClassVar[tuple[str, ...]] = (
        ".ndpi",
        ".mrxs",
        ".scn",
        ".vms",
        ".vmu",
        ".bif",
        ".dcm",
        ".svslide",
        ".czi",
    )
    any_kind: ClassVar[bool] = True

    def suits(self, file: SlideFile) -> str:
        """See `Reader`."""
        facts = file.facts
        if facts is None:
            return f"{file.extension} is a vendor format" if file.extension in self.extensions else ""
        if facts.tiled and facts.overlapping:
            return f"a TIFF of {facts.overlapping}, whose tiles overlap: the reader that knows by how much"
        if facts.tiled and APERIO_YCBCR in facts.compression:
            return f"{facts.compressions}: the reader whose colours are right for it"
        return ""

    def against(self, file: SlideFile) -> list[str]:
        """See `Reader`; what it does not know it refuses when it opens the file."""
        return []

    def geometry(self, file: SlideFile, describe: Callable[[], dict[str, Any]]) -> Geometry:
        """See `Reader`; in a TIFF that we know, its levels must be those of the headers."""
        found, facts = describe(), file.facts
        texts, scales = found["properties"], {} if facts is None else dict(facts.mpp)
        if (x := texts.get("openslide.mpp-x")) is not None:
            scales["openslide.mpp-x"] = (number(x), number(texts.get("openslide.mpp-y", x)))
        if (power := number(texts.get("openslide.objective-power", 0))) > 0:
            scales["objective power"] = (10 / power, 10 / power)
        if facts is None or not facts.tiled or facts.overlapping:
            return Geometry(found["levels"], scales)
        with open_pyramid(file.path) as headers:
            return Geometry(match_levels(file.path, found["levels"], headers), scales)

    def open(self, spec: SourceSpec, chatter: str | None) -> OpenslideSource:
        """See `Reader`."""
        return OpenslideSource(spec)


class OpenslideSource:
    """Virtual tiles of 256 px (or the file's own where OpenSlide tells); one handle per thread."""

    held_bytes = 0

    def __init__(self, spec: SourceSpec) -> None:
        import openslide

        self.path = spec.path
        self._open = lambda: openslide.OpenSlide(spec.path)
        self._all: list[Any] = [self._open()]
        self._mine = threading.local()
        self._lock = threading.Lock()
        self.properties = dict(self._all[0].properties)
        self.levels = spec.levels or tuple(self._level(index) for index in range(self._all[0].level_count))

    def _level(self, index: int) -> Level:
        width0, height0 = self._all[0].level_dimensions[0]
        width, height = self._all[0].level_dimensions[index]
        tile_width = int(self.properties.get(f"openslide.level[{index}].tile-width", VIRTUAL_TILE_PX))
        tile_height = int(self.properties.get(f"openslide.level[{index}].tile-height", VIRTUAL_TILE_PX))
        if max(tile_width, tile_height) > 1024 or min(tile_width, tile_height) < 64:
            tile_width = tile_height = VIRTUAL_TILE_PX
        cut, own = both_axes((width0, height0), (width, height)), float(self._all[0].level_downsamples[index])
        return Level(width, height, cut if cut and cut.is_integer() else own, tile_width, tile_height)

    def read_tile(self, level: int, row: int, col: int) -> np.ndarray:
        """See `TileSource`."""
        x_px, y_px, width, height = tile_box(self.levels[level], row, col)
        factor = float(self._all[0].level_downsamples[level])
        # where the downsample is not whole OpenSlide interpolates, and fades out at the border of what it is asked
        # for: ask for one pixel more on each side
        more = 0 if factor.is_integer() else 1
        left, top = min(more, x_px), min(more, y_px)
        where = (round((x_px - left) * factor), round((y_px - top) * factor))
        size = (width + left + more, height + top + more)
        pixels = np.asarray(self._handle().read_region(where, level, size))
        pixels = pixels[top : top + height, left : left + width]
        if pixels[..., 3].min() == 255:
            return pixels[..., :3]
        absent = pixels[..., 3:] < FAINT  # no pixels there; those that only fade out have their full colour
        return np.where(absent, np.uint8(255), pixels[..., :3])

    def confirm_black(self, level: int, row: int, col: int) -> None:
        """OpenSlide raises for tiles that it cannot decode."""

    def check(self, tiles: list[list[int]]) -> None:
        """Nothing is left to check."""

    def _handle(self) -> Any:
        handle = getattr(self._mine, "handle", None)
        if handle is None:
            handle = self._mine.handle = self._open()
            with self._lock:
                self._all.append(handle)
        return handle

    def close(self) -> None:
        """Close every handle."""
        for handle in self._all:
            handle.close()
