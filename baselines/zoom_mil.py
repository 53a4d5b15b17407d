"""ZoomMIL: all coarse patches, and below each level only what a differentiable top-k zooms into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torchmil.nn import AttentionPool

from baselines.contract import Outcome, Strategy, StrategySettings
from jsma.cells.hierarchy import parents
from jsma.checked import Count, Weight, checked
from jsma.draws.topk import hard_top_k, perturbed_top_k, used_columns
from jsma.meter import Meter
from jsma.metered import MeteredSlide
from jsma.networks.adapter import Adapter
from jsma.slides import SlideError


class Level(NamedTuple):
    """What is read at one magnification.

    Attributes:
        cells: Flat indices of the cells that are read, [u].
        slots: Of which cells each slot is made, [s, u]; a row is one-hot where the choice is hard.
        attention: Attention over the slots, [s]; 0 where a slot is empty.
        n_patches: How many patches of the budget it takes.
    """

    cells: Tensor
    slots: Tensor
    attention: Tensor
    n_patches: int


@checked
class ZoomOptions:
    """Options of zoom-mil.

    Attributes:
        zoom_sigma: Noise of the perturbed top-k, on its attention. As published: .002.
        topk_samples: Samples of the noise.
    """

    zoom_sigma: Weight = 0.002
    topk_samples: Count = 500


class ZoomMIL(Strategy):
    """Gated attention at every magnification, coarse to fine; its perturbed top-k picks the cells to zoom into.

    Thandiackal et al., ECCV 2022, from its equations; the top-k has its full Jacobian. The coarsest magnification is
    read whole, so that N bounds only what is read below it. Every step down gets an even share of what is left, and
    zooms into as many cells as that pays for. In training, cells with any weight in the perturbed top-k are zoomed
    into, and charged. A child without tissue is not read and has no feature. The vectors of the magnifications are kept
    apart or added, as `pool` says; the paper adds them. Before they are mixed, features pass through the trained layer
    that the other strategies have; the paper has none. No attention is reported, because there is one a magnification.
    """

    name = "zoom-mil"
    source = "Thandiackal et al., ECCV 2022, arXiv 2204.12454"
    options_class = ZoomOptions
    options: ZoomOptions
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
        """Choose k of the cells of a level by their attention [n]: Y [k, n], as `perturbed_top_k` gives it."""
        if not self.training:
            return hard_top_k(attention, k)
        return perturbed_top_k(attention, k, self.options.zoom_sigma, self.options.topk_samples, generator)

    def within(self, slide: MeteredSlide, m: int, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Find the cells of magnification m inside cells of the next coarser one.

        Args:
            slide: The slide.
            m: Index of the magnification.
            cells: Flat indices of coarser cells, [n].

        Returns:
            Flat indices [n, c], and whether each has tissue, bool [n, c]. c is the most that any coarser cell holds;
            where one holds fewer, the places left over have no tissue.
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
        """Zoom into a level.

        Args:
            slide: The slide.
            m: Index of the next finer magnification.
            level: The level above it.
            left: (patches, steps) that are left.
            generator: The randomness.

        Returns:
            The level of magnification m, empty where nothing is left.
        """
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
        """Pool the features of magnification m: a vector [d], and the level with the attention of its slots."""
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
