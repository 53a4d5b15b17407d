"""cuCIM: tiled 8-bit RGB TIFF. It can crash, so its sources are used in the decoding process only."""

from __future__ import annotations

import math
import os
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np

from jsma.slides.formats.jpeg import is_whole
from jsma.slides.formats.tiff_headers import TiffFacts
from jsma.slides.process.folders import Folder
from jsma.slides.readers.base import SlideFile, SourceSpec, TileSource, damage_error, read_checked, tile_box
from jsma.slides.readers.tiff import TifffileSource, TiledTiffReader
from jsma.slides.types import MAX_DIFFERENCE, GeometryError, SlideError

COMPRESSIONS = (1, 5, 7, 8, 32946, 33005)  # of TIFF: those that it decodes rightly


class CucimReader(TiledTiffReader):
    """Tiled 8-bit RGB TIFF and SVS of the common compressions."""

    name: ClassVar[str] = "cucim"
    description: ClassVar[str] = (
        "cuCIM: tiled 8-bit RGB TIFF and SVS (JPEG, raw, LZW, Deflate, Aperio JPEG 2000 RGB), default on Linux"
    )
    compared_with: ClassVar[str | None] = "tifffile"
    own_decoder: ClassVar[str] = "cucim"

    def suits(self, file: SlideFile) -> str:
        """See `Reader`."""
        facts = file.facts
        return f"tiled 8-bit RGB TIFF, {facts.compressions}" if facts is not None and facts.tiled else ""

    def against(self, file: SlideFile) -> list[str]:
        """See `Reader`."""
        found = super().against(file)
        if file.facts is not None and file.facts.tiled:
            found += _against_kind(file.facts) + _against_levels(file.facts)
        if find_spec("cucim") is None:
            found.append("cuCIM not installed")
        if file.in_process and "torch" in sys.modules and "cucim" not in sys.modules:
            found.append("torch imported first in this process, after which cuCIM can hang")
        return found

    def open(self, spec: SourceSpec, chatter: str | None) -> CucimSource | DirectSource:
        """See `Reader`."""
        return CucimSource(spec, chatter) if spec.decoder == "gpu" else DirectSource(spec, chatter)


def _against_kind(facts: TiffFacts) -> list[str]:
    """List what cuCIM gets wrong in the kind of pixels."""
    found = [] if facts.rgb8 else ["pixels other than 8-bit RGB"]
    if facts.predictor:
        found.append("a predictor, which crashes cuCIM")
    if any(compression not in COMPRESSIONS for compression in facts.compression):
        found.append(f"{facts.compressions}, which cuCIM gets wrong")
    return found


def _against_levels(facts: TiffFacts) -> list[str]:
    """List what cuCIM gets wrong in the levels and their tiles."""
    found = []
    if facts.left_out:
        found.append(f"{facts.left_out} more pictures that are not marked as levels: they are left out")
    if any(facts.missing):
        found.append(f"{sum(facts.missing)} tiles that are not stored, read as background")
    if facts.padded:
        found.append("levels filled up to whole tiles, of which cuCIM gets the scale wrong")
    if facts.subifd:
        found.append("a SubIFD pyramid, of which cuCIM sees level 0 only")
    return found


class CucimSource:
    """Tiles by single calls of `read_region`, which release the GIL; each asks for exactly one stored tile.

    For a JPEG or LZW tile that it cannot decode, cuCIM prints a line and returns whatever lay in its buffer. `chatter`,
    the log of the decoding process, catches such lines: after any line, all tiles of the read are compared with a
    strict decoder. Where nothing catches them, the JPEG markers of every tile are checked instead.
    If `spec.decoder` is "gpu", cuCIM decodes on the GPU (not run on one yet).
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
        """See `TileSource`."""
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
                raise damage_error(self, level, row, col, ValueError("cuCIM and tifffile read different pixels"))
        self._heard = self._printed()

    def close(self) -> None:
        """Close the file."""
        image, self._image = getattr(self, "_image", None), None
        if image is not None:
            image.close()
        self._clean()
        self.strict.close()


class DirectSource:
    """A `CucimSource` whose JPEG tiles go straight to libjpeg-turbo.

    That is the decoder that cuCIM itself uses, called strictly here. cuCIM decodes a tile into its own memory, copies
    it into an image and hands that out. The copy costs a tenth of the decoding (`jsma-bench study reading` times both),
    and the answer of cuCIM does not tell of damage.
    """

    held_bytes = 0

    def __init__(self, spec: SourceSpec, chatter: str | None) -> None:
        self.cucim = CucimSource(spec, chatter)
        self.path, self.levels = spec.path, spec.levels
        self._of_level: list[TileSource] = [
            self.cucim if page is None else self.cucim.strict for page in self.cucim.strict.jpeg
        ]

    def read_tile(self, level: int, row: int, col: int) -> np.ndarray:
        """See `TileSource`."""
        source = self._of_level[level]
        if source is not self.cucim:
            return source.read_tile(level, row, col)
        return self.cucim.strict.repeated(level, row, col, lambda: source.read_tile(level, row, col))

    def confirm_black(self, level: int, row: int, col: int) -> None:
        """Ask the source that decoded the tile."""
        self._of_level[level].confirm_black(level, row, col)

    def check(self, tiles: list[list[int]]) -> None:
        """Check what cuCIM decoded; JPEG was decoded strictly."""
        self.cucim.check([tile for tile in tiles if self._of_level[tile[0]] is self.cucim])

    def close(self) -> None:
        """Close the file."""
        self.cucim.close()


def is_part(few: list[tuple[int, ...]], many: list[tuple[int, ...]]) -> bool:
    """Whether `few` are `many` with some left out, in the same order."""
    rest = iter(many)
    return all(size in rest for size in few)


def gpu_to_cpu(path: str) -> Callable[[Any], np.ndarray]:
    """Make the function that copies an array from the GPU to numpy; SlideError without a usable GPU."""
    try:
        import cupy  # type: ignore[import-not-found]

        if not cupy.cuda.runtime.getDeviceCount():
            raise RuntimeError("no CUDA device")
    except Exception as error:
        text = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise SlideError(f"{path}: decoder='gpu' needs an NVIDIA GPU and cupy ({text}); use decoder='cpu'") from error
    return lambda region: cupy.asnumpy(cupy.asarray(region))
