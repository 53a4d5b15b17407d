"""What a strategy of several rounds knows before the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from jsma import JSMA
from jsma.cells.grid import CellGrid


@dataclass(frozen=True)
class Places:
    """Where the cells lie. xy: centres in sides of a cell of their magnification, [K, 2]; group: that magnification,
    long [K].
    """

    xy: Tensor
    group: Tensor

    @classmethod
    def of(cls, grid: CellGrid, group: Tensor, like: Tensor) -> Places:
        """Of a grid whose magnifications by cell are `group`, as numbers of the kind of `like`."""
        xy = torch.from_numpy(grid.centres0(np.arange(grid.n_cells))).to(like)
        return cls(xy / torch.tensor(grid.cell0).to(like)[group][:, None], group)

    def near(self, cells: Tensor) -> Tensor:
        """exp(-d^2 / 2) [K, n] of every cell to the `cells` [n] of its magnification, d in sides; 0 to the others."""
        distance = torch.cdist(self.xy, self.xy[cells])
        return (-0.5 * distance.square()).exp() * (self.group[:, None] == self.group[cells])


@dataclass(frozen=True)
class Seen:
    """What the rounds before left. group: magnification of every cell, long [K]; cells: read, long [n]; features:
    theirs, adapted [n, d]; phi [M, d], attention [K]: means of the rounds' own, weighted by their patches.
    """

    group: Tensor
    cells: Tensor
    features: Tensor
    phi: Tensor
    attention: Tensor

    def after(self, own: Tensor, fresh: Tensor, phi: Tensor, a: Tensor) -> Seen:
        """With one more round, of the cells `own`."""
        new = len(own) / (len(self.cells) + len(own))
        cells, features = torch.cat([self.cells, own]), torch.cat([self.features, fresh])
        attention = self.attention * (1 - new) + a.detach() * new
        return Seen(self.group, cells, features, self.phi * (1 - new) + phi * new, attention)


@torch.no_grad()
def worth(model: JSMA, seen: Seen) -> Tensor:
    """How far each patch read moves the logits by itself, [n], centred on the mean over them and in units of it."""
    own = one_hot(seen.group[seen.cells], model.n_magnifications).to(seen.phi)
    alone = own[..., None] * seen.features.to(seen.phi)[:, None]
    moves = model.classify_pooled(alone) - model.classify_pooled(torch.zeros_like(seen.phi))
    size = (moves - moves.mean(-1, keepdim=True)).norm(dim=-1)
    return size / size.mean().clamp_min(1e-12) - 1
