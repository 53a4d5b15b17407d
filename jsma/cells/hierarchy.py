"""Cells inside cells."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from jsma.cells.grid import CellGrid


@lru_cache(maxsize=256)
def parents(grid: CellGrid, coarse: int) -> np.ndarray:
    """Find for every cell the cell of a coarser magnification that holds its centre.

    A finer grid may reach further beyond the slide. A centre out there counts to the last cell of `coarse`.

    Args:
        grid: The K cells of a slide.
        coarse: Index of the coarser magnification.

    Returns:
        Flat indices, int64 [K].
    """
    centres0 = grid.centres0(np.arange(grid.n_cells))
    rows, columns = grid.shapes[coarse]
    side = grid.cell0[coarse]
    column, row = np.clip(np.floor(centres0 / side).astype(np.int64), 0, (columns - 1, rows - 1)).T
    return grid.encode(np.full(grid.n_cells, coarse), row, column)
