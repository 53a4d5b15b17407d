"""Contact sheet of any dataset: overviews with the evidence outlined."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from bench.datasets.contract import Dataset, SlideRecord
from bench.datasets.evidence import annotation_exists, load_evidence
from bench.datasets.inspect.picture import write_picture
from jsma.slides import SlideError, open_slide

SIDE_PX, TITLE_PX, COLUMNS = 320, 40, 4
COLOURS = ((220, 0, 0), (0, 90, 255), (255, 140, 0), (0, 150, 60), (160, 0, 200))  # RGB, kinds in turn
LINE_PX = 2


def draw_contact_sheet(dataset: Dataset, png: Path, count: int) -> list[str]:
    """Draw overviews of some slides with the evidence outlined.

    Args:
        dataset: The slides.
        png: Where the picture goes.
        count: Number of slides, taken in turn from each class and part.

    Returns:
        Ids of the slides.
    """
    records = dataset.limited(count).records
    kinds: list[str] = []
    cells = [_cell(record, kinds) for record in records]
    columns = min(COLUMNS, len(cells))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    rows = [np.concatenate(cells[k : k + columns], axis=1) for k in range(0, len(cells), columns)]
    legend = np.full((TITLE_PX, rows[0].shape[1], 3), 255, np.uint8)
    for k, kind in enumerate(kinds):
        _write(legend, kind, (8 + k * 180, 26), COLOURS[k % len(COLOURS)])
    sheet = np.concatenate([legend, *rows] if kinds else rows)
    write_picture(sheet, png)
    return [r.id for r in records]


def _cell(record: SlideRecord, kinds: list[str]) -> np.ndarray:
    """Draw one slide: overview, outlines, label and id. Where it cannot be read, the error is written there."""
    cell = np.full((SIDE_PX + TITLE_PX, SIDE_PX, 3), 255, np.uint8)
    _write(cell, record.label, (4, 15), (0, 0, 0))
    _write(cell, record.id[-44:], (4, 33), (110, 110, 110), 0.38)
    try:
        with open_slide(record.path, mpp=record.mpp) as slide:
            info = slide.info
            overview, scale0 = slide.thumbnail(SIDE_PX)
            height, width = overview.shape[:2]
            if record.mask is not None and annotation_exists(record.mask):
                evidence = load_evidence(record.mask, info.width0_px, info.height0_px, record.scheme)
                for kind, area in evidence.areas.items():
                    if kind not in kinds:
                        kinds.append(kind)
                    _outline(overview, area, scale0, COLOURS[kinds.index(kind) % len(COLOURS)])
        cell[TITLE_PX : TITLE_PX + height, :width] = overview
    except (SlideError, OSError) as error:
        for k in range(4):
            _write(cell, str(error)[k * 44 : (k + 1) * 44], (4, TITLE_PX + 20 + 16 * k), (200, 0, 0), 0.38)
    return cell


def _outline(overview: np.ndarray, area: BaseGeometry, scale0: float, colour: tuple[int, int, int]) -> None:
    """Draw the outer and inner rings of the polygons."""
    for part in shapely.get_parts(area):
        for ring in (part.exterior, *part.interiors):
            points = np.rint(np.asarray(ring.coords)[:, :2] / scale0).astype(np.int32)
            cv2.polylines(overview, [points], True, colour, LINE_PX)


def _write(
    image: np.ndarray, text: str, at_px: tuple[int, int], colour: tuple[int, int, int], size: float = 0.5
) -> None:
    cv2.putText(image, text, at_px, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
