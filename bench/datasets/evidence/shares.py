"""How much of every patch is evidence, for the strategies that declare that they use it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import shapely

from baselines.contract import Strategy
from bench.datasets.contract import SlideRecord
from bench.datasets.evidence.files import annotation_exists
from bench.datasets.evidence.load import load_evidence
from bench.datasets.evidence.regions import Evidence
from bench.errors import UsageError
from jsma.cells.grid import CellGrid
from jsma.metered import EvidenceOf


def patch_shares(evidence: Evidence, grid: CellGrid) -> np.ndarray:
    """Compute the share of every patch that is evidence of any kind.

    Patches of overlapping cells overlap. The part of a patch outside the slide holds no evidence.

    Args:
        evidence: Of the slide.
        grid: Its K cells.

    Returns:
        float64 [K], 0..1.
    """
    centres0 = grid.centres0(np.arange(grid.n_cells))
    half0 = grid.mpp_of(np.arange(grid.n_cells)) / grid.mpp0 * grid.patch_px / 2
    boxes = shapely.box(*(centres0 - half0[:, None]).T, *(centres0 + half0[:, None]).T)
    parts = shapely.get_parts(evidence.union)
    tree = shapely.STRtree(boxes)
    share = np.zeros(grid.n_cells)
    share[tree.query(parts, predicate="contains")[1]] = 1.0
    part, box = tree.query(parts, predicate="intersects")
    part, box = part[share[box] < 1], box[share[box] < 1]  # most boxes lie inside: only the others are cut
    np.add.at(share, box, shapely.area(shapely.intersection(parts[part], boxes[box])) / (2 * half0[box]) ** 2)
    return share.clip(0.0, 1.0)


@lru_cache(maxsize=64)  # a sweep asks for the same slide at every budget
def _shares(mask: str, scheme: str | None, grid: CellGrid) -> np.ndarray | None:
    evidence = load_evidence(mask, grid.width0_px, grid.height0_px, scheme)
    return None if evidence.empty else patch_shares(evidence, grid)


def evidence_for(strategy: type[Strategy], record: SlideRecord) -> EvidenceOf | None:
    """Prepare what `MeteredSlide.evidence` hands to a strategy.

    Args:
        strategy: The class.
        record: The slide.

    Returns:
        A function from a grid to the shares of its patches, or to None where nothing is annotated. None where the
        strategy does not declare that it uses evidence.
    """
    if not strategy.uses_evidence:
        return None
    path = _file_for(strategy, record)

    def find(grid: CellGrid) -> np.ndarray | None:
        return _shares(path, record.scheme, grid) if path is not None and annotation_exists(path) else None

    return find


def _file_for(strategy: type[Strategy], record: SlideRecord) -> str | None:
    return record.sites if strategy.evidence_from == "sites" else record.mask


def offers(strategy: type[Strategy], records: Iterable[SlideRecord]) -> bool:
    """Tell whether the slides have what a strategy declares to use: one annotation at least, or all sites.

    Args:
        strategy: The class.
        records: The slides.

    Returns:
        True where they do, or where it uses no evidence.
    """
    if not strategy.uses_evidence:
        return True
    files = (_file_for(strategy, record) for record in records)
    there = (file is not None and annotation_exists(file) for file in files)
    return all(there) if strategy.evidence_from == "sites" else any(there)


def need_annotation(strategies: Iterable[type[Strategy]], dataset: str, records: Iterable[SlideRecord]) -> None:
    """UsageError where the slides do not have what one of the strategies declares to use."""
    records = list(records)
    for strategy in strategies:
        if offers(strategy, records):
            continue
        if strategy.evidence_from == "sites":
            raise UsageError(
                f"{strategy.name} draws from the sites of generated slides, which {dataset} does not have; only the "
                "demo has them: leave it out of --strategies, or use --dataset demo"
            )
        raise UsageError(
            f"{strategy.name} draws from the evidence, and no slide of {dataset} has an annotation; "
            "give some (column `annotation`), or leave it out of --strategies"
        )
