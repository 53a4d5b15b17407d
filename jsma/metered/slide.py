"""One slide as a strategy sees it: every pixel and every feature that it asks for is counted."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from jsma.cells.grid import CellGrid
from jsma.errors import ContractError, EvidenceRefusedError
from jsma.meter import Counters, Meter
from jsma.metered.blame import blamed
from jsma.metered.feature_map import FeatureMap
from jsma.metered.map_service import MapSource, charged_map
from jsma.metered.services import Desk
from jsma.metered.store import UnitCost
from jsma.metered.together import Ask, features_of
from jsma.metered.view import SlideView, blocks_of, look_at
from jsma.slides import ReadCost, Regions, Slide

EvidenceOf = Callable[[CellGrid], "np.ndarray | None"]
"""Grid of a slide -> share of every patch that is evidence, [K] in 0..1; None where nothing is annotated."""


class MeteredSlide:
    """One slide as a strategy sees it. The meter counts every pixel and every feature that it asks for.

    Attributes:
        id: Name of the slide, in the meter and in messages.
    """

    def __init__(
        self,
        id: str,
        open_it: Callable[[], Slide],
        desk: Desk,
        known: SlideView | None = None,
        evidence_of: EvidenceOf | None = None,
    ):
        """Make a slide for one pass.

        Args:
            id: Name of the slide.
            open_it: Opens the file. It is called once, when pixels are first needed.
            desk: What the slides of the pass share.
            known: The view from an earlier pass of the same run, None if there is none.
            evidence_of: Where the evidence for the label lies. It is given to strategies that declare that they use
                it, None to all others.
        """
        self.id, self._open_it, self._desk, self._evidence_of = id, open_it, desk, evidence_of
        self._evidence: list[Tensor | None] = []  # what was found, once it was looked for
        self._slide: Slide | None = None
        self._view = known
        self._stored_as = ""  # the key of its features in the store, once it is known

    def _open(self) -> Slide:
        if self._slide is None:
            with self._desk.meter.stage("open"):
                self._slide = self._open_it()
        return self._slide

    @property
    def view(self) -> SlideView:
        """Grid, overview, tissue mask and pools. They are read from the file when they are first used.

        Raises:
            SlideError: The slide cannot be read, or has nothing to read (`look_at`).
        """
        self._desk.last_looked = self.id
        if self._view is None:
            with blamed(self.id):
                self._view = self._look()
        return self._view

    @property
    def meter(self) -> Meter:
        """The meter that counts what is asked of this slide; a strategy's own stages are timed by it too."""
        return self._desk.meter

    @property
    def last_looked(self) -> str:
        """Id of the slide of this pass that was looked at last."""
        return self._desk.last_looked

    def _look(self) -> SlideView:
        slide = self._open()
        with self._desk.meter.stage("overview"):
            view, cost = look_at(slide, self._desk.view)
        self._count(view.overview.shape[0] * view.overview.shape[1], cost, 0)
        return view

    def overview(self) -> Tensor:
        """Hand out the overview: RGB, float32 [3, h, w] in 0..1."""
        pixels = torch.from_numpy(self.view.overview).to(self._desk.device)
        return pixels.permute(2, 0, 1).float() / 255

    def evidence(self) -> Tensor | None:
        """Hand out where the evidence for the label lies, which no slide shows. It is for controls only.

        For a strategy whose `evidence_from` is "sites", it is where a generated slide may hold evidence, whatever its
        label. It is not metered.

        Returns:
            Share of every patch that is evidence, float32 [K] in 0..1; None where nothing is annotated.

        Raises:
            EvidenceRefusedError: The strategy does not declare `uses_evidence = True`.
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

    @property
    def trains_encoder(self) -> bool:
        """Whether features carry a gradient to the encoder here and now."""
        return torch.is_grad_enabled() and not self._desk.encoder.settings.frozen

    def regions(self, cells: np.ndarray) -> Regions:
        """Find the regions (centre in level-0 pixels, mpp, side) of flat cell indices [n]."""
        grid, side = self.view.grid, self._desk.view.patch_px
        return Regions(np.asarray(grid.centres0(cells)), np.asarray(grid.mpp_of(cells)), side, side)

    def _read_regions(self, regions: Regions) -> tuple[np.ndarray, ReadCost]:
        slide = self._open()
        with self._desk.meter.stage("read"):
            return slide.read(regions)

    def _read(self, cells: np.ndarray) -> tuple[np.ndarray, ReadCost]:
        self._open()
        start = time.perf_counter()
        pixels, cost = self._read_regions(self.regions(cells))
        if self._desk.store is not None:
            self._desk.store.note(self._key, UnitCost.of_read(time.perf_counter() - start, cost))
        return pixels, cost

    @property
    def _key(self) -> str:
        if not self._stored_as and (store := self._desk.store) is not None:
            with blamed(self.id):
                self._stored_as = store.key_of(self.id, self.view.grid, self._desk.view, lambda: self._open().info)
        return self._stored_as

    def _count(self, output_px: int, cost: ReadCost, encoded: int) -> None:
        """Count what was read, and `encoded` patches of the view."""
        side = self._desk.view.patch_px
        flops = encoded * self._desk.flops_per_patch(side, side) if encoded else 0
        self._desk.meter.count(self.id, Counters.of_read(cost, output_px, flops))

    def _encode(self, pixels: np.ndarray, recompute: bool = False, kept: bool = False) -> Tensor:
        """Encode pixels uint8 [n, P, P, 3]: features [n, dim].

        recompute: in the backward pass; kept: for the store, so that the bits of a feature do not depend on what is
        encoded beside it.
        """
        meter, desk = self._desk.meter, self._desk
        with meter.stage("transfer"):
            batch = torch.from_numpy(np.ascontiguousarray(pixels)).to(desk.device)
        with meter.stage("encode"):
            features = desk.encoder.each(batch) if kept else desk.encoder(batch, recompute)
            if desk.device.type == "cuda":
                torch.cuda.synchronize(desk.device)
        return features

    def features(self, cells: Tensor) -> Tensor:
        """Read patches and encode them.

        With a store, only cells whose features it lacks are read. A cell that this run uses for the first time is
        charged in full; one that it has paid for is counted as a hit.

        Args:
            cells: Flat cell indices, long [n]. The same cell may come more than once.

        Returns:
            Features [n, dim], in the order of the cells.

        Raises:
            SlideError: The slide cannot be read.
            ContractError: There are no such cells.
        """
        return features_of([self], [cells])[0]

    def _scaled(self, features: Tensor, group: np.ndarray) -> Tensor:
        scale = self._desk.scale
        return features if scale is None else scale(features, torch.from_numpy(group).to(features.device))

    def asked_for(self, flat: np.ndarray) -> None:
        """Count the flat cell indices [n] that are asked for now; ContractError where there are no such cells."""
        n_cells = self.view.grid.n_cells
        if flat.ndim != 1 or flat.dtype.kind not in "iu":
            raise ContractError(f"it asks for cells {flat.dtype} {flat.shape}; allowed: flat indices, long [n]")
        if len(flat) and not 0 <= flat.min() <= flat.max() < n_cells:
            raise ContractError(f"it asks for cells {flat.min()}..{flat.max()}; allowed: 0..{n_cells - 1}")
        unique = self._desk.meter.new_patches(self.id, flat.tolist())
        self._desk.meter.count(self.id, Counters(patches=len(flat), unique_patches=unique))

    def _unstored(self, flat: np.ndarray) -> Tensor:
        with blamed(self.id):
            return self._scaled(self._fresh(flat), self.view.grid.decode(flat)[0])

    def _fresh(self, flat: np.ndarray) -> Tensor:
        distinct = np.unique(flat)
        blocks = blocks_of(self.view.grid, distinct)
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

    def _settle(self, ask: Ask) -> Tensor:
        """Charge what this run uses for the first time, and hand out the features of what was asked."""
        new = ask.wanted[~self.view.paid[ask.wanted]]
        if len(new):
            self._charge(new, ask.tiles, int((~self.view.paid[ask.computed]).sum()))
            self.view.paid[new] = True
        self._desk.meter.count(self.id, Counters(store_hits=len(ask.flat) - len(new)))
        rows = torch.from_numpy(ask.rows[np.searchsorted(ask.wanted, ask.flat)])
        return self._scaled(rows.to(self._desk.device), self.view.grid.decode(ask.flat)[0])

    def _charge(self, new: np.ndarray, tiles: int, encoded: int) -> None:
        """Count cells that this run uses for the first time at their whole price, whoever computed them.

        One plan over all of them: a tile is counted once, and neither the order of strategies nor a resumed run moves
        the counters. new: distinct cells [n]; tiles, encoded: what was read and encoded for them just now, whose
        seconds are in the stages already.
        """
        price, side = self._desk.store.price, self._desk.view.patch_px  # pyright: ignore[reportOptionalMemberAccess]
        blocks = blocks_of(self.view.grid, new)
        cost = sum((self._open().plan_cost(self.regions(part)) for part in blocks), ReadCost())
        self._desk.meter.charge("read", price.read_charge_s(max(0, cost.tiles - tiles)))
        self._desk.meter.charge("encode", price.encode_charge_s(len(new) - encoded))
        self._count(len(new) * side * side, cost, len(new))

    def overview_feature(self) -> Tensor:
        """Encode the whole overview, once a run where the encoder is frozen: a feature [dim]."""
        with blamed(self.id):
            view, store = self.view, self._desk.store
            last = np.array([len(view.grid.mpps)])
            if store is None:
                return self._scaled(self._overview_encoded(), last)[0]
            index = np.array([view.grid.n_cells])
            rows, lacking = store.get(self._key, index)
            paid = bool(view.paid[index[0]])
            if lacking[0] or not paid:
                with torch.no_grad():
                    rows = self._overview_encoded(count=not paid).cpu().numpy()
                if lacking[0]:
                    store.put(self._key, view.grid.n_cells + 1, index, rows)
                view.paid[index[0]] = True
            return self._scaled(torch.from_numpy(rows).to(self._desk.device), last)[0]

    def feature_map(self) -> FeatureMap:
        """The encoder's feature map of the whole slide at `ViewSettings.map_mpp`, without a gradient.

        It is read in squares where there is tissue, kept by the store, and charged in full to each run that uses it:
        pixels, tiles, bytes, operations and seconds. SlideError where the slide cannot be read, EncoderError where
        the encoder has no feature map.
        """
        view, key = self.view, self._key
        plan_cost = lambda part: self._open().plan_cost(part)  # noqa: E731
        return charged_map(MapSource(self.id, key, view, self._desk, self._read_regions, plan_cost))

    def _overview_encoded(self, count: bool = True) -> Tensor:
        if count:
            self.meter.count(self.id, Counters(encoder_flops=self._desk.flops_per_patch(*self.view.overview.shape[:2])))
        return self._encode(self.view.overview[None])

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._slide is not None:
            self._slide.close()
            self._slide = None
