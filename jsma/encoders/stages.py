"""A convolutional model of timm cut after one of its feature stages: what lies behind it is not run."""

from __future__ import annotations

import timm
from timm.models.efficientnet import EfficientNetFeatures
from timm.models.mobilenetv3 import MobileNetV3Features
from torch import nn

from jsma.errors import EncoderError


def cut_after(name: str, stage: int, model: nn.Module) -> nn.Module:
    """Cut a timm model after one of its feature stages.

    Args:
        name: the model's name in timm.
        stage: 0-based.
        model: the whole model, whose weights are taken.

    Raises:
        EncoderError: the model has no such stage, or `model` lacks a weight of it.
    """
    try:
        cut = timm.create_model(name, features_only=True, out_indices=(stage,))
    except (IndexError, AssertionError, RuntimeError, ValueError) as exc:
        raise EncoderError(f"{name} has no feature stage {stage}; try 0..4") from exc
    state = model.state_dict()
    prefix = "model." if any(k.startswith("model.") for k in cut.state_dict()) else ""
    wanted = {k: state.get(k.removeprefix(prefix)) for k in cut.state_dict()}
    if absent := [k for k, v in wanted.items() if v is None]:
        raise EncoderError(f"{name}: stage {stage} has no weight for {absent[0]}; use stage=None")
    cut.load_state_dict(wanted)
    if isinstance(cut, (EfficientNetFeatures, MobileNetV3Features)):
        cut.blocks = cut.blocks[: max(cut._stage_out_idx)]  # timm keeps, and runs, those after the stage
    return cut
