"""Tile sources over native libraries that can crash (cuCIM, OpenSlide); decoding process only."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from jsma.slides.formats.jpeg import is_whole
from jsma.slides.process.folders import Folder
from jsma.slides.readers.base import SourceSpec, TileSource, damaged, read_checked, tile_box
from jsma.slides.readers.tiff import TifffileSource
from jsma.slides.types import MAX_DIFFERENCE, GeometryError, SlideError


class CucimSource:
    """Single `read_region` calls, which release the GIL; each asks for exactly one stored tile.

    cuCIM returns whatever lay in its buffer for a JPEG or LZW tile that it could not decode, and prints a
    line. So where the prints are caught (`chatter`, the log of the decoding process) any line makes all
    tiles of the read be compared with a strict decoder; where they are not, the JPEG markers of every
    tile are checked. With `spec.decoder` "gpu" cuCIM decodes on the GPU (not run on one yet).
    """

    held_bytes = 0

    def __init__(self, spec: SourceSpec, chatter: str | None) -> None:
        from cucim import CuImage  # type: ignore[import-not-found]

        self.path, self.levels, self._chatter = spec.path, spec.levels, chatter
        self._clean: Callable[[], None] = lambda: None
        self._to_cpu = gpu_to_cpu(spec.path) if spec.decoder == "gpu" else None
        self.strict = TifffileSource(spec)
        try:
            self._image: Any = CuImage(self._lower_case(spec.path))
            self._downsamples = [float(d) for d in self._image.resolutions["level_downsamples"]]
            sizes = [tuple(int(v) for v in size) for size in self._image.resolutions["level_dimensions"]]
            wanted = [(level.width_px, level.height_px) for level in self.levels]
            if sizes[: len(wanted)] != wanted:
                # seeing more or fewer levels, or the padding too, contradicts nothing
                known = any(is_part(own, sizes) or is_part(sizes, own) for own in (wanted, self.strict.stored))
                kind = SlideError if known else GeometryError
                raise kind(f"{spec.path}: cuCIM sees levels {sizes}, the headers {wanted}; use reader='tifffile'")
        except BaseException:
            self.close()
            raise
        self._heard = self._printed()

    def _lower_case(self, name: str) -> str:
        stem, extension = os.path.splitext(name)
        if extension == extension.lower():  # cuCIM knows lower-case extensions only
            return name
        if self._chatter:  # in the folder of the decoding process, with which it goes
            inside = tempfile.TemporaryDirectory(prefix="jsma-cucim-", dir=".")
            path, self._clean = inside.name, inside.cleanup
        else:
            folder = Folder("jsma-cucim-")
            path, self._clean = folder.path, folder.remove
        link = os.path.join(path, "slide" + extension.lower())
        os.symlink(name, link)
        return link

    def _printed(self) -> int:
        return os.path.getsize(self._chatter) if self._chatter else 0

    def read_tile(self, level: int, row: int, col: int) -> np.ndarray:
        """The tile of a level as RGB pixels, [height, width, 3] uint8."""
        if self._chatter is None and self.strict.jpeg[level] is not None:
            if not is_whole(self.strict.read_bytes(level, row, col)):
                raise ValueError("its JPEG markers are broken")
        x_px, y_px, width, height = tile_box(self.levels[level], row, col)
        # location is in level-0 pixels and is truncated after the division by cuCIM's own downsample
        factor = self._downsamples[level]
        location = (math.ceil(x_px * factor - 1e-3), math.ceil(y_px * factor - 1e-3)) if level else (x_px, y_px)
        if self._to_cpu is not None:
            return self._to_cpu(self._image.read_region(location, (width, height), level, device="cuda"))[..., :3]
        return np.asarray(self._image.read_region(location, (width, height), level))[..., :3]

    def confirm_black(self, level: int, row: int, col: int) -> None:
        """The strict decoder must see the same tile, all black."""
        if self.strict.read_tile(level, row, col).any():
            raise ValueError("cuCIM returns black for it")
        self.strict.confirm_black(level, row, col)

    def check(self, tiles: list[list[int]]) -> None:
        """If cuCIM printed anything since the last check, compare every tile with the strict decoder."""
        heard, self._heard = self._heard, self._printed()
        if self._heard == heard:
            return
        for level, row, col in tiles:
            strict = read_checked(self.strict, level, row, col).astype(np.int16)
            if np.abs(strict - self.read_tile(level, row, col)).mean() > MAX_DIFFERENCE:
                raise damaged(self, level, row, col, ValueError("cuCIM and tifffile read different pixels"))
        self._heard = self._printed()

    def close(self) -> None:
        """Give the file back."""
        image, self._image = getattr(self, "_image", None), None
        if image is not None:
            image.close()
        self._clean()
        self.strict.close()


class DirectSource:
    """A `CucimSource` whose JPEG tiles go to libjpeg-turbo without it: the decoder that cuCIM holds, called strictly.

    cuCIM decodes a tile into memory of its own, copies it into an image and hands that out, which costs a tenth of
    the decoding (`jsma-bench study reading` times both), and it says nothing in its answer of damage.
    """

    held_bytes = 0

    def __init__(self, spec: SourceSpec, chatter: str | None) -> None:
        self.cucim = CucimSource(spec, chatter)
        self.path, self.levels = spec.path, spec.levels
        self._of_level: list[TileSource] = [
            self.cucim if page is None else self.cucim.strict for page in self.cucim.strict.jpeg
        ]

    def read_tile(self, level: int, row: int, col: int) -> np.ndarray:
        """The tile of a level as RGB pixels, [height, width, 3] uint8."""
        source = self._of_level[level]
        if source is not self.cucim:
            return source.read_tile(level, row, col)
        return self.cucim.strict.repeated(level, row, col, lambda: source.read_tile(level, row, col))

    def confirm_black(self, level: int, row: int, col: int) -> None:
        """Raise where a black tile is a damaged one; asked of the reader of its level."""
        self._of_level[level].confirm_black(level, row, col)

    def check(self, tiles: list[list[int]]) -> None:
        """What cuCIM decoded is checked as `CucimSource` does; JPEG was decoded strictly."""
        self.cucim.check([tile for tile in tiles if self._of_level[tile[0]] is self.cucim])

    def close(self) -> None:
        """Give the file back."""
        self.cucim.close()


def is_part(few: list[tuple[int, ...]], many: list[tuple[int, ...]]) -> bool:
    """Whether `few` is `many` with some left out."""
    rest = iter(many)
    return all(size in rest for size in few)


def gpu_to_cpu(path: str) -> Callable[[Any], np.ndarray]:
    """The function that copies a GPU array to numpy; SlideError without a usable GPU."""
    try:
        import cupy  # type: ignore[import-not-found]

        if not cupy.cuda.runtime.getDeviceCount():
            raise RuntimeError("no CUDA device")
    except Exception as error:
        text = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise SlideError(f"{path}: decoder='gpu' needs an NVIDIA GPU and cupy ({text}); use decoder='cpu'") from error
    return lambda region: cupy.asnumpy(cupy.asarray(region))
