"""Draws from the evidence itself: what a sampler would reach that knew where to look."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from baselines.random import Random
from jsma.metered import MeteredSlide


class Oracle(Random):
    """Control, an upper bound and no method: draws where the evidence masks say that the answer lies.

    The magnification is uniform among those with evidence, the cell proportional to the share of its patch that is
    evidence (of any kind); cells without evidence have no mass, so fewer than N are read where fewer than N hold any.
    A slide without annotated evidence (normal, or not annotated) is drawn uniformly, as `random` does it. Attention
    from the masks is an upper bound for where to look at one budget, not for the accuracy: the label of a normal slide
    may be known by what is absent.
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
            parts = [share[part] / share[part].sum().clamp_min(1e-12) for part in slide.view.grid.slices]
            held = torch.cat(parts)
            rows.append((held / held.sum()).log().to(uniform) if float(held.sum()) > 0 else uniform)
        return torch.stack(rows)
