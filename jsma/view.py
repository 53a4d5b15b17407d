"""What a slide shows at first sight: its overview, where tissue is, and which patches can be read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from jsma.desk import ViewSettings
from jsma.grid import CellGrid, overview_frame
from jsma.slides import ReadCost, Regions, Slide, SlideError
from jsma.tissue import cell_mask, tissue_mask


@dataclass
class SlideView:
    """What a run remembers of a slide once it has been looked at: nothing that was not paid for."""

    grid: CellGrid
    overview: np.ndarray  # uint8 [h, w, 3]
    mask: Tensor  # bool [K], cells with tissue
    pools: list[tuple[Tensor, Tensor]]  # per magnification: (rows x h, columns x w) area weights
    paid: np.ndarray  # bool [K + 1], features this run has paid for


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
    scale0 = mpp / info.mpp
    centre0 = np.array([[width_px * scale0 / 2, height_px * scale0 / 2]])
    pixels, cost = slide.read(Regions(centre0, np.array([mpp]), width_px, height_px))
    overview = np.array(pixels[0])
    mpps = view.read_at(info.mpp)
    if not mpps:
        raise SlideError(f"{info.path}: {view.why_too_fine(info.mpp)}")
    grid = CellGrid(*size0, info.mpp, view.mpps, view.patch_px, strides=view.strides)
    px0 = (scale0, scale0)
    tissue = tissue_mask(overview)
    mask = cell_mask(tissue, grid, view.min_tissue, px0)
    mask = torch.from_numpy(np.asarray(mask, bool))
    for m, part in enumerate(grid.slices):
        if view.mpps[m] not in mpps:
            mask[part] = False
    if not mask.any():
        raise SlideError(f"{info.path}: {view.why_empty(tissue)}")
    pools = [(torch.from_numpy(wy), torch.from_numpy(wx)) for wy, wx in grid.pools((height_px, width_px), px0)]
    return SlideView(grid, overview, mask, pools, np.zeros(grid.n_cells + 1, bool)), cost


def blocks_of(grid: CellGrid, cells: np.ndarray, side_cells: int) -> list[np.ndarray]:
    """Distinct `cells` [n] in blocks that are read in one call each: whole file tiles in bounded memory.

    A block is a square of `side_cells` of the smallest cells, all magnifications of a place together. Cutting a large
    bag row by row, or by magnification, would decode the same tiles again for every part.
    """
    if len(cells) <= side_cells:
        return [cells] if len(cells) else []
    column, row = (grid.centres0(cells) // (side_cells * min(grid.cell0))).T
    order = np.lexsort((column, row))
    ends = np.flatnonzero((np.diff(row[order]) != 0) | (np.diff(column[order]) != 0)) + 1
    return np.split(cells[order], ends)
