"""Where a strategy looked on one slide: attention and drawn patches against evidence, edges and background.

A cell is in evidence where its centre is. A cell is at the slide's edge where it is in the first or last row or column
of its magnification (the last may overhang the slide), at the tissue's edge where it may be drawn and one of its four
neighbours of the same magnification may not, or is not there. Nothing here runs a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.datasets import SlideRecord
from bench.datasets.evidence import Evidence, annotation_exists, load_evidence
from bench.runs.layout import LOOKED
from jsma.cells.grid import CellGrid
from jsma.cells.tissue import tissue_mask

if TYPE_CHECKING:
    from baselines.contract import Outcome
    from jsma.metered import SlideView


def evidence_of(record: SlideRecord, grid: CellGrid) -> Evidence | None:
    """Evidence of a slide; None where it has no annotation, or an empty one."""
    if record.mask is None or not annotation_exists(record.mask):
        return None
    evidence = load_evidence(record.mask, grid.width0_px, grid.height0_px, record.scheme)
    return None if evidence.empty else evidence


def where_looked(view: SlideView, outcome: Outcome, evidence: Evidence | None) -> dict[str, float | None]:
    """Shares in 0..1, None where they do not apply.

    in_evidence: of the patches used; hit_evidence: 1 where any patch drawn is in evidence, else 0 (None where nothing
    is drawn). Of the attention: attention_in_evidence, attention_slide_edge, attention_tissue_edge, its mass on such
    cells; attention_background: sum of a times the share of the cell that is no tissue on the overview. None where a
    strategy gives no attention, those of evidence also where the slide has none.
    """
    found: dict[str, float | None] = dict.fromkeys(LOOKED)
    if evidence is not None and outcome.cells is not None and len(outcome.cells):
        inside = evidence.contains(view.grid.centres0(outcome.cells.cpu().numpy()))
        found["in_evidence"] = float(inside.mean())
        found["hit_evidence"] = None if outcome.p_magnification is None else float(inside.any())
    if outcome.attention is None:
        return found
    a = outcome.attention.detach().cpu().numpy().astype(float)
    if evidence is not None:
        centres0 = view.grid.centres0(np.arange(view.grid.n_cells))
        found["attention_in_evidence"] = float(a @ evidence.contains(centres0))
    found["attention_slide_edge"] = float(a @ slide_edge(view.grid))
    found["attention_tissue_edge"] = float(a @ tissue_edge(view.grid, view.mask.cpu().numpy()))
    found["attention_background"] = float(a @ (1 - tissue_share(view)))
    return found


def slide_edge(grid: CellGrid) -> np.ndarray:
    """Cells of the first and last row and column of each magnification, bool [K]."""
    edge = np.ones(grid.n_cells, bool)
    for part, shape in zip(grid.slices, grid.shapes, strict=True):
        edge[part].reshape(shape)[1:-1, 1:-1] = False
    return edge


def tissue_edge(grid: CellGrid, mask: np.ndarray) -> np.ndarray:
    """Cells of mask bool [K] with a neighbour (left, right, above, below) that is not of it, bool [K]."""
    edge = np.zeros(grid.n_cells, bool)
    for part, shape in zip(grid.slices, grid.shapes, strict=True):
        own = np.pad(mask[part].reshape(shape), 1)
        inner = own[:-2, 1:-1] & own[2:, 1:-1] & own[1:-1, :-2] & own[1:-1, 2:]
        edge[part] = (own[1:-1, 1:-1] & ~inner).reshape(-1)
    return edge


def tissue_share(view: SlideView) -> np.ndarray:
    """Share of each cell that is tissue on the overview, float [K] in 0..1."""
    tissue = tissue_mask(view.overview).astype(np.float32)
    shares = [wy.numpy() @ tissue @ wx.numpy().T for wy, wx in view.pools]
    return np.clip(np.concatenate([share.reshape(-1) for share in shares]), 0, 1)
