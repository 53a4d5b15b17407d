"""Decode each planned tile exactly once and spread it over every region that touches it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed, wait

import numpy as np

from .plan import Plan, coverage
from .sources import TileSource
from .types import DamagedSlideError, Level, SlideError

WHITE = 255
BLOCK_TILES = 4  # neighbours that one thread decodes in a row


class _Resampler:
    """Float accumulators of the regions that need area filtering; they hold value minus white."""

    def __init__(self, plan: Plan, out: np.ndarray) -> None:
        self.plan, self.out = plan, out
        touched = plan.pair_region[~plan.copy[plan.pair_region]]
        self.left = np.bincount(touched, minlength=len(plan.level))
        self.sums: dict[int, np.ndarray] = {}
        self.locks = {int(region): threading.Lock() for region in np.unique(touched)}

    def add(self, region: int, tile: np.ndarray, x_px: int, y_px: int) -> None:
        """Add a tile whose top-left level pixel is (x_px, y_px); write the region after its last tile."""
        plan, scale = self.plan, float(self.plan.scale[region])
        x0, y0 = plan.start[region]
        box = _overlap(x0, plan.width_px * scale, x_px, tile.shape[1])
        boy = _overlap(y0, plan.height_px * scale, y_px, tile.shape[0])
        part, left, right, top, bottom = None, 0, 0, 0, 0
        if box[1] > box[0] and boy[1] > boy[0]:
            left, right, across = coverage(x0, scale, plan.width_px, *box)
            top, bottom, down = coverage(y0, scale, plan.height_px, *boy)
            pixels = tile[boy[0] - y_px : boy[1] - y_px, box[0] - x_px : box[1] - x_px].astype(np.float32)
            pixels -= WHITE
            height, width = pixels.shape[:2]
            part = np.matmul(across, (down @ pixels.reshape(height, width * 3)).reshape(-1, width, 3))
        with self.locks[region]:
            if region not in self.sums:
                self.sums[region] = np.zeros((plan.height_px, plan.width_px, 3), dtype=np.float32)
            if part is not None:
                self.sums[region][top:bottom, left:right] += part
            self.left[region] -= 1
            if self.left[region] == 0:
                total = self.sums.pop(region)
                self.out[region] = np.clip(np.rint(total + WHITE), 0, 255).astype(np.uint8)


def _overlap(start: float, length: float, low: int, size: int) -> tuple[int, int]:
    return max(low, int(np.floor(start))), min(low + size, int(np.ceil(start + length)))


def _copy(out: np.ndarray, corner: list[int], tile: np.ndarray, x_px: int, y_px: int) -> None:
    """Copy what `tile` (top-left at level pixel x_px, y_px) and the region `out` at `corner` have in common."""
    x0, y0 = corner
    left, right = max(x0, x_px), min(x0 + out.shape[1], x_px + tile.shape[1])
    top, bottom = max(y0, y_px), min(y0 + out.shape[0], y_px + tile.shape[0])
    if right > left and bottom > top:
        out[top - y0 : bottom - y0, left - x0 : right - x0] = tile[top - y_px : bottom - y_px, left - x_px : right - x_px]


def fill_white(plan: Plan, levels: tuple[Level, ...], out: np.ndarray) -> None:
    """Whiten the regions that reach outside their level, and only those."""
    dims = np.array([(lv.width_px, lv.height_px) for lv in levels], dtype=np.float64)[plan.level]
    stop = plan.start + plan.scale[:, None] * np.array([plan.width_px, plan.height_px])
    outside = (plan.start < 0).any(axis=1) | (stop > dims).any(axis=1)
    out[outside] = WHITE


def read_checked(source: TileSource, level: int, row: int, col: int) -> np.ndarray:
    """One tile; whatever its decoder says against it, and black that is not the file's own, is a DamagedSlideError."""
    try:
        tile = source.read_tile(level, row, col)
        if not tile[-1, -1].any() and not tile[::32, ::32].any() and not tile.any():
            source.confirm_black(level, row, col)
    except SlideError:
        raise
    except Exception as error:
        raise damaged(source, level, row, col, error) from error
    return tile


def damaged(source: TileSource, level: int, row: int, col: int, error: Exception) -> DamagedSlideError:
    """The one line about a tile that cannot be used."""
    text = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return DamagedSlideError(
        f"{source.path}: tile row {row} col {col} of level {level} cannot be used ({text}); replace the file"
    )


def execute(source: TileSource, plan: Plan, out: np.ndarray, pool: ThreadPoolExecutor, workers: int) -> None:
    """Fill `out` [n,height,width,3] uint8; tiles are shared among `workers` threads."""
    fill_white(plan, source.levels, out)
    resampler = _Resampler(plan, out)
    tiles, starts = plan.tiles.tolist(), plan.pair_start.tolist()
    regions, copied, corners = plan.pair_region.tolist(), plan.copy.tolist(), plan.start.astype(np.int64).tolist()
    blocks = iter(range(0, len(tiles), BLOCK_TILES))  # `next` on it is atomic: threads share the tiles evenly
    stop = threading.Event()

    def run() -> None:
        for first in blocks:
            for index in range(first, min(first + BLOCK_TILES, len(tiles))):
                if stop.is_set():
                    return
                level, row, col = tiles[index]
                tile = read_checked(source, level, row, col)
                x_px, y_px = col * source.levels[level].tile_width_px, row * source.levels[level].tile_height_px
                for region in regions[starts[index] : starts[index + 1]]:
                    if copied[region]:
                        _copy(out[region], corners[region], tile, x_px, y_px)
                    else:
                        resampler.add(region, tile, x_px, y_px)

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
