"""Draws from the evidence itself: what would a sampler reach that knew where the evidence for the label lies?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from baselines.random import Random
from jsma.metered import MeteredSlide


class Oracle(Random):
    """Control, not a method: it draws where the masks of evidence say that the answer lies.

    The magnification is uniform among those with evidence. The cell is drawn in proportion to the share of its patch
    that is evidence, of any kind. Cells without evidence have no mass, so fewer than N are read where fewer than N hold
    any. A slide without annotated evidence (normal, or not annotated) is drawn uniformly, as `random` does it.

    It leaks the label: where it looks depends on what is there. The kind of place alone can tell the class: a slide
    that is drawn all over is a normal one. No map that sees the slide and not its label can do that, so this is not a
    ceiling for a map. `candidates` is one, where the sites are known.
    """

    name = "oracle"
    source = "control"
    tuned_as = "random"
    uses_evidence = True

    def log_attention(self, slides: Sequence[MeteredSlide]) -> Tensor:
        """See `Joint` and the class."""
        rows = []
        for slide, uniform in zip(slides, super().log_attention(slides), strict=True):
            mask, found = self.allowed(slide), slide.evidence()
            share = torch.zeros(len(mask)) if found is None else found.cpu() * mask.cpu()
            held = self.mass(share.double(), slide.view.grid.slices)
            rows.append((held / held.sum()).log().to(uniform) if float(held.sum()) > 0 else uniform)
        return torch.stack(rows)

    def mass(self, share: Tensor, parts: Sequence[slice]) -> Tensor:
        """Turn shares into the mass of every cell.

        Args:
            share: Share of each patch that is evidence, float64 [K] in 0..1; 0 for cells that may not be drawn.
            parts: Where each magnification lies in it.

        Returns:
            Float64 [K], not normalised over all cells.
        """
        return torch.cat([share[part] / share[part].sum().clamp_min(1e-300) for part in parts])
