"""The one type of annotations, and how each format becomes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

HOLE = "-"  # kind of a region that is cut out of all others


@dataclass(frozen=True)
class Region:
    """One outlined region as the file has it: its own label, and its shape in level-0 pixels (x, y)."""

    label: str
    shape: BaseGeometry


@dataclass(frozen=True)
class Outlines:
    """What a file holds. skipped: its objects that enclose nothing (points, lines, rulers)."""

    regions: tuple[Region, ...]
    skipped: int = 0


@dataclass(frozen=True)
class Scheme:
    """How labels become kinds. rules: (regular expression, kind), the first that is found in the label counts.

    A label without rule is its own kind where `keep` is set, and is ignored where it is not. bits: a raster mask holds
    one kind a bit instead of one label a value.
    """

    rules: tuple[tuple[str, str], ...] = ()
    keep: bool = True
    bits: bool = False

    def kind(self, label: str) -> str | None:
        """Kind of a label; HOLE for a cut-out, None for one that is no evidence."""
        for pattern, kind in self.rules:
            if re.search(pattern, label, re.IGNORECASE):
                return kind
        return (label.strip().lower() or "region") if self.keep else None


SCHEMES: dict[str, Scheme] = {
    "": Scheme(),
    "bach": Scheme(((r"situ", "in situ"), (r"invas", "invasive"), (r"benign", "benign"))),
    "camelyon16": Scheme(((r"^_2$|exclu|normal", HOLE), (r"^_[01]$|tumou?r|metast|none", "tumor"))),
    "panda-radboud": Scheme((("^3$", "pattern 3"), ("^4$", "pattern 4"), ("^5$", "pattern 5")), keep=False),
    "panda-karolinska": Scheme((("^2$", "cancer"),), keep=False),
    "demo": Scheme((("^1$", "architecture"), ("^2$", "cytology")), bits=True),
}
"""Name -> scheme; a `SlideRecord` names the one of its mask."""


@dataclass(frozen=True)
class Evidence:
    """Evidence of one slide. areas: kind -> valid polygons with holes, level-0 pixels, clipped to the slide.

    outside: share (0..1) of the annotated area that lies outside the slide: above 0 the frames differ; outlines,
    skipped: regions of the file that enclose something, of whatever kind, and objects that enclose nothing.
    """

    width0_px: int
    height0_px: int
    areas: dict[str, MultiPolygon]
    outside: float = 0.0
    outlines: int = 0
    skipped: int = 0

    @cached_property
    def union(self) -> BaseGeometry:
        """All kinds together."""
        union = shapely.union_all(list(self.areas.values()))
        shapely.prepare(union)
        return union

    @property
    def empty(self) -> bool:
        """True where nothing is annotated."""
        return self.union.is_empty

    @property
    def share(self) -> float:
        """Annotated share of the slide's area, 0..1."""
        return float(self.union.area) / (self.width0_px * self.height0_px)

    def contains(self, points0: np.ndarray, kind: str | None = None) -> np.ndarray:
        """Which points (x, y) [n, 2] of level 0 lie in evidence (of one kind), bool [n]."""
        area = self.union if kind is None else self.areas.get(kind, MultiPolygon())
        points = np.asarray(points0, dtype=np.float64).reshape(-1, 2)
        return np.asarray(shapely.contains_xy(area, points[:, 0], points[:, 1]), dtype=bool)
