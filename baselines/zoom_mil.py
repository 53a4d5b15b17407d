"""ZoomMIL: all coarse patches, and below each level only what a differentiable top-k zooms into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torchmil.nn import AttentionPool

from baselines.contract import Outcome, Strategy, StrategySettings
from jsma.cells.hierarchy import parents
from jsma.draws.topk import hard_top_k, perturbed_top_k, used_columns
from jsma.meter import Meter
from jsma.metered import MeteredSlide
from jsma.networks.adapter import Adapter
from jsma.slides import SlideError


class Level(NamedTuple):
    """What one magnification holds.

    cells: flat indices [u] that are read; slots: [s, u], of which cells each slot is made (rows one-hot where the
    choice is hard); attention: [s] over the slots, 0 where a slot is empty; n_patches: what it counts of the budget.
    """

    cells: Tensor
    slots: Tensor
    attention: Tensor
    n_patches: int


class ZoomMIL(Strategy):
    """Gated attention at every magnification, coarse to fine; its perturbed top-k picks the cells to zoom into.

    Thandiackal et al., ECCV 2022, from its equations; the top-k with its full Jacobian. The coarsest magnification is
    read whole, so that N bounds only what is read below it: every step down gets an even share of what is left, and
    zooms into as many cells as that pays for. In training, cells with any weight in the perturbed top-k are zoomed
    into (charged). A child without tissue is not read and has no feature. Vectors of the magnifications are kept apart
    or added, as `pool` says; the paper adds. Features pass through the trained layer that the other strategies have
    before they are mixed, which the paper does not have. No attention is reported: there is one a magnification.
    """

    name = "zoom-mil"
    source = "Thandiackal et al., ECCV 2022, arXiv 2204.12454"
    bounded = False
    draws = False

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        mpps, pool = settings.method.mpps, settings.method.pool
        if len(mpps) < 2:
            raise ValueError(f"zoom-mil needs at least 2 magnifications, got mpps {mpps}; give a coarser one too")
        self.order = sorted(range(len(mpps)), key=lambda m: -mpps[m])  # coarse to fine
        self.adapted = Adapter(feature_dim, settings.method.adapter_dim, len(mpps))
        dim = self.adapted.dim
        self.pools = nn.ModuleList(AttentionPool(in_dim=dim, att_dim=settings.attention_dim, gated=True) for _ in mpps)
        self.head = nn.Linear(dim * (len(mpps) if pool == "concat" else 1), n_classes)

    def choose(self, attention: Tensor, k: int, generator: Generator) -> Tensor:
        """Y [k, n] of the attention [n] over the cells of a level."""
        if not self.training:
            return hard_top_k(attention, k)
        return perturbed_top_k(attention, k, self.settings.look.zoom_sigma, self.settings.look.topk_samples, generator)

    def within(self, slide: MeteredSlide, m: int, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Cells of magnification m inside each of `cells` [n]: (flat index [n, c], has tissue [n, c]).

        cells: of the next coarser magnification; c: the most that any cell there has; where one has fewer, the
        places left over have no tissue.
        """
        part = slide.view.grid.slices[m]
        coarser = self.order[self.order.index(m) - 1]
        family = torch.from_numpy(parents(slide.view.grid, coarser)[part]).to(cells.device)
        order = torch.argsort(family, stable=True)
        count = torch.bincount(family, minlength=slide.view.grid.n_cells)
        place = torch.arange(int(count.max()), device=cells.device)
        there = place < count[cells][:, None]
        first = count.cumsum(0) - count
        index = part.start + order[torch.where(there, first[cells][:, None] + place, 0)]
        return index, there & slide.view.mask.to(cells.device)[index]

    def zoom(self, slide: MeteredSlide, m: int, level: Level, left: tuple[int, int], generator: Generator) -> Level:
        """The level of magnification m below `level`; left: (patches, steps). An empty level where nothing is left."""
        index, there = self.within(slide, m, level.cells)
        patches, steps = left
        k = max(patches // steps // index.shape[1], min(1, patches // index.shape[1]))
        alive = level.attention.detach().nonzero()[:, 0]
        if k == 0 or not len(alive):
            return Level(index[:0, 0], level.slots.new_zeros(0, 0), level.attention[:0], 0)
        y = self.choose(level.attention[alive], k, generator)
        mass = y @ level.slots[alive]  # [k, cells]: of what a choice is made
        kept = used_columns(mass)
        cell, place = there[kept].nonzero(as_tuple=True)
        cells = index[kept][cell, place]
        slots = mass.new_zeros(len(y), index.shape[1], len(cells))
        slots[:, place, torch.arange(len(cells), device=cells.device)] = mass[:, kept[cell]]
        return Level(cells, slots.flatten(0, 1), level.attention[:0], len(y) * index.shape[1])

    def _pool(self, m: int, slide: MeteredSlide, level: Level) -> tuple[Tensor, Level]:
        """(pooled features [d] of magnification m, the level with the attention of its slots)."""
        if not len(level.cells):
            return self.head.weight.new_zeros(self.adapted.dim), level
        features = slide.features(level.cells)
        with self.meter.stage("aggregate"):
            tokens = level.slots.to(features) @ self.adapted.at(features, m)
            alive = level.slots.detach().sum(1) > 0
            z, scores = self.pools[m](tokens[None] * self.adapted.dim**0.5, alive[None].to(tokens), return_att=True)
            attention = scores[0].masked_fill(~alive, -torch.inf).softmax(0)
        return z[0], level._replace(attention=attention)

    def forward(self, slides: Sequence[MeteredSlide], generator: Generator) -> list[Outcome]:
        """See `Strategy`."""
        return [self._one(slide, generator) for slide in slides]

    def _one(self, slide: MeteredSlide, generator: Generator) -> Outcome:
        part, weight = slide.view.grid.slices[self.order[0]], self.head.weight
        cells = (slide.view.mask[part].nonzero()[:, 0] + part.start).to(weight.device)
        if not len(cells):
            raise SlideError(f"slide {slide.id}: no tissue patch at the coarsest magnification; give a finer one")
        level = Level(cells, torch.eye(len(cells)).to(weight), weight.new_zeros(0), 0)
        left, read, pooled = self.settings.method.n_patches, [], [weight.new_zeros(0)] * len(self.order)
        for step, m in enumerate(self.order):
            if step:
                with self.meter.stage("sample"):
                    level = self.zoom(slide, m, level, (left, len(self.order) - step), generator)
                left -= level.n_patches
            pooled[m], level = self._pool(m, slide, level)
            read.append(level.cells)
        with self.meter.stage("aggregate"):
            joined = torch.cat(pooled) if self.settings.method.pool == "concat" else torch.stack(pooled).sum(0)
            return Outcome(self.head(joined), cells=torch.cat(read))
