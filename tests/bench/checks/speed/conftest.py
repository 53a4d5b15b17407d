"""A data folder with the gate's slides, made in a second instead of generated."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from bench.checks.speed.gauge.workload import Sizes


def tissue_like(side: int) -> np.ndarray:
    rng = np.random.default_rng(side)
    coarse = rng.integers(-40, 40, (side // 16, side // 16, 3))
    image = np.array([200, 120, 180]) + np.kron(coarse, np.ones((16, 16, 1), int))
    return image.clip(0, 255).astype(np.uint8)


def write_slide(path: Path, *levels: np.ndarray) -> None:
    """A tiled JPEG pyramid at 0.5 um/px, each level a quarter of the side of the one before."""
    with tifffile.TiffWriter(path) as tif:
        for k, level in enumerate(levels):
            tif.write(
                np.ascontiguousarray(level),
                photometric="rgb",
                tile=(256, 256),
                compression="jpeg",
                subfiletype=int(k > 0),
                resolution=(20000 / 4**k,) * 2,
                resolutionunit=3,
                metadata=None,
            )


@pytest.fixture(scope="session")
def gate_data(tmp_path_factory) -> Path:
    data, sizes = tmp_path_factory.mktemp("gate"), Sizes()
    folder = data / f"gate-{sizes.large0_px}-{sizes.small0_px}"
    folder.mkdir()
    for name, side in (("large", sizes.large0_px), ("small0", sizes.small0_px), ("small1", sizes.small0_px)):
        image = tissue_like(side)
        write_slide(folder / f"{name}.tif", image, image[::4, ::4])
    return data
