"""Cells inside cells, and the estimate of an expectation of expectations."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from torch import Tensor

from jsma.estimators import estimate
from jsma.grid import CellGrid


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


def nested_estimate(a_regions: Tensor, inner: Tensor, name: str = "with-replacement") -> Tensor:
    """Estimate sum_c a_c sum_j b_j|c f_j [...] from regions drawn with replacement, each with an estimate inside.

    a_regions: probabilities [R] of the regions drawn; inner: [R, ...], for every draw an estimate of the region's own
    sum_j b_j|c f_j from cells drawn there; name: another estimator for regions chosen otherwise. Unbiased in value and
    in the gradients to a, b and f where the inner estimates are, by the law of total expectation.
    Source: Kong & Henao, CVPR 2022 (arXiv 2106.02214), two-stage sampling.
    """
    flat = inner.reshape(len(inner), -1)
    return estimate(name, a_regions, flat).reshape(inner.shape[1:])
