"""An array to a tiled pyramidal TIFF."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import tifffile

from bench.files import replacing

TILE_PX = 256
QUALITY = 90  # JPEG quality, also stated in each file


def write_pyramid(image: np.ndarray, target: Path, mpp: float, quality: int, description: str | None = None) -> None:
    """Write an array as a tiled JPEG pyramid with levels 1, 1/2, 1/4 ... down to one tile.

    Args:
        image: uint8 RGB [h, w, 3].
        target: The file. It appears whole or not at all.
        mpp: Micrometres per pixel.
        quality: Of the JPEG, 1..100.
        description: Text for the file's ImageDescription.
    """
    with replacing(target) as temporary:
        _write_levels(image, temporary, mpp, quality, description)


def _write_levels(image: np.ndarray, path: Path, mpp: float, quality: int, description: str | None) -> None:
    level, scale = image, 1
    with tifffile.TiffWriter(path) as writer:
        while True:
            writer.write(
                level,
                photometric="rgb",
                tile=(TILE_PX, TILE_PX),
                compression="jpeg",
                compressionargs={"level": quality},
                subfiletype=0 if scale == 1 else 1,
                resolution=(1e4 / (mpp * scale), 1e4 / (mpp * scale)),
                resolutionunit="CENTIMETER",
                description=description if scale == 1 else None,
                metadata=None,
            )
            if max(level.shape[:2]) <= TILE_PX:
                break
            scale *= 2
            size = (-(-image.shape[1] // scale), -(-image.shape[0] // scale))
            level = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
