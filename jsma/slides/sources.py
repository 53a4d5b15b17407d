"""Tile sources: one small class per reader, each decoding one stored tile; used in the decoding process."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from .geometry import size_of
from .jpeg import EOI, JpegPage
from .tiffinfo import JPEG2000, open_pyramid
from .types import DamagedSlideError, Level, SlideError

MAX_WHOLE_PX = 200_000_000  # of an image without tiles: 600 MB as RGB


class TileSource(Protocol):
    """Decodes one tile at a time, from several threads at once."""

    path: str
    levels: tuple[Level, ...]
    held_bytes: int  # pixels kept in memory while the source is open

    def read_tile(self, level: int, row: int, col: int) -> np.ndarray:
        """uint8 [h,w,3], clipped to the level's size; valid until this thread's next call."""
        ...

    def confirm_black(self, level: int, row: int, col: int) -> None:
        """Raise unless a tile that came back all black is known to be black in the file."""
        ...

    def check(self, tiles: list[list[int]]) -> None:
        """After a read of `tiles` (level, row, col): raise if any of them turns out to be damaged."""
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
    stamp: tuple[int, int] = (0, 0)
    decoder: str = "cpu"


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
    """Tile segments read by offset; JPEG by libjpeg-turbo, strictly, all else by imagecodecs through tifffile."""

    held_bytes = 0

    def __init__(self, spec: SourceSpec) -> None:
        self.path, self.levels = spec.path, spec.levels
        with open_pyramid(spec.path) as found:
            self._pages = found.pages
            for page in self._pages:
                _ = page.decode, page.jpegtables, page.jpegheader  # cached by tifffile, file still open
        self.jpeg = [JpegPage.of(page) for page in self._pages]
        self._tables = [(page.jpegtables, page.jpegheader) for page in self._pages]
        self._ranges = [(page.dataoffsets, page.databytecounts) for page in self._pages]
        self._file = open(spec.path, "rb", buffering=0)  # noqa: SIM115
        self.stored: list[tuple[int, ...]] = [size_of(page) for page in self._pages]
        self._columns = [-(-page.imagewidth // page.tilewidth) for page in self._pages]
        self._lock = threading.Lock()
        self._mine = threading.local()

    def read_bytes(self, level: int, row: int, col: int) -> bytes:
        """The compressed tile; raises DamagedSlideError where the file has no, or not all, bytes of it."""
        index = row * self._columns[level] + col
        offsets, counts = self._ranges[level]
        data = self._read_at(offsets[index], counts[index])
        if len(data) < max(1, counts[index]):
            raise DamagedSlideError(
                f"{self.path}: tile row {row} col {col} of level {level} has {len(data)} of {counts[index]} bytes; "
                "the file is cut short or was never finished, copy it again"
            )
        return data

    def _read_at(self, offset: int, count: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), count, offset)
        with self._lock:
            self._file.seek(offset)
            return self._file.read(count)

    def read_tile(self, level: int, row: int, col: int) -> np.ndarray:
        """uint8 [h,w,3], clipped to the level's size; may be overwritten by this thread's next call."""
        lv, data, jpeg = self.levels[level], self.read_bytes(level, row, col), self.jpeg[level]
        _, _, width, height = tile_box(lv, row, col)
        if jpeg is not None:
            pixels = jpeg.decode(data, self._buffer(lv.tile_height_px, lv.tile_width_px))
            if pixels.shape[0] < height or pixels.shape[1] < width:
                raise ValueError(f"its JPEG is {pixels.shape[1]}x{pixels.shape[0]} px")
            return pixels[:height, :width]
        if self._pages[level].compression in JPEG2000 and EOI not in data[-64:]:
            raise ValueError("JPEG 2000 data without an end")
        tables, header = self._tables[level]
        index = row * self._columns[level] + col
        pixels = self._pages[level].decode(data, index, jpegtables=tables, jpegheader=header)[0]
        return page_rgb8(np.asarray(pixels)[0, :height, :width], self._pages[level], self.path)

    def confirm_black(self, level: int, row: int, col: int) -> None:
        """Compressed zeros would not have decoded, stored zeros look the same as a zeroed part of the file."""
        if self._pages[level].compression == 1:
            raise ValueError("all black and stored without compression, as a zeroed part of a file is")

    def check(self, tiles: list[list[int]]) -> None:
        """Every tile was decoded strictly; nothing is left to check."""

    def _buffer(self, height: int, width: int) -> np.ndarray:
        buffer = getattr(self._mine, "buffer", None)
        if buffer is None or buffer.shape[:2] != (height, width):
            buffer = self._mine.buffer = np.empty((height, width, 3), dtype=np.uint8)
        return buffer

    def close(self) -> None:
        self._file.close()


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


def page_rgb8(pixels: np.ndarray, page: Any, what: str) -> np.ndarray:
    """`to_rgb8` of pixels of a tifffile page: white-is-zero inverted, extra samples heeded or dropped by their kind."""
    if int(page.photometric) == 0:
        pixels = 255 - pixels
    extra = tuple(int(kind) for kind in (page.extrasamples or ()))
    if extra and pixels.ndim == 3:
        colours = pixels.shape[2] - len(extra)
        if extra[0] == 1 and colours == 3:  # associated alpha: the colours are multiplied by it already
            return np.minimum(pixels[..., :3].astype(np.uint16) + 255 - pixels[..., 3:4], 255).astype(np.uint8)
        pixels = pixels[..., :4] if extra[0] == 2 and colours == 3 else pixels[..., :colours]
    return to_rgb8(pixels, what)


@dataclass
class ArraySource:
    """One image in memory, which is its only tile."""

    array: np.ndarray
    path: str = "<array>"
    levels: tuple[Level, ...] = field(default=())
    held_bytes: int = 0

    def __post_init__(self) -> None:
        height, width = self.array.shape[:2]
        self.held_bytes = self.array.nbytes
        self.levels = (Level(width, height, 1.0, width, height),)

    def read_tile(self, level: int, row: int, col: int) -> np.ndarray:
        return self.array

    def confirm_black(self, level: int, row: int, col: int) -> None:
        """The image was decoded without an error: it is black."""

    def check(self, tiles: list[list[int]]) -> None:
        """Nothing is left to check."""

    def close(self) -> None:
        return None


def load_photo(path: str) -> np.ndarray:
    """Decode a photo or a TIFF without tiles to uint8 [h,w,3]; refuses what would not fit in bounded memory."""
    if path.lower().endswith((".tif", ".tiff", ".svs")):
        import tifffile

        with tifffile.TiffFile(path) as tif:
            page: Any = tif.pages[0]
            _check_size(path, int(page.imagewidth), int(page.imagelength))
            pixels = page.asarray()
            if int(page.planarconfig or 1) == 2 and pixels.ndim == 3:
                pixels = np.moveaxis(pixels, 0, 2)
            return page_rgb8(pixels, page, path)
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # the limit below is ours and has a remedy in its message
    with Image.open(path) as image:
        _check_size(path, *image.size)
        mode = "RGBA" if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info else "RGB"
        return to_rgb8(np.asarray(image.convert(mode)), path)


def _check_size(path: str, width_px: int, height_px: int) -> None:
    if width_px * height_px > MAX_WHOLE_PX:
        raise SlideError(
            f"{path}: {width_px}x{height_px} px without tiles would be decoded whole, at most {MAX_WHOLE_PX} px are; "
            "convert it to a tiled pyramid (`jsma-bench data prepare`, or vips tiffsave --tile --pyramid)"
        )


def open_source(spec: SourceSpec, chatter: str | None = None) -> TileSource:
    """Open the reader named in the spec; `chatter` is the file that native libraries print into, if there is one."""
    if spec.reader == "tifffile":
        return TifffileSource(spec)
    if spec.reader == "array":
        return ArraySource(load_photo(spec.path), spec.path)
    from .native import CucimSource, DirectSource, OpenslideSource

    if spec.reader == "openslide":
        return OpenslideSource(spec)
    return CucimSource(spec, chatter) if spec.decoder == "gpu" else DirectSource(spec, chatter)
