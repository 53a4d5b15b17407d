"""JSMA whose magnifications are exchanged at test: does the magnification matter?"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from baselines.contract import StrategySettings
from baselines.shuffled import Shuffled
from jsma import masked_log_probs
from jsma.cells.grid import CellGrid, area_weights
from jsma.meter import Meter
from jsma.metered import MeteredSlide


def move_mass(a: Tensor, grid: CellGrid, source: int, target: int) -> Tensor:
    """Move attention from the cells of one magnification to those of another, at the same place.

    The mass of every cell is spread evenly over its area, and each cell of the target takes what falls on it.

    Args:
        a: Attention on the cells of `source`, [K_source].
        grid: The cells of the slide.
        source: Index of a magnification.
        target: Index of another.

    Returns:
        Attention on the cells of `target`, [K_target], with the same sum.
    """
    shares = [
        torch.from_numpy(area_weights(n, grid.cell0[source], n_target, grid.cell0[target])).to(a)
        for n, n_target in zip(grid.shapes[source], grid.shapes[target], strict=True)
    ]
    return (shares[0].T @ a.reshape(grid.shapes[source]) @ shares[1]).flatten()


def draw_derangement(n: int, generator: Generator) -> list[int]:
    """Draw a uniformly random permutation of 0..n-1 that leaves nothing in its place; of one thing, that one."""
    while True:
        order = torch.randperm(n, generator=generator, device=generator.device).tolist()
        if n < 2 or all(i != own for i, own in enumerate(order)):
            return order


class ShuffledMagnification(Shuffled):
    """Control: as `Shuffled` (Zhang et al., CVPR-W 2021, at test only), but the magnifications are exchanged.

    A random permutation without a fixed point gives the map of each magnification, and its p(m), to another one that
    has tissue. The places stay, and are read at a magnification that was not chosen for them. Mass is spread over the
    area of a cell on its way to another grid, and what falls on cells without tissue goes to the others in proportion.
    The entropy therefore changes, unlike in `shuffled-place`. A slide with tissue cells at only one magnification
    stays as it is.
    """

    name = "shuffled-magnification"
    source = "control; a counterfactual of Zhang et al., CVPR-W 2021"

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        if len(settings.method.mpps) < 2:
            raise ValueError(
                f"shuffled-magnification needs at least 2 magnifications, got mpps {settings.method.mpps}; give another"
            )
        super().__init__(settings, feature_dim, n_classes, meter)

    def shuffle(self, log_a: Tensor, slide: MeteredSlide, generator: Generator) -> Tensor:
        """Exchange the magnifications of log a [K] of one slide."""
        grid, allowed = slide.view.grid, torch.isfinite(log_a)
        held = [m for m, part in enumerate(grid.slices) if allowed[part].any()]
        if len(held) < 2:
            return log_a
        a, exchanged = log_a.exp(), torch.zeros_like(log_a)
        for source, i in zip(held, draw_derangement(len(held), generator), strict=True):
            part, own = grid.slices[held[i]], a[grid.slices[source]]
            there = move_mass(own, grid, source, held[i]) * allowed[part]
            if not float(there.sum()) > 0:  # all of it fell beside the tissue
                there = allowed[part].to(a)
            exchanged[part] = there / there.sum() * own.sum()
        return masked_log_probs(exchanged.log(), allowed, self.settings.method.smoothing_eps)
