"""From an annotation file of any format to evidence in level-0 pixels."""

from __future__ import annotations

from functools import lru_cache

import shapely
from shapely.geometry.base import BaseGeometry

from bench.datasets.evidence.files import kind_of_file
from bench.datasets.evidence.regions import HOLE, SCHEMES, Evidence, Outlines, Scheme
from bench.datasets.evidence.shapes import polygons
from jsma.slides import SlideError


@lru_cache(maxsize=64)  # every strategy asks for the evidence of a slide in turn
def load_evidence(path: str, width0_px: int, height0_px: int, scheme: str | None = None) -> Evidence:
    """Read the evidence of a slide from an annotation file.

    The content says which format it is. Outlines (GeoJSON of QuPath, XML of ASAP, Aperio ImageScope and HALO) hold
    level-0 pixels. A raster mask (PNG, TIFF) has the slide's proportions, and outlines run along its pixels.

    Args:
        path: The file, or a member of a zip as `.../annotations.zip/name.xml`.
        width0_px: Width of the slide, level-0 pixels.
        height0_px: Height of the slide, level-0 pixels.
        scheme: Name in `SCHEMES` of how labels are read; None: every label is a kind.

    Returns:
        The evidence, clipped to the slide.

    Raises:
        SlideError: the file cannot be read, is no annotation, or the scheme is unknown.
    """
    rule = SCHEMES.get(scheme or "")
    if rule is None:
        raise SlideError(f"{path}: unknown scheme {scheme!r}; there are: {', '.join(n for n in SCHEMES if n)}")
    found = _parse(path, rule, (width0_px, height0_px))
    shapes: dict[str, list[BaseGeometry]] = {}
    for region in found.regions:
        kind = rule.kind(region.label)
        if kind is not None:
            shapes.setdefault(kind, []).append(region.shape)
    try:
        holes = shapely.union_all(shapes.pop(HOLE, []))
        slide = shapely.box(0, 0, width0_px, height0_px)
        whole = {kind: shapely.union_all(some).difference(holes) for kind, some in shapes.items()}
        areas = {kind: polygons(area.intersection(slide)) for kind, area in whole.items()}
        total = float(shapely.union_all(list(whole.values())).area)
        inside = float(shapely.union_all(list(areas.values())).area)
    except shapely.errors.GEOSException as error:
        raise SlideError(f"{path}: the outlines cannot be united ({str(error)[:120]}); draw them again") from error
    kept = {kind: area for kind, area in areas.items() if not area.is_empty}
    outside = max(0.0, 1 - inside / total) if total else 0.0
    return Evidence(width0_px, height0_px, kept, outside, len(found.regions), found.skipped)


def kinds_of(path: str, scheme: str | None = None) -> set[str]:
    """List the kinds of evidence that a file of outlines names.

    Args:
        path: The file.
        scheme: Name in `SCHEMES`.

    Returns:
        Kinds, without cut-outs.

    Raises:
        SlideError: the file cannot be read, or is a raster mask.
    """
    rule = SCHEMES[scheme or ""]
    kinds = {rule.kind(region.label) for region in _parse(path, rule, None).regions}
    return {kind for kind in kinds if kind not in (None, HOLE)}


def _parse(path: str, scheme: Scheme, size0_px: tuple[int, int] | None) -> Outlines:
    from bench.datasets.evidence import outlines, raster

    kind = kind_of_file(path)
    if kind == "xml":
        return outlines.read_xml(path)
    if kind == "json":
        return outlines.read_geojson(path)
    if size0_px is None:
        raise SlideError(f"{path}: a mask, whose scale is not known without its slide; outlines are read here")
    return raster.read_mask(path, size0_px, scheme.bits)
