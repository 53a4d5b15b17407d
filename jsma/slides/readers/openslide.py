"""A tile source over OpenSlide. It can crash, so it is used in the decoding process only."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from jsma.slides.readers.base import SourceSpec, tile_box
from jsma.slides.types import Level, both_axes

VIRTUAL_TILE_PX = 256


FAINT = 64  # alpha below which OpenSlide has no pixel to speak of


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
        """The tile of a level as RGB pixels, [height, width, 3] uint8."""
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
        """Give the file back."""
        for handle in self._all:
            handle.close()
