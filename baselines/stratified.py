"""Patches spread evenly over the tissue: one uniform draw in each of N strata."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Generator, Tensor

from baselines.contract import Outcome
from baselines.parts.cells import magnification_of
from baselines.parts.pooling import by_magnification
from baselines.random import Random
from jsma.metered import MeteredSlide


def strata(points: np.ndarray, k: int) -> list[np.ndarray]:
    """Cut points into compact parts of n/k points each, as nearly as whole points allow.

    The points are halved again and again, across the longer side, where both halves get their share of the k parts.

    Args:
        points: [n, 2].
        k: Number of parts, at most n.

    Returns:
        Indices of the points of each part.
    """

    def cut(own: np.ndarray, parts: int) -> list[np.ndarray]:
        if parts == 1:
            return [own]
        axis = int(np.ptp(points[own], axis=0).argmax())
        own = own[np.argsort(points[own, axis], kind="stable")]
        first = parts // 2
        at = min(max(round(len(own) * first / parts), first), len(own) - (parts - first))
        return cut(own[:at], first) + cut(own[at:], parts - first)

    return cut(np.arange(len(points)), k)


def shares(sizes: Sequence[int], n: int, order: Sequence[int]) -> list[int]:
    """Share n patches out to magnifications with `sizes` cells, one at a time in `order`, until all cells are taken."""
    own = [0] * len(sizes)
    while n and any(have < size for have, size in zip(own, sizes, strict=True)):
        for m in order:
            if n and own[m] < sizes[m]:
                own[m], n = own[m] + 1, n - 1
    return own


class Stratified(Random):
    """Control: N patches spread evenly over the tissue, each drawn uniformly in a stratum of its own; no cell twice.

    N is shared out equally to the magnifications with tissue; which of them get one more is drawn at random. The tissue
    cells of a magnification are cut into as many strata as it has patches (`strata`). One cell is drawn uniformly in
    each stratum, and weighs |stratum| / |cells of m| / M. If N < M, N of the M magnifications are drawn, and each
    weighs M/N times as much. So the pooled vector is unbiased for that of `random`, the mean over the cells of each
    magnification, where every magnification counts 1/M. This is textbook stratified sampling (Cochran, Sampling
    Techniques, 1977, chapter 5).
    """

    name = "stratified"
    source = "control; Cochran, Sampling Techniques, 1977"
    tuned_as = "random"

    def draw(self, slide: MeteredSlide, generator: Generator) -> tuple[Tensor, Tensor]:
        """Draw cells of a slide: flat indices [n], and their weights, float64 [n], which sum to 1."""
        mask, n = self.allowed(slide).cpu(), self.settings.method.n_patches
        held = [mask[part].nonzero()[:, 0].numpy() + part.start for part in slide.view.grid.slices if mask[part].any()]
        order = torch.randperm(len(held), generator=generator, device=generator.device).tolist()
        counts = shares([len(cells) for cells in held], n, order)
        read = sum(count > 0 for count in counts)
        drawn, weights = [], []
        for cells, count in zip(held, counts, strict=True):
            for stratum in strata(slide.view.grid.centres0(cells), count) if count else []:
                one = torch.randint(len(stratum), (1,), generator=generator, device=generator.device)
                drawn.append(int(cells[stratum[int(one)]]))
                weights.append(len(stratum) / len(cells) / read)
        return torch.tensor(drawn), torch.tensor(weights, dtype=torch.float64)

    def _together(self, slides: list[MeteredSlide], generator: Generator) -> list[Outcome]:
        uniform = self.log_attention(slides).exp()
        return [self._one(slide, a, generator) for slide, a in zip(slides, uniform, strict=True)]

    def _one(self, slide: MeteredSlide, a: Tensor, generator: Generator) -> Outcome:
        with self.meter.stage("sample"):
            cells, weights = self.draw(slide, generator)
            cells = cells.to(a.device)
        features = slide.features(cells)
        with self.meter.stage("aggregate"):
            m, n = magnification_of(slide, cells), self.model.n_magnifications
            phi = by_magnification(weights.to(a.device), self.model.adapted(features, m), m, n)
            p_m = torch.stack([a[part].sum() for part in slide.view.grid.slices])
        return Outcome(self.model.classify_pooled(phi), None, cells, p_m, a)
