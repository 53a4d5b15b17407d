"""The grid of cells where a patch may be read, at every magnification."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

OVERVIEW_MPP, OVERVIEW_MAX_PX, OVERVIEW_MIN_PX = 32.0, 256, 12  # see `ViewSettings`
SMALLEST_OVERVIEW_PX = 5  # of either side: what the attention network can take


def overview_frame(
    size0_px: tuple[int, int],
    mpp0: float,
    mpp: float = OVERVIEW_MPP,
    longest_px: int = OVERVIEW_MAX_PX,
    shortest_px: int = OVERVIEW_MIN_PX,
) -> tuple[float, int, int]:
    """Choose the scale and the size of a slide's overview.

    Args:
        size0_px: Width and height of the slide in level-0 pixels.
        mpp0: Micrometres per level-0 pixel.
        mpp: Micrometres per pixel of the overview, before the sides are looked at.
        longest_px: The overview is made coarser where its longer side would pass this.
        shortest_px: The overview is made finer where its shorter side would fall under this; longest_px goes first.

    Returns:
        Micrometres per pixel, at least mpp0; width and height in pixels, which may reach beyond the slide.

    Raises:
        ValueError: A side falls under 5 px; the message says why.
    """
    width_um, height_um = size0_px[0] * mpp0, size0_px[1] * mpp0
    finest = min(mpp, min(width_um, height_um) / shortest_px)
    mpp = max(finest, max(width_um, height_um) / longest_px, mpp0)
    width_px, height_px = math.ceil(width_um / mpp - 1e-6), math.ceil(height_um / mpp - 1e-6)
    if min(width_px, height_px) < SMALLEST_OVERVIEW_PX:
        why = "it is too small" if min(size0_px) < SMALLEST_OVERVIEW_PX else "it is too long, cut it into pieces"
        raise ValueError(
            f"a slide of {size0_px[0]}x{size0_px[1]} px has an overview of {width_px}x{height_px} px, "
            f"at least {SMALLEST_OVERVIEW_PX}x{SMALLEST_OVERVIEW_PX} are needed: {why}, or leave it out"
        )
    return mpp, width_px, height_px


@dataclass(frozen=True)
class CellGrid:
    """One grid of cells per magnification over a slide.

    Cell (i, j) of magnification m covers [j side, (j+1) side) x [i side, (i+1) side) level-0 pixels, where
    side = patch_px * mpps[m] / mpp0 * strides[m]. A patch is centred on its cell and keeps its size, so that with a
    stride below 1 neighbouring patches overlap. The last row and column may reach beyond the slide. The flat index
    goes through the cells magnification by magnification, and row by row inside each.

    Attributes:
        width0_px: Width of the slide in level-0 pixels.
        height0_px: Height of the slide in level-0 pixels.
        mpp0: Micrometres per level-0 pixel.
        mpps: Micrometres per patch pixel, one per magnification.
        patch_px: Side of a patch in patch pixels.
        strides: Per magnification, side of a cell as a share of the patch's field of view, in (0, 1]; () = 1 for all.

    Raises:
        ValueError: A size is not positive, or the strides do not fit.
    """

    width0_px: int
    height0_px: int
    mpp0: float
    mpps: tuple[float, ...]
    patch_px: int
    strides: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        sizes = (self.width0_px, self.height0_px, self.mpp0, self.patch_px, *self.mpps)
        if not self.mpps or min(sizes) <= 0:
            raise ValueError(f"CellGrid: every size must be positive and mpps not empty, got {self}")
        if self.strides and (len(self.strides) != len(self.mpps) or not all(0 < s <= 1 for s in self.strides)):
            raise ValueError(f"CellGrid: strides are {self.strides}; allowed: one in (0, 1] for each of {self.mpps}")

    @cached_property
    def cell0(self) -> tuple[float, ...]:
        """Side of a cell in level-0 pixels, per magnification."""
        strides = self.strides or (1.0,) * len(self.mpps)
        return tuple(self.patch_px * mpp / self.mpp0 * share for mpp, share in zip(self.mpps, strides, strict=True))

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(rows, columns) per magnification."""
        return tuple((_count(self.height0_px, c), _count(self.width0_px, c)) for c in self.cell0)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where each magnification lies in the flat index."""
        ends = np.cumsum([0, *(rows * cols for rows, cols in self.shapes)]).tolist()
        return tuple(slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True))

    @property
    def n_cells(self) -> int:
        """K, the number of cells of all magnifications."""
        return self.slices[-1].stop

    @cached_property
    def path(self) -> np.ndarray:
        """All cells, int64 [K], magnification by magnification along a Hilbert curve, on which neighbours touch."""
        return np.concatenate(
            [part.start + np.argsort(_hilbert(*shape)) for part, shape in zip(self.slices, self.shapes, strict=True)]
        )

    def decode(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Find (magnification, row, column) of flat indices [n], int64 [n] each; ValueError outside 0..K-1."""
        flat = np.asarray(indices, dtype=np.int64)
        if flat.size and (flat.min() < 0 or flat.max() >= self.n_cells):
            raise ValueError(f"cell index {flat.min()}..{flat.max()}; allowed: 0..{self.n_cells - 1}")
        starts = np.array([s.start for s in self.slices], dtype=np.int64)
        cols = np.array([c for _, c in self.shapes], dtype=np.int64)
        m = np.searchsorted(starts, flat, side="right") - 1
        row, col = np.divmod(flat - starts[m], cols[m])
        return m, row, col

    def encode(self, m: np.ndarray, row: np.ndarray, col: np.ndarray) -> np.ndarray:
        """Find the flat indices, int64 [n], of (magnification, row, column) [n] each; the inverse of `decode`."""
        m = np.asarray(m, dtype=np.int64)
        starts = np.array([s.start for s in self.slices], dtype=np.int64)
        cols = np.array([c for _, c in self.shapes], dtype=np.int64)
        return starts[m] + np.asarray(row) * cols[m] + np.asarray(col)

    def centres0(self, indices: np.ndarray) -> np.ndarray:
        """Find the centres (x, y) of flat indices [n] in level-0 pixels, float64 [n, 2]."""
        m, row, col = self.decode(indices)
        side = np.asarray(self.cell0, dtype=np.float64)[m]
        return np.stack([(col + 0.5) * side, (row + 0.5) * side], axis=1)

    def mpp_of(self, indices: np.ndarray) -> np.ndarray:
        """Find the micrometres per patch pixel of flat indices [n], float64 [n]."""
        return np.asarray(self.mpps, dtype=np.float64)[self.decode(indices)[0]]

    def pools(
        self, overview_shape: tuple[int, int], px0: tuple[float, float] | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Compute the weights that pool an overview onto the cells, by area.

        Args:
            overview_shape: Height h and width w of the overview in pixels.
            px0: (height, width) of an overview pixel in level-0 pixels, for an overview that reaches beyond the slide.
                None: the overview covers the slide exactly.

        Returns:
            Per magnification (Wy [rows, h], Wx [columns, w]), float32, whose rows sum to 1.
        """
        h, w = overview_shape
        py, px = px0 if px0 is not None else (self.height0_px / h, self.width0_px / w)
        return [
            (area_weights(rows, side, h, py), area_weights(cols, side, w, px))
            for (rows, cols), side in zip(self.shapes, self.cell0, strict=True)
        ]


def _hilbert(rows: int, cols: int) -> np.ndarray:
    """Find the position of each cell on the Hilbert curve through a square that holds the grid, int64 [rows * cols]."""
    y, x = (axis.ravel() for axis in np.indices((rows, cols)))
    position = np.zeros(rows * cols, np.int64)
    half = 1 << max(rows - 1, cols - 1).bit_length() >> 1
    while half:
        right, down = (x & half) > 0, (y & half) > 0
        position += half * half * ((3 * right) ^ down)
        # the quarter's own curve is the whole one, turned: into the frame in which it is not
        turned = ~down
        x, y = np.where(turned & right, half - 1 - x, x), np.where(turned & right, half - 1 - y, y)
        x, y = np.where(turned, y, x) & (half - 1), np.where(turned, x, y) & (half - 1)
        half >>= 1
    return position


def _count(length0_px: float, cell0_px: float) -> int:
    """Count the cells that cover a length; a relative 1e-9 keeps rounding from adding an empty cell."""
    return max(1, math.ceil(length0_px / cell0_px * (1 - 1e-9)))


def area_weights(n_cells: int, fov0: float, n_px: int, px0: float) -> np.ndarray:
    """Compute exactly how cells overlap overview pixels along one axis.

    Cell i covers [i fov0, (i+1) fov0), overview pixel p covers [p px0, (p+1) px0).

    Args:
        n_cells: Number of cells.
        fov0: Length of a cell in level-0 pixels.
        n_px: Number of overview pixels.
        px0: Length of an overview pixel in level-0 pixels.

    Returns:
        Weights, float32 [n_cells, n_px], whose rows sum to 1. A cell that touches no pixel, by rounding at the far
        edge, takes the nearest one.
    """
    left = np.arange(n_cells, dtype=np.float64)[:, None] * fov0
    start = np.arange(n_px, dtype=np.float64)[None, :] * px0
    overlap = np.minimum(left + fov0, start + px0) - np.maximum(left, start)
    overlap = np.clip(overlap, 0.0, None)
    total = overlap.sum(axis=1)
    for cell in np.flatnonzero(total <= 1e-9 * fov0):
        overlap[cell] = 0.0
        overlap[cell, min(n_px - 1, int((cell + 0.5) * fov0 / px0))] = 1.0
    return (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)
