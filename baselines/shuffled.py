"""Does the map matter: JSMA trained as it is, its attention shuffled over the cells at test."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from baselines.contract import StrategySettings
from baselines.jsma import Joint
from jsma.meter import Meter
from jsma.metered import MeteredSlide


def permute(log_a: Tensor, generator: Generator) -> Tensor:
    """log a [K] with its finite entries in a uniformly random order; the others stay where they are."""
    allowed = torch.isfinite(log_a).nonzero()[:, 0]
    order = torch.randperm(len(allowed), generator=generator, device=generator.device).to(allowed.device)
    return log_a.index_copy(0, allowed, log_a[allowed[order]])


class Shuffled(Joint):
    """Control: JSMA's own probabilities dealt anew to the tissue cells at test; of equal entropy, blind to the slide.

    A counterfactual of Zhang et al., CVPR-W 2021: trained and stopped on validation exactly as `jsma`, so that with
    the same seed the weights are the same, and shuffled at test only, by a new uniform permutation for every slide.
    What `jsma` loses by it is what its map is worth. Cells of all magnifications change places, so that p(m) turns to
    the share of tissue cells of m: `shuffled-place` and `shuffled-magnification` take the two apart. The estimate
    stays unbiased, for the shuffled attention.
    """

    name = "shuffled"
    source = "control; a counterfactual of Zhang et al., CVPR-W 2021"
    tuned_as = "jsma"

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        self.trained = True  # unless told that training is under way

    def set_progress(self, share: float) -> None:
        """See `Strategy`; until training is over nothing is shuffled, on validation neither."""
        super().set_progress(share)
        self.trained = share >= 1

    def used(self, log_a: Tensor, slides: Sequence[MeteredSlide], generator: Generator) -> Tensor:
        """The shuffled attention [b, K] at test."""
        if self.training or not self.trained:
            return log_a
        rows = zip(log_a.detach(), slides, strict=True)
        return torch.stack([self.shuffle(row, slide, generator) for row, slide in rows])

    def shuffle(self, log_a: Tensor, slide: MeteredSlide, generator: Generator) -> Tensor:
        """log a [K] of one slide, shuffled."""
        return permute(log_a, generator)
