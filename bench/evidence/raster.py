"""Raster masks (PANDA's TIFFs, PNGs) as polygons in level-0 pixels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import shapely
import tifffile
from shapely.geometry import LineString, Point, Polygon
from shapely.geometry.base import BaseGeometry

from bench.evidence.regions import Region
from jsma.slides import SlideError

EXTENSIONS = (".png", ".tif", ".tiff")
LONGEST_PX = 2048  # of the mask's stored levels, the finest that is not larger is read


def read_mask(path: str, size0_px: tuple[int, int], bits: bool) -> list[Region]:
    """One region per label (or bit) that occurs; 0 is background. size0_px: (width, height) of the slide."""
    labels = _pixels(path)
    height, width = labels.shape
    scale = (size0_px[0] / width, size0_px[1] / height)
    values = np.unique(labels)
    if bits:
        layers = {str(1 << b): (labels >> b) & 1 for b in range(8) if ((values >> b) & 1).any()}
    else:
        layers = {str(v): labels == v for v in values.tolist() if v}
    return [Region(label, outline(layer, scale)) for label, layer in layers.items()]


def _pixels(path: str) -> np.ndarray:
    """Labels uint8 [h, w]: the first channel (PANDA keeps the label in red)."""
    if not Path(path).is_file():
        raise SlideError(f"{path}: no such mask")
    if path.lower().endswith(".png"):
        pixels = cv2.imread(path, cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise SlideError(f"{path}: not a readable PNG; write the mask again")
        pixels = pixels[..., ::-1] if pixels.ndim == 3 and pixels.shape[2] == 3 else pixels
    else:
        pixels = _level(path)
    pixels = pixels if pixels.ndim == 2 else pixels[..., 0]
    return np.ascontiguousarray(pixels).astype(np.uint8)


def _level(path: str) -> np.ndarray:
    try:
        with tifffile.TiffFile(path) as tif:
            levels = tif.series[0].levels
            small = [lv for lv in levels if max(lv.shape[:2]) <= LONGEST_PX]
            return np.asarray((small or levels[-1:])[0].asarray())
    except Exception as error:  # tifffile raises many kinds on a damaged file
        raise SlideError(
            f"{path}: the mask cannot be read ({type(error).__name__}: {str(error).splitlines()[0][:120]})"
        ) from error


def outline(layer: np.ndarray, scale: tuple[float, float]) -> BaseGeometry:
    """Polygons with holes around the non-zero pixels [h, w]; scale: level-0 pixels per mask pixel (x, y).

    OpenCV's contours run through the centres of the border pixels, so they are grown by half a pixel;
    corners of holes are cut by a part of a pixel.
    """
    contours, tree = cv2.findContours(layer.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    shapes: list[BaseGeometry] = []
    for index, contour in enumerate(contours):
        if tree[0][index][3] != -1:
            continue  # a hole: taken with the outline around it
        holes, hole = [], tree[0][index][2]
        while hole != -1:
            if len(contours[hole]) >= 3:
                holes.append(contours[hole][:, 0, :])
            hole = tree[0][hole][0]
        shapes.append(_shape(contour[:, 0, :], holes))
    grown = shapely.buffer(np.array(shapes), 0.5, cap_style="square", join_style="mitre", mitre_limit=1.5)
    union = shapely.union_all(grown)
    return shapely.transform(union, lambda xy: (xy + 0.5) * np.asarray(scale))


def _shape(ring: np.ndarray, holes: list[np.ndarray]) -> BaseGeometry:
    if len(ring) == 1:
        return Point(ring[0])
    if len(ring) == 2:
        return LineString(ring)
    return shapely.make_valid(Polygon(ring, holes))
