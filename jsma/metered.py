"""The only way in which pixels and features reach a strategy: through a meter.

A `Desk` holds what one pass shares (meter, encoder, store); `MeteredSlide` is one slide seen from it.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from jsma.desk import Desk, ViewSettings
from jsma.errors import ContractError, EvidenceRefusedError
from jsma.grid import CellGrid
from jsma.meter import Counters
from jsma.slides import ReadCost, Regions, Slide, SlideError
from jsma.view import SlideView, look_at

__all__ = ["Desk", "EvidenceOf", "EvidenceRefusedError", "MeteredSlide", "SlideView", "ViewSettings"]

BLOCK_CELLS = 32  # side of the square of cells read in one call: whole file tiles in bounded memory

NOT_THE_SLIDE = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
"""What fails for want of room or handles: no fault of the slide that was being read."""

EvidenceOf = Callable[[CellGrid], "np.ndarray | None"]
"""Of a slide's grid: the share of every patch that is evidence, 0..1 [K]; None where nothing is annotated."""


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
        self._desk.last_looked = self.id
        if self._view is None:
            with self._blamed():
                self._view = self._look()
        return self._view

    @property
    def last_looked(self) -> str:
        """Id of the slide of this desk that was looked at last."""
        return self._desk.last_looked

    def _look(self) -> SlideView:
        slide = self._open()
        with self._desk.meter.stage("overview"):
            view, cost = look_at(slide, self._desk.view)
        self._count(view.overview.shape[0] * view.overview.shape[1], cost, 0)
        return view

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

    def _read(self, cells: np.ndarray) -> tuple[np.ndarray, ReadCost]:
        slide = self._open()
        start = time.perf_counter()
        with self._desk.meter.stage("read"):
            pixels, cost = slide.read(self.regions(cells))
        if self._desk.store is not None:
            self._desk.store.unit.read_s += time.perf_counter() - start
            self._desk.store.unit.tiles += cost.tiles
        return pixels, cost

    def _count(self, output_px: int, cost: ReadCost, encoded: int) -> None:
        """Count what was read, and `encoded` patches of the view."""
        side = self._desk.view.patch_px
        flops = encoded * self._desk.flops_per_patch(side, side) if encoded else 0
        self._desk.meter.count(self.id, Counters(
            0, 0, output_px, cost.tiles, cost.decoded_px, cost.compressed_bytes, cost.calls, flops))  # fmt: skip

    def _encode(self, pixels: np.ndarray, recompute: bool = False, kept: bool = False) -> Tensor:
        """kept: for the store, so that the bits of a feature do not depend on what is encoded beside it."""
        meter, desk = self._desk.meter, self._desk
        with meter.stage("transfer"):
            batch = torch.from_numpy(np.ascontiguousarray(pixels)).to(desk.device)
        start = time.perf_counter()
        with meter.stage("encode"):
            features = desk.encoder.each(batch) if kept else desk.encoder(batch, recompute)
            if desk.device.type == "cuda":
                torch.cuda.synchronize(desk.device)
        if kept and desk.store is not None:
            desk.store.unit.encode_s += time.perf_counter() - start
            desk.store.unit.patches += len(pixels)
        return features

    def features(self, cells: Tensor) -> Tensor:
        """Encoder features [n, dim] of flat cell indices [n], in that order.

        With a store, only cells whose features it lacks are read; a cell that this run uses for the first time is
        charged in full, one it has paid for is a counted hit. SlideError where the slide cannot be read, ContractError
        where there are no such cells.
        """
        flat, n_cells = cells.detach().cpu().numpy(), self.view.grid.n_cells
        if flat.ndim != 1 or flat.dtype.kind not in "iu":
            raise ContractError(f"it asks for cells {flat.dtype} {flat.shape}; allowed: flat indices, long [n]")
        if len(flat) and not 0 <= flat.min() <= flat.max() < n_cells:
            raise ContractError(f"it asks for cells {flat.min()}..{flat.max()}; allowed: 0..{n_cells - 1}")
        with self._blamed():
            group = self.view.grid.decode(flat)[0]
            unique = self._desk.meter.new_patches(self.id, flat.tolist())
            self._desk.meter.count(self.id, Counters(patches=len(flat), unique_patches=unique))
            if self._desk.store is None:
                return self._scaled(self._fresh(flat), group)
            return self._scaled(torch.from_numpy(self._stored(flat)).to(self._desk.device), group)

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        """Whatever makes this slide unreadable leaves as a SlideError that names it: a batch can go on without it."""
        try:
            yield
        except SlideError as error:
            error.slide_id = error.slide_id or self.id
            raise
        except OSError as error:
            if error.errno in NOT_THE_SLIDE:
                raise
            failed = SlideError(f"{self.id}: {error.strerror or error}")
            failed.slide_id = self.id
            raise failed from error

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
        features = []
        for block in blocks:
            pixels, cost = self._read(block)
            self._count(int(np.prod(pixels.shape[:3])), cost, len(block))
            features.append(self._encode(pixels, recompute))
        place = np.empty(len(distinct), np.int64)
        place[np.searchsorted(distinct, np.concatenate(blocks))] = np.arange(len(distinct))
        return torch.cat(features)[torch.from_numpy(place[np.searchsorted(distinct, flat)]).to(self._desk.device)]

    def _stored(self, flat: np.ndarray) -> np.ndarray:
        """Features [n, dim] by way of the store; what it lacks is computed, and kept as far as there is room."""
        store, paid = self._desk.store, self.view.paid
        assert store is not None
        wanted = np.unique(flat)
        new = wanted[~paid[wanted]]
        rows, lacking = store.get(self.id, wanted)
        tiles = encoded = 0
        for part in self._blocks(wanted[lacking]) if lacking.any() else []:
            pixels, cost = self._read(part)
            with torch.no_grad():
                features = self._encode(pixels, kept=True).cpu().numpy()
            store.put(self.id, self.view.grid.n_cells + 1, part, features)
            rows[np.searchsorted(wanted, part)] = features
            tiles, encoded = tiles + cost.tiles, encoded + int((~paid[part]).sum())
        if len(new):
            self._charge(new, tiles, encoded)
            paid[new] = True
        self._desk.meter.count(self.id, Counters(store_hits=len(flat) - len(new)))
        return rows[np.searchsorted(wanted, flat)]

    def _charge(self, new: np.ndarray, tiles: int, encoded: int) -> None:
        """Count cells that this run uses for the first time at their whole price, whoever computed them.

        One plan over all of them: a tile is counted once, and neither the order of strategies nor a resumed run moves
        the counters. new: distinct cells [n]; tiles, encoded: what was read and encoded for them just now, whose
        seconds are in the stages already.
        """
        unit, side = self._desk.store.unit, self._desk.view.patch_px  # pyright: ignore[reportOptionalMemberAccess]
        cost = sum((self._open().plan_cost(self.regions(part)) for part in self._blocks(new)), ReadCost())
        self._desk.meter.charge("read", unit.read_charge_s(max(0, cost.tiles - tiles)))
        self._desk.meter.charge("encode", unit.encode_charge_s(len(new) - encoded))
        self._count(len(new) * side * side, cost, len(new))

    def overview_feature(self) -> Tensor:
        """Encoder feature [dim] of the whole overview, encoded once a run where the encoder is frozen."""
        with self._blamed():
            view, store = self.view, self._desk.store
            last = np.array([len(view.grid.mpps)])
            if store is None:
                return self._scaled(self._overview_encoded(), last)[0]
            index = np.array([view.grid.n_cells])
            rows, lacking = store.get(self.id, index)
            if lacking[0] or not view.paid[-1]:
                with torch.no_grad():
                    rows = self._overview_encoded(count=not view.paid[-1]).cpu().numpy()
                store.put(self.id, view.grid.n_cells + 1, index, rows)
                view.paid[-1] = True
            return self._scaled(torch.from_numpy(rows).to(self._desk.device), last)[0]

    def _overview_encoded(self, count: bool = True) -> Tensor:
        if count:
            flops = self._desk.flops_per_patch(*self.view.overview.shape[:2])
            self._desk.meter.count(self.id, Counters(encoder_flops=flops))
        return self._encode(self.view.overview[None])

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._slide is not None:
            self._slide.close()
            self._slide = None
