"""Which parts of a slide hold tissue: a mask of the overview and of the cells. numpy and OpenCV only."""

from __future__ import annotations

import cv2
import numpy as np

from jsma.cells.grid import CellGrid

MIN_SATURATION = 0.06  # floor of the Otsu threshold, chroma (max-min)/255: blank glass stays blank
MIN_DENSITY = 0.03  # mean optical density (base 10) under which a pixel is glass
GREY_CHROMA = 3  # of 255: an overview without a pixel above it has no colour; under MIN_SATURATION, so no tissue by it
GLASS_DENSITY = 0.15  # of grey glass, at most: an overview whose brightest is darker is tissue everywhere
GREY_CONTRAST = 0.06  # density over that of grey glass that is tissue whatever Otsu says


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
    removed; single pixels are removed when the overview is at least 64 pixels on both sides. An overview without
    colour (a grey camera, one channel): what is darker than the glass, by Otsu within bounds.
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
    density = -np.log10((overview.astype(np.float32) + 1.0) / 256.0).mean(axis=2)
    if candidates.max() <= GREY_CHROMA:
        return _without_specks(_find_dark(overview, density, ink))
    otsu, _ = cv2.threshold(candidates.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    # Otsu on a slide that is tissue everywhere would cut the tissue in two, hence the ceiling
    threshold = float(np.clip(otsu, MIN_SATURATION * 255, 40.0))
    return _without_specks((chroma > threshold) & (density > MIN_DENSITY) & ~ink)


def _find_dark(overview: np.ndarray, density: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Pixels darker than the glass, of an overview without colour."""
    grey = overview[..., 1]
    glass = min(float(np.percentile(density[~ink], 1)), GLASS_DENSITY)
    otsu, _ = cv2.threshold(grey[~ink].reshape(-1, 1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    over = -np.log10((otsu + 1.0) / 256.0) - glass
    return (density > glass + float(np.clip(over, MIN_DENSITY, GREY_CONTRAST))) & ~ink


def _without_specks(mask: np.ndarray) -> np.ndarray:
    """Without single pixels, where the overview is large enough for them to be specks."""
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
