"""The only way in which pixels and features reach a strategy: through a meter.

A `Desk` holds what one pass shares (meter, encoder, store); `MeteredSlide` is one slide seen from it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from jsma.desk import Desk, ViewSettings
from jsma.errors import EvidenceRefusedError
from jsma.grid import CellGrid
from jsma.meter import Counters
from jsma.slides import ReadCost, Regions, Slide, SlideError
from jsma.tissue import cell_mask, tissue_mask

__all__ = ["Desk", "EvidenceOf", "EvidenceRefusedError", "MeteredSlide", "SlideView", "ViewSettings"]

BLOCK_CELLS = 32  # side of the square of cells read in one call: whole file tiles in bounded memory

EvidenceOf = Callable[[CellGrid], "np.ndarray | None"]
"""Of a slide's grid: the share of every patch that is evidence, 0..1 [K]; None where nothing is annotated."""


@dataclass
class SlideView:
    """What a run remembers of a slide once it has been looked at: nothing that was not paid for."""

    grid: CellGrid
    overview: np.ndarray  # uint8 [h, w, 3]
    mask: Tensor  # bool [K], cells with tissue
    pools: list[tuple[Tensor, Tensor]]  # per magnification: (rows x h, columns x w) area weights
    paid: np.ndarray  # bool [K + 1], features this run has paid for


