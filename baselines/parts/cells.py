"""Which cells belong to which magnification."""

from __future__ import annotations

import torch
from torch import Tensor

from jsma.metered import MeteredSlide
from jsma.slides import SlideError


def only_magnification(slide: MeteredSlide, mpp: float) -> Tensor:
    """Find the cells with tissue at the magnification nearest `mpp`.

    Args:
        slide: The slide.
        mpp: Micrometres per patch pixel.

    Returns:
        Bool [K].

    Raises:
        SlideError: There is no such cell.
    """
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


def magnification_of(slide: MeteredSlide, cells: Tensor) -> Tensor:
    """Find the index of the magnification, long [n], of flat cell indices [n]."""
    return torch.from_numpy(slide.view.grid.decode(cells.cpu().numpy())[0]).to(cells.device)
