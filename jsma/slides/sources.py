"""Tile sources: one small class per reader, each decoding one stored tile; used in the decoding process."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from .tiffinfo import pyramid_pages
from .types import DamagedSlideError, Level, SlideError


class TileSource(Protocol):
    """Decodes one tile at a time, from several threads at once."""

    path: str
    levels: tuple[Level, ...]
    lossy: bool

    def read_tile(self, level: int, row: int, col: int) -> np.ndarray:
        """uint8 [h,w,3], clipped to the level's size."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


@dataclass(frozen=True)
class SourceSpec:
    """All a decoding process needs to open a source; small and picklable. `stamp` is (mtime_ns, size_bytes)."""

    path: str
    reader: str
    levels: tuple[Level, ...]
    lossy: bool
    stamp: tuple[int, int] = (0, 0)


def tile_box(level: Level, row: int, col: int) -> tuple[int, int, int, int]:
    """x, y, width, height of a tile in level pixels, clipped to the level."""
    x_px, y_px = col * level.tile_width_px, row * level.tile_height_px
    return (
        x_px,
        y_px,
        min(level.tile_width_px, level.width_px - x_px),
        min(level.tile_height_px, level.height_px - y_px),
    )


class TifffileSource:
    """Tile segments read by offset (pread) and decoded by imagecodecs through tifffile's page."""

    def __init__(self, spec: SourceSpec) -> None:
        import tifffile

        self.path, self.levels, self.lossy = spec.path, spec.levels, spec.lossy
        with tifffile.TiffFile(spec.path) as tif:
            self._pages = pyramid_pages(tif)[0]
            for page in self._pages:
                _ = page.decode, page.jpegtables, page.jpegheader  # cached by tifffile, file still open
        self._tables = [(page.jpegtables, page.jpegheader) for page in self._pages]
        self._ranges = [(page.dataoffsets, page.databytecounts) for page in self._pages]
        self._file = os.open(spec.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def read_tile(self, level: int, row: int, col: int) -> np.ndarray:
        lv = self.levels[level]
        index = row * lv.grid[1] + col
        offsets, counts = self._ranges[level]
        data = os.pread(self._file, counts[index], offsets[index])
        if len(data) < max(1, counts[index]):
            raise DamagedSlideError(
                f"{self.path}: tile row {row} col {col} of level {level} has {len(data)} of "
                f"{counts[index]} bytes; "
                "the file is cut short, copy it again"
            )
        tables, header = self._tables[level]
        pixels = self._pages[level].decode(data, index, jpegtables=tables, jpegheader=header)[0]
        if pixels is None:
            raise DamagedSlideError(f"{self.path}: tile row {row} col {col} of level {level} is empty")
        _, _, width, height = tile_box(lv, row, col)
        return np.asarray(pixels)[0, :height, :width, :3]

    def close(self) -> None:
        os.close(self._file)


def to_rgb8(array: np.ndarray, what: str) -> np.ndarray:
    """uint8 [h,w,3] from grey, RGB or RGBA (laid on white) pixels; refuses other kinds."""
    array = np.asarray(array)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise SlideError(
            f"{what}: pixels are {array.dtype} {array.shape}; uint8 grey, RGB or RGBA is served, convert it"
        )
    if array.ndim == 2 or array.shape[2] == 1:
        return np.ascontiguousarray(np.broadcast_to(array.reshape(*array.shape[:2], 1), (*array.shape[:2], 3)))
    if array.shape[2] == 4:
        alpha = array[..., 3:].astype(np.uint16)
        return ((array[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(array)


@dataclass
class ArraySource:
    """One image in memory, which is its only tile."""

    array: np.ndarray
    path: str = "<array>"
    lossy: bool = False
    levels: tuple[Level, ...] = field(default=())

    def __post_init__(self) -> None:
        height, width = self.array.shape[:2]
        self.levels = (Level(width, height, 1.0, width, height),)

    def read_tile(self, level: int, row: int, col: int) -> np.ndarray:
        return self.array

    def close(self) -> None:
        return None


def load_photo(path: str) -> np.ndarray:
    """Decode a photo or a TIFF without tiles to uint8 [h,w,3]."""
    if path.lower().endswith((".tif", ".tiff", ".svs")):
        import tifffile

        with tifffile.TiffFile(path) as tif:
            page: Any = tif.pages[0]
            pixels = page.asarray()
            if int(page.planarconfig or 1) == 2 and pixels.ndim == 3:
                pixels = np.moveaxis(pixels, 0, 2)
            return to_rgb8(pixels, path)
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    with Image.open(path) as image:
        mode = "RGBA" if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info else "RGB"
        return to_rgb8(np.asarray(image.convert(mode)), path)


def open_source(spec: SourceSpec) -> TileSource:
    """Open the reader named in the spec."""
    if spec.reader == "tifffile":
        return TifffileSource(spec)
    if spec.reader == "array":
        return ArraySource(load_photo(spec.path), spec.path)
    from .native import CucimSource, OpenslideSource

    return CucimSource(spec) if spec.reader == "cucim" else OpenslideSource(spec)
