"""Small encoders of published experiments, trained from scratch; by name beside timm's."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn


class OwnEncoder(NamedTuple):
    """A small encoder.

    Attributes:
        build: Makes the network, pixels [n, 3, P, P] -> features [n, dim].
        mean: Mean of the pixels in 0..1, per channel.
        std: Their standard deviation.
    """

    build: Callable[[], nn.Module]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def mnist_conv(width: int = 32) -> nn.Module:
    """Build four convolutions of 7, 3, 3, 3 px and `width` channels with ReLU, and a global maximum.

    Source: Katharopoulos & Fleuret, ICML 2019 (arXiv 1905.03711), the patch network for Megapixel MNIST.
    """
    layers: list[nn.Module] = []
    for channels, side in ((3, 7), (width, 3), (width, 3), (width, 3)):
        layers += [nn.Conv2d(channels, width, side), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten())


OWN_ENCODERS: dict[str, OwnEncoder] = {
    # the tint of bench.datasets.generated.megapixel comes off: grey 0..1 in every channel
    "mnist-conv": OwnEncoder(mnist_conv, (150 / 255, 50 / 255, 110 / 255), (100 / 255, 100 / 255, 100 / 255)),
}
"""Name -> encoder; none has weights to load."""
