"""A trained layer on each patch's feature, one per magnification, shared by every strategy that pools features."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Adapter(nn.Module):
    """ReLU(W_m f + b_m), where m is the magnification of the feature f.

    It sees one patch at a time, so that an unbiased estimate of a sum over patches stays unbiased.

    Args:
        feature_dim: Width of the features, which have norm 1.
        dim: Units of the layer; 0 hands the features through as they are.
        n_magnifications: Number of layers.
    """

    def __init__(self, feature_dim: int, dim: int, n_magnifications: int) -> None:
        super().__init__()
        self.feature_dim, self.dim = feature_dim, dim or feature_dim
        self.layers = nn.ModuleList(nn.Linear(feature_dim, dim) for _ in range(n_magnifications if dim else 0))

    def forward(self, features: Tensor, magnification: Tensor) -> Tensor:
        """Take features [..., n, feature_dim] of magnifications long [..., n] through their layers: [..., n, dim]."""
        if not len(self.layers):
            return features
        each = torch.stack([self._through(layer, features) for layer in self.layers], dim=-2)  # [..., n, M, dim]
        index = magnification[..., None, None].expand(*magnification.shape, 1, self.dim)
        return each.gather(-2, index).squeeze(-2)

    def at(self, features: Tensor, m: int) -> Tensor:
        """Take features [..., n, feature_dim] through the layer of the one magnification `m`: [..., n, dim]."""
        return self._through(self.layers[m], features) if len(self.layers) else features

    def _through(self, layer: nn.Module, features: Tensor) -> Tensor:
        # features have norm 1: the scale brings their coordinates, and the layer's, near 1
        return torch.relu(layer(features * math.sqrt(self.feature_dim))) / math.sqrt(self.dim)
