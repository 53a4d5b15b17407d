"""Attention sampling at one fixed magnification."""

from __future__ import annotations

from torch import Tensor

from baselines.jsma import Joint
from baselines.parts.cells import only_magnification
from jsma.metered import MeteredSlide


class Fixed(Joint):
    """The same sampler, with the cells of every other magnification masked out.

    Katharopoulos & Fleuret, ICML 2019, arXiv 1905.03711, with the unbiased estimators of `jsma`.
    """

    name = "fixed"
    source = "Katharopoulos & Fleuret, ICML 2019, arXiv 1905.03711"

    def allowed(self, slide: MeteredSlide) -> Tensor:
        """See `Joint`; cells of `settings.mpp` only."""
        return only_magnification(slide, self.settings.mpp)
