"""Presets: numbers of slides, seeds, epochs. Plain data: the command line names them before torch is loaded."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field

from jsma.checked import Count, Seed, Share, checked

Side0 = Annotated[int, Field(ge=64, le=100_000)]
"""Of a generated slide, level-0 pixels; the dataset says which of them it can make."""
Variant = Literal["both", "cytology", "architecture"]


@checked
class Preset:
    """What `--preset` chooses: the demo's slides, the number of seeds, the schedule, and what is tuned.

    Slides are by default as those on which the gates of the design are tested
    (tests/bench/datasets/generated/demo/test_design.py).
    """

    slides: Count
    seeds: Annotated[int, Field(ge=1, le=1000)]
    epochs: Count
    side0_px: Side0 = 1280
    hint: Share = 0.8
    evidence_share: Share = 0.3
    variant: Variant = "both"
    seed: Seed = 0
    tuned: dict[str, dict[str, Any]] = field(default_factory=dict)


PRESETS: dict[str, Preset] = {
    "demo": Preset(slides=200, seeds=1, epochs=50),
    "full": Preset(
        slides=800,
        seeds=5,
        epochs=100,
        seed=202,
        # `python -m bench.studies.tuning`, on slides of another seed; systematic afterwards (results/tuning.json says
        # how)
        tuned={
            "jsma": {"estimator": "systematic", "weight_decay": 0.0001},
            "exhaustive-all": {"learning_rate": 0.003, "weight_decay": 0.01},
            "exhaustive": {"learning_rate": 0.01, "mpp": 2.0},
            "random": {"learning_rate": 0.01, "weight_decay": 0.0001},
            "fixed": {"estimator": "systematic", "weight_decay": 0.0001},
        },
    ),  # fmt: skip
    "tiny": Preset(slides=16, seeds=1, epochs=2, side0_px=1024),
}
