"""Which stored level and which tiles a set of regions needs; pure numpy, nothing is decoded here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jsma.slides.types import Level, ReadCost, Regions, SlideError

SAME_SCALE = 1.02  # a stored level this close to the asked scale counts as that scale
_EPS = 1e-6


@dataclass(frozen=True)
class Plan:
    """Where n regions lie in their levels, and which of t tiles each of them needs.

    Attributes:
        level: Index of the level that serves each region, [n].
        start: Top left corner (x, y) of each region in pixels of its level, [n, 2].
        scale: Level pixels per output pixel, [n]. Output pixel j covers start + j scale to start + (j + 1) scale.
        copy: Whether the pixels of a region are copied as they are, bool [n]; the others are resampled.
        tiles: (level, row, column) of the tiles, each once, [t, 3].
        pair_start: Where the regions of each tile begin in `pair_region`, [t + 1].
        pair_region: The regions that need each tile, tile after tile.
        width_px: Width of the output.
        height_px: Height of the output.
    """

    level: np.ndarray
    start: np.ndarray
    scale: np.ndarray
    copy: np.ndarray
    tiles: np.ndarray
    pair_start: np.ndarray
    pair_region: np.ndarray
    width_px: int
    height_px: int


def pick_levels(levels: tuple[Level, ...], target: np.ndarray, mpp0: float) -> np.ndarray:
    """Pick the coarsest level that is not coarser than the target, give or take 2 %.

    Args:
        levels: The stored resolutions.
        target: Level-0 pixels per output pixel, [n].
        mpp0: Micrometres per level-0 pixel, for messages.

    Returns:
        Index of a level for each target, [n].

    Raises:
        SlideError: A target is finer than the finest level; pixels are never made up.
    """
    finest = float(target.min()) if len(target) else 1.0
    if finest * SAME_SCALE < 1 - 1e-9:
        raise SlideError(
            f"asked for {finest * mpp0:.6g} mpp but the finest stored pixels have {mpp0:.6g} mpp; "
            f"up-sampling is refused: ask for mpp >= {mpp0:.6g}"
        )
    downsamples = np.array([lv.downsample for lv in levels])
    allowed = downsamples[None, :] <= target[:, None] * SAME_SCALE * (1 + 1e-9)
    allowed[:, int(downsamples.argmin())] = True
    return np.where(allowed, downsamples[None, :], -1.0).argmax(axis=1)


def make_plan(levels: tuple[Level, ...], mpp0: float, regions: Regions) -> Plan:
    """Plan a read: find the level of each region, and the tiles that the regions touch, sorted.

    Args:
        levels: The stored resolutions.
        mpp0: Micrometres per level-0 pixel.
        regions: What to read.

    Raises:
        SlideError: A region is finer than the slide.
    """
    target = regions.mpp / mpp0
    level = pick_levels(levels, target, mpp0)
    downsample = np.array([lv.downsample for lv in levels])[level]
    scale = target / downsample
    copy = (scale <= SAME_SCALE * (1 + 1e-9)) & (scale >= (1 - 1e-9) / SAME_SCALE)
    scale = np.where(copy, 1.0, scale)
    size = np.array([regions.width_px, regions.height_px], dtype=np.float64)
    start = regions.centre0 / downsample[:, None] - scale[:, None] * size / 2
    start = np.where(copy[:, None], np.floor(start + 0.5 + _EPS), start)
    tiles, pair_start, pair_region = _tiles_of(levels, level, start, start + scale[:, None] * size)
    return Plan(
        level, start, scale, copy, tiles, pair_start, pair_region, int(regions.width_px), int(regions.height_px)
    )


def _tiles_of(
    levels: tuple[Level, ...], level: np.ndarray, start: np.ndarray, stop: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    dims = np.array([(lv.width_px, lv.height_px) for lv in levels], dtype=np.int64)[level]
    tile = np.array([(lv.tile_width_px, lv.tile_height_px) for lv in levels], dtype=np.int64)[level]
    first_px = np.maximum(np.floor(np.clip(start, -1.0, dims + 1.0) + _EPS).astype(np.int64), 0)
    last_px = np.minimum(np.ceil(np.clip(stop, -1.0, dims + 1.0) - _EPS).astype(np.int64), dims)
    first = first_px // tile
    count = np.where(last_px > first_px, (last_px - 1) // tile - first + 1, 0)
    number = count[:, 0] * count[:, 1]
    region = np.repeat(np.arange(len(level)), number)
    within = np.arange(len(region)) - np.repeat(np.cumsum(number) - number, number)
    across = count[region, 0]
    row = first[region, 1] + within // np.maximum(across, 1)
    col = first[region, 0] + within % np.maximum(across, 1)
    across_level = np.array([lv.grid[1] for lv in levels], dtype=np.int64)
    first_of_level = np.cumsum([0, *(lv.grid[0] * lv.grid[1] for lv in levels)])
    owner = level[region]
    number_of_tile = first_of_level[owner] + row * across_level[owner] + col
    # one key a pair, tile first: sorting it takes a tenth of the time of sorting by four columns
    pairs = np.sort(number_of_tile * max(len(level), 1) + region)
    number_of_tile, region = np.divmod(pairs, max(len(level), 1))
    starts = np.flatnonzero(np.diff(number_of_tile, prepend=-1))
    number_of_tile = number_of_tile[starts]
    of_level = np.searchsorted(first_of_level, number_of_tile, side="right") - 1
    row, col = np.divmod(number_of_tile - first_of_level[of_level], across_level[of_level])
    return np.stack([of_level, row, col], axis=1), np.append(starts, len(pairs)), region


def cost_of(plan: Plan, levels: tuple[Level, ...], tile_bytes: tuple[np.ndarray, ...] | None) -> ReadCost:
    """Count what a plan decodes.

    Args:
        plan: The plan.
        levels: The stored resolutions.
        tile_bytes: Per level, compressed bytes of each tile, row by row; None where that is not known. A tile of 0
            bytes is not stored, so that it is not decoded.
    """
    tiles = plan.tiles
    area = np.array([lv.tile_width_px * lv.tile_height_px for lv in levels], dtype=np.int64)
    compressed = 0
    if tile_bytes is not None:
        stored = np.ones(len(tiles), dtype=bool)
        for index, level in enumerate(levels):
            here = tiles[:, 0] == index
            found = tile_bytes[index][tiles[here, 1] * level.grid[1] + tiles[here, 2]]
            stored[here] = found > 0
            compressed += int(found.sum())
        tiles = tiles[stored]
    return ReadCost(len(tiles), int(area[tiles[:, 0]].sum()), compressed, len(tiles))


def coverage(start: float, scale: float, size_px: int, low: int, high: int) -> tuple[int, int, np.ndarray]:
    """Compute the weights of an area filter along one axis.

    Args:
        start: Where output pixel 0 begins, in level pixels.
        scale: Level pixels per output pixel.
        size_px: Number of output pixels.
        low: First level pixel at hand.
        high: Last level pixel at hand, plus 1.

    Returns:
        (first, last, weights [last - first, high - low]) for the output pixels first to last - 1 that these level
        pixels touch. The weights of an output pixel over all level pixels add up to 1.
    """
    first = max(0, int(np.floor((low - start) / scale - _EPS)))
    last = min(size_px, int(np.ceil((high - start) / scale + _EPS)))
    if last <= first:
        return first, first, np.zeros((0, high - low), dtype=np.float32)
    left = start + np.arange(first, last)[:, None] * scale
    pixel = np.arange(low, high)[None, :]
    overlap = np.minimum(left + scale, pixel + 1) - np.maximum(left, pixel)
    return first, last, (np.maximum(overlap, 0) / scale).astype(np.float32)
