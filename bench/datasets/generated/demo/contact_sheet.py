"""Contact sheet of generated slides: overviews with evidence outlined, and patches of a site at each magnification."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np

from bench.datasets.inspect.picture import write_picture
from jsma.slides import Regions, open_slide

MPPS = (0.5, 1.0, 2.0, 4.0)
SHEET_PX, SIDE_PX = 512, 192  # of the overview and of a patch


def draw_contact_sheet(folder: Path, png: Path, count: int = 8) -> None:
    """Draw a row per slide: its overview (512 px), and a site at 20x, 10x, 5x and 2.5x.

    Args:
        folder: The generated slides.
        png: Where the picture goes.
        count: Number of slides, from the first on.
    """
    with (folder / "labels.csv").open() as handle:
        records = list(csv.DictReader(handle))[:count]
    write_picture(np.concatenate([_row(folder, r) for r in records]), png)


def _row(folder: Path, record: dict[str, str]) -> np.ndarray:
    with open_slide(folder / record["path"]) as slide:
        info = slide.info
        centre0 = np.array([[info.width0_px / 2, info.height0_px / 2]])
        overview, _ = slide.thumbnail(SHEET_PX)
        mask = cv2.imread(str(folder / record["mask"]), cv2.IMREAD_UNCHANGED)
        assert mask is not None
        rows, columns = np.nonzero(mask)
        place0 = centre0 if not len(rows) else np.array([[columns.mean(), rows.mean()]]) * 16
        if len(rows):
            _, _, _, centres = cv2.connectedComponentsWithStats((mask > 0).astype(np.uint8))
            place0 = centres[1:2] * 16
        big = cv2.resize(mask, (SHEET_PX, SHEET_PX), interpolation=cv2.INTER_NEAREST)
        for bit, colour in ((1, (0, 90, 255)), (2, (255, 140, 0))):
            outline, _ = cv2.findContours(
                np.bitwise_and(big, bit).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
            )
            cv2.drawContours(overview, outline, -1, colour, 2)
        patches = slide.read(Regions(np.repeat(place0, 4, 0), np.array(MPPS), SIDE_PX, SIDE_PX))[0]
    cv2.putText(overview, record["label"], (8, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 2)
    strip = np.full((SHEET_PX, 2 * SIDE_PX + 6, 3), 255, np.uint8)
    for k, patch in enumerate(patches):
        top, left = 8 + (k // 2) * (SIDE_PX + 6), (k % 2) * (SIDE_PX + 6)
        strip[top : top + SIDE_PX, left : left + SIDE_PX] = patch
    return np.concatenate([overview, strip], axis=1)