class MeteredSlide:
    """One slide as a strategy sees it. Every pixel and every feature is counted by the desk's meter.

    id: name in the meter; open_it: opens the file (called at the first need); known: the view kept
    from an earlier pass of the same run, or None; evidence_of: where the label's evidence lies, given to strategies
    that say that they use it, None to all others.
    """

    def __init__(
        self, id: str, open_it: Callable[[], Slide], desk: Desk, known: SlideView | None = None,
        evidence_of: EvidenceOf | None = None,
    ):  # fmt: skip
        self.id, self._open_it, self._desk, self._evidence_of = id, open_it, desk, evidence_of
        self._evidence: list[Tensor | None] = []  # what was found, once it was looked for
        self._slide: Slide | None = None
        self._view = known

    # --- looking -----------------------------------------------------------------------------------
    def _open(self) -> Slide:
        if self._slide is None:
            with self._desk.meter.stage("open"):
                self._slide = self._open_it()
        return self._slide

    @property
    def view(self) -> SlideView:
        """Grid, overview, tissue mask and pools; read from the file at first use."""
        if self._view is None:
            self._view = self._look()
        return self._view

    def _look(self) -> SlideView:
        slide, view, meter = self._open(), self._desk.view, self._desk.meter
        info = slide.info
        with meter.stage("overview"):
            width_um, height_um = info.width0_px * info.mpp, info.height0_px * info.mpp
            finest = min(view.overview_mpp, min(width_um, height_um) / view.overview_min_px)
            mpp = max(finest, max(width_um, height_um) / view.overview_max_px, info.mpp)
            width_px, height_px = math.ceil(width_um / mpp - 1e-6), math.ceil(height_um / mpp - 1e-6)
            scale0 = mpp / info.mpp
            centre0 = np.array([[width_px * scale0 / 2, height_px * scale0 / 2]])
            pixels, cost = slide.read(Regions(centre0, np.array([mpp]), width_px, height_px))
            overview = np.array(pixels[0])
            mpps = tuple(m for m in view.mpps if m * 1.02 >= info.mpp)
            if not mpps:
                raise SlideError(
                    f"{info.path}: every magnification asked ({view.mpps} um/px) is finer than the slide's "
                    f"{info.mpp:.3g} um/px; ask for {info.mpp:.3g} or coarser"
                )
            size0 = (info.width0_px, info.height0_px)
            grid = CellGrid(*size0, info.mpp, view.mpps, view.patch_px, strides=view.strides)
            px0 = (scale0, scale0)
            mask = cell_mask(tissue_mask(overview), grid, view.min_tissue, px0)
            mask = torch.from_numpy(np.asarray(mask, bool))
            for m, part in enumerate(grid.slices):
                if view.mpps[m] not in mpps:
                    mask[part] = False
            if not mask.any():
                raise SlideError(
                    f"{info.path}: no tissue found on the overview ({width_px} x {height_px} px); "
                    "lower min_tissue, or leave the slide out"
                )
            pools = [(torch.from_numpy(wy), torch.from_numpy(wx)) for wy, wx in grid.pools((height_px, width_px), px0)]
        meter.count(
            self.id,
            Counters(
                output_px=width_px * height_px,
                tiles=cost.tiles,
                decoded_px=cost.decoded_px,
                compressed_bytes=cost.compressed_bytes,
                calls=cost.calls,
            ),
        )
        return SlideView(grid, overview, mask, pools, np.zeros(grid.n_cells + 1, bool))

    def overview(self) -> Tensor:
        """The overview, float32 [3, h, w] in 0..1."""
        pixels = torch.from_numpy(self.view.overview).to(self._desk.device)
        return pixels.permute(2, 0, 1).float() / 255

    def evidence(self) -> Tensor | None:
        """Share of every patch that is annotated as evidence, float32 [K] in 0..1; None where nothing is annotated.

        It is what the label was given for, not something that can be seen: for the upper bound only. Not metered.
        EvidenceRefusedError where the strategy does not declare `uses_evidence = True`.
        """
        if self._evidence_of is None:
            raise EvidenceRefusedError(
                f"slide {self.id}: the evidence was asked for by a strategy that does not declare its use; "
                "set uses_evidence = True on the class, and its rows say so, or do without"
            )
        if not self._evidence:
            found = self._evidence_of(self.view.grid)
            self._evidence.append(None if found is None else torch.from_numpy(np.asarray(found, np.float32)))
        return self._evidence[0]

    # --- reading and encoding ------------------------------------------------------------------------
    @property
    def trains_encoder(self) -> bool:
        """Whether features carry a gradient to the encoder here and now."""
        return torch.is_grad_enabled() and not self._desk.encoder.settings.frozen

    def regions(self, cells: np.ndarray) -> Regions:
        """The regions (centre in level-0 pixels, mpp, side) of flat cell indices."""
        grid, side = self.view.grid, self._desk.view.patch_px
        return Regions(np.asarray(grid.centres0(cells)), np.asarray(grid.mpp_of(cells)), side, side)

    def _read(self, cells: np.ndarray) -> tuple[np.ndarray, float]:
        slide = self._open()
        start = time.perf_counter()
        with self._desk.meter.stage("read"):
            try:
                pixels, cost = slide.read(self.regions(cells))
            except SlideError as error:
                error.slide_id = self.id  # so that a batch can go on without this slide
                raise
        seconds = time.perf_counter() - start
        if self._desk.store is not None:
            self._desk.store.unit.read_s += seconds
            self._desk.store.unit.tiles += cost.tiles
        self._desk.meter.count(self.id, Counters(
            output_px=int(np.prod(pixels.shape[:3])), tiles=cost.tiles, decoded_px=cost.decoded_px,
            compressed_bytes=cost.compressed_bytes, calls=cost.calls))  # fmt: skip
        return pixels, seconds

    def _encode(self, pixels: np.ndarray, recompute: bool = False) -> Tensor:
        meter, desk = self._desk.meter, self._desk
        with meter.stage("transfer"):
            batch = torch.from_numpy(np.ascontiguousarray(pixels)).to(desk.device)
        flops = desk.flops_per_patch(*pixels.shape[1:3]) * len(pixels)
        start = time.perf_counter()
        with meter.stage("encode"):
            features = desk.encoder(batch, recompute)
            if desk.device.type == "cuda":
                torch.cuda.synchronize(desk.device)
        if desk.store is not None:
            desk.store.unit.encode_s += time.perf_counter() - start
            desk.store.unit.patches += len(pixels)
        meter.count(self.id, Counters(encoder_flops=flops))
        return features

    def features(self, cells: Tensor) -> Tensor:
        """Encoder features [n, dim] of flat cell indices [n], in that order.

        With a store, only cells that no run has encoded are read; a cell this run uses for the first
        time is charged in full, one it has paid for is a counted hit.
        """
        flat = cells.detach().cpu().numpy()
        unique = self._desk.meter.new_patches(self.id, flat.tolist())
        self._desk.meter.count(self.id, Counters(patches=len(flat), unique_patches=unique))
        if self._desk.store is None:
            return self._scaled(self._fresh(flat), self.view.grid.decode(flat)[0])
        self._charge(flat)
        rows = torch.from_numpy(self._desk.store.get(self.id, flat))
        return self._scaled(rows.to(self._desk.device), self.view.grid.decode(flat)[0])

    def _scaled(self, features: Tensor, group: np.ndarray) -> Tensor:
        scale = self._desk.scale
        return features if scale is None else scale(features, torch.from_numpy(group).to(features.device))

    def _blocks(self, cells: np.ndarray) -> list[np.ndarray]:
        """`cells` (distinct) by squares of BLOCK_CELLS of the smallest cells, all magnifications of a place together.

        Cutting a large bag row by row, or by magnification, would decode the same tiles again for every part.
        """
        if len(cells) <= BLOCK_CELLS:
            return [cells]
        grid = self.view.grid
        column, row = (grid.centres0(cells) // (BLOCK_CELLS * min(grid.cell0))).T
        order = np.lexsort((column, row))
        ends = np.flatnonzero((np.diff(row[order]) != 0) | (np.diff(column[order]) != 0)) + 1
        return np.split(cells[order], ends)

    def _fresh(self, flat: np.ndarray) -> Tensor:
        distinct = np.unique(flat)
        blocks = self._blocks(distinct)
        # a bag of many small blocks would otherwise keep the activations of each until the backward pass
        recompute = len(distinct) > self._desk.encoder.chunk
        features = torch.cat([self._encode(self._read(block)[0], recompute) for block in blocks])
        place = np.empty(len(distinct), np.int64)
        place[np.searchsorted(distinct, np.concatenate(blocks))] = np.arange(len(distinct))
        return features[torch.from_numpy(place[np.searchsorted(distinct, flat)]).to(self._desk.device)]

    def _charge(self, flat: np.ndarray) -> None:
        desk, store, paid, n_cells = self._desk, self._desk.store, self.view.paid, self.view.grid.n_cells
        assert store is not None
        if paid[flat].all():
            desk.meter.count(self.id, Counters(store_hits=len(flat)))
            return
        missing = store.missing(self.id, n_cells + 1, flat)
        for part in self._blocks(missing) if len(missing) else []:
            with torch.no_grad():
                store.put(self.id, part, self._encode(self._read(part)[0]).cpu().numpy())
        wanted = np.unique(flat)
        owed = np.setdiff1d(wanted[~paid[wanted]], missing)
        paid[wanted] = True
        hits = len(flat) - len(owed) - len(missing)
        if not len(owed):  # this run filled the store with all that was new to it
            desk.meter.count(self.id, Counters(store_hits=hits))
            return
        side = desk.view.patch_px
        # in the blocks in which it would be read: whoever fills the store pays no more and no less
        cost = sum((self._open().plan_cost(self.regions(part)) for part in self._blocks(owed)), ReadCost())
        desk.meter.charge("read", store.unit.read_charge_s(cost.tiles))
        desk.meter.charge("encode", store.unit.encode_charge_s(len(owed)))
        desk.meter.count(self.id, Counters(
            output_px=len(owed) * side * side, tiles=cost.tiles, decoded_px=cost.decoded_px,
            compressed_bytes=cost.compressed_bytes, calls=cost.calls, store_hits=hits,
            encoder_flops=len(owed) * desk.flops_per_patch(side, side)))  # fmt: skip

    def overview_feature(self) -> Tensor:
        """Encoder feature [dim] of the whole overview, encoded once a run where the encoder is frozen."""
        view, store = self.view, self._desk.store
        last = np.array([len(view.grid.mpps)])
        if store is None:
            return self._scaled(self._encode(view.overview[None]), last)[0]
        index = np.array([view.grid.n_cells])
        if not view.paid[-1]:
            with torch.no_grad():
                feature = self._encode(view.overview[None]).cpu().numpy()
            store.missing(self.id, view.grid.n_cells + 1, index)
            store.put(self.id, index, feature)
            view.paid[-1] = True
        return self._scaled(torch.from_numpy(store.get(self.id, index)).to(self._desk.device), last)[0]

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._slide is not None:
            self._slide.close()
            self._slide = None
