"""Which parts of a slide hold tissue: a mask of the overview and of the cells. numpy and OpenCV only."""

from __future__ import annotations

import cv2
import numpy as np

from jsma.grid import CellGrid

MIN_SATURATION = 0.06  # floor of the Otsu threshold, chroma (max-min)/255: blank glass stays blank
MIN_DENSITY = 0.03  # mean optical density (base 10) under which a pixel is glass


def ink_mask(overview: np.ndarray) -> np.ndarray:
    """Pen ink: strong blue, strong green or black, bool [h, w] of uint8 RGB [h, w, 3]. A rule of thumb.

    Haematoxylin is purple (red above green), so ink is blue or green with red clearly the lowest channel.
    """
    r, g, b = (overview[..., c].astype(np.int16) for c in range(3))
    blue = (b - r > 70) & (g - r > 5) & (b > 90)
    blue |= (b - r > 110) & (b - g > 90)
    green = (g - r > 35) & (g - b > 10)
    black = np.max(overview, axis=2) < 45
    return blue | green | black


def tissue_mask(overview: np.ndarray) -> np.ndarray:
    """Tissue of an overview uint8 RGB [h, w, 3] -> bool [h, w].

    Chroma above its Otsu threshold (computed off the ink, with a floor) and some optical density; pen ink is
    removed; single pixels are removed when the overview is at least 64 pixels on both sides.
    ValueError for another shape or type.
    Source: Otsu, IEEE Trans. SMC 1979, on chroma as is usual for H&E.
    """
    if overview.ndim != 3 or overview.shape[2] != 3 or overview.dtype != np.uint8:
        raise ValueError(f"overview is {overview.dtype} {overview.shape}; allowed: uint8 [h, w, 3]")
    ink = ink_mask(overview)
    chroma = overview.max(axis=2) - overview.min(axis=2)
    candidates = chroma[~ink]
    if candidates.size == 0:
        return np.zeros(overview.shape[:2], dtype=bool)
    otsu, _ = cv2.threshold(candidates.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    # Otsu on a slide that is tissue everywhere would cut the tissue in two, hence the ceiling
    threshold = float(np.clip(otsu, MIN_SATURATION * 255, 40.0))
    density = -np.log10((overview.astype(np.float32) + 1.0) / 256.0).mean(axis=2)
    mask = (chroma > threshold) & (density > MIN_DENSITY) & ~ink
    if min(mask.shape) >= 64:
        mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    return mask


def cell_mask(
    mask: np.ndarray, grid: CellGrid, min_share: float = 0.25, px0: tuple[float, float] | None = None
) -> np.ndarray:
    """Cells whose tissue share is at least min_share (0..1) and above 0, bool [K], of mask bool [h, w].

    The share is by exact area pooling. px0: (height, width) of an overview pixel in level-0 pixels; None: the
    overview covers the slide exactly. All False when there is no such cell: the caller decides what that
    means.
    """
    keep = np.zeros(grid.n_cells, dtype=bool)
    tissue = mask.astype(np.float32)
    pools = grid.pools((mask.shape[0], mask.shape[1]), px0)
    for where, (wy, wx) in zip(grid.slices, pools, strict=True):
        share = (wy @ tissue @ wx.T).reshape(-1)
        keep[where] = (share >= min_share - 1e-6) & (share > 0)
    return keep
