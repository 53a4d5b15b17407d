"""JSMA whose attention is shuffled within each magnification at test: does the place matter?"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from baselines.shuffled import Shuffled, permute
from jsma.metered import MeteredSlide


class ShuffledPlace(Shuffled):
    """Control: as `Shuffled` (Zhang et al., CVPR-W 2021, at test only), but within each magnification.

    p(m) and the entropy of the attention stay as they are. Only the places are lost.
    """

    name = "shuffled-place"
    source = "control; a counterfactual of Zhang et al., CVPR-W 2021"

    def shuffle(self, log_a: Tensor, slide: MeteredSlide, generator: Generator) -> Tensor:
        """Shuffle log a [K] of one slide among the cells of every magnification."""
        return torch.cat([permute(log_a[part], generator) for part in slide.view.grid.slices])
