"""From drawn points to valid polygons in level-0 pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry import LinearRing, MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

FARTHEST0_PX = 1e7  # a coordinate farther from the origin is damage: no slide is a tenth as wide
MOST_CROSSINGS = 10_000  # of one outline with itself; a drawn one has a few
ARC = 128  # corners of an ellipse
_CHUNK = 256


class ShapeError(ValueError):
    """A region that cannot be right. One line without its number."""


def corners(points: Sequence[Sequence[object]]) -> np.ndarray:
    """Read points, also with a decimal comma.

    Args:
        points: (x, y, ...) each, numbers or text, level-0 pixels.

    Returns:
        float64 [n, 2].

    Raises:
        ShapeError: a coordinate is no number, or lies off any slide.
    """
    rows = [[v.replace(",", ".") if isinstance(v, str) else v for v in point[:2]] for point in points]
    try:
        array = np.array(rows, dtype=np.float64).reshape(len(rows), -1)
    except (ValueError, TypeError) as error:
        raise ShapeError(f"coordinates that are no numbers ({str(error)[:80]})") from error
    if len(array) and array.shape[1] != 2:
        raise ShapeError("a point without x or y")
    bad = ~(np.abs(array) <= FARTHEST0_PX)  # NaN too
    if bad.any():
        raise ShapeError(f"coordinate {array[bad][0]:g}; allowed: pixels of level 0, up to {FARTHEST0_PX:g}")
    return array.reshape(-1, 2)


def rectangle(points: np.ndarray) -> Polygon:
    """The box around points [n, 2]."""
    return shapely.box(*points.min(axis=0), *points.max(axis=0))


def ellipse(points: np.ndarray) -> Polygon:
    """The ellipse in the box around points [n, 2], of ARC corners and its own area."""
    low, high = points.min(axis=0), points.max(axis=0)
    turn = 2 * np.pi * np.arange(ARC) / ARC
    swell = np.sqrt(2 * np.pi / ARC / np.sin(2 * np.pi / ARC))  # corners a little outside: the areas agree
    return Polygon((low + high) / 2 + (high - low) / 2 * swell * np.column_stack([np.cos(turn), np.sin(turn)]))


def fill_outline(ring: np.ndarray, holes: Sequence[np.ndarray] = ()) -> MultiPolygon:
    """Find what a drawn ring encloses.

    A ring that crosses itself encloses what it goes around at least once, as ASAP and QuPath fill it.

    Args:
        ring: Corners [n, 2], level-0 pixels.
        holes: Rings that are cut out of it.

    Returns:
        Valid polygons; empty for fewer than 3 corners.

    Raises:
        ShapeError: the ring crosses itself more than MOST_CROSSINGS times.
    """
    if len(ring) < 3:
        return MultiPolygon()
    shape = Polygon(ring, [hole for hole in holes if len(hole) >= 3])
    if shape.is_valid:
        return polygons(shape)
    return polygons(_enclosed(ring).difference(shapely.union_all([_enclosed(h) for h in holes if len(h) >= 3])))


def _enclosed(ring: np.ndarray) -> BaseGeometry:
    shape = Polygon(ring)
    if shape.is_valid:
        return shape
    ring = ring[np.any(ring != np.roll(ring, 1, axis=0), axis=1)]  # a point that is given twice in a row
    if len(ring) < 3:
        return MultiPolygon()
    _few_crossings(ring)
    faces = shapely.get_parts(shapely.polygonize([shapely.node(LinearRing(ring))]))
    if not len(faces):
        return MultiPolygon()
    inside = shapely.get_coordinates(shapely.point_on_surface(faces))
    around = np.concatenate([_winding(ring, inside[k : k + _CHUNK]) for k in range(0, len(inside), _CHUNK)])
    return shapely.union_all(faces[around != 0])


def _few_crossings(ring: np.ndarray) -> None:
    """ShapeError where a ring meets itself too often. The count is done in parts and ends as soon as it is too high."""
    sides = np.asarray(shapely.linestrings(np.stack([ring, np.roll(ring, -1, axis=0)], axis=1)))
    tree, met = shapely.STRtree(sides), 0
    for k in range(0, len(sides), _CHUNK):
        some = sides[k : k + _CHUNK]
        met += tree.query(some, predicate="intersects").shape[1] - 3 * len(some)  # itself and both neighbours
        if met > 2 * MOST_CROSSINGS:  # each is met from both sides
            raise ShapeError(f"the outline crosses itself more than {MOST_CROSSINGS} times; draw it again")


def _winding(ring: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Count how often a ring [n, 2] goes around each of points [p, 2], signed int [p]."""
    (x, y), (next_x, next_y) = ring.T, np.roll(ring, -1, axis=0).T
    px, py = points[:, :1], points[:, 1:]
    left = (next_x - x) * (py - y) - (px - x) * (next_y - y)
    up, down = (y <= py) & (next_y > py), (y > py) & (next_y <= py)
    return (up & (left > 0)).sum(axis=1) - (down & (left < 0)).sum(axis=1)


def polygons(shape: BaseGeometry) -> MultiPolygon:
    """Collect the polygons in a geometry, however nested. Lines and points are dropped."""
    parts, flat = [shape], list[Polygon]()
    while parts:
        part = parts.pop()
        if isinstance(part, Polygon):
            if not part.is_empty:
                flat.append(part)
        else:
            parts.extend(getattr(part, "geoms", ()))
    return MultiPolygon(flat[::-1])
