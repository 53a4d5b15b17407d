"""Small slides for trainings of seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile


def two_colours(folder: Path, slides: int, side_px: int, tile_px: int = 64) -> None:
    """Slides of two colours in turn, of 1 um/px, and their labels.csv."""
    lines, rng = ["path,label"], np.random.default_rng(0)
    for i in range(slides):
        pixels = np.full((side_px, side_px, 3), (150 + 20 * (i % 2), 40, 90), np.uint8)
        pixels += rng.integers(0, 20, pixels.shape, dtype=np.uint8)
        tifffile.imwrite(
            folder / f"{i}.tif",
            pixels,
            photometric="rgb",
            tile=(tile_px, tile_px),
            resolution=(1e4, 1e4),
            resolutionunit="CENTIMETER",
        )
        lines.append(f"{i}.tif,{'ab'[i % 2]}")
    (folder / "labels.csv").write_text("\n".join(lines))
