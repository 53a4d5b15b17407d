"""The ways of reading that are compared.

Nothing here imports torch, because cuCIM may hang in a process that did.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.errors import UsageError
from jsma.slides import Regions, Slide, open_slide
from jsma.slides.readers.base import SourceSpec
from jsma.slides.readers.tiff import TifffileSource
from jsma.slides.reading.execute import common_boxes
from jsma.slides.reading.plan import Plan, make_plan

SIDE_PX = 256
LEVELS = 3  # patches come from the levels 1, 1/4 and 1/16
CHUNK = 32  # items a thread takes at a time, in the loops of the rivals


@dataclass(frozen=True)
class Arm:
    """One way of reading.

    Attributes:
        name: in the table.
        does: what it does, for people.
        decoded: tile decodings that it asks for.
        ours: whether it goes through our path.
        run: reads everything once.
    """

    name: str
    does: str
    decoded: int
    ours: bool
    run: Callable[[], Any]


@dataclass(frozen=True)
class Work:
    """What is to be read.

    Attributes:
        path: the slide.
        regions: the patches.
        plan: how our path reads them.
        downsamples: of the levels of the slide.
        threads: threads that every arm may use.
    """

    path: str
    regions: Regions
    plan: Plan
    downsamples: tuple[int, ...]
    threads: int

    def where(self, index: int) -> tuple[tuple[int, int], int]:
        """Top-left of patch `index` in level-0 pixels, and its level."""
        level = int(self.plan.level[index])
        x, y = self.plan.start[index]
        return (int(x) * self.downsamples[level], int(y) * self.downsamples[level]), level


def scattered(slide: Slide, number: int, threads: int, seed: int) -> Work:
    """`number` patches of 256 px at uniform places and levels, on whole pixels so that rivals return the same."""
    levels, mpp0 = slide.info.levels[:LEVELS], slide.info.mpp
    if any(lv.downsample % 1 or min(lv.width_px, lv.height_px) < SIDE_PX for lv in levels):
        raise UsageError(f"{slide.info.path}: needs levels at whole downsamples of at least {SIDE_PX} px a side")
    rng = np.random.default_rng(seed)
    level = rng.integers(0, len(levels), number)
    downsample = np.array([lv.downsample for lv in levels])[level]
    room = np.array([(lv.width_px - SIDE_PX, lv.height_px - SIDE_PX) for lv in levels])[level]
    corner = np.floor(rng.random((number, 2)) * (room + 1))
    regions = Regions((corner + SIDE_PX / 2) * downsample[:, None], downsample * mpp0, SIDE_PX, SIDE_PX)
    plan = make_plan(slide.info.levels, mpp0, regions)
    return Work(slide.info.path, regions, plan, tuple(int(lv.downsample) for lv in slide.info.levels), threads)


def spread(work: Work, one: Callable[[int], None], number: int, pool: ThreadPoolExecutor) -> Callable[[], None]:
    """A loop over 0..number-1 in `pool`, neighbours in one thread."""

    def chunk(first: int) -> None:
        for index in range(first, min(number, first + CHUNK)):
            one(index)

    def everything() -> None:
        for _ in pool.map(chunk, range(0, number, CHUNK)):
            pass

    return everything


def jpeg_arms(work: Work, slide: Slide, pool: ThreadPoolExecutor) -> list[Arm]:
    """libjpeg-turbo over the same tiles, each once: into its own place, and into a buffer that is thrown away."""
    source = TifffileSource(SourceSpec(work.path, "tifffile", slide.info.levels))
    if any(page is None for page in source.jpeg):
        raise UsageError(f"{work.path}: the floor is libjpeg-turbo's, so the slide's tiles must be JPEG")
    tiles, number, mine = work.plan.tiles.tolist(), len(work.plan.tiles), threading.local()
    first = slide.info.levels[0]
    shape = (first.tile_height_px, first.tile_width_px, 3)
    kept = np.zeros((number, *shape), np.uint8)

    def decode(index: int, buffer: np.ndarray) -> None:
        page = source.jpeg[tiles[index][0]]
        assert page is not None
        page.decode(source.read_bytes(*tiles[index]), buffer)

    def keep(index: int) -> None:
        decode(index, kept[index])

    def discard(index: int) -> None:
        if not hasattr(mine, "buffer"):
            mine.buffer = np.empty(shape, np.uint8)
        decode(index, mine.buffer)

    return [
        Arm(
            "libjpeg-turbo",
            "the same tiles, each once, kept in warm memory",
            number,
            False,
            spread(work, keep, number, pool),
        ),
        Arm(
            "libjpeg-turbo, discarded",
            "the same tiles, each once, into one buffer a thread, pixels thrown away",
            number,
            False,
            spread(work, discard, number, pool),
        ),
    ]


def copies_arm(work: Work, slide: Slide, pool: ThreadPoolExecutor, out: np.ndarray) -> Arm:
    """No decoding: the parts of every patch copied out of one tile that stays in the cache, as every reader must."""
    first, plan = slide.info.levels[0], work.plan
    tile = np.full((first.tile_height_px, first.tile_width_px, 3), 200, np.uint8)
    boxes, starts = common_boxes(plan, slide.info.levels).tolist(), plan.pair_start.tolist()
    regions = plan.pair_region.tolist()

    def copy(index: int) -> None:
        for pair in range(starts[index], starts[index + 1]):
            top, bottom, left, right, y0, y1, x0, x1 = boxes[pair]
            out[regions[pair], top:bottom, left:right] = tile[y0:y1, x0:x1]

    return Arm(
        "copies alone",
        "nothing decoded: every patch filled with parts of one tile in the cache",
        0,
        False,
        spread(work, copy, len(plan.tiles), pool),
    )


def cucim_arms(work: Work, slide: Slide, pool: ThreadPoolExecutor, out: np.ndarray) -> list[Arm]:
    """cuCIM's own read_region: the same patches, and the same tiles once each."""
    from cucim import CuImage  # type: ignore[import-not-found]

    image, plan, touches = CuImage(work.path), work.plan, len(work.plan.pair_region)
    tiles, levels = plan.tiles.tolist(), slide.info.levels

    def patch(index: int) -> None:
        where, level = work.where(index)
        out[index] = np.asarray(image.read_region(where, (SIDE_PX, SIDE_PX), level))

    def tile(index: int) -> None:
        lv, row, col = tiles[index]
        wide, high, step = levels[lv].tile_width_px, levels[lv].tile_height_px, work.downsamples[lv]
        np.asarray(image.read_region((col * wide * step, row * high * step), (wide, high), lv))

    return [
        Arm(
            "cuCIM",
            "the same patches, one read_region each",
            touches,
            False,
            spread(work, patch, len(work.regions), pool),
        ),
        Arm(
            "cuCIM, tiles",
            "the same tiles, one read_region each, pixels thrown away",
            len(tiles),
            False,
            spread(work, tile, len(tiles), pool),
        ),
    ]


