"""Patches spread evenly over the tissue at one magnification."""

from __future__ import annotations

from torch import Tensor

from baselines.parts.cells import only_magnification
from baselines.stratified import Stratified
from jsma.metered import MeteredSlide


class StratifiedOne(Stratified):
    """Control: as `Stratified` (Cochran, 1977), its N strata all at `settings.mpp`."""

    name = "stratified-one"
    source = "control; Cochran, Sampling Techniques, 1977"

    def allowed(self, slide: MeteredSlide) -> Tensor:
        """Cells of `settings.mpp` only."""
        return only_magnification(slide, self.settings.mpp)
