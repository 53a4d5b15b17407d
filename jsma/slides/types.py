"""The values that pass between callers and slide readers, and the errors they raise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

DECODERS: dict[str, str] = {
    "cpu": "JPEG tiles by libjpeg-turbo, strictly; any other by the reader's own library on the CPU",
    "cucim": "every tile by cuCIM on the CPU",
    "gpu": "every tile by cuCIM on the GPU",
}

MAX_DIFFERENCE = 3.0  # mean absolute grey levels between two readers of the same pixels


class SlideError(ValueError):
    """A slide or a request that cannot be served, in one line: what is wrong, what was got, what to do.

    Attributes:
        slide_id: Name of the slide in the caller's records, None where it is not known. `MeteredSlide` sets it.
    """

    slide_id: str | None = None


class DamagedSlideError(SlideError):
    """The file itself is broken (truncated, zeroed tiles, a decoder that dies)."""


class GeometryError(SlideError):
    """The file says two things about the sizes of its levels that cannot both be true."""


@dataclass(frozen=True)
class Level:
    """One stored resolution of a slide.

    Attributes:
        width_px: Width in its own pixels.
        height_px: Height in its own pixels.
        downsample: Level-0 pixels per pixel, 1 or more.
        tile_width_px: Width of a stored tile in its own pixels.
        tile_height_px: Height of a stored tile in its own pixels.
    """

    width_px: int
    height_px: int
    downsample: float
    tile_width_px: int
    tile_height_px: int

    @property
    def grid(self) -> tuple[int, int]:
        """Number of tile rows and tile columns."""
        return -(-self.height_px // self.tile_height_px), -(-self.width_px // self.tile_width_px)


@dataclass(frozen=True)
class SlideInfo:
    """What was opened, and how.

    Attributes:
        path: Absolute path of the file.
        reader: Name of the reader, of `READERS`.
        reader_reason: Why it is this reader, in words.
        width0_px: Width of level 0.
        height0_px: Height of level 0.
        mpp: Micrometres per level-0 pixel.
        mpp_rule: Where the mpp comes from; "explicit" if it was given.
        levels: The stored resolutions, the finest first.
        decoder: The one of `DECODERS` that runs.
        decoder_reason: Why it is this decoder, in words.
        missing_tiles: Per level, number of tiles for which the file stores nothing; they are background. () where
            that is not known.
        file_mpp: What the file itself says, also where another value was given. None: nothing that could be used.
        file_mpp_rule: Where file_mpp comes from.
    """

    path: str
    reader: str
    reader_reason: str
    width0_px: int
    height0_px: int
    mpp: float
    mpp_rule: str
    levels: tuple[Level, ...]
    decoder: str = "cpu"
    decoder_reason: str = "CPU decoding is the default"
    missing_tiles: tuple[int, ...] = ()
    file_mpp: float | None = None
    file_mpp_rule: str = ""


@dataclass(frozen=True)
class Regions:
    """Where to read: regions of one output size, each with a scale of its own.

    Attributes:
        centre0: Centres (x, y) in level-0 pixels, float64 [n, 2].
        mpp: Micrometres per output pixel, float64 [n]; one number may be given for all.
        width_px: Width of the output, at least 1.
        height_px: Height of the output, at least 1.

    Raises:
        SlideError: The numbers do not fit together, or are not finite.
    """

    centre0: np.ndarray
    mpp: np.ndarray
    width_px: int
    height_px: int

    if TYPE_CHECKING:  # what may be given; what is kept is above

        def __init__(self, centre0: ArrayLike, mpp: ArrayLike, width_px: int, height_px: int) -> None: ...

    def __post_init__(self) -> None:
        centre0 = np.asarray(self.centre0, dtype=np.float64).reshape(-1, 2)
        mpp = np.asarray(self.mpp, dtype=np.float64)
        mpp = np.full(len(centre0), float(mpp)) if mpp.ndim == 0 else mpp.reshape(-1)
        object.__setattr__(self, "centre0", centre0)
        object.__setattr__(self, "mpp", mpp)
        if len(mpp) != len(centre0):
            raise SlideError(f"regions: {len(centre0)} centres but {len(mpp)} mpp values; give one mpp per centre")
        if self.width_px < 1 or self.height_px < 1:
            raise SlideError(f"regions: output size {self.width_px}x{self.height_px} px; both must be at least 1")
        if not (np.isfinite(centre0).all() and np.isfinite(mpp).all() and (mpp > 0).all()):
            raise SlideError("regions: centres must be finite and mpp finite and above 0; drop the others first")

    def __len__(self) -> int:
        return len(self.mpp)


@dataclass(frozen=True)
class ReadCost:
    """What a read decodes.

    Attributes:
        tiles: Stored tiles.
        decoded_px: Pixels in those tiles.
        compressed_bytes: Their bytes in the file, 0 where that is not known.
        calls: Calls of the decoder.
    """

    tiles: int = 0
    decoded_px: int = 0
    compressed_bytes: int = 0
    calls: int = 0

    def __add__(self, other: ReadCost) -> ReadCost:
        return ReadCost(
            self.tiles + other.tiles,
            self.decoded_px + other.decoded_px,
            self.compressed_bytes + other.compressed_bytes,
            self.calls + other.calls,
        )


def both_axes(size0_px: tuple[int, int], size_px: tuple[int, int]) -> float | None:
    """Find the scale of a level that was cut to whole pixels, from both of its axes.

    Args:
        size0_px: Width and height of level 0.
        size_px: Width and height of the level.

    Returns:
        A power of two where the sizes allow one, else a whole number, else the ratio of the axis with more pixels. None
        if no scale gives both the width and the height.
    """
    low = max(full / (px + 1) for full, px in zip(size0_px, size_px, strict=True))
    high = min(full / (px - 1) if px > 1 else float("inf") for full, px in zip(size0_px, size_px, strict=True))
    if low >= high:
        return None
    ratio = max(zip(size_px, size0_px, strict=True))
    longer = max(ratio[1] / ratio[0], 1.0)
    power = 2.0 ** round(float(np.log2(longer)))
    for whole in (power, float(round(longer))):
        if low < whole < high:
            return whole
    return min(max(longer, low), high)
