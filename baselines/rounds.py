"""What a strategy of several rounds knows before the next."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Seen:
    """What the rounds before left. group: magnification of every cell, long [K]; cells: read, long [n]; features:
    theirs, adapted [n, d]; phi [M, d], attention [K]: means of the rounds' own, weighted by their patches."""

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
