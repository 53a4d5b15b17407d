"""Tiled TIFF through tifffile, its JPEG tiles through libjpeg-turbo."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from jsma.slides.formats.colours import APERIO_YCBCR, JPEG2000, page_rgb8
from jsma.slides.formats.geometry import size_of
from jsma.slides.formats.jpeg import EOI, JpegPage
from jsma.slides.formats.tiff_headers import open_pyramid
from jsma.slides.readers.base import FEW, Geometry, Reader, SlideFile, SourceSpec, tile_box
from jsma.slides.types import DamagedSlideError

TILED_ONLY = "it reads tiled TIFF only"


class TiledTiffReader(Reader):
    """A reader of tiled TIFF, whose levels and scale are those of the headers."""

    def against(self, file: SlideFile) -> list[str]:
        """See `Reader`."""
        if file.facts is None or not file.facts.tiled:
            return [TILED_ONLY]
        return ["tiles that overlap"] if file.facts.overlapping else []

    def geometry(self, file: SlideFile, describe: Callable[[], dict[str, Any]]) -> Geometry:
        """See `Reader`; nothing is opened for it."""
        assert file.facts is not None  # as `against` says
        return Geometry(file.facts.levels, file.facts.mpp)


class TifffileReader(TiledTiffReader):
    """Every tiled TIFF but Aperio's JPEG 2000 in YCbCr."""

    name: ClassVar[str] = "tifffile"
    description: ClassVar[str] = "tifffile + imagecodecs: every tiled 8-bit RGB TIFF, any platform"

    def suits(self, file: SlideFile) -> str:
        """See `Reader`."""
        return "tiled TIFF" if file.facts is not None and file.facts.tiled else ""

    def against(self, file: SlideFile) -> list[str]:
        """See `Reader`."""
        found, facts = super().against(file), file.facts
        if facts is not None and APERIO_YCBCR in facts.compression:
            found.append(f"{facts.compressions}, whose colours it gets wrong")
        return found

    def open(self, spec: SourceSpec, chatter: str | None) -> TifffileSource:
        """See `Reader`."""
        return TifffileSource(spec)


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
        if not data or len(data) < counts[index]:
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
        _, _, width, height = tile_box(self.levels[level], row, col)
        if not self._ranges[level][1][row * self._columns[level] + col]:  # not stored: background
            return np.full((height, width, 3), 255, dtype=np.uint8)
        return self.repeated(level, row, col, lambda: self._decoded(level, row, col, height, width))

    def repeated(self, level: int, row: int, col: int, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """What `decode` returns; this thread's tile before it, where both have the same, and very few, bytes.

        Empty areas are large: tile after tile of one colour.
        """
        _, _, width, height = tile_box(self.levels[level], row, col)
        count = self._ranges[level][1][row * self._columns[level] + col]
        if count * FEW > width * height * 3:
            return decode()
        key = (level, width, height, self.read_bytes(level, row, col))
        last = getattr(self._mine, "last", None)
        if last is None or last[0] != key:
            last = self._mine.last = (key, np.array(decode()))  # a copy: the buffer is used again
        return last[1]

    def _decoded(self, level: int, row: int, col: int, height: int, width: int) -> np.ndarray:
        lv, jpeg = self.levels[level], self.jpeg[level]
        data = self.read_bytes(level, row, col)
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
        return page_rgb8(np.asarray(pixels)[0, :height, :width], self._pages[level], self.path)[0]

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
        """Give the file back."""
        self._file.close()
