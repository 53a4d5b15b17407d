"""Which parts of a slide hold tissue: a mask of the overview, and one of the cells."""

from __future__ import annotations

import cv2
import numpy as np

from jsma.cells.grid import CellGrid

MIN_SATURATION = 0.06  # floor of the Otsu threshold on chroma (max - min) / 255, so that blank glass stays blank
MIN_DENSITY = 0.03  # mean optical density (base 10) under which a pixel is glass
GREY_CHROMA = 3  # of 255: an overview with no pixel above it has no colour
GLASS_DENSITY = 0.15  # highest density of grey glass; an overview whose brightest pixels are darker is all tissue
GREY_CONTRAST = 0.06  # whatever is denser than grey glass by this is tissue, whatever Otsu says


def ink_mask(overview: np.ndarray) -> np.ndarray:
    """Find pen ink by a rule of thumb: strong blue, strong green or black.

    Haematoxylin is purple, with red above green. Ink is blue or green, and red is clearly its lowest channel.

    Args:
        overview: RGB, uint8 [h, w, 3].

    Returns:
        Bool [h, w].
    """
    r, g, b = (overview[..., c].astype(np.int16) for c in range(3))
    blue = (b - r > 70) & (g - r > 5) & (b > 90)
    blue |= (b - r > 110) & (b - g > 90)
    green = (g - r > 35) & (g - b > 10)
    black = np.max(overview, axis=2) < 45
    return blue | green | black


def tissue_mask(overview: np.ndarray) -> np.ndarray:
    """Find the tissue on an overview.

    Tissue has a chroma above the Otsu threshold, which is computed without the ink and has a floor, and some optical
    density. Pen ink is removed, and so are single pixels where both sides of the overview have at least 64. On an
    overview without colour (a grey camera), tissue is what is darker than the glass, by Otsu within bounds.
    Source: Otsu, IEEE Trans. SMC 1979, on chroma as is usual for H&E.

    Args:
        overview: RGB, uint8 [h, w, 3].

    Returns:
        Bool [h, w].

    Raises:
        ValueError: The overview has another shape or type.
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
    """Find the pixels that are darker than the glass, on an overview without colour."""
    grey = overview[..., 1]
    glass = min(float(np.percentile(density[~ink], 1)), GLASS_DENSITY)
    otsu, _ = cv2.threshold(grey[~ink].reshape(-1, 1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    over = -np.log10((otsu + 1.0) / 256.0) - glass
    return (density > glass + float(np.clip(over, MIN_DENSITY, GREY_CONTRAST))) & ~ink


def _without_specks(mask: np.ndarray) -> np.ndarray:
    """Remove single pixels, where the overview is so large that they are specks."""
    if min(mask.shape) >= 64:
        mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    return mask


def cell_mask(
    mask: np.ndarray, grid: CellGrid, min_share: float = 0.25, px0: tuple[float, float] | None = None
) -> np.ndarray:
    """Find the cells that hold enough tissue.

    Args:
        mask: Tissue of the overview, bool [h, w].
        grid: The K cells of the slide.
        min_share: Least share of a cell that is tissue, 0 to 1. A cell without any tissue never counts.
        px0: (height, width) of an overview pixel in level-0 pixels; None: the overview covers the slide exactly.

    Returns:
        Bool [K]. All may be False; the caller decides what that means.
    """
    keep = np.zeros(grid.n_cells, dtype=bool)
    tissue = mask.astype(np.float32)
    pools = grid.pools((mask.shape[0], mask.shape[1]), px0)
    for where, (wy, wx) in zip(grid.slices, pools, strict=True):
        share = (wy @ tissue @ wx.T).reshape(-1)
        keep[where] = (share >= min_share - 1e-6) & (share > 0)
    return keep
