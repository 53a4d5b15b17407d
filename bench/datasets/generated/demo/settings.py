"""Settings of the generated slides, and their classes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Annotated

from pydantic import Field

from bench.datasets.generated.wanted import StainShift, Variant
from jsma.checked import Count, Mpp, Seed, Share, checked

CLASSES: dict[str, dict[tuple[bool, bool], str]] = {
    "both": {(False, False): "normal", (True, False): "benign", (False, True): "in_situ", (True, True): "invasive"},
    "cytology": {(False, False): "normal", (False, True): "in_situ"},
    "architecture": {(False, False): "normal", (True, False): "benign"},
}
"""Variant -> {(architecture, cytology): label}."""
ADDED_LATER = {"test_stain": 0.0}
"""Setting -> its default, of settings that older folders of slides do not know."""


@checked
class DemoSettings:
    """What is generated.

    Attributes:
        slides: How many.
        side0_px: Side of level 0 in pixels, 1024 to 100,000 in steps of 64.
        mpp: Micrometres per level-0 pixel.
        hint: 0..1, how well the overview betrays the candidate sites (never the class).
        evidence_share: 0..1, share of the sites that are candidates for each kind of evidence; at least one is.
        variant: Which kinds of evidence exist.
        tissue_share: 0..1, share of the slide that is tissue.
        seed: Of everything that is drawn.
        jpeg_quality: Of the tiles, 1..100.
        test_stain: -0.9..0.9. In slides of the test part, haematoxylin is multiplied by 1 + test_stain and eosin by
            1 - test_stain. Far from 0, nuclei with evidence are no longer as dark as the others from afar: they differ
            by up to 2 grey levels, and by 1 at 0.
    """

    slides: Count = 120
    side0_px: Annotated[int, Field(ge=1024, le=100_000, multiple_of=64)] = 2048
    mpp: Mpp = 0.5
    hint: Share = 0.8
    evidence_share: Share = 0.3
    variant: Variant = "both"
    tissue_share: Share = 0.45
    seed: Seed = 0
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] = 85
    test_stain: StainShift = 0.0

    @property
    def labels(self) -> list[tuple[bool, bool]]:
        """(architecture, cytology) of the variant's classes, in turn over the slides."""
        return list(CLASSES[self.variant])

    @property
    def identity(self) -> str:
        """Content hash of all but the number of slides, which may grow.

        A setting of `ADDED_LATER` counts only where it is not at its default: folders that were made before there was
        such a setting stay what they are.
        """
        kept = {k: v for k, v in asdict(self).items() if k != "slides" and ADDED_LATER.get(k) != v}
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]

    def split(self, index: int) -> str:
        """Find the part of slide `index`: of every ten of one class, five train, two validate, three test."""
        return ("train", "test", "train", "val", "train", "test", "train", "val", "train", "test")[
            index // len(self.labels) % 10
        ]
