"""Draws from the evidence itself: what a sampler would reach that knew where the label's own evidence lies."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from baselines.random import Random
from jsma.metered import MeteredSlide


class Oracle(Random):
    """Control, no method: draws where the evidence masks say that the answer lies, which tells the class.

    The magnification is uniform among those with evidence, the cell proportional to the share of its patch that is
    evidence (of any kind); cells without evidence have no mass, so fewer than N are read where fewer than N hold any.
    A slide without annotated evidence (normal, or not annotated) is drawn uniformly, as `random` does it.

    It leaks the label: where it looks depends on what is there, so that the kind of place alone can tell the class (a
    slide that is drawn all over is a normal one). No map that sees the slide and not its label can do that, so it is no
    ceiling for one: `candidates` is, where the sites are known.
    """

    name = "oracle"
    source = "control"
    tuned_as = "random"
    uses_evidence = True

    def log_attention(self, slides: Sequence[MeteredSlide]) -> Tensor:
        """log a [b, K]: see the class."""
        rows = []
        for slide, uniform in zip(slides, super().log_attention(slides), strict=True):
            mask, found = self.allowed(slide), slide.evidence()
            share = torch.zeros(len(mask)) if found is None else found.cpu() * mask.cpu()
            held = self.mass(share.double(), slide.view.grid.slices)
            rows.append((held / held.sum()).log().to(uniform) if float(held.sum()) > 0 else uniform)
        return torch.stack(rows)

    def mass(self, share: Tensor, parts: Sequence[slice]) -> Tensor:
        """Mass of every cell, float64 [K], not normalised over all. share: [K] in 0..1, 0 where none may be drawn."""
        return torch.cat([share[part] / share[part].sum().clamp_min(1e-300) for part in parts])
