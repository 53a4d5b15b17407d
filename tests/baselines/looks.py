"""A slide without a file, for equation tests: float64, features a tensor that gradients reach."""

from types import SimpleNamespace

import numpy as np
import torch

from baselines.contract import StrategySettings
from jsma import JSMASettings
from jsma.cells.grid import CellGrid
from jsma.meter import Meter
from jsma.networks.attention import pools_of

DIM, CLASSES = 5, 3


class Sketch:
    """What a strategy uses of a MeteredSlide; `asked` lists the cells of every call of `features`."""

    def __init__(self, mpps=(1.0, 2.0), side0_px=32, patch_px=8, seed=0, tissue=0.7):
        generator = torch.Generator().manual_seed(seed)
        grid = CellGrid(side0_px, side0_px, 1.0, mpps, patch_px)
        mask = torch.rand(grid.n_cells, generator=generator) < tissue
        for part in grid.slices:
            mask[part.start] = True  # no magnification without tissue
        self.id = f"sketch{seed}"
        self.all = torch.nn.functional.normalize(
            torch.randn(grid.n_cells, DIM, dtype=torch.float64, generator=generator), dim=1
        ).requires_grad_()
        self.pixels = torch.rand(3, side0_px, side0_px, dtype=torch.float64, generator=generator)
        self.view = SimpleNamespace(
            grid=grid, mask=mask, pools=pools_of(grid, (side0_px, side0_px)), overview=self.pixels[0].numpy()
        )
        self.asked = []

    def overview(self):
        return self.pixels

    def features(self, cells):
        self.asked.append(cells.tolist())
        return self.all[cells]


def build(cls, mpps=(1.0, 2.0), n_patches=4, options=None, **method):
    """The strategy `cls` in float64, with attention that is far from uniform."""
    torch.manual_seed(0)
    method = {"width": 4, "adapter_dim": 0, **method}
    settings = StrategySettings(JSMASettings(n_patches=n_patches, mpps=mpps, **method), options=options)
    strategy = cls(settings, DIM, CLASSES, Meter()).double()
    with torch.no_grad():
        for name, p in strategy.named_parameters():
            if "attention.heads" in name:
                p.copy_(torch.randn(p.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    return strategy


def said(strategy, slide, seed=0):
    return strategy([slide], torch.Generator().manual_seed(seed))[0]


def magnification(slide):
    return slide.view.grid.decode(np.arange(len(slide.view.mask)))[0]


def by_hand(strategy, slide, weights):
    """Logits of the weighted sum over all cells, in loops: magnifications apart, the head on them side by side."""
    m = magnification(slide)
    pooled = torch.zeros(len(slide.view.grid.mpps), DIM).double()
    for cell, w in enumerate(weights):
        pooled[m[cell]] = pooled[m[cell]] + w * slide.all[cell]
    return strategy.model.head(pooled.flatten() * DIM**0.5)


def learnt(strategy, slide):
    return strategy.log_attention([slide])[0].detach()
