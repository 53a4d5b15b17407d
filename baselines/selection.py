"""Differentiable patch selection: a perturbed top-k chooses the k best patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from baselines.contract import Outcome, Strategy, StrategySettings
from baselines.parts.cells import magnification_of
from baselines.parts.pooling import by_magnification
from jsma import JSMA
from jsma.checked import Count, Weight, checked
from jsma.draws.topk import hard_top_k, perturbed_top_k, used_columns
from jsma.meter import Meter
from jsma.metered import MeteredSlide


@checked
class SelectionOptions:
    """Options of patch-selection.

    Attributes:
        topk_sigma: Noise of the perturbed top-k, on scores in 0..1. As published: .05.
        topk_samples: Samples of the noise. As published: 500.
    """

    topk_sigma: Weight = 0.05
    topk_samples: Count = 500


class PatchSelection(Strategy):
    """The mean of k slots, which a perturbed top-k of the scores fills in training, and a hard top-k at test.

    Cordonnier et al., CVPR 2021, with the full Jacobian (Berthet et al., NeurIPS 2020). Scores of all cells are brought
    to 0..1. Patches are read only where the top-k is not 0: more than k in training, which are charged, and k at test.
    There are two differences. A slot mixes features, where the paper mixes pixels. The noise keeps its size, where
    theirs falls to 0 in training. The attention that it reports is the share of each cell in the slots: 1/k on the k
    cells that are read at test.
    """

    name = "patch-selection"
    source = "Cordonnier et al., CVPR 2021, arXiv 2104.03059; Berthet et al., NeurIPS 2020, arXiv 2002.08676"
    options_class = SelectionOptions
    options: SelectionOptions
    draws = False
    trains_within_budget = False

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        self.model = JSMA(settings.method, feature_dim, n_classes)

    def choose(self, scores: Tensor, generator: Generator) -> Tensor:
        """Choose k cells by scores [K]: Y [k, K]. Scores are brought to 0..1, so that one sigma suits all slides."""
        low, high = scores.min(), scores.max()
        unit = (scores - low) / (high - low).clamp_min(1e-6)
        k = self.settings.method.n_patches
        if not self.training:
            return hard_top_k(unit, k)
        return perturbed_top_k(unit, k, self.options.topk_sigma, self.options.topk_samples, generator)

    def forward(self, slides: Sequence[MeteredSlide], generator: Generator) -> list[Outcome]:
        """See `Strategy`."""
        return [self._one(slide, generator) for slide in slides]

    def _one(self, slide: MeteredSlide, generator: Generator) -> Outcome:
        with self.meter.stage("attention"):
            overview = slide.overview()
            allowed = slide.view.mask.nonzero()[:, 0].to(overview.device)
            scores = self.model.attention.cells(overview[None], slide.view.pools)[0][allowed]
        with self.meter.stage("sample"):
            y = self.choose(scores, generator)
            kept = used_columns(y)
        cells = allowed[kept]
        features = slide.features(cells)
        with self.meter.stage("aggregate"):
            m, n = magnification_of(slide, cells), self.model.n_magnifications
            weights = y[:, kept].mean(0)  # mean over the slots
            logits = self.model.classify_pooled(by_magnification(weights, self.model.adapted(features, m), m, n))
            share = torch.zeros(n).to(weights).index_add(0, m, weights.detach())
            a = torch.zeros(len(slide.view.mask)).to(weights).index_copy(0, cells, weights.detach())
        return Outcome(logits, cells=cells, p_magnification=share, attention=a)
