"""The attention network: an overview to one logit per cell, at every magnification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from jsma.cells.grid import CellGrid

Pool = tuple[Tensor, Tensor]


def pools_of(grid: CellGrid, overview_shape: tuple[int, int], device: torch.device | None = None) -> list[Pool]:
    """Make tensors of `CellGrid.pools`.

    Args:
        grid: the slide's cells.
        overview_shape: (height, width) of an overview that covers the slide exactly, in pixels.
        device: where the tensors are to be; None: where torch makes them.

    Returns:
        Of each magnification (Wy [rows, height], Wx [columns, width]), float32.
    """
    return [(torch.from_numpy(wy).to(device), torch.from_numpy(wx).to(device)) for wy, wx in grid.pools(overview_shape)]


class AttentionNet(nn.Module):
    """A small fully convolutional network that knows no coordinates.

    A 3x3 convolution, means over 2x2, four more 3x3 convolutions with dilations 1, 2, 2, 2 (it sees about 32 overview
    pixels), then exact area pooling of the hidden map onto the cells, and one linear layer per magnification. Padding
    reflects, because attention collapses on the border under zero padding. Logits start near 0, so that the attention
    starts close to uniform.
    A reconstruction; its form follows Katharopoulos & Fleuret, ICML 2019 (3x3 convolutions, 8 to 32 channels).

    Args:
        n_magnifications: Number of linear layers.
        width: Channels of the hidden map.
    """

    dilations = (1, 1, 2, 2, 2)

    def __init__(self, n_magnifications: int, width: int = 16) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for d in self.dilations:
            layers.append(nn.Conv2d(channels, width, 3, padding=d, dilation=d, padding_mode="reflect"))
            layers.append(nn.GroupNorm(1, width, affine=True) if channels == 3 else nn.Identity())
            layers.append(nn.ReLU())
            if channels == 3:
                layers.append(nn.AvgPool2d(2, ceil_mode=True))
            channels = width
        self.layers = nn.Sequential(*layers)
        self.heads = nn.ModuleList(nn.Linear(width, 1) for _ in range(n_magnifications))
        for head in self.heads:
            linear = cast(nn.Linear, head)
            nn.init.normal_(linear.weight, std=0.01)
            nn.init.zeros_(linear.bias)

    def forward(self, overview: Tensor, pools: Sequence[Pool]) -> list[Tensor]:
        """Compute the logits of the cells.

        Args:
            overview: RGB, float [b, 3, h, w] in 0..1; h and w at least 5.
            pools: Per magnification (Wy [rows, h], Wx [columns, w]), whose rows sum to 1.

        Returns:
            Per magnification, logits [b, rows * columns].

        Raises:
            ValueError: The overview or the pools do not fit.
        """
        if overview.ndim != 4 or overview.shape[1] != 3 or min(overview.shape[2:]) < 5:
            raise ValueError(f"overview is {tuple(overview.shape)}; allowed: [b, 3, h >= 5, w >= 5]")
        if len(pools) != len(self.heads):
            raise ValueError(f"{len(pools)} pools for {len(self.heads)} magnifications; one (Wy, Wx) each")
        hidden = self.layers((overview - 0.5) / 0.25)
        logits = []
        for head, (wy, wx) in zip(self.heads, pools, strict=True):
            wy, wx = (_on_hidden(w.to(hidden), n) for w, n in zip((wy, wx), hidden.shape[2:], strict=True))
            pooled = torch.einsum("rh,bchw,vw->brvc", wy, hidden, wx)
            logits.append(head(pooled).flatten(1))
        return logits

    def hidden(self, overview: Tensor, pools: Sequence[Pool]) -> Tensor:
        """Pool the hidden map onto the cells, [b, K, width], before the layers that make logits of it."""
        hidden = self.layers((overview - 0.5) / 0.25)
        parts = []
        for weights in pools:
            wy, wx = (_on_hidden(w.to(hidden), n) for w, n in zip(weights, hidden.shape[2:], strict=True))
            parts.append(torch.einsum("rh,bchw,vw->brvc", wy, hidden, wx).flatten(1, 2))
        return torch.cat(parts, dim=1)

    def cells(self, overview: Tensor, pools: Sequence[Pool]) -> Tensor:
        """Compute the logits of all magnifications in the order of `CellGrid`'s flat index, [b, K]."""
        return torch.cat(self.forward(overview, pools), dim=1)


def _on_hidden(weights: Tensor, length: int) -> Tensor:
    """Turn weights [cells, overview pixels] into weights [cells, length] of the hidden map's pixels."""
    if weights.shape[1] == length:
        return weights
    return nn.functional.pad(weights, (0, weights.shape[1] % 2)).unflatten(1, (-1, 2)).sum(-1)
