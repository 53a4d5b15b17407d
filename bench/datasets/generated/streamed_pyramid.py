"""Bands of level 0 to a tiled pyramid of any size, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

TILE_PX = 256
STEP = 4  # between stored levels
BAND_PX = 512  # rows in memory at a time
BIG_PX = 1_600_000_000  # from here on the file may pass the 4 GB of a classic TIFF
LEAST_PX = 64  # short side of the coarsest level


@dataclass(frozen=True)
class Frame:
    """Level 0 of a slide that is to be written.

    Attributes:
        width_px: Of level 0.
        height_px: Of level 0.
        mpp: Micrometres per level-0 pixel.
        quality: Of the JPEG tiles, 1..100.
    """

    width_px: int
    height_px: int
    mpp: float
    quality: int


def level_sizes(width_px: int, height_px: int) -> list[tuple[int, int]]:
    """(width, height) in px of the stored levels 1, 1/4, 1/16 ..."""
    sizes = [(width_px, height_px)]
    while max(sizes[-1]) > TILE_PX and min(sizes[-1]) // STEP >= LEAST_PX:
        sizes.append((sizes[-1][0] // STEP, sizes[-1][1] // STEP))
    return sizes


def write_bands(bands: Iterator[np.ndarray], frame: Frame, target: Path, scratch: Path) -> None:
    """Write a tiled JPEG pyramid with levels 1, 1/4, 1/16 ...

    The lower levels are block means of the light. They are kept in scratch files until they are written.

    Args:
        bands: uint8 [BAND_PX, width_px, 3] from the top down; the last one may be lower.
        frame: Size, scale and quality.
        target: The file to write.
        scratch: An existing folder for the lower levels, which the caller removes.
    """
    sizes = level_sizes(frame.width_px, frame.height_px)
    with tifffile.TiffWriter(target, bigtiff=frame.width_px * frame.height_px > BIG_PX) as writer:
        for k, (width, height) in enumerate(sizes):
            lower = _reserved(scratch / f"{k}.raw", sizes[k + 1]) if k + 1 < len(sizes) else None
            writer.write(
                _tiles(bands, width, lower),
                shape=(height, width, 3),
                dtype=np.uint8,
                photometric="rgb",
                tile=(TILE_PX, TILE_PX),
                compression="jpeg",
                compressionargs={"level": frame.quality},
                subfiletype=int(k > 0),
                resolution=(1e4 / (frame.mpp * frame.width_px / width), 1e4 / (frame.mpp * frame.height_px / height)),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
            if lower is not None:
                bands = _stored(lower)


def _reserved(path: Path, size: tuple[int, int]) -> np.ndarray:
    """uint8 in a file whose room on the disk is taken now: a full disk met later, in memory, would end the process."""
    shape = (size[1], size[0], 3)
    with path.open("wb") as handle:
        os.posix_fallocate(handle.fileno(), 0, int(np.prod(shape)))
    return np.memmap(path, np.uint8, "r+", shape=shape)


def _stored(level: np.ndarray) -> Iterator[np.ndarray]:
    for y0 in range(0, len(level), BAND_PX):
        yield np.asarray(level[y0 : y0 + BAND_PX])


def _tiles(bands: Iterator[np.ndarray], width: int, lower: np.ndarray | None) -> Iterator[np.ndarray]:
    """Tiles of the level in file order; fills `lower` with block means on the way."""
    row = 0
    for band in bands:
        if lower is not None:
            rows, columns = len(band) // STEP, lower.shape[1]
            end = min(row + rows, len(lower))
            lower[row:end] = block_mean(band[: rows * STEP, : columns * STEP])[: end - row]
            row += rows
        for y in range(0, len(band), TILE_PX):
            for x in range(0, width, TILE_PX):
                tile = np.full((TILE_PX, TILE_PX, 3), 255, np.uint8)
                part = band[y : y + TILE_PX, x : x + TILE_PX]
                tile[: part.shape[0], : part.shape[1]] = part
                yield tile


def block_mean(pixels: np.ndarray) -> np.ndarray:
    """uint8 [h / STEP, w / STEP, 3]: means of blocks of STEP x STEP pixels, halves rounded to even; integers only."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height // STEP, STEP, width, 3)
    total = sum((rows[:, k] for k in range(1, STEP)), rows[:, 0].astype(np.uint16))
    columns = total.reshape(height // STEP, width // STEP, STEP, 3)
    total = sum((columns[:, :, k] for k in range(1, STEP)), columns[:, :, 0].copy())
    whole, rest = np.divmod(total, STEP * STEP)
    half = STEP * STEP // 2
    return (whole + ((rest > half) | ((rest == half) & (whole % 2 == 1)))).astype(np.uint8)
