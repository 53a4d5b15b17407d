"""Small images in the formats of published datasets."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import tifffile

SIDE_W, SIDE_H = 384, 288


def tissue(seed: int, width: int = SIDE_W, height: int = SIDE_H) -> np.ndarray:
    """Pink noise on white glass, uint8 [h, w, 3]: enough for tissue to be found."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 90, (height // 16 + 2, width // 16 + 2)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    noise = rng.integers(0, 25, (height, width))
    base = np.stack([225 - 0.3 * smooth, 150 - smooth, 190 - 0.6 * smooth], axis=2) - noise[..., None]
    base[: height // 8] = 244
    return base.clip(0, 255).astype(np.uint8)


def photo(path: Path, seed: int, kind: str = "16 bit") -> None:
    """A BACH photo: uncompressed strips, no tiles. kind: "16 bit", "two pages" or "8 bit"."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = tissue(seed)
    common = {"photometric": "rgb", "compression": None, "rowsperstrip": 16, "metadata": None}
    with tifffile.TiffWriter(path) as tif:
        tif.write(pixels.astype(np.uint16) * 257 if kind == "16 bit" else pixels, **common)
        if kind == "two pages":
            tif.write(np.zeros_like(pixels), **common)


def pyramid(path: Path, seed: int, mpp: float | None = 0.5, factor: int = 4, levels: int = 2, size=(512, 384)) -> None:
    """A tiled JPEG pyramid, as CAMELYON16 and PANDA are distributed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = tissue(seed, *size)
    with tifffile.TiffWriter(path) as tif:
        for k in range(levels):
            level = cv2.resize(image, (size[0] // factor**k, size[1] // factor**k), interpolation=cv2.INTER_AREA)
            scale = {} if mpp is None else {"resolution": (1e4 / mpp / factor**k,) * 2, "resolutionunit": 3}
            tif.write(
                level,
                photometric="rgb",
                tile=(128, 128),
                compression="jpeg",
                subfiletype=int(k > 0),
                compressionargs={"level": 90},
                metadata=None,
                **scale,
            )


def svs(path: Path, seed: int, mpp: float = 0.5, size=(512, 384)) -> None:
    """An Aperio slide: level 0, a thumbnail in strips, level 1, as scanners write them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = tissue(seed, *size)
    small = cv2.resize(image, (size[0] // 4, size[1] // 4), interpolation=cv2.INTER_AREA)
    about = f"Aperio Image Library v12.0.15\r\n{size[0]}x{size[1]} (256x256) JPEG/RGB Q=70|AppMag = 20|MPP = {mpp}"
    with tifffile.TiffWriter(path) as tif:
        common = {"photometric": "rgb", "compression": "jpeg", "compressionargs": {"level": 90}, "metadata": None}
        tif.write(image, tile=(128, 128), description=about, **common)
        tif.write(small, rowsperstrip=16, description=about, **common)
        tif.write(small, tile=(128, 128), description=about, **common)
