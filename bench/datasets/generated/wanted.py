"""Which generated slides are wanted: how many, how large, how hard."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jsma.checked import Count, Seed, Share, checked

Side0 = Annotated[int, Field(ge=64, le=100_000)]
"""Of a generated slide, level-0 pixels; the dataset says which of them it can make."""
StainShift = Annotated[float, Field(ge=-0.9, le=0.9)]
"""Another mix of stains: haematoxylin times 1 + shift, eosin times 1 - shift (`jsma.slides.stains.shift_gains`)."""
Variant = Literal["both", "cytology", "architecture"]


@checked
class Wanted:
    """What is asked of a dataset that makes its slides.

    The defaults are the slides of the preset `demo`, on which the design is tested
    (tests/bench/datasets/generated/demo). A dataset says which of the fields it heeds.

    Attributes:
        slides: How many.
        side0_px: Side of a slide, level-0 pixels.
        hint: 0..1, how well the overview betrays the candidate sites (never the class).
        evidence_share: 0..1, share of the sites that are candidates for each kind of evidence.
        variant: Which kinds of evidence exist.
        seed: Of everything that is drawn.
        test_stain: Another mix of stains in the test part alone; 0: the same as in the others.
    """

    slides: Count = 200
    side0_px: Side0 = 1280
    hint: Share = 0.8
    evidence_share: Share = 0.3
    variant: Variant = "both"
    seed: Seed = 0
    test_stain: StainShift = 0.0
