"""Draws from the sites that may hold evidence, whether they do or not: what can a map do that knows no class?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from baselines.contract import StrategySettings
from baselines.oracle import Oracle
from jsma.checked import Weight, checked
from jsma.meter import Meter


@checked
class SiteOptions:
    """Options of candidates.

    Attributes:
        site_sharpness: Power of the share of a patch that lies in a site. 1: by area. Large: only the cells in the
            middle of a site.
        site_magnifications: Weight of every magnification, fine to coarse. (): all alike.
    """

    site_sharpness: Annotated[float, Field(ge=0, le=100)] = 8.0
    site_magnifications: tuple[Weight, ...] = ()


class Candidates(Oracle):
    """Control, not a method: it draws from the candidate sites of a generated slide, evidence and decoys alike.

    a(m, cell) = p(m) share^s / sum over the cells of m of share^s, where share is that of the patch that lies in a
    site; s is `site_sharpness` (1: by area; large: patches in the middle of sites); p(m) is `site_magnifications`, over
    the magnifications with a site in some tissue cell. Sites lie alike in every class, so that where it looks says
    nothing of the class. What it reaches, a map could reach that sees the slide and not its label. It knows what only
    the generator knows, and other s and p(m) give other ceilings.

    Raises:
        ValueError: There is not one weight for each magnification.
    """

    name = "candidates"
    evidence_from = "sites"
    options_class = SiteOptions
    options: SiteOptions

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        given, mpps = self.options.site_magnifications, settings.method.mpps
        if given and (len(given) != len(mpps) or not sum(given) > 0):
            raise ValueError(
                f"candidates: site_magnifications is {list(given)}; allowed: one weight for each of {list(mpps)} "
                "um/px, not all of them 0"
            )

    def mass(self, share: Tensor, parts: Sequence[slice]) -> Tensor:
        """See `Oracle` and the class."""
        sites = self.options
        masses = []
        for part, p in zip(parts, sites.site_magnifications or [1.0] * len(parts), strict=True):
            best = float(share[part].max())  # the power of the ratio to it does not vanish
            own = (share[part] / best) ** sites.site_sharpness * (share[part] > 0) if best > 0 else share[part]
            masses.append(p * own / own.sum().clamp_min(1e-300))
        return torch.cat(masses)
