"""What a strategy that reads in rounds knows before the next round."""

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
    """Where the cells lie.

    Attributes:
        xy: Centres in sides of a cell of their magnification, [K, 2].
        group: Index of that magnification, long [K].
    """

    xy: Tensor
    group: Tensor

    @classmethod
    def of(cls, grid: CellGrid, group: Tensor, like: Tensor) -> Places:
        """Take the places from a grid whose cells have the magnifications `group`, in the type of `like`."""
        xy = torch.from_numpy(grid.centres0(np.arange(grid.n_cells))).to(like)
        return cls(xy / torch.tensor(grid.cell0).to(like)[group][:, None], group)

    def near(self, cells: Tensor) -> Tensor:
        """Say how near every cell is to `cells`, flat indices [n].

        Returns:
            exp(-d^2 / 2) [K, n], where d is the distance in sides of a cell; 0 to cells of other magnifications.
        """
        distance = torch.cdist(self.xy, self.xy[cells])
        return (-0.5 * distance.square()).exp() * (self.group[:, None] == self.group[cells])


@dataclass(frozen=True)
class Seen:
    """What the rounds so far have left.

    Attributes:
        group: Index of the magnification of every cell, long [K].
        cells: Flat indices of the cells that were read, long [n].
        features: Their adapted features [n, d].
        phi: Mean of the estimates of the rounds, weighted by their patches, [M, d].
        attention: Mean of the attention of the rounds, weighted in the same way, [K].
    """

    group: Tensor
    cells: Tensor
    features: Tensor
    phi: Tensor
    attention: Tensor

    def after(self, own: Tensor, fresh: Tensor, phi: Tensor, a: Tensor) -> Seen:
        """Add one round: its cells `own` [m], their features [m, d], its estimate [M, d] and its attention [K]."""
        new = len(own) / (len(self.cells) + len(own))
        cells, features = torch.cat([self.cells, own]), torch.cat([self.features, fresh])
        attention = self.attention * (1 - new) + a.detach() * new
        return Seen(self.group, cells, features, self.phi * (1 - new) + phi * new, attention)


@torch.no_grad()
def worth(model: JSMA, seen: Seen) -> Tensor:
    """Compute how far each patch that was read moves the logits by itself, [n].

    The distances are centred on their mean and measured in units of it.
    """
    own = one_hot(seen.group[seen.cells], model.n_magnifications).to(seen.phi)
    alone = own[..., None] * seen.features.to(seen.phi)[:, None]
    moves = model.classify_pooled(alone) - model.classify_pooled(torch.zeros_like(seen.phi))
    size = (moves - moves.mean(-1, keepdim=True)).norm(dim=-1)
    return size / size.mean().clamp_min(1e-12) - 1
