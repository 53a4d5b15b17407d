"""Which encoder turns a patch into a feature: plain settings, without torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jsma.checked import Count, checked


@checked
class EncoderSettings:
    """Which encoder turns a patch into a feature.

    Attributes:
        name: A timm model (hf-hub:OWNER/MODEL too), one of `FOUNDATIONS` or of `OWN_ENCODERS`.
        pretrained: "package" (from the `weights` extra), "hub" (downloaded), a file (.safetensors, or a torch file of
            tensors only), or None (random).
        stage: 0-based timm feature stage to pool; None: the model's own pooled output.
        frozen: No gradient, and always evaluation mode.
        l2_normalise: Features of norm 1. Sampling from the attention has the least variance only for equal norms
            (Katharopoulos & Fleuret, ICML 2019).
        chunk: Patches per pass, at least 1; None: `CHUNKS` of the device.
        precision: "float16" rounds the features of a frozen encoder to what 16 bits hold. Kept features then take half
            the room, and they are the same wherever they are kept.
    """

    name: str = "tf_efficientnet_lite0"
    pretrained: str | None = "package"
    stage: Annotated[int, Field(ge=0, le=64)] | None = None
    frozen: bool = True
    l2_normalise: bool = True
    chunk: Count | None = None
    precision: Literal["float32", "float16"] = "float32"

    def __post_init__(self) -> None:
        if self.precision == "float16" and not self.frozen:
            raise ValueError("precision=float16 is for frozen encoders; set precision=float32 or frozen=true")
