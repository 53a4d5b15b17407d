"""Zoom-In: attention draws coarse regions, attention inside each draws finer patches."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from baselines.contract import Outcome, Strategy, StrategySettings
from baselines.parts.cells import magnification_of
from jsma import JSMA, Draw, estimate, masked_log_probs, sample_with_replacement, sampler_of, top_n
from jsma.cells.hierarchy import parents
from jsma.draws.estimators import nested_estimate
from jsma.meter import Meter
from jsma.metered import MeteredSlide
from jsma.slides import SlideError


class ZoomIn(Strategy):
    """Regions of the coarsest magnification drawn with replacement, and patches inside each drawn without.

    Kong & Henao, CVPR 2022, from its equations: a double expectation. The attention inside a region sees the region's
    own feature (a patch that is read, and counted) and the overview's hidden map at every finer cell. The paper runs a
    second network over the pixels of the region. All finer magnifications compete inside a region. Of N patches,
    isqrt(N) are regions. No attention is reported, because inside regions that were not drawn there is none.
    """

    name = "zoom-in"
    source = "Kong & Henao, CVPR 2022, arXiv 2106.02214"

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        method, width = settings.method, settings.attention_dim
        if len(method.mpps) < 2:
            raise ValueError(f"zoom-in needs at least 2 magnifications, got mpps {method.mpps}; give a coarser one too")
        self.model = JSMA(method, feature_dim, n_classes)
        self.place, self.region = nn.Linear(method.width, width), nn.Linear(feature_dim, width)
        self.magnification, self.score = nn.Embedding(len(method.mpps), width), nn.Linear(width, 1)
        nn.init.normal_(self.score.weight, std=0.01)  # b starts close to uniform, as a does
        self.coarse = max(range(len(method.mpps)), key=lambda m: method.mpps[m])
        for m, head in enumerate(self.model.attention.heads):
            head.requires_grad_(m == self.coarse)  # inside a region `score` is in the place of the others
        self.n_regions = math.isqrt(method.n_patches)
        self.n_inside = max(1, (method.n_patches - self.n_regions) // self.n_regions)

    @property
    def top(self) -> bool:
        """Whether the most probable are taken and nothing is drawn."""
        return not self.training and self.settings.method.sampling == "top"

    def attend(self, slide: MeteredSlide) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the attention over regions.

        Returns:
            Regions with finer tissue cells, flat indices [R]; log a [R]; the hidden map on all cells [K, width].

        Raises:
            SlideError: There is no such region.
        """
        overview, mask = slide.overview()[None], slide.view.mask
        family = torch.from_numpy(parents(slide.view.grid, self.coarse))
        part = slide.view.grid.slices[self.coarse]
        finer = mask.clone()
        finer[part] = False
        regions = family[finer].unique()
        regions = regions[mask[regions]].to(overview.device)
        if not len(regions):
            raise SlideError(f"slide {slide.id}: no region at {max(slide.view.grid.mpps)} um/px holds finer tissue")
        logits = self.model.attention(overview, slide.view.pools)[self.coarse][0][regions - part.start]
        log_a = masked_log_probs(logits, eps=self.settings.method.smoothing_eps)
        return regions, log_a, self.model.attention.hidden(overview, slide.view.pools)[0]

    def inside(self, slide: MeteredSlide, hidden: Tensor, region: Tensor, feature: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the attention inside a region; p(m) is even at first.

        Args:
            slide: The slide.
            hidden: The hidden map on all cells, [K, width].
            region: Flat index of the region.
            feature: Its feature [feature_dim].

        Returns:
            Finer tissue cells inside it, flat indices [n], and log b [n].
        """
        within = torch.from_numpy(parents(slide.view.grid, self.coarse)) == int(region)
        within &= slide.view.mask
        within[slide.view.grid.slices[self.coarse]] = False
        cells = within.nonzero()[:, 0].to(hidden.device)
        m = magnification_of(slide, cells)
        looked = self.region(feature * math.sqrt(self.feature_dim))
        logits = self.score(torch.tanh(self.place(hidden[cells]) + self.magnification(m) + looked))[:, 0]
        count = torch.bincount(m, minlength=self.model.n_magnifications)[m]
        return cells, masked_log_probs(logits - count.to(logits).log(), eps=self.settings.method.smoothing_eps)

    def draw_regions(self, log_a: Tensor, generator: Generator) -> Draw:
        """Draw regions from log a [R], with replacement."""
        if self.top:
            return top_n(log_a, self.n_regions)
        return sample_with_replacement(log_a, self.n_regions, generator)

    def draw_inside(self, log_b: Tensor, generator: Generator) -> Draw:
        """Draw cells inside a region from log b [n], without replacement unless the estimator asks for it."""
        if self.top:
            return top_n(log_b, self.n_inside)
        return sampler_of(self.settings.method.estimator)(log_b, self.n_inside, generator)

    def forward(self, slides: Sequence[MeteredSlide], generator: Generator) -> list[Outcome]:
        """See `Strategy`."""
        return [self._one(slide, generator) for slide in slides]

    def _one(self, slide: MeteredSlide, generator: Generator) -> Outcome:
        with self.meter.stage("attention"):
            regions, log_a, hidden = self.attend(slide)
        with self.meter.stage("sample"):
            drawn = self.draw_regions(log_a, generator).indices
            distinct, which = regions[drawn].unique(return_inverse=True)
        if self.settings.method.n_patches > 1:  # with a budget of one the overview alone tells where inside
            seen = slide.features(distinct)
        else:
            seen = torch.zeros(1, self.feature_dim).to(hidden)
        with self.meter.stage("attention"):
            choices = [self.inside(slide, hidden, region, f) for region, f in zip(distinct, seen, strict=True)]
        with self.meter.stage("sample"):
            draws = [self.draw_inside(choices[w][1], generator) for w in which]
            chosen = [choices[w][0][draw.indices] for w, draw in zip(which, draws, strict=True)]
            cells, place = torch.cat(chosen).unique(return_inverse=True)
        features = slide.features(cells)
        with self.meter.stage("aggregate"):
            n, name = self.model.n_magnifications, "truncated" if self.top else self.settings.method.estimator
            m = magnification_of(slide, cells)
            features = self.model.adapted(features, m)
            inner = torch.stack(
                [
                    estimate(
                        name,
                        choices[w][1][draw.indices].exp(),
                        features[at].to(log_a),
                        log_threshold=draw.log_threshold,
                        groups=m[at],
                        n_groups=n,
                    )
                    for w, draw, at in zip(which, draws, place.split([len(c) for c in chosen]), strict=True)
                ]
            )
            phi = nested_estimate(log_a[drawn].exp(), inner, "truncated" if self.top else "with-replacement")
            own = self.model.regulariser
            penalty = own(log_a) + torch.stack([own(log_b) for _, log_b in choices]).mean()
        read = torch.cat([distinct, cells]) if self.settings.method.n_patches > 1 else cells
        share = torch.bincount(m, minlength=n) / len(cells)
        return Outcome(self.model.classify_pooled(phi), penalty, read, share)
