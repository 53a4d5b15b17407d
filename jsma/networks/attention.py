"""The attention network: overview -> one logit per cell and magnification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from jsma.cells.grid import CellGrid

Pool = tuple[Tensor, Tensor]


def pools_of(grid: CellGrid, overview_shape: tuple[int, int], device: torch.device | None = None) -> list[Pool]:
    """`CellGrid.pools` as tensors: per magnification (Wy [rows, h], Wx [cols, w]), float32."""
    return [(torch.from_numpy(wy).to(device), torch.from_numpy(wx).to(device)) for wy, wx in grid.pools(overview_shape)]


class AttentionNet(nn.Module):
    """Small fully convolutional network, free of coordinates.

    A 3x3 convolution, 2x2 means, four more 3x3 convolutions with dilations 1, 2, 2, 2 (receptive field about 32
    overview pixels), reflect padding (zero padding makes attention collapse on the border), then exact area
    pooling of the hidden map onto the cells and one linear layer per magnification. Logits start near 0: a
    close to uniform.
    Reconstruction; form after Katharopoulos & Fleuret, ICML 2019 (3x3 convolutions, 8..32 channels).
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
        """Logits [b, rows_m * cols_m] per magnification, of overview float [b, 3, h, w] in 0..1.

        pools: per magnification (Wy [rows_m, h], Wx [cols_m, w]), rows summing to 1 (`area_weights`).
        ValueError when the overview or the pools do not fit.
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
        """The hidden map pooled onto the cells, [b, K, width], before the layers that make logits of it."""
        hidden = self.layers((overview - 0.5) / 0.25)
        parts = []
        for weights in pools:
            wy, wx = (_on_hidden(w.to(hidden), n) for w, n in zip(weights, hidden.shape[2:], strict=True))
            parts.append(torch.einsum("rh,bchw,vw->brvc", wy, hidden, wx).flatten(1, 2))
        return torch.cat(parts, dim=1)

    def cells(self, overview: Tensor, pools: Sequence[Pool]) -> Tensor:
        """The logits of all magnifications in the order of `CellGrid`'s flat index, [b, K]."""
        return torch.cat(self.forward(overview, pools), dim=1)


def _on_hidden(weights: Tensor, length: int) -> Tensor:
    """Pool weights [cells, overview pixels] as weights [cells, length] of the hidden map's pixels."""
    if weights.shape[1] == length:
        return weights
    return nn.functional.pad(weights, (0, weights.shape[1] % 2)).unflatten(1, (-1, 2)).sum(-1)
