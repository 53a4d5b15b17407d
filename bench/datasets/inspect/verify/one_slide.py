"""A look at the pixels of one slide: from which levels it is read, whether there is tissue, black and white tiles."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from bench.datasets.contract import SlideRecord
from jsma.cells.tissue import tissue_mask
from jsma.slides import Level, Regions, Slide, SlideError, open_slide
from jsma.slides.types import SlideInfo

OVERVIEW_PX = 256
THUMBNAIL_PX = 64
BLACK, WHITE = 12, 250  # a tile is black when nothing in it is brighter, white when nothing is darker
PALE = 225  # mean of the overview at the same place that explains a white tile
BATCH = 32


@dataclass
class Look:
    """What was seen of one slide.

    Attributes:
        record: The slide.
        found: Check -> what is wrong.
        levels: Magnification that was asked for, um/px -> (level, its um/px); None where no level can serve it.
        tiles: Number of tiles that were looked at.
        thumbnail: float32 [64, 64] of unit norm without its coarse shading; None where nothing was read or all is
            blank.
        aspect: Width over height.
    """

    record: SlideRecord
    found: dict[str, str] = field(default_factory=dict)
    levels: dict[float, tuple[int, float] | None] = field(default_factory=dict)
    tiles: int = 0
    thumbnail: np.ndarray | None = None
    aspect: float = 1.0


def look(record: SlideRecord, mpps: tuple[float, ...], tiles_per_level: int | None) -> Look:
    """Open a slide and look at its pixels.

    Args:
        record: The slide.
        mpps: Magnifications that a run will ask for, um/px.
        tiles_per_level: Most tiles per level, spread evenly; None: all.

    Returns:
        What was seen.
    """
    seen = Look(record)
    try:
        with open_slide(record.path, mpp=record.mpp) as slide:
            seen.aspect = slide.info.width0_px / slide.info.height0_px
            _levels(seen, slide.info, mpps)
            # not finer than the coarsest level, which is what the tiles of the others are held against
            overview, _ = slide.thumbnail(OVERVIEW_PX, slide.info.levels[-1].downsample)
            seen.thumbnail = _thumbnail(overview)
            if not tissue_mask(overview).any():
                seen.found["no tissue"] = "nothing but glass on the overview"
            _tiles(seen, slide, overview, tiles_per_level)
    except (SlideError, OSError) as error:
        seen.found["unreadable"] = str(error).removeprefix(f"{record.path}: ")
    return seen


def _levels(seen: Look, info: SlideInfo, mpps: tuple[float, ...]) -> None:
    for asked in mpps:
        fits = [(k, info.mpp * lv.downsample) for k, lv in enumerate(info.levels)]
        usable = [(k, mpp) for k, mpp in fits if mpp <= asked * 1.02]
        seen.levels[asked] = max(usable, key=lambda level: level[1]) if usable else None


def _thumbnail(overview: np.ndarray) -> np.ndarray | None:
    grey = cv2.resize(overview, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA).mean(axis=2)
    detail = grey.astype(np.float32) - cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 6)
    norm = float(np.linalg.norm(detail))
    return detail / norm if norm > THUMBNAIL_PX else None


def _tiles(seen: Look, slide: Slide, overview: np.ndarray, most: int | None) -> None:
    """Black tiles, white ones where the overview shows tissue, and those that do not decode, level by level."""
    texts: dict[str, list[str]] = {"black tiles": [], "white tiles": [], "unreadable": []}
    for index, level in enumerate(slide.info.levels):
        rows, cols = level.grid
        step = 1 if most is None else max(1, -(-rows * cols // most))
        chosen = np.arange(0, rows * cols, step)
        seen.tiles += len(chosen)
        counts = dict.fromkeys(texts, 0)
        for start in range(0, len(chosen), BATCH):
            row, col = np.divmod(chosen[start : start + BATCH], cols)
            for r, c, tile in zip(row.tolist(), col.tolist(), _read_tiles(slide, level, row, col), strict=True):
                if isinstance(tile, str):
                    counts["black tiles" if "all black" in tile else "unreadable"] += 1
                    continue
                y, x = r * level.tile_height_px, c * level.tile_width_px
                tile = tile[: level.height_px - y, : level.width_px - x]
                if tile.max() <= BLACK:
                    counts["black tiles"] += 1
                elif tile.min() >= WHITE:
                    place = _place(overview, x / level.width_px, y / level.height_px, tile.shape, level)
                    counts["white tiles"] += bool(place.mean() < PALE)
        for check, number in counts.items():
            if number:
                texts[check].append(f"{number} of {len(chosen)} tiles of level {index}")
    seen.found.update({check: "; ".join(text) for check, text in texts.items() if text})


def _read_tiles(slide: Slide, level: Level, row: np.ndarray, col: np.ndarray) -> list[np.ndarray | str]:
    """Pixels of each tile, or why it does not decode: one by one where a read of all of them fails."""
    size = np.array([level.tile_width_px, level.tile_height_px])
    centre0 = (np.stack([col, row], axis=1) + 0.5) * size * level.downsample
    mpp = np.full(len(row), slide.info.mpp * level.downsample)
    try:
        return list(slide.read(Regions(centre0, mpp, level.tile_width_px, level.tile_height_px))[0])
    except SlideError as error:
        if len(row) == 1:
            return [str(error)]
    return [tile for k in range(len(row)) for tile in _read_tiles(slide, level, row[k : k + 1], col[k : k + 1])]


def _place(overview: np.ndarray, left: float, top: float, shape: tuple[int, ...], level: Level) -> np.ndarray:
    """The part of the overview that a tile covers; at least one pixel."""
    height, width = overview.shape[:2]
    x, y = int(left * width), int(top * height)
    across = max(1, int(shape[1] / level.width_px * width))
    down = max(1, int(shape[0] / level.height_px * height))
    return overview[min(y, height - 1) : y + down, min(x, width - 1) : x + across]
