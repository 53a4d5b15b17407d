"""Cells inside cells, and the estimate of an expectation of expectations."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from jsma.cells.grid import CellGrid


@lru_cache(maxsize=256)
def parents(grid: CellGrid, coarse: int) -> np.ndarray:
    """For every cell of the grid, the cell of magnification `coarse` that holds its centre: flat indices, int64 [K].

    A centre beyond the last cell of `coarse` (the finer grid overhangs the slide further) counts to that last cell.
    """
    centres0 = grid.centres0(np.arange(grid.n_cells))
    rows, columns = grid.shapes[coarse]
    side = grid.cell0[coarse]
    column, row = np.clip(np.floor(centres0 / side).astype(np.int64), 0, (columns - 1, rows - 1)).T
    return grid.encode(np.full(grid.n_cells, coarse), row, column)
