"""What a slide shows at first sight: its overview, where tissue is, and which patches can be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from jsma.cells.grid import OVERVIEW_MAX_PX, OVERVIEW_MIN_PX, OVERVIEW_MPP, CellGrid, overview_frame
from jsma.cells.tissue import cell_mask, tissue_mask
from jsma.checked import Mpp, Mpps, Share, checked, in_order
from jsma.slides import ReadCost, Slide, SlideError

BLOCK_CELLS = 32
"""Side of what is read in one call, in cells of the finest magnification (`blocks_of`)."""


@dataclass
class SlideView:
    """What a run remembers of a slide that it has looked at. All of it was paid for.

    Attributes:
        grid: The K cells where a patch may be read.
        overview: The whole slide, small: RGB, uint8 [h, w, 3].
        mask: Which cells hold enough tissue, bool [K].
        pools: Per magnification, the area weights (Wy [rows, h], Wx [columns, w]) from overview to cells.
        paid: Which features this run has paid for, bool [K + 2]: those of the cells, of the overview and its map.
    """

    grid: CellGrid
    overview: np.ndarray
    mask: Tensor
    pools: list[tuple[Tensor, Tensor]]
    paid: np.ndarray


def look_at(slide: Slide, view: ViewSettings) -> tuple[SlideView, ReadCost]:
    """Read the overview of `slide` and lay the grid of patches over it.

    Returns:
        The view, and what reading cost.

    Raises:
        SlideError: The overview would be a line, every magnification is finer than the slide, or no tissue is seen.
    """
    info = slide.info
    size0, sizes = (info.width0_px, info.height0_px), (view.overview_mpp, view.overview_max_px, view.overview_min_px)
    try:
        mpp, width_px, height_px = overview_frame(size0, info.mpp, *sizes)
    except ValueError as error:
        raise SlideError(f"{info.path}: {error}") from error
    overview, cost = slide.read_whole(mpp, width_px, height_px)
    mpps = view.read_at(info.mpp)
    if not mpps:
        raise SlideError(f"{info.path}: {view.why_too_fine(info.mpp)}")
    grid = CellGrid(*size0, info.mpp, view.mpps, view.patch_px, strides=view.strides)
    px0 = (mpp / info.mpp, mpp / info.mpp)
    tissue = tissue_mask(overview)
    mask = cell_mask(tissue, grid, view.min_tissue, px0)
    mask = torch.from_numpy(np.asarray(mask, bool))
    for m, part in enumerate(grid.slices):
        if view.mpps[m] not in mpps:
            mask[part] = False
    if not mask.any():
        raise SlideError(f"{info.path}: {view.why_empty(tissue)}")
    pools = [(torch.from_numpy(wy), torch.from_numpy(wx)) for wy, wx in grid.pools((height_px, width_px), px0)]
    return SlideView(grid, overview, mask, pools, np.zeros(grid.n_cells + 2, bool)), cost


def blocks_of(grid: CellGrid, cells: np.ndarray) -> list[np.ndarray]:
    """Split cells into blocks that are read in one call each, so that memory is bounded and few tiles are cut.

    A block is a square of `BLOCK_CELLS` of the smallest cells, with all its magnifications. Cutting a large bag row by
    row, or by magnification, would decode the same tiles again for every part.

    Args:
        grid: The cells of the slide.
        cells: Distinct flat indices [n]; `BLOCK_CELLS` or fewer stay together.

    Returns:
        The blocks, arrays of flat indices; none is empty.
    """
    if len(cells) <= BLOCK_CELLS:
        return [cells] if len(cells) else []
    column, row = (grid.centres0(cells) // (BLOCK_CELLS * min(grid.cell0))).T
    order = np.lexsort((column, row))
    ends = np.flatnonzero((np.diff(row[order]) != 0) | (np.diff(column[order]) != 0)) + 1
    return np.split(cells[order], ends)


@checked
class ViewSettings:
    """How a slide is looked at.

    Attributes:
        mpps: Magnifications in um per patch pixel, fine to coarse.
        patch_px: Side of a patch in pixels, 1 to 4096.
        overlap_from_mpp: At this magnification and coarser ones, patches lie half a side apart. What is nearly as
            large as a patch then lies whole in one of them. Such patches are few.
        overview_mpp: um per pixel of the overview.
        overview_max_px: Longest side of the overview in pixels, 64 to 8192. The overview is made coarser to keep to
            it, so that its cost does not grow with the slide.
        overview_min_px: Shortest side of the overview in pixels, 5 to 1024. The overview is made finer to keep to it
            (small photos), unless overview_max_px stands against that.
        min_tissue: Share of a patch that must be tissue for the patch to be read, 0 to 1.
        map_mpp: um per pixel at which the encoder's feature map is read, for strategies that ask for one.
        map_max_px: Longest side of what that map is read from, 64 to 65536. It is made coarser to keep to it.
    """

    mpps: Mpps = (0.5, 1.0, 2.0, 4.0)
    patch_px: Annotated[int, Field(ge=1, le=4096)] = 64
    overlap_from_mpp: Mpp = 2.0
    overview_mpp: Mpp = OVERVIEW_MPP
    overview_max_px: Annotated[int, Field(ge=64, le=8192)] = OVERVIEW_MAX_PX
    overview_min_px: Annotated[int, Field(ge=5, le=1024)] = OVERVIEW_MIN_PX
    min_tissue: Share = 0.25
    map_mpp: Mpp = 4.0
    map_max_px: Annotated[int, Field(ge=64, le=65536)] = 4096

    def __post_init__(self) -> None:
        in_order(self.mpps)

    def read_at(self, mpp0: float) -> tuple[float, ...]:
        """List the magnifications at which a slide of `mpp0` um per level-0 pixel is read: none finer than itself."""
        return tuple(m for m in self.mpps if m * 1.02 >= mpp0)

    def why_too_fine(self, mpp0: float) -> str:
        """Say why a slide of `mpp0` um per level-0 pixel is read at none of mpps, and what to do."""
        asked = ", ".join(f"{mpp:g}" for mpp in self.mpps)
        return (
            f"all of mpps, {asked} um/px, are finer than the slide's {mpp0:.3g}; set mpps to {mpp0:.3g} or coarser, "
            "or, if that scale is wrong, give the true one in the `mpp` column of the CSV"
        )

    def why_empty(self, tissue: np.ndarray) -> str:
        """Say why no patch of a slide may be drawn, and what to do; tissue: the mask of its overview, bool [h, w]."""
        height_px, width_px = tissue.shape
        if not tissue.any():
            return f"no tissue found on the overview ({width_px} x {height_px} px); leave the slide out"
        return (
            f"no patch of {self.patch_px} px lies on {self.min_tissue:.0%} tissue or more (of the overview "
            f"{tissue.mean():.0%} is tissue); lower min_tissue or patch_px"
        )

    @property
    def strides(self) -> tuple[float, ...]:
        """Distance of neighbouring patches as a share of their side, per magnification."""
        return tuple(0.5 if mpp >= self.overlap_from_mpp else 1.0 for mpp in self.mpps)
