"""What the slides of one pass share: how they are looked at, the meter, the encoder, the store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated
from weakref import WeakKeyDictionary

import numpy as np
import torch
from pydantic import Field
from torch.utils.flop_counter import FlopCounterMode

from jsma.checked import Mpp, Mpps, Share, checked, in_order
from jsma.encoder import Encoder
from jsma.grid import OVERVIEW_MAX_PX, OVERVIEW_MIN_PX, OVERVIEW_MPP
from jsma.meter import Meter
from jsma.scale import FeatureScale
from jsma.store import FeatureStore

_FLOPS: WeakKeyDictionary[Encoder, dict[tuple[int, int], int]] = WeakKeyDictionary()  # counted once an encoder


@checked
class ViewSettings:
    """How a slide is looked at.

    mpps: magnifications in um/px, fine to coarse; patch_px: side of a patch; overlap_from_mpp:
    from this magnification on (coarser or equal), patches lie half a side apart, so that what is nearly as large
    as a patch lies whole in one of them; such patches are few; overview_mpp: um/px of
    the overview, made coarser where its longer side would pass overview_max_px, so that its cost does
    not grow with the slide, and finer where its shorter side would fall under overview_min_px (small
    photos; overview_max_px goes before it); min_tissue: share of a cell that must be tissue for it to be allowed.
    """

    mpps: Mpps = (0.5, 1.0, 2.0, 4.0)
    patch_px: Annotated[int, Field(ge=1, le=4096)] = 64
    overlap_from_mpp: Mpp = 2.0
    overview_mpp: Mpp = OVERVIEW_MPP
    overview_max_px: Annotated[int, Field(ge=64, le=8192)] = OVERVIEW_MAX_PX
    overview_min_px: Annotated[int, Field(ge=5, le=1024)] = OVERVIEW_MIN_PX
    min_tissue: Share = 0.25

    def __post_init__(self) -> None:
        in_order(self.mpps)

    def read_at(self, mpp0: float) -> tuple[float, ...]:
        """Those of mpps at which a slide of `mpp0` um per level-0 pixel is read: none finer than itself."""
        return tuple(m for m in self.mpps if m * 1.02 >= mpp0)

    def why_too_fine(self, mpp0: float) -> str:
        """Why a slide of `mpp0` um per level-0 pixel is read at none of mpps, and what to do."""
        asked = ", ".join(f"{mpp:g}" for mpp in self.mpps)
        return (
            f"all of mpps, {asked} um/px, are finer than the slide's {mpp0:.3g}; set mpps to {mpp0:.3g} or coarser, "
            "or, if that scale is wrong, give the true one in the `mpp` column of the CSV"
        )

    def why_empty(self, tissue: np.ndarray) -> str:
        """Why no patch of a slide may be drawn, and what to do; tissue: the mask of its overview, bool [h, w]."""
        height_px, width_px = tissue.shape
        if not tissue.any():
            return f"no tissue found on the overview ({width_px} x {height_px} px); leave the slide out"
        return (
            f"no patch of {self.patch_px} px lies on {self.min_tissue:.0%} tissue or more (of the overview "
            f"{tissue.mean():.0%} is tissue); lower min_tissue or patch_px"
        )

    @property
    def strides(self) -> tuple[float, ...]:
        """Per magnification, distance of neighbouring patches as a share of their side."""
        return tuple(0.5 if mpp >= self.overlap_from_mpp else 1.0 for mpp in self.mpps)


@dataclass
class Desk:
    """Services of one pass. `store` is None where the encoder is trained or reads must be timed; it keeps raw
    features, which `scale` (None: as the encoder gives them) brings to one scale on the way out. last_looked: id of the
    slide that was looked at last, which a failure that names no slide is probably about."""

    meter: Meter
    encoder: Encoder
    view: ViewSettings
    store: FeatureStore | None = None
    scale: FeatureScale | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    last_looked: str = ""

    def flops_per_patch(self, height_px: int, width_px: int) -> int:
        """Floating-point operations of one forward pass of the encoder on one patch, by torch's counter."""
        known, key = _FLOPS.setdefault(self.encoder, {}), (height_px, width_px)
        if key not in known:
            blank = torch.zeros((1, height_px, width_px, 3), dtype=torch.uint8, device=self.device)
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                self.encoder(blank)
            known[key] = int(counter.get_total_flops())
        return known[key]
