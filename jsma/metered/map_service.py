"""The metered way to a slide's feature map: read once, kept by the store, charged to each run that uses it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from jsma.meter import Counters
from jsma.metered.blame import blamed
from jsma.metered.feature_map import BLOCK_PX, FeatureMap, MapFrame, map_frame
from jsma.metered.services import Desk
from jsma.metered.store import UnitCost
from jsma.metered.view import SlideView
from jsma.slides import ReadCost, Regions

TOGETHER = 4
"""Squares that are read in one call: bounded memory. Costs are planned in the same parts."""


@dataclass(frozen=True)
class MapSource:
    """A slide as its map is read.

    Attributes:
        id: its name in the meter.
        key: its name in the store, "" where it is not to be kept.
        view: what the run remembers of it; `paid[-1]` says whether the map is paid for.
        desk: services of the pass.
        read: regions to pixels uint8 [n, h, w, 3] and what reading them cost; timed as "read".
        plan_cost: regions to what reading them would cost.
    """

    id: str
    key: str
    view: SlideView
    desk: Desk
    read: Callable[[Regions], tuple[np.ndarray, ReadCost]]
    plan_cost: Callable[[Regions], ReadCost]


def charged_map(slide: MapSource) -> FeatureMap:
    """The feature map of `slide`; see `MeteredSlide.feature_map`."""
    view, settings = slide.view, slide.desk.view
    frame = map_frame(view.grid, view.mask, settings.map_mpp, settings.map_max_px)
    with blamed(slide.id):
        blocks = _fresh(slide, frame) if slide.desk.store is None else _stored(slide, frame)
    return frame.assemble(blocks, view.grid)


def _fresh(slide: MapSource, frame: MapFrame) -> Tensor:
    blocks, cost, _ = _compute(slide, frame)
    _count(slide, frame, cost)
    return blocks


def _stored(slide: MapSource, frame: MapFrame) -> Tensor:
    """As `_fresh`, through the store: what the run has not paid for is charged at its whole price, once."""
    desk, paid, n = slide.desk, slide.view.paid, len(frame.read)
    store = desk.store
    assert store is not None
    side, dim = desk.map_side(BLOCK_PX), desk.encoder.dim
    key, index = slide.key and f"{slide.key}-map{frame.mpp!r}", frame.pixels(side)
    rows, lacking = store.get(key, index)
    cost = ReadCost()
    if lacking.any():
        blocks, cost, unit = _compute(slide, frame)
        rows = blocks.permute(0, 2, 3, 1).reshape(-1, dim).cpu().numpy()
        store.note(key, unit)
        store.put(key, frame.rows * frame.columns * side * side, index, rows)
    elif not paid[-1]:
        cost = sum((slide.plan_cost(part) for part in _parts(frame.regions)), ReadCost())
        desk.meter.charge("read", store.price.read_charge_s(cost.tiles))
        desk.meter.charge("encode", store.price.encode_charge_s(_as_patches(slide, n)))
    if not paid[-1]:
        _count(slide, frame, cost)
        paid[-1] = True
    return torch.from_numpy(rows).to(desk.device).view(n, side, side, dim).permute(0, 3, 1, 2)


@torch.no_grad()
def _compute(slide: MapSource, frame: MapFrame) -> tuple[Tensor, ReadCost, UnitCost]:
    """Read and encode the squares, one a pass, so that no feature depends on what is encoded beside it.

    Returns:
        Features float32 [n, dim, side, side], what was decoded, and what it took.
    """
    meter, desk, unit, cost, blocks = slide.desk.meter, slide.desk, UnitCost(), ReadCost(), []
    for part in _parts(frame.regions):
        start = time.perf_counter()
        pixels, own = slide.read(part)
        unit, cost = unit + UnitCost.of_read(time.perf_counter() - start, own), cost + own
        start = time.perf_counter()
        with meter.stage("encode"):
            squares = torch.from_numpy(pixels).to(desk.device)
            blocks += [desk.encoder.spatial(square[None]) for square in squares]
        unit += UnitCost(
            encode_s=time.perf_counter() - start, patches=_as_patches(slide, len(part)), flops=_flops(slide, len(part))
        )
    return torch.cat(blocks), cost, unit


def _as_patches(slide: MapSource, squares: int) -> int:
    """As many patches as have the area of `squares`: encoding them is priced together with patches."""
    return max(1, squares * BLOCK_PX**2 // slide.desk.view.patch_px**2)


def _flops(slide: MapSource, squares: int) -> int:
    return squares * slide.desk.flops_per_patch(BLOCK_PX, BLOCK_PX)


def _parts(regions: Regions) -> list[Regions]:
    """The squares in the groups that are read together."""
    n, height_px, width_px = len(regions.mpp), regions.height_px, regions.width_px
    return [
        Regions(regions.centre0[i : i + TOGETHER], regions.mpp[i : i + TOGETHER], height_px, width_px)
        for i in range(0, n, TOGETHER)
    ]


def _count(slide: MapSource, frame: MapFrame, cost: ReadCost) -> None:
    """Count the squares as pixels, tiles, bytes and operations; they are no patches."""
    n = len(frame.read)
    slide.desk.meter.count(slide.id, Counters.of_read(cost, n * BLOCK_PX * BLOCK_PX, _flops(slide, n)))
