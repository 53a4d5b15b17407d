"""The one type of annotations, and how each format becomes it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from jsma.slides import SlideError

HOLE = "-"  # kind of a region that is cut out of all others


@dataclass(frozen=True)
class Region:
    """One outlined region as the file has it: its own label, and its shape in level-0 pixels (x, y)."""

    label: str
    shape: BaseGeometry
    hole: bool = False


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

    outside: share (0..1) of the annotated area that lies outside the slide: above 0 the frames differ.
    """

    width0_px: int
    height0_px: int
    areas: dict[str, MultiPolygon]
    outside: float = 0.0

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


@lru_cache(maxsize=64)  # every strategy asks for the evidence of a slide in turn
def load_evidence(path: str, width0_px: int, height0_px: int, scheme: str | None = None) -> Evidence:
    """Evidence in an annotation file; SlideError where it cannot be read.

    Aperio ImageScope XML, ASAP XML and GeoJSON (QuPath) hold level-0 pixels; a raster mask (.png, .tif, .tiff) is
    stretched over the slide, its outlines are right to half a mask pixel.
    """
    rule = SCHEMES.get(scheme or "")
    if rule is None:
        raise SlideError(f"{path}: unknown scheme {scheme!r}; there are: {', '.join(n for n in SCHEMES if n)}")
    shapes: dict[str, list[BaseGeometry]] = {}
    for region in _parse(path, rule, (width0_px, height0_px)):
        kind = HOLE if region.hole else rule.kind(region.label)
        if kind is not None:
            shapes.setdefault(kind, []).append(region.shape)
    holes = shapely.union_all(shapes.pop(HOLE, []))
    slide = shapely.box(0, 0, width0_px, height0_px)
    whole = {kind: shapely.union_all(some).difference(holes) for kind, some in shapes.items()}
    areas = {kind: _polygons(area.intersection(slide)) for kind, area in whole.items()}
    total = float(shapely.union_all(list(whole.values())).area)
    inside = float(shapely.union_all(list(areas.values())).area)
    kept = {kind: area for kind, area in areas.items() if not area.is_empty}
    return Evidence(width0_px, height0_px, kept, max(0.0, 1 - inside / total) if total else 0.0)


def kinds_of(path: str, scheme: str | None = None) -> set[str]:
    """Kinds that an annotation in level-0 pixels names (holes left out)."""
    rule = SCHEMES[scheme or ""]
    kinds = {None if region.hole else rule.kind(region.label) for region in _parse(path, rule, None)}
    return {kind for kind in kinds if kind not in (None, HOLE)}


def is_mask(path: str) -> bool:
    """Whether an annotation is a raster mask, by its name."""
    from bench.evidence import raster

    return path.lower().endswith(raster.EXTENSIONS)


def _parse(path: str, scheme: Scheme, size0_px: tuple[int, int] | None) -> list[Region]:
    from bench.evidence import outlines, raster

    extension = Path(path).suffix.lower()
    parsers: dict[str, Callable[[str], list[Region]]] = {
        ".xml": outlines.read_xml,
        ".geojson": outlines.read_geojson,
        ".json": outlines.read_geojson,
    }
    if extension in parsers:
        return parsers[extension](path)
    if extension in raster.EXTENSIONS and size0_px is not None:
        return raster.read_mask(path, size0_px, scheme.bits)
    raise SlideError(
        f"{path}: annotations are read from {', '.join((*parsers, *raster.EXTENSIONS))}, not {extension or 'this'}"
    )


def polygon(ring: list[tuple[float, float]]) -> BaseGeometry | None:
    """A valid polygon of a drawn outline (crossings resolved, all enclosed parts kept); None under 3 points."""
    if len(ring) < 3:
        return None
    shape = Polygon(ring)
    return shape if shape.is_valid else _polygons(shapely.make_valid(shape))


def _polygons(shape: BaseGeometry) -> MultiPolygon:
    """The polygons in a geometry; lines and points are dropped."""
    parts = shapely.get_parts(shapely.get_parts(shape).ravel() if shape.geom_type == "GeometryCollection" else shape)
    return MultiPolygon([p for p in np.atleast_1d(parts) if p.geom_type == "Polygon" and not p.is_empty])
