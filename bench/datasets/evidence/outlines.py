"""Outlines in level-0 pixels: Aperio ImageScope, HALO and ASAP XML, GeoJSON as QuPath writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import numpy as np
import shapely
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from bench.datasets.evidence.files import READ, annotation_bytes
from bench.datasets.evidence.regions import Outlines, Region
from bench.datasets.evidence.shapes import ShapeError, corners, ellipse, fill_outline, polygons, rectangle
from jsma.slides import SlideError

NO_AREA = {"3", "4", "5", "arrow", "ruler", "pin", "dot", "pointset", "measurement", "line", "polyline"}
"""Types of regions that enclose nothing: ImageScope's numbers, HALO's and ASAP's words."""


def read_xml(path: str) -> Outlines:
    """Read the regions of an ImageScope or HALO file (root `Annotations`), or of ASAP (root `ASAP_Annotations`).

    Args:
        path: The file.

    Returns:
        Its regions, in level-0 pixels.

    Raises:
        SlideError: it is not readable, or another kind of XML.
    """
    content = annotation_bytes(path)
    if b"<!ENTITY" in content.replace(b"\0", b""):  # also where a character takes two bytes
        raise SlideError(f"{path}: declares XML entities, which no annotation needs; export it again")
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        raise SlideError(f"{path}: not readable XML ({type(error).__name__}: {error}); export it again") from error
    readers = {"ASAP_Annotations": _asap, "Annotations": _layers}
    if root.tag not in readers:
        raise SlideError(f"{path}: XML with the root element {root.tag[:80]!r}; {READ}")
    return _collect(path, readers[root.tag](root))


def _collect(path: str, found: Iterator[Region | None]) -> Outlines:
    """Collect regions. SlideError names the region that is wrong."""
    regions, skipped = list[Region](), 0
    while True:
        try:
            region = next(found)
        except StopIteration:
            return Outlines(tuple(regions), skipped)
        except ShapeError as error:
            raise SlideError(f"{path}: {error}") from error
        if region is None or region.shape.is_empty:
            skipped += 1
        else:
            regions.append(region)


def _layers(root: ElementTree.Element) -> Iterator[Region | None]:
    """Annotation/Regions/Region/Vertices/Vertex@X,@Y (HALO: V); the label is the region's or else its annotation's.

    A region with NegativeROA is cut out of the regions of its own annotation.
    """
    number = 0
    for layer in root.iter("Annotation"):
        label, cuts, kept = _attribute(layer) or layer.get("Name", ""), list[BaseGeometry](), list[Region]()
        for element in layer.iter("Region"):
            number += 1
            points = [(v.get("X"), v.get("Y")) for v in element.iter() if v.tag in ("Vertex", "V")]
            shape = _draw_region(number, element.get("Type", ""), points)
            if shape.is_empty:
                yield None
            elif element.get("NegativeROA", "0").strip().lower() in ("1", "true"):
                cuts.append(shape)
            else:
                kept.append(Region(element.get("Text", "").strip() or _attribute(element) or label, shape))
        yield from _cut(kept, cuts)


def _draw_region(number: int, kind: str, points: list[tuple[str | None, str | None]]) -> BaseGeometry:
    """Make the shape of one region, empty where it encloses nothing. An ellipse may be given by two corners."""
    kind = kind.strip().lower()
    if kind in NO_AREA:
        return MultiPolygon()
    try:
        ring = corners(points)
        if len(ring) == 2 and kind in ("1", "rectangle", "2", "ellipse"):
            return polygons((rectangle if kind in ("1", "rectangle") else ellipse)(ring))
        return fill_outline(ring)
    except ShapeError as error:
        raise ShapeError(f"region {number}: {error}") from error


def _cut(regions: list[Region], cuts: list[BaseGeometry]) -> Iterator[Region]:
    """Cut the cut-outs out of regions. A region that lies in a cut-out of another region is an island and stays."""
    shapes = np.array([region.shape for region in regions], dtype=object)
    for cut in cuts:
        met = np.flatnonzero(shapely.intersects(shapes, cut)) if len(shapes) else np.array([], int)
        islands = shapely.covered_by(shapes[met], cut)
        for k in met[~islands] if (~islands).any() else met:
            shapes[k] = shapely.difference(shapes[k], cut)
    yield from (Region(region.label, polygons(shape)) for region, shape in zip(regions, shapes, strict=True))


