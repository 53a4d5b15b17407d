"""Pathology foundation models by short name: how timm builds them, and what they expect.

No weights come with this package, and each has a licence of its own. docs/encoders.md has more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import timm
import torch
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.layers import SwiGLUPacked  # pyright: ignore[reportPrivateImportUsage]
from torch import Tensor, nn

Triple = tuple[float, float, float]
BIOPTIMUS_MEAN, BIOPTIMUS_STD = (0.707223, 0.578729, 0.703617), (0.211883, 0.230117, 0.177517)
SWIGLU = {"mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU}


@dataclass(frozen=True)
class Foundation:
    """One foundation model.

    Attributes:
        hub: Its name on the hub.
        architecture: The model that timm builds.
        options: The options of that model.
        dim: Width of the feature.
        licence: Licence of the weights, as the model card had it.
        mpps: Micrometres per pixel of its training, for patches of input_px.
        class_and_mean: Whether the feature is the class token and the mean of the patch tokens, or the class token
            alone.
        mean: Mean of the pixels in 0..1, per channel.
        std: Their standard deviation.
        input_px: Side of a patch in pixels.
    """

    hub: str
    architecture: str
    options: Mapping[str, Any]
    dim: int
    licence: str
    mpps: tuple[float, ...] = (0.5,)
    class_and_mean: bool = False
    mean: Triple = field(default=IMAGENET_DEFAULT_MEAN)
    std: Triple = field(default=IMAGENET_DEFAULT_STD)
    input_px: int = 224

    def build(self, **options: Any) -> nn.Module:
        """Build the model with random weights; `options` go before those of the model (tests make it shallow)."""
        model = timm.create_model(self.architecture, num_classes=0, **{**self.options, **options})
        return ClassAndMean(model) if self.class_and_mean else model


class ClassAndMean(nn.Module):
    """Class token and mean of the patch tokens (without registers) of a vision transformer: [n, 2 d]."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """Compute features [n, 2 d] of normalised pixels [n, 3, P, P]."""
        tokens = self.model.forward_features(pixels)  # pyright: ignore[reportCallIssue]
        n_prefix = int(self.model.num_prefix_tokens)  # pyright: ignore[reportArgumentType]
        return torch.cat([tokens[:, 0], tokens[:, n_prefix:].mean(1)], dim=1)


VIRCHOW = {"init_values": 1e-5, "mlp_ratio": 5.3375, **SWIGLU}
UNI2 = {
    "patch_size": 14,
    "depth": 24,
    "num_heads": 24,
    "embed_dim": 1536,
    "mlp_ratio": 2.66667 * 2,
    "reg_tokens": 8,
    "no_embed_class": True,
    "init_values": 1e-5,
    **SWIGLU,
}
OPTIMUS: dict[str, Any] = {
    "architecture": "vit_giant_patch14_reg4_dinov2",
    "options": {"img_size": 224, "init_values": 1e-5},
    "dim": 1536,
    "mean": BIOPTIMUS_MEAN,
    "std": BIOPTIMUS_STD,
}
NON_COMMERCIAL = "CC-BY-NC-ND-4.0"

FOUNDATIONS: dict[str, Foundation] = {
    "uni": Foundation("MahmoodLab/UNI", "vit_large_patch16_224", {"init_values": 1e-5}, 1024, NON_COMMERCIAL),
    "uni2-h": Foundation("MahmoodLab/UNI2-h", "vit_giant_patch14_224", UNI2, 1536, NON_COMMERCIAL),
    "virchow": Foundation(
        "paige-ai/Virchow", "vit_huge_patch14_224", VIRCHOW, 2560, "Apache-2.0, with conditions", class_and_mean=True
    ),
    "virchow2": Foundation(
        "paige-ai/Virchow2",
        "vit_huge_patch14_224",
        {**VIRCHOW, "reg_tokens": 4},
        2560,
        NON_COMMERCIAL,
        (2.0, 1.0, 0.5, 0.25),
        class_and_mean=True,
    ),
    "h-optimus-0": Foundation("bioptimus/H-optimus-0", licence="Apache-2.0", **OPTIMUS),
    "h-optimus-1": Foundation("bioptimus/H-optimus-1", licence=NON_COMMERCIAL, **OPTIMUS),
    "prov-gigapath": Foundation(
        "prov-gigapath/prov-gigapath",
        "vit_giant_patch14_dinov2",
        {"img_size": 224, "patch_size": 16},
        1536,
        "Apache-2.0, with conditions",
    ),
}
"""Short name -> model."""
