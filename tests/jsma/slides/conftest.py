"""Painted slides: x in red, y in green, level in blue, so that every misplaced pixel shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from threadpoolctl import threadpool_limits

SIDE_W, SIDE_H, TILE = 1024, 768, 128


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread():
    """Threads of BLAS that wait for each other on a busy machine make the naive resample 15 times slower."""
    with threadpool_limits(1, "blas"):
        yield


def halve(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    blocks = image[:height, :width].reshape(height // 2, 2, width // 2, 2, 3).astype(np.float64)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)


def painted() -> list[np.ndarray]:
    y, x = np.mgrid[0:SIDE_H, 0:SIDE_W]
    levels = [np.stack([x // 4, y // 4 + 20, np.full_like(x, 40)], axis=2).astype(np.uint8)]
    for blue in (80, 120):
        smaller = halve(halve(levels[-1]))
        smaller[..., 2] = blue
        levels.append(smaller)
    return levels


def write(path: Path, levels: list[np.ndarray], compression: str | None, mpp: float | None = 0.5, **more) -> Path:
    with tifffile.TiffWriter(path) as tif:
        for index, level in enumerate(levels):
            scale = None if mpp is None else 1e4 / (mpp * levels[0].shape[1] / level.shape[1])
            tif.write(
                level,
                photometric="rgb",
                tile=(TILE, TILE),
                compression=compression,
                subfiletype=int(index > 0),
                resolution=None if scale is None else (scale, scale),
                resolutionunit=None if scale is None else 3,
                metadata=None,
                **more,
            )
    return path


@pytest.fixture(scope="session")
def levels() -> list[np.ndarray]:
    return painted()


@pytest.fixture(scope="session", params=[None, "deflate", "jpeg"])
def slide(request, levels, tmp_path_factory) -> Path:
    more = {"compressionargs": {"level": 99}} if request.param == "jpeg" else {}
    return write(tmp_path_factory.mktemp("s") / f"{request.param}.tif", levels, request.param, **more)


@pytest.fixture
def jpeg(levels, tmp_path) -> Path:
    return write(tmp_path / "j.tif", levels, "jpeg")


@pytest.fixture
def paint():
    """The writer: paint(path, levels, compression, mpp=0.5)."""
    return write
