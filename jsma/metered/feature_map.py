"""The encoder's feature map of a whole slide at one coarse magnification: where it lies, and what it holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from jsma.cells.grid import CellGrid, area_weights
from jsma.networks.attention import Pool
from jsma.slides import Regions

BLOCK_PX = 256
"""Side of the squares that are read and encoded, in pixels of the map's magnification."""


@dataclass(frozen=True)
class FeatureMap:
    """What the encoder sees of a slide at one coarse magnification.

    Attributes:
        features: float32 [dim, rows, columns], as the encoder gives them, neither scaled nor normalised; 0 where
            nothing was read.
        pools: of each magnification (Wy [rows of cells, rows], Wx [columns of cells, columns]), which take the mean
            over each cell (`CellGrid.pools`).
    """

    features: Tensor
    pools: list[Pool]


@dataclass(frozen=True)
class MapFrame:
    """Squares of `BLOCK_PX` pixels over a slide, from its upper left corner; the last ones may overhang it.

    Attributes:
        mpp: um per pixel at which the squares are read.
        block0: side of a square in level-0 pixels.
        rows, columns: number of squares.
        read: flat indices of the squares in which some patch may be drawn, ascending int64 [n]; no other is read.
    """

    mpp: float
    block0: float
    rows: int
    columns: int
    read: tuple[int, ...]

    @cached_property
    def regions(self) -> Regions:
        """The squares that are read, in the order of `read`."""
        row, column = np.divmod(np.array(self.read, np.int64), self.columns)
        centres0 = np.stack([column + 0.5, row + 0.5], 1) * self.block0
        return Regions(centres0, np.full(len(self.read), self.mpp), BLOCK_PX, BLOCK_PX)

    def pixels(self, side: int) -> np.ndarray:
        """Where the features of the squares in `read` lie in the map of the whole slide.

        They are numbered square by square over the whole slide, so that the number of a feature does not depend on
        which squares are read.

        Args:
            side: of the feature map of a square, in its pixels.

        Returns:
            int64 [n * side * side], ascending.
        """
        within = np.arange(side * side)
        return (np.array(self.read, np.int64)[:, None] * side * side + within).ravel()

    def assemble(self, blocks: Tensor, grid: CellGrid) -> FeatureMap:
        """The map of the whole slide.

        Args:
            blocks: features [n, dim, side, side] of the squares in `read`.
            grid: the slide's cells.
        """
        n, dim, side, _ = blocks.shape
        laid = blocks.new_zeros(self.rows * self.columns, dim, side, side)
        laid[torch.tensor(self.read, device=blocks.device)] = blocks
        tiled = laid.view(self.rows, self.columns, dim, side, side).permute(2, 0, 3, 1, 4)
        features = tiled.reshape(dim, self.rows * side, self.columns * side)
        pixel0 = (self.block0 / side, self.block0 / side)
        weights = grid.pools((self.rows * side, self.columns * side), pixel0)
        return FeatureMap(features, [(torch.from_numpy(wy), torch.from_numpy(wx)) for wy, wx in weights])


def map_frame(grid: CellGrid, mask: Tensor, mpp: float, longest_px: int) -> MapFrame:
    """Lay the squares of a feature map over a slide.

    Args:
        grid: the slide's cells.
        mask: bool [K], the cells that may be drawn.
        mpp: um per pixel wanted. It is made coarser where the longer side of the slide would pass `longest_px`, so that
            the cost does not grow with the slide, and is never finer than the slide itself.
        longest_px: of the map's pixels as they are read.
    """
    longest_um = max(grid.width0_px, grid.height0_px) * grid.mpp0
    mpp = max(mpp, grid.mpp0, longest_um / longest_px)
    block0 = BLOCK_PX * mpp / grid.mpp0
    rows, columns = (max(1, math.ceil(side / block0 * (1 - 1e-9))) for side in (grid.height0_px, grid.width0_px))
    wanted = np.zeros((rows, columns), bool)
    for part, shape, cell0 in zip(grid.slices, grid.shapes, grid.cell0, strict=True):
        drawn = mask[part].numpy().reshape(shape).astype(np.float32)
        over_rows = area_weights(rows, block0, shape[0], cell0)
        over_columns = area_weights(columns, block0, shape[1], cell0)
        wanted |= over_rows @ drawn @ over_columns.T > 0
    return MapFrame(mpp, block0, rows, columns, tuple(np.flatnonzero(wanted).tolist()))
