"""Attention sampling at one fixed magnification."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.jsma import Joint
from jsma.metered import MeteredSlide
from jsma.slides import SlideError


def only_magnification(slide: MeteredSlide, mpp: float) -> Tensor:
    """Mask [K] of the cells with tissue at the magnification nearest `mpp`; SlideError if there is none."""
    view = slide.view
    m = min(range(len(view.grid.mpps)), key=lambda i: abs(view.grid.mpps[i] / mpp - 1))
    mask = torch.zeros_like(view.mask)
    mask[view.grid.slices[m]] = view.mask[view.grid.slices[m]]
    if not mask.any():
        raise SlideError(
            f"slide {slide.id}: no tissue patch at {view.grid.mpps[m]} um/px; "
            f"magnifications asked: {view.grid.mpps}; choose another mpp"
        )
    return mask


class Fixed(Joint):
    """The same sampler, with the cells of every other magnification masked out.

    Katharopoulos & Fleuret, ICML 2019, arXiv 1905.03711, with the unbiased estimators of `jsma`.
    """

    name = "fixed"
    source = "Katharopoulos & Fleuret, ICML 2019, arXiv 1905.03711"

    def allowed(self, slide: MeteredSlide) -> Tensor:
        """Cells of `settings.mpp` only."""
        return only_magnification(slide, self.settings.mpp)
