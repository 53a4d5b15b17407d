"""Iterative patch selection: reads every patch, a few at a time, and keeps only the M that score best."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Generator, Tensor, nn

from baselines.contract import Outcome, StrategySettings
from baselines.parts.cells import magnification_of
from baselines.parts.whole_bag import Everything, OneMagnification
from jsma.checked import Count, Units, checked
from jsma.meter import Meter
from jsma.metered import MeteredSlide


@checked
class IPSOptions:
    """Options of ips.

    Attributes:
        heads: Attention heads. They must divide the width of the features.
        ips_load: Patches that are read at a time.
        ips_shuffle: Whether patches are read in an order drawn anew, in place of square by square.
    """

    heads: Units = 4
    ips_load: Count = 32
    ips_shuffle: bool = False


class IPSAll(Everything):
    """All tissue patches at all magnifications in constant memory.

    Bergner et al., ICLR 2023. A memory holds M = `n_patches` patches. Without a gradient, I = `ips_load` more are read
    and encoded; the attention of one learnt query over all M + I, averaged over its heads, scores them; the M best
    stay. In the end the M patches are encoded with a gradient and pooled by the same attention, followed by the
    residual and the feed-forward layer of a transformer. All pixels are read. The M are read and charged once more
    where the encoder is trained; a frozen encoder would give the same features, so that they are kept.
    With one head, the M are the best of all patches, whatever the order of reading. With several, the softmax is over
    the M + I at hand, so that what is kept can depend on the order, as published.
    """

    name = "ips-all"
    source = "Bergner, Lippert & Mahendran, ICLR 2023, arXiv 2210.13007"
    options_class = IPSOptions
    options: IPSOptions

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        dim, heads = self.dim, self.options.heads
        if dim % heads:
            raise ValueError(f"ips: heads is {heads}; allowed: divisors of the {dim} features a patch")
        self.query = nn.Parameter(torch.randn(1, dim) / math.sqrt(dim))
        self.attention = nn.MultiheadAttention(dim, heads, bias=False)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.feed_forward = nn.Sequential(nn.Linear(dim, 4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim))
        self.head = nn.Linear(dim, n_classes)

    def tokens(self, slide: MeteredSlide, cells: Tensor, features: Tensor) -> Tensor:
        """Take encoder features [n, feature_dim] of cells [n] through the layers of their magnifications, [n, dim]."""
        if len(self.pool_mpps()) == 1:
            return self.through_layer(features, 0)
        return self.adapted(features, magnification_of(slide, cells).to(features.device)) * math.sqrt(self.dim)

    def scores(self, tokens: Tensor) -> Tensor:
        """Compute the attention [n] of the query over tokens [n, dim], averaged over the heads; it sums to 1."""
        return self.attention(self.query, tokens, tokens)[1][0]

    def pool(self, tokens: Tensor) -> Tensor:
        """Pool tokens [n, dim] to a vector [dim]."""
        x = self.norms[0](self.query + self.attention(self.query, tokens, tokens, need_weights=False)[0])
        return self.norms[1](x + self.feed_forward(x))[0]

    def order(self, slide: MeteredSlide, cells: Tensor, generator: Generator) -> Tensor:
        """Put `cells` [n] in the order of reading."""
        if self.options.ips_shuffle:
            return cells[torch.randperm(len(cells), generator=generator, device=generator.device).to(cells.device)]
        # squares of about `ips_load` of the smallest cells: row by row, each read would decode its tiles anew
        flat, grid = cells.cpu().numpy(), slide.view.grid
        side0 = min(grid.cell0[m] for m in set(grid.decode(flat)[0].tolist())) * math.sqrt(self.options.ips_load)
        column, row = (grid.centres0(flat) // side0).T
        return cells[torch.from_numpy(np.lexsort((column, row))).to(cells.device)]

    @torch.no_grad()
    def select(self, slide: MeteredSlide, order: Tensor) -> tuple[Tensor, Tensor]:
        """Read all cells of `order` and keep M: their flat indices, and their encoder features [M, feature_dim]."""
        n = self.settings.method.n_patches
        cells, features = order[:n], slide.features(order[:n])
        for part in order[n:].split(self.options.ips_load) if len(order) > n else ():
            cells, features = torch.cat([cells, part]), torch.cat([features, slide.features(part)])
            with self.meter.stage("aggregate"):
                best = self.scores(self.tokens(slide, cells, features)).topk(n).indices
                cells, features = cells[best.to(cells.device)], features[best]
        return cells, features

    def forward(self, slides: Sequence[MeteredSlide], generator: Generator) -> list[Outcome]:
        """See `Strategy`; the outcome's cells are all that were read."""
        return [self._one(slide, generator) for slide in slides]

    def _one(self, slide: MeteredSlide, generator: Generator) -> Outcome:
        cells = torch.cat(self.cells(slide))
        kept, features = self.select(slide, self.order(slide, cells, generator))
        if slide.trains_encoder:
            features = slide.features(kept)
        with self.meter.stage("aggregate"):
            logits = self.head(self.pool(self.tokens(slide, kept, features)))
        return Outcome(logits, cells=cells)


class IPS(OneMagnification, IPSAll):
    """The same at the one magnification `settings.mpp` (Bergner, Lippert & Mahendran, ICLR 2023)."""

    name = "ips"
