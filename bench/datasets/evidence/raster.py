"""Raster masks (PNG, and TIFF as PANDA has it) as polygons in level-0 pixels."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import shapely
import tifffile
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from bench.datasets.evidence.files import annotation_bytes, kind_of_file
from bench.datasets.evidence.regions import Outlines, Region
from bench.datasets.evidence.shapes import polygons
from jsma.slides import SlideError

LONGEST_PX = 2048  # the finest stored level that is not larger is read
THINNED_PX = 4096  # a mask with a longer side is thinned to every second, third ... pixel
MOST_PX = 1 << 30
MOST_LABELS = 64
MOST_PIECES = 8_000  # of the outlines that touch themselves: speckle
ASPECT = 0.02  # by which a mask's proportions may differ from its slide's, besides a pixel of rounding


class MaskError(ValueError):
    """A picture that is no label mask. One line without its path."""


def read_mask(path: str, size0_px: tuple[int, int], bits: bool) -> Outlines:
    """Read a raster mask as outlines. 0 is background.

    Args:
        path: PNG or TIFF. Labels are the numbers that are stored; of a palette, its indices.
        size0_px: (width, height) of the slide, level-0 pixels.
        bits: Whether every bit is a label of its own.

    Returns:
        One region per label or bit that occurs.

    Raises:
        SlideError: it is not readable, no label mask, or not of the slide's proportions.
    """
    try:
        labels, scale = _fit_to_slide(*(_png(path) if kind_of_file(path) == "png" else _tiff(path)), size0_px)
        values = np.unique(labels)
        if bits:
            layers = {str(1 << b): (labels >> b) & 1 for b in range(int(values.max()).bit_length())}
        elif len(values) > MOST_LABELS + 1:
            raise MaskError(
                f"{len(values)} different values, more than {MOST_LABELS}: numbered objects, a photo or a smoothed "
                "mask; store one number a class, unsmoothed"
            )
        else:
            layers = {str(v): labels == v for v in values.tolist() if v}
        return Outlines(
            tuple(Region(label, trace_outline(layer, scale)) for label, layer in layers.items() if layer.any())
        )
    except MaskError as error:
        raise SlideError(f"{path}: no label mask: {error}") from error


def _fit_to_slide(
    pixels: np.ndarray, full_px: tuple[int, int], size0_px: tuple[int, int]
) -> tuple[np.ndarray, tuple[float, float]]:
    """Thin labels to [h, w] of at most THINNED_PX a side; also the level-0 pixels per mask pixel (x, y).

    full_px is the mask's own size, which must have the proportions of the slide, size0_px.
    """
    width, height = full_px
    off = (width / height) / (size0_px[0] / size0_px[1])
    if max(off, 1 / off) - 1 > ASPECT + 1 / width + 1 / height:
        raise MaskError(
            f"{width} x {height} px is of other proportions than its slide ({size0_px[0]} x {size0_px[1]} px); "
            "is it this slide's, and of the whole of it?"
        )
    labels = _whole_numbers(_one_channel(pixels))
    rows, columns = labels.shape
    step = -(-max(rows, columns) // THINNED_PX)
    scale = (step * size0_px[0] / columns, step * size0_px[1] / rows)
    return np.ascontiguousarray(labels[step // 2 :: step, step // 2 :: step]), scale


def _png(path: str) -> tuple[np.ndarray, tuple[int, int]]:
    """Stored values of a PNG [h, w] or [h, w, channels], and its (width, height)."""
    content = annotation_bytes(path)
    width, height = (int.from_bytes(content[k : k + 4], "big") for k in (16, 20))
    depth, colour = (content[24], content[25]) if len(content) > 25 else (0, 0)
    if not 0 < width * height <= MOST_PX:
        raise SlideError(f"{path}: not a readable PNG of at most {MOST_PX >> 20} Mpx; write the mask again")
    if colour == 3:  # OpenCV would give the colours of the palette
        from PIL import Image

        Image.MAX_IMAGE_PIXELS = None  # the limit above is ours
        try:
            with Image.open(io.BytesIO(content)) as picture:
                return np.array(picture), (width, height)
        except Exception as error:  # Pillow raises many kinds on a damaged file
            raise SlideError(f"{path}: not a readable PNG ({type(error).__name__}); write the mask again") from error
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise SlideError(f"{path}: not a readable PNG; write the mask again")
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    if colour == 0 and depth < 8:  # OpenCV spreads them over 0..255
        pixels = pixels // np.uint8(255 // ((1 << depth) - 1))
    return pixels, (width, height)


def _tiff(path: str) -> tuple[np.ndarray, tuple[int, int]]:
    """Stored values of a TIFF [h, w] or [h, w, channels] at the level that is read; (width, height) of its largest."""
    source = path if Path(path).is_file() else io.BytesIO(annotation_bytes(path))
    try:
        with tifffile.TiffFile(source) as tif:
            series = tif.series[0]
            same = [s for s in tif.series if s.shape[:2] == series.shape[:2]]
            stack = [n for a, n in zip(series.axes, series.shape, strict=True) if a not in "YXS" and n > 1]
            if len(same) > 1 or stack:
                raise MaskError(f"{(stack or [len(same)])[0]} pages; store one picture with a number a class")
            if tif.pages[0].photometric == tifffile.PHOTOMETRIC.MINISWHITE:  # pyright: ignore[reportAttributeAccessIssue]
                raise MaskError("white is zero in it, which readers invert; store 8-bit numbers, 0 as background")
            small = [lv for lv in series.levels if max(_sizes(lv)) <= LONGEST_PX]
            level = (small or series.levels[-1:])[0]
            if np.prod(_sizes(level)) > MOST_PX:
                raise MaskError(f"its smallest level has more than {MOST_PX >> 20} Mpx; store smaller ones")
            pixels = np.asarray(level.asarray())
            if "S" in level.axes:
                pixels = np.moveaxis(pixels, level.axes.index("S"), -1)
            height, width = _sizes(series)
            return pixels.reshape(*_sizes(level), -1), (width, height)
    except MaskError:
        raise
    except Exception as error:  # tifffile raises many kinds on a damaged file
        why = (str(error).splitlines() or [""])[0][:120]
        raise SlideError(f"{path}: the mask cannot be read ({type(error).__name__}: {why})") from error


def _sizes(series: tifffile.TiffPageSeries) -> tuple[int, int]:
    """(height, width)."""
    return series.shape[series.axes.index("Y")], series.shape[series.axes.index("X")]


def _one_channel(pixels: np.ndarray) -> np.ndarray:
    """The labels of [h, w] or [h, w, channels]: grey, equal channels, or red alone (PANDA)."""
    if pixels.ndim == 2:
        return pixels
    colours, alpha = (pixels[..., :-1], pixels[..., -1]) if pixels.shape[2] in (2, 4) else (pixels, None)
    labels = colours[..., 0]
    if alpha is not None and np.ptp(alpha) and not np.array_equal(alpha > 0, labels > 0):
        raise MaskError("parts are transparent, and not just the background; store numbers without transparency")
    others = [colours[..., k] for k in range(1, colours.shape[2])]
    if not (all(np.array_equal(labels, other) for other in others) or not any(other.any() for other in others)):
        raise MaskError("a colour picture (its channels differ); store one number a class, in grey or as a palette")
    return labels


def _whole_numbers(labels: np.ndarray) -> np.ndarray:
    if labels.dtype.kind == "f":
        if not np.array_equal(labels, np.rint(labels)):  # NaN is not equal to itself
            raise MaskError("values that are no whole numbers; store one whole number a class")
    elif labels.dtype.kind not in "iub":
        raise MaskError(f"values of type {labels.dtype}; store one whole number a class")
    if labels.dtype.kind in "fi" and labels.min() < 0:
        raise MaskError(f"value {labels.min():g}, which is below 0; store 0 for the background and 1 or more a class")
    if labels.dtype.kind in "uif" and labels.max() > np.iinfo(np.int32).max:
        raise MaskError(f"value {labels.max():g}, which is above {np.iinfo(np.int32).max}; store small numbers")
    return labels if labels.dtype.kind == "u" and labels.dtype.itemsize < 4 else labels.astype(np.int32)


def trace_outline(layer: np.ndarray, scale: tuple[float, float]) -> BaseGeometry:
    """Trace the non-zero pixels of a layer.

    OpenCV's contours run through the centres of border pixels. Every pixel is split in four here, so that the centres
    say on which side of its pixel a border lies: pixel 2i of the split is left of the middle of i, 2i + 1 right of it.

    Args:
        layer: [h, w].
        scale: Level-0 pixels per mask pixel (x, y).

    Returns:
        Polygons with holes, in level-0 pixels, along the sides of the pixels.
    """
    split = np.repeat(np.repeat(layer.astype(np.uint8), 2, axis=0), 2, axis=1)
    contours, tree = cv2.findContours(split, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return MultiPolygon()
    rings = [(contour[:, 0, :] + 1) // 2 * np.asarray(scale) for contour in contours]
    holes: dict[int, list[np.ndarray]] = {}
    parents = tree[0][:, 3].tolist()
    for ring, parent in zip(rings, parents, strict=True):
        if parent != -1:
            holes.setdefault(parent, []).append(ring)
    outer = [k for k, parent in enumerate(parents) if parent == -1]
    shapes = np.array([Polygon(rings[k], holes.get(k, ())) for k in outer])
    touching = ~shapely.is_valid(shapes)  # pixels that meet at a corner
    if sum(len(holes.get(outer[k], ())) + 1 for k in np.flatnonzero(touching)) > MOST_PIECES:
        raise MaskError("speckle and no outline; smooth it, or store what was drawn")
    shapes[touching] = shapely.make_valid(shapes[touching], method="structure", keep_collapsed=False)
    return polygons(shapely.union_all(shapes)) if touching.any() else MultiPolygon(list(shapes))