def _attribute(element: ElementTree.Element) -> str:
    """Find the first value among the element's own Attributes/Attribute."""
    values = [a.get("Value", "").strip() or a.get("Name", "").strip() for a in element.findall("Attributes/Attribute")]
    return next((v for v in values if v and v != "Description"), "")


def _asap(root: ElementTree.Element) -> Iterator[Region | None]:
    """Annotations/Annotation@PartOfGroup/Coordinates/Coordinate@Order,@X,@Y."""
    for number, element in enumerate(root.iter("Annotation"), start=1):
        found = list(element.iter("Coordinate"))
        orders = [c.get("Order", "0") for c in found]
        if all(order.isdigit() for order in orders):
            found = [c for _, c in sorted(zip(map(int, orders), found, strict=True), key=lambda pair: pair[0])]
        shape = _draw_region(number, element.get("Type", ""), [(c.get("X"), c.get("Y")) for c in found])
        yield Region(element.get("PartOfGroup", ""), shape)


def read_geojson(path: str) -> Outlines:
    """Read the polygons of a GeoJSON file.

    The label is the name of the classification (or its names, joined as QuPath does), else the feature's `name`.

    Args:
        path: The file.

    Returns:
        Its regions, in level-0 pixels.

    Raises:
        SlideError: it is not readable, or no GeoJSON.
    """
    try:
        document = json.loads(annotation_bytes(path))
    except RecursionError as error:
        raise SlideError(f"{path}: not readable GeoJSON (nested too deeply); export it again") from error
    except ValueError as error:
        raise SlideError(f"{path}: not readable GeoJSON ({type(error).__name__}: {error}); export it again") from error
    features = document.get("features", [document]) if isinstance(document, dict) else document
    if not isinstance(features, list):
        raise SlideError(f"{path}: not readable GeoJSON (`features` is no list); export it again")
    if isinstance(document, dict) and "features" not in document and "type" not in document:
        keys = ", ".join(list(document)[:6])
        raise SlideError(f"{path}: JSON but no GeoJSON (it holds {keys[:120] or 'nothing'}); {READ}")
    return _collect(path, (_feature(k, feature) for k, feature in enumerate(features, start=1)))


def _feature(number: int, feature: Any) -> Region | None:
    try:
        geometry = feature["geometry"] if "geometry" in feature else feature
        if not geometry:
            return None
        properties = feature.get("properties")
        shape = polygons(shapely.union_all(list(_geometry(geometry))))
        return Region(_label(properties if isinstance(properties, dict) else {}), shape)
    except ShapeError as error:
        raise ShapeError(f"feature {number}: {error}") from error
    except RecursionError as error:
        raise ShapeError(f"feature {number}: nested too deeply") from error
    except (TypeError, KeyError, AttributeError, ValueError, shapely.errors.ShapelyError) as error:
        raise ShapeError(f"feature {number}: not readable GeoJSON ({type(error).__name__}: {error})") from error


def _geometry(geometry: dict[str, Any]) -> Iterator[BaseGeometry]:
    """List the areas of a geometry. Points and lines enclose none."""
    kind = geometry["type"]
    if kind == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from _geometry(part)
    elif kind in ("Polygon", "MultiPolygon"):
        for rings in [geometry["coordinates"]] if kind == "Polygon" else geometry["coordinates"]:
            shell, *holes = [corners(ring) for ring in rings] or [np.empty((0, 2))]
            yield fill_outline(shell, holes)
    elif kind not in ("Point", "MultiPoint", "LineString", "MultiLineString"):
        raise ShapeError(f"geometry of type {str(kind)[:40]!r}, which GeoJSON does not have")


def _label(properties: dict[str, Any]) -> str:
    found = properties.get("classification")
    if isinstance(found, dict):
        names = found.get("names")
        found = found.get("name") or (": ".join(map(str, names)) if isinstance(names, list) else names)
    found = found if found not in (None, "") else properties.get("name")
    return "" if found is None else str(found)
