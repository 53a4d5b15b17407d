"""Presets: numbers of slides, seeds, epochs. Plain data: the command line names them before torch is loaded."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any

from pydantic import Field

from bench.datasets.generated.wanted import Wanted
from jsma.checked import Count, checked


@checked
class Preset(Wanted):
    """What `--preset` chooses: the slides that are generated, the number of seeds, the schedule, and what is tuned."""

    seeds: Annotated[int, Field(ge=1, le=1000)] = 1
    epochs: Count = 50
    tuned: dict[str, dict[str, Any]] = field(default_factory=dict)


PRESETS: dict[str, Preset] = {
    "demo": Preset(slides=200, seeds=1, epochs=50),
    "full": Preset(
        slides=800,
        seeds=5,
        epochs=100,
        seed=202,
        # `jsma-bench study tuning`, on slides of another seed; systematic afterwards (results/tuning.json says
        # how)
        tuned={
            "jsma": {"estimator": "systematic", "weight_decay": 0.0001},
            "exhaustive-all": {"learning_rate": 0.003, "weight_decay": 0.01},
            "exhaustive": {"learning_rate": 0.01, "mpp": 2.0},
            "random": {"learning_rate": 0.01, "weight_decay": 0.0001},
            "fixed": {"estimator": "systematic", "weight_decay": 0.0001},
        },
    ),
    "tiny": Preset(slides=16, seeds=1, epochs=2, side0_px=1024),
}
