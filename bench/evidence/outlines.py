"""Outlines in level-0 pixels: Aperio ImageScope XML, ASAP XML, GeoJSON as QuPath writes it."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import shapely
from shapely.geometry import shape

from bench.evidence.files import annotation_bytes
from bench.evidence.regions import Region, polygon
from jsma.slides import SlideError


def read_xml(path: str) -> list[Region]:
    """Regions of an Aperio ImageScope (root `Annotations`) or ASAP (root `ASAP_Annotations`) file."""
    try:
        root = ElementTree.fromstring(annotation_bytes(path))
        if root.tag == "ASAP_Annotations":
            return _asap(root)
        if root.tag == "Annotations":
            return _aperio(root)
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise SlideError(f"{path}: not a readable annotation ({type(error).__name__}: {error})") from error
    raise SlideError(f"{path}: root element {root.tag!r}; Annotations (Aperio) or ASAP_Annotations is read")


def _aperio(root: ElementTree.Element) -> list[Region]:
    """Annotation/Regions/Region/Vertices/Vertex@X,@Y; label in the region or, failing that, in the annotation."""
    regions = []
    for layer in root.iter("Annotation"):
        layer_label = _attribute(layer) or layer.get("Name", "")
        for element in layer.iter("Region"):
            ring = [(float(v.attrib["X"]), float(v.attrib["Y"])) for v in element.iter("Vertex")]
            outline = polygon(ring)
            label = element.get("Text", "").strip() or _attribute(element) or layer_label
            if outline is not None:
                regions.append(Region(label, outline, element.get("NegativeROA") == "1"))
    return regions


def _attribute(element: ElementTree.Element) -> str:
    """First value among the element's own Attributes/Attribute."""
    values = [a.get("Value", "").strip() or a.get("Name", "").strip() for a in element.findall("Attributes/Attribute")]
    return next((v for v in values if v and v != "Description"), "")


def _asap(root: ElementTree.Element) -> list[Region]:
    """Annotations/Annotation@PartOfGroup/Coordinates/Coordinate@Order,@X,@Y."""
    regions = []
    for element in root.iter("Annotation"):
        points = sorted(
            (float(c.get("Order", 0)), float(c.attrib["X"]), float(c.attrib["Y"])) for c in element.iter("Coordinate")
        )
        outline = polygon([(x, y) for _, x, y in points])
        if outline is not None:
            regions.append(Region(element.get("PartOfGroup", ""), outline))
    return regions


def read_geojson(path: str) -> list[Region]:
    """Features with polygons; the label is `properties.classification.name`, else `properties.name`."""
    try:
        document = json.loads(annotation_bytes(path))
        features = document.get("features", [document]) if isinstance(document, dict) else document
        return [region for feature in features for region in _feature(feature)]
    except (ValueError, TypeError, KeyError, AttributeError, shapely.errors.ShapelyError) as error:
        raise SlideError(f"{path}: not readable GeoJSON ({type(error).__name__}: {error})") from error


def _feature(feature: dict[str, Any]) -> list[Region]:
    geometry = shape(feature.get("geometry") or feature)
    if geometry.geom_type not in ("Polygon", "MultiPolygon", "GeometryCollection"):
        return []  # points and lines enclose nothing
    properties = feature.get("properties") or {}
    classification = properties.get("classification") or {}
    label = classification.get("name") if isinstance(classification, dict) else str(classification)
    return [Region(label or properties.get("name") or "", shapely.make_valid(geometry))]
