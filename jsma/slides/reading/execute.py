"""Decode each planned tile exactly once and spread it over every region that touches it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed, wait

import numpy as np

from jsma.slides.readers.base import TileSource, read_checked
from jsma.slides.reading.plan import Plan, coverage
from jsma.slides.types import Level

WHITE = 255
BLOCK_PX = 1024  # side of what is turned into floats at a time
BLOCK_TILES = 4  # neighbours that one thread decodes in a row


class _Resampler:
    """Sums of the regions that need area filtering. They hold the value minus white, in float32."""

    def __init__(self, plan: Plan, out: np.ndarray) -> None:
        self.plan, self.out = plan, out
        touched = plan.pair_region[~plan.copy[plan.pair_region]]
        self.left = np.bincount(touched, minlength=len(plan.level))
        self.sums: dict[int, np.ndarray] = {}
        self.locks = {int(region): threading.Lock() for region in np.unique(touched)}

    def add(self, region: int, tile: np.ndarray, x_px: int, y_px: int) -> None:
        """Add a tile whose top left pixel in its level is (x_px, y_px); write the region after its last tile."""
        parts = (self._filter(region, *block) for block in _blocks(tile, x_px, y_px))
        with self.locks[region]:
            if region not in self.sums:
                self.sums[region] = np.zeros((self.plan.height_px, self.plan.width_px, 3), dtype=np.float32)
            for top, left, part in parts:
                self.sums[region][top : top + part.shape[0], left : left + part.shape[1]] += part
            self.left[region] -= 1
            if self.left[region] == 0:
                total = self.sums.pop(region)
                total += WHITE
                np.rint(total, out=total)
                self.out[region] = np.clip(total, 0, 255, out=total)

    def _filter(self, region: int, tile: np.ndarray, x_px: int, y_px: int) -> tuple[int, int, np.ndarray]:
        """Compute what the pixels of `tile` add to the region: its top, its left and the values."""
        plan, scale = self.plan, float(self.plan.scale[region])
        x0, y0 = plan.start[region]
        box = _overlap(x0, plan.width_px * scale, x_px, tile.shape[1])
        boy = _overlap(y0, plan.height_px * scale, y_px, tile.shape[0])
        if box[1] <= box[0] or boy[1] <= boy[0]:
            return 0, 0, np.zeros((0, 0, 3), dtype=np.float32)
        left, _, across = coverage(x0, scale, plan.width_px, *box)
        top, _, down = coverage(y0, scale, plan.height_px, *boy)
        part = tile[boy[0] - y_px : boy[1] - y_px, box[0] - x_px : box[1] - x_px]
        if is_uniform(part):  # empty areas are large, and a product of sums is a hundred times as fast
            colour = part[0, 0].astype(np.float32) - WHITE
            return top, left, np.outer(down.sum(axis=1), across.sum(axis=1))[..., None] * colour
        pixels = part.astype(np.float32)
        pixels -= WHITE
        height, width = pixels.shape[:2]
        return top, left, np.matmul(across, (down @ pixels.reshape(height, width * 3)).reshape(-1, width, 3))


def is_uniform(pixels: np.ndarray) -> bool:
    """Whether all pixels are one colour; a few of them tell at once in tissue."""
    if not (pixels[0] == pixels[0, 0]).all():
        return False
    rows = pixels.reshape(len(pixels), -1)  # compared row with row: five times as fast as with one pixel
    return bool((rows == rows[0]).all())


def _blocks(tile: np.ndarray, x_px: int, y_px: int) -> Iterator[tuple[np.ndarray, int, int]]:
    """Cut a tile into pieces that are small as floats: a photo is one tile of any size."""
    for y in range(0, tile.shape[0], BLOCK_PX):
        for x in range(0, tile.shape[1], BLOCK_PX):
            yield tile[y : y + BLOCK_PX, x : x + BLOCK_PX], x_px + x, y_px + y


def _overlap(start: float, length: float, low: int, size: int) -> tuple[int, int]:
    return max(low, int(np.floor(start))), min(low + size, int(np.ceil(start + length)))


def common_boxes(plan: Plan, levels: tuple[Level, ...]) -> np.ndarray:
    """Find where the region and the tile of each pair have the same pixels, int32 [pairs, 8].

    The columns are top, bottom, left and right in the region, then in the tile. All pairs are worked out at once,
    because one pair is copied in the time of a few Python statements. The boxes mean nothing for regions that are
    resampled.
    """
    tile = np.repeat(np.arange(len(plan.tiles)), np.diff(plan.pair_start))
    level = plan.tiles[:, 0]
    boxes = np.empty((8, len(tile)), dtype=np.int32)
    sizes = ((plan.height_px, 1), (plan.width_px, 0))
    for axis, (size_px, xy) in enumerate(sizes):
        level_px = np.array([(lv.width_px, lv.height_px)[xy] for lv in levels])[level]
        tile_px = np.array([(lv.tile_width_px, lv.tile_height_px)[xy] for lv in levels])[level]
        low_of_tile = plan.tiles[:, 1 + axis] * tile_px
        start = plan.start[:, xy].astype(np.int64)[plan.pair_region]
        corner = low_of_tile[tile]
        low = np.maximum(start, corner)
        high = np.minimum(start + size_px, np.minimum(low_of_tile + tile_px, level_px)[tile])
        boxes[2 * axis], boxes[2 * axis + 1] = low - start, high - start
        boxes[4 + 2 * axis], boxes[5 + 2 * axis] = low - corner, high - corner
    return np.ascontiguousarray(boxes.T)


def fill_white(plan: Plan, levels: tuple[Level, ...], out: np.ndarray) -> None:
    """Whiten the regions that reach outside their level, and only those."""
    dims = np.array([(lv.width_px, lv.height_px) for lv in levels], dtype=np.float64)[plan.level]
    stop = plan.start + plan.scale[:, None] * np.array([plan.width_px, plan.height_px])
    outside = (plan.start < 0).any(axis=1) | (stop > dims).any(axis=1)
    out[outside] = WHITE


def execute(source: TileSource, plan: Plan, out: np.ndarray, pool: ThreadPoolExecutor, workers: int) -> None:
    """Decode the tiles of a plan and fill its regions.

    Args:
        source: The open slide.
        plan: Which tiles which regions need.
        out: RGB pixels, uint8 [n, height, width, 3], written to.
        pool: Threads that decode.
        workers: How many of them share the tiles.

    Raises:
        DamagedSlideError: A tile cannot be decoded.
    """
    fill_white(plan, source.levels, out)
    resampler = _Resampler(plan, out)
    tiles, starts = plan.tiles.tolist(), plan.pair_start.tolist()
    regions, copied, boxes = plan.pair_region.tolist(), plan.copy.tolist(), common_boxes(plan, source.levels)
    blocks = iter(range(0, len(tiles), BLOCK_TILES))  # `next` on it is atomic: threads share the tiles evenly
    stop = threading.Event()

    def run() -> None:
        for first in blocks:
            for index in range(first, min(first + BLOCK_TILES, len(tiles))):
                if stop.is_set():
                    return
                level, row, col = tiles[index]
                tile = read_checked(source, level, row, col)
                pairs = slice(starts[index], starts[index + 1])
                for region, box in zip(regions[pairs], boxes[pairs].tolist(), strict=True):
                    if copied[region]:
                        top, bottom, left, right, y0, y1, x0, x1 = box
                        out[region, top:bottom, left:right] = tile[y0:y1, x0:x1]
                    else:
                        lv = source.levels[level]
                        resampler.add(region, tile, col * lv.tile_width_px, row * lv.tile_height_px)
                del tile  # the next tile then lies in the same memory, which is still in the cache

    if len(tiles) <= BLOCK_TILES or workers == 1:
        run()
        source.check(tiles)
        return
    jobs = [pool.submit(run) for _ in range(workers)]
    failure: BaseException | None = None
    try:
        for job in as_completed(jobs):
            error = job.exception()
            if error is not None and failure is None:
                failure = error
                stop.set()
    finally:  # interrupted: nobody may write to `out` any more
        stop.set()
        wait(jobs)
    if failure is not None:
        raise failure
    source.check(tiles)
