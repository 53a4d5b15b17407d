"""A planned mosaic to files: first its outlines, then its pyramid, which appears only when it is complete."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2

from bench.datasets.generated.mosaic.drawing import draw_bands
from bench.datasets.generated.mosaic.plan import Cell, Material, Mosaic, plan_mosaic
from bench.datasets.generated.mosaic.settings import CROWDED
from bench.datasets.generated.streamed_pyramid import BAND_PX, Frame, write_bands
from bench.files import aside, replacing, write_bytes


def file_of(index: int) -> str:
    """File name of mosaic `index`."""
    return f"mosaic_{index:05d}.tif"


def outlines_file(mosaic: Mosaic) -> str | None:
    """File name of the evidence; None for a mosaic without any."""
    return file_of(mosaic.index).replace(".tif", ".geojson") if mosaic.needles or mosaic.crowd else None


def write_mosaic(material: Material, folder: Path, index: int) -> None:
    """Write mosaic `index` and its outlines to `folder`, unless another process has meanwhile."""
    cv2.setNumThreads(1)
    target, settings, side = folder / file_of(index), material.settings, material.tile_px
    if target.is_file():
        return
    mosaic = plan_mosaic(material, index)
    if outlines := outlines_file(mosaic):
        write_bytes(folder / outlines, json.dumps(evidence_outlines(mosaic, side)).encode())
    frame = Frame(settings.columns * side, settings.rows * side, material.mpp, settings.jpeg_quality)
    scratch = aside(target.with_name(f"{target.name}.scratch"))
    scratch.mkdir(exist_ok=True)
    try:
        with replacing(target) as temporary:
            write_bands(draw_bands(material, mosaic, BAND_PX), frame, temporary, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def evidence_outlines(mosaic: Mosaic, tile_px: int) -> dict[str, Any]:
    """GeoJSON as QuPath reads it, in level-0 pixels: a square for every needle, and one for the crowd."""
    features = [_square(str(mosaic.needle), (c, r), (c + 1, r + 1), tile_px) for c, r in mosaic.needles]
    if mosaic.crowd:
        last = mosaic.crowd[-1]
        features.append(_square(CROWDED, mosaic.crowd[0], (last[0] + 1, last[1] + 1), tile_px))
    return {"type": "FeatureCollection", "features": features}


def _square(kind: str, first: Cell, last: Cell, tile_px: int) -> dict[str, Any]:
    """The outline from the upper left corner of cell `first` to that of cell `last`."""
    (x, y), (a, b) = ([v * tile_px for v in corner] for corner in (first, last))
    ring = [[x, y], [a, y], [a, b], [x, b], [x, y]]
    properties = {"objectType": "annotation", "classification": {"name": kind}}
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties}
