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
    """One outlined region as the file has it.

    Attributes:
        label: The label in the file.
        shape: Its shape in level-0 pixels (x, y).
    """

    label: str
    shape: BaseGeometry


@dataclass(frozen=True)
class Outlines:
    """What an annotation file holds.

    Attributes:
        regions: Its outlined regions.
        skipped: Number of its objects that enclose nothing (points, lines, rulers).
    """

    regions: tuple[Region, ...]
    skipped: int = 0


@dataclass(frozen=True)
class Scheme:
    """How the labels of a file become kinds of evidence.

    Attributes:
        rules: (regular expression, kind). The first expression that is found in the label counts.
        keep: Whether a label without a rule is a kind of its own. Otherwise it is ignored.
        bits: Whether a raster mask holds one kind per bit, and not one label per value.
    """

    rules: tuple[tuple[str, str], ...] = ()
    keep: bool = True
    bits: bool = False

    def kind(self, label: str) -> str | None:
        """Find the kind of a label.

        Args:
            label: As the file has it; capitals do not matter.

        Returns:
            The kind; HOLE for a cut-out; None for a label that is no evidence.
        """
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
    """Evidence of one slide.

    Attributes:
        width0_px: Width of the slide, level-0 pixels.
        height0_px: Height of the slide, level-0 pixels.
        areas: Kind -> valid polygons with holes, in level-0 pixels, clipped to the slide.
        outside: Share (0..1) of the annotated area that lies outside the slide. Above 0 the frames differ.
        outlines: Number of regions in the file that enclose something, of any kind.
        skipped: Number of objects in the file that enclose nothing.
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

    def contains(self, points0: np.ndarray, kind: str | None = None) -> np.ndarray:
        """Which points lie in evidence.

        Args:
            points0: Points (x, y) [n, 2] in level-0 pixels.
            kind: One kind of evidence; None: any.

        Returns:
            bool [n].
        """
        area = self.union if kind is None else self.areas.get(kind, MultiPolygon())
        points = np.asarray(points0, dtype=np.float64).reshape(-1, 2)
        return np.asarray(shapely.contains_xy(area, points[:, 0], points[:, 1]), dtype=bool)
