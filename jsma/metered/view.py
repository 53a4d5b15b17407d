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
    """What a run remembers of a slide once it has been looked at: nothing that was not paid for."""

    grid: CellGrid
    overview: np.ndarray  # uint8 [h, w, 3]
    mask: Tensor  # bool [K], cells with tissue
    pools: list[tuple[Tensor, Tensor]]  # per magnification: (rows x h, columns x w) area weights
    paid: np.ndarray  # bool [K + 2]: cells, overview and feature map that this run has paid for


def look_at(slide: Slide, view: ViewSettings) -> tuple[SlideView, ReadCost]:
    """Read the overview of `slide` and lay the grid of patches over it; what reading cost.

    SlideError where the overview would be a line, every magnification is finer than the slide, or no tissue is seen.
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
    """Distinct `cells` [n] in blocks that are read in one call each: whole file tiles in bounded memory.

    A block is a square of `BLOCK_CELLS` of the smallest cells, all magnifications of a place together. Cutting a large
    bag row by row, or by magnification, would decode the same tiles again for every part.
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

    mpps: magnifications in um/px, fine to coarse; patch_px: side of a patch; overlap_from_mpp:
    from this magnification on (coarser or equal), patches lie half a side apart, so that what is nearly as large
    as a patch lies whole in one of them; such patches are few; overview_mpp: um/px of
    the overview, made coarser where its longer side would pass overview_max_px, so that its cost does
    not grow with the slide, and finer where its shorter side would fall under overview_min_px (small
    photos; overview_max_px goes before it); map_mpp: um/px at which the encoder's feature map is read, for strategies
    that ask for one, made coarser where the longer side would pass map_max_px; min_tissue: share of a cell that must
    be tissue for it to be allowed.
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
        """Those of mpps at which a slide of `mpp0` um per level-0 pixel is read: none finer than itself."""
        return tuple(m for m in self.mpps if m * 1.02 >= mpp0)

    def why_too_fine(self, mpp0: float) -> str:
        """Why a slide of `mpp0` um per level-0 pixel is read at none of mpps, and what to do."""
        asked = ", ".join(f"{mpp:g}" for mpp in self.mpps)
        return (
            f"all of mpps, {asked} um/px, are finer than the slide's {mpp0:.3g}; set mpps to {mpp0:.3g} or coarser, "
            "or, if that scale is wrong, give the true one in the `mpp` column of the CSV"
        )

    def why_empty(self, tissue: np.ndarray) -> str:
        """Why no patch of a slide may be drawn, and what to do; tissue: the mask of its overview, bool [h, w]."""
        height_px, width_px = tissue.shape
        if not tissue.any():
            return f"no tissue found on the overview ({width_px} x {height_px} px); leave the slide out"
        return (
            f"no patch of {self.patch_px} px lies on {self.min_tissue:.0%} tissue or more (of the overview "
            f"{tissue.mean():.0%} is tissue); lower min_tissue or patch_px"
        )

    @property
    def strides(self) -> tuple[float, ...]:
        """Per magnification, distance of neighbouring patches as a share of their side."""
        return tuple(0.5 if mpp >= self.overlap_from_mpp else 1.0 for mpp in self.mpps)
