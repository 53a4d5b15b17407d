"""Settings of the generated slides, and their classes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

CLASSES: dict[str, dict[tuple[bool, bool], str]] = {
    "both": {(False, False): "normal", (True, False): "benign", (False, True): "in_situ", (True, True): "invasive"},
    "cytology": {(False, False): "normal", (False, True): "in_situ"},
    "architecture": {(False, False): "normal", (True, False): "benign"},
}
"""Variant -> {(architecture, cytology): label}."""


@dataclass(frozen=True)
class DemoSettings:
    """What is generated.

    slides: how many; side0_px: side of level 0 in pixels (1024 to 100,000); mpp: um per level-0 pixel;
    hint: 0..1, how well the overview betrays candidate sites (never the class); evidence_share: 0..1,
    share of the sites that are candidates of each kind of evidence (at least one); variant: which
    evidence exists; tissue_share: 0..1 of the slide; seed; jpeg_quality: 1..100.
    """

    slides: int = 120
    side0_px: int = 2048
    mpp: float = 0.5
    hint: float = 0.8
    evidence_share: float = 0.3
    variant: str = "both"
    tissue_share: float = 0.45
    seed: int = 0
    jpeg_quality: int = 85

    def __post_init__(self) -> None:
        if self.variant not in CLASSES:
            raise ValueError(f"variant {self.variant!r}; allowed: {', '.join(CLASSES)}")
        if self.slides < 1 or not 1024 <= self.side0_px <= 100_000 or self.side0_px % 64:
            raise ValueError(
                f"slides {self.slides}, side0_px {self.side0_px}; allowed: at least 1 slide, "
                "sides from 1024 to 100000 in steps of 64"
            )
        for name in ("hint", "evidence_share", "tissue_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)}; allowed: 0 to 1")

    @property
    def labels(self) -> list[tuple[bool, bool]]:
        """(architecture, cytology) of the variant's classes, in turn over the slides."""
        return list(CLASSES[self.variant])

    @property
    def identity(self) -> str:
        """Content hash of all but the number of slides, which may grow."""
        kept = {k: v for k, v in asdict(self).items() if k != "slides"}
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]

    def split(self, index: int) -> str:
        """Split of slide `index`: of every ten of one class, five train, two validate, three test."""
        return ("train", "test", "train", "val", "train", "test", "train", "val", "train", "test")[
            index // len(self.labels) % 10
        ]
