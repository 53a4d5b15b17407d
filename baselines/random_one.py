"""Random patches at one magnification."""

from __future__ import annotations

from torch import Tensor

from baselines.parts.cells import only_magnification
from baselines.random import Random
from jsma.metered import MeteredSlide


class RandomOne(Random):
    """Control: N patches without replacement, uniform among the tissue cells at `settings.mpp`."""

    name = "random-one"
    source = "control"
    tuned_as = "random"

    def allowed(self, slide: MeteredSlide) -> Tensor:
        """See `Joint`; cells of `settings.mpp` only."""
        return only_magnification(slide, self.settings.mpp)