def openslide_arm(work: Work, pool: ThreadPoolExecutor, out: np.ndarray) -> Arm:
    """openslide-python: the same patches, one handle a thread, alpha dropped; it keeps a cache of tiles itself."""
    import openslide

    mine = threading.local()

    def patch(index: int) -> None:
        if not hasattr(mine, "handle"):
            mine.handle = openslide.OpenSlide(work.path)
        where, level = work.where(index)
        out[index] = np.asarray(mine.handle.read_region(where, level, (SIDE_PX, SIDE_PX)))[..., :3]

    return Arm(
        "openslide-python",
        "the same patches, one read_region each, one handle a thread",
        len(work.plan.pair_region),
        False,
        spread(work, patch, len(work.regions), pool),
    )


def our_arms(work: Work, slide: Slide) -> list[Arm]:
    """One `Slide.read` for everything: by default, in this process, and with the portable reader."""
    number, found = (
        len(work.plan.tiles),
        [
            ("ours", slide),
            (
                "ours, in process",
                open_slide(work.path, workers=work.threads, in_process=True, reader=slide.info.reader),
            ),
        ],
    )
    if slide.info.reader == "cucim":
        found.append(("ours, cuCIM decodes", open_slide(work.path, workers=work.threads, decoder="cucim")))
    if slide.info.reader != "tifffile":
        found.append(("ours, reader tifffile", open_slide(work.path, workers=work.threads, reader="tifffile")))
    return [
        Arm(
            name,
            f"the same patches, one read; reader {one.info.reader}, decoder {one.info.decoder}",
            number,
            True,
            lambda one=one: one.read(work.regions)[0],
        )
        for name, one in found
    ]
