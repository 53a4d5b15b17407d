"""Tile sources over native libraries that can crash (cuCIM, OpenSlide); decoding process only."""

from __future__ import annotations

import math
import os
import tempfile
import threading
from typing import Any

import numpy as np

from .plan import true_downsample
from .sources import SourceSpec, tile_box
from .types import Level, SlideError

VIRTUAL_TILE_PX = 256


class CucimSource:
    """Single `read_region` calls, which release the GIL; each asks for exactly one stored tile."""

    def __init__(self, spec: SourceSpec) -> None:
        from cucim import CuImage  # type: ignore[import-not-found]

        self.path, self.levels, self.lossy = spec.path, spec.levels, spec.lossy
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        name = spec.path
        stem, extension = os.path.splitext(name)
        if extension != extension.lower():  # cuCIM knows lower-case extensions only
            self._folder = tempfile.TemporaryDirectory(prefix="jsma-cucim-")
            name = os.path.join(self._folder.name, "slide" + extension.lower())
            os.symlink(os.path.abspath(spec.path), name)
        self._image: Any = CuImage(name)
        resolutions = self._image.resolutions
        self._downsamples = [float(d) for d in resolutions["level_downsamples"]]
        sizes = [tuple(int(v) for v in size) for size in resolutions["level_dimensions"]]
        wanted = [(level.width_px, level.height_px) for level in self.levels]
        if sizes[: len(wanted)] != wanted:
            self.close()
            raise SlideError(f"{spec.path}: cuCIM sees levels {sizes}, the headers {wanted}; use reader='tifffile'")

    def read_tile(self, level: int, row: int, col: int) -> np.ndarray:
        x_px, y_px, width, height = tile_box(self.levels[level], row, col)
        # location is in level-0 pixels and is truncated after the division by cuCIM's own downsample
        factor = self._downsamples[level]
        location = (math.ceil(x_px * factor - 1e-3), math.ceil(y_px * factor - 1e-3))
        if level == 0:
            location = (x_px, y_px)
        region = self._image.read_region(location, (width, height), level)
        return np.asarray(region)[..., :3]

    def close(self) -> None:
        image, self._image = getattr(self, "_image", None), None
        if image is not None:
            image.close()
        if self._folder is not None:
            self._folder.cleanup()


class OpenslideSource:
    """Virtual tiles of 256 px (or the file's own where OpenSlide tells); one handle per thread."""

    def __init__(self, spec: SourceSpec) -> None:
        import openslide

        self.path, self.lossy = spec.path, spec.lossy
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
        return Level(width, height, true_downsample(width0, height0, width, height), tile_width, tile_height)

    def read_tile(self, level: int, row: int, col: int) -> np.ndarray:
        x_px, y_px, width, height = tile_box(self.levels[level], row, col)
        factor = float(self._all[0].level_downsamples[level])
        image = self._handle().read_region((round(x_px * factor), round(y_px * factor)), level, (width, height))
        pixels = np.asarray(image)
        alpha = pixels[..., 3]
        if alpha.min() == 255:
            return pixels[..., :3]
        weight = alpha[..., None].astype(np.float32) / 255  # absent pixels are transparent: lay them on white
        return np.rint(pixels[..., :3] * weight + 255 * (1 - weight)).astype(np.uint8)

    def _handle(self) -> Any:
        handle = getattr(self._mine, "handle", None)
        if handle is None:
            handle = self._mine.handle = self._open()
            with self._lock:
                self._all.append(handle)
        return handle

    def close(self) -> None:
        for handle in self._all:
            handle.close()
