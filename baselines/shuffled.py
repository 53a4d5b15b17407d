"""JSMA whose attention is shuffled over the cells at test: does the map matter?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from baselines.contract import StrategySettings
from baselines.jsma import Joint
from jsma.meter import Meter
from jsma.metered import MeteredSlide


def permute(log_a: Tensor, generator: Generator) -> Tensor:
    """Put the finite entries of log a [K] in a uniformly random order; the others stay where they are."""
    allowed = torch.isfinite(log_a).nonzero()[:, 0]
    order = torch.randperm(len(allowed), generator=generator, device=generator.device).to(allowed.device)
    return log_a.index_copy(0, allowed, log_a[allowed[order]])


class Shuffled(Joint):
    """Control: at test, JSMA's probabilities are given to the tissue cells in a random order.

    A counterfactual of Zhang et al., CVPR-W 2021. It is trained, and stopped on validation, exactly as `jsma` is, so
    that with the same seed the weights are the same. At test only, a new uniform permutation for every slide shuffles
    the attention: its entropy stays, and it no longer depends on the slide. What `jsma` loses by this is what its map
    is worth. Cells of all magnifications change places, so that p(m) becomes the share of tissue cells of m;
    `shuffled-place` and `shuffled-magnification` separate the two. The estimate stays unbiased for the shuffled
    attention.
    """

    name = "shuffled"
    source = "control; a counterfactual of Zhang et al., CVPR-W 2021"
    tuned_as = "jsma"

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        self.trained = True  # unless told that training is under way

    def set_progress(self, share: float) -> None:
        """See `Strategy`; nothing is shuffled until training is over, not even on validation."""
        super().set_progress(share)
        self.trained = share >= 1

    def used(self, log_a: Tensor, slides: Sequence[MeteredSlide], generator: Generator) -> Tensor:
        """See `Joint`; the shuffled attention at test."""
        if self.training or not self.trained:
            return log_a
        rows = zip(log_a.detach(), slides, strict=True)
        return torch.stack([self.shuffle(row, slide, generator) for row, slide in rows])

    def shuffle(self, log_a: Tensor, slide: MeteredSlide, generator: Generator) -> Tensor:
        """Shuffle log a [K] of one slide."""
        return permute(log_a, generator)
