"""Reading against its floor and its rivals: `python -m bench.reading`, all in one job, in turn, in random order.

Scattered patches at mixed levels of one slide, through our whole path and through what a user might
write instead. The file is in the page cache and every arm has run once before any is timed. Never
imports torch: cuCIM may hang in a process that did.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.errors import UsageError
from jsma.slides import Regions, Slide, SlideError, open_slide
from jsma.slides.client import client
from jsma.slides.plan import Plan, make_plan
from jsma.slides.sources import SourceSpec, TifffileSource

SIDE_PX = 256
LEVELS = 3  # patches come from the levels 1, 1/4 and 1/16
CHUNK = 32  # items a thread takes at a time, in the loops of the rivals


@dataclass(frozen=True)
class Arm:
    """One way of reading: `run` reads everything once; `decoded` = tile decodings it asks for."""

    name: str
    does: str
    decoded: int
    ours: bool
    run: Callable[[], Any]


@dataclass(frozen=True)
class Work:
    """What is to be read: patches as regions, their plan, and the threads every arm may use."""

    path: str
    regions: Regions
    plan: Plan
    downsamples: tuple[int, ...]
    threads: int


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

    return lambda: list(pool.map(chunk, range(0, number, CHUNK))) and None


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
        Arm("libjpeg-turbo", "the same tiles, each once, kept in warm memory", number, False,
            spread(work, keep, number, pool)),
        Arm("libjpeg-turbo, discarded", "the same tiles, each once, into one buffer a thread, pixels thrown away",
            number, False, spread(work, discard, number, pool)),
    ]  # fmt: skip


def cucim_arms(work: Work, slide: Slide, pool: ThreadPoolExecutor, out: np.ndarray) -> list[Arm]:
    """cuCIM's own read_region: the same patches, and the same tiles once each."""
    from cucim import CuImage  # type: ignore[import-not-found]

    image, plan, touches = CuImage(work.path), work.plan, len(work.plan.pair_region)
    tiles, levels = plan.tiles.tolist(), slide.info.levels
    start, level = plan.start.astype(int).tolist(), plan.level.tolist()

    def patch(index: int) -> None:
        step = work.downsamples[level[index]]
        where = (start[index][0] * step, start[index][1] * step)
        out[index] = np.asarray(image.read_region(where, (SIDE_PX, SIDE_PX), level[index]))

    def tile(index: int) -> None:
        lv, row, col = tiles[index]
        wide, high, step = levels[lv].tile_width_px, levels[lv].tile_height_px, work.downsamples[lv]
        np.asarray(image.read_region((col * wide * step, row * high * step), (wide, high), lv))

    return [
        Arm("cuCIM", "the same patches, one read_region each", touches, False,
            spread(work, patch, len(work.regions), pool)),
        Arm("cuCIM, tiles", "the same tiles, one read_region each, pixels thrown away", len(tiles), False,
            spread(work, tile, len(tiles), pool)),
    ]  # fmt: skip


def openslide_arm(work: Work, pool: ThreadPoolExecutor, out: np.ndarray) -> Arm:
    """openslide-python: the same patches, one handle a thread, alpha dropped; it keeps a cache of tiles itself."""
    import openslide

    mine = threading.local()
    start, level = work.plan.start.astype(int).tolist(), work.plan.level.tolist()

    def patch(index: int) -> None:
        if not hasattr(mine, "handle"):
            mine.handle = openslide.OpenSlide(work.path)
        step = work.downsamples[level[index]]
        where = (start[index][0] * step, start[index][1] * step)
        out[index] = np.asarray(mine.handle.read_region(where, level[index], (SIDE_PX, SIDE_PX)))[..., :3]

    return Arm("openslide-python", "the same patches, one read_region each, one handle a thread",
               len(work.plan.pair_region), False, spread(work, patch, len(work.regions), pool))  # fmt: skip


def our_arms(work: Work, slide: Slide) -> list[Arm]:
    """One `Slide.read` for everything: by default, in this process, and with the portable reader."""
    number, found = len(work.plan.tiles), [
        ("ours", slide),
        ("ours, in process", open_slide(work.path, workers=work.threads, in_process=True, reader=slide.info.reader)),
    ]  # fmt: skip
    if slide.info.reader != "tifffile":
        found.append(("ours, reader tifffile", open_slide(work.path, workers=work.threads, reader="tifffile")))
    return [
        Arm(name, f"the same patches, one read; reader {one.info.reader}", number, True,
            lambda one=one: one.read(work.regions)[0])
        for name, one in found
    ]  # fmt: skip


def cpu_s(work: Work) -> float:
    """CPU seconds so far of this process and of the decoding process."""
    pid = client(False, work.threads).pid
    times = [psutil.Process().cpu_times()] + ([psutil.Process(pid).cpu_times()] if pid else [])
    return sum(t.user + t.system for t in times)


def same_pixels(arms: list[Arm], out: np.ndarray) -> dict[str, int]:
    """Largest difference in grey levels between the first of our arms and every arm that returns the same patches."""
    reference = np.array(arms[0].run())
    found = {}
    for arm in arms[1:]:
        if arm.ours or arm.does.startswith("the same patches"):
            out[:] = 0
            pixels = arm.run()
            theirs = out if pixels is None else pixels
            found[arm.name] = max(
                int(np.abs(a.astype(np.int16) - b).max()) for a, b in zip(reference, theirs, strict=True)
            )
    return found


def measure(arms: list[Arm], work: Work, rounds: int, seed: int) -> dict[str, list[tuple[float, float]]]:
    """Per arm and round (wall, CPU) seconds; each round runs every arm once, in an order drawn anew."""
    seconds: dict[str, list[tuple[float, float]]] = {arm.name: [] for arm in arms}
    order = random.Random(seed)
    for _ in range(rounds):
        for arm in order.sample(arms, len(arms)):
            cpu, start = cpu_s(work), time.perf_counter()
            arm.run()
            seconds[arm.name].append((time.perf_counter() - start, cpu_s(work) - cpu))
    return seconds


def ratios(seconds: dict[str, list[tuple[float, float]]], ours: str, other: str, clock: int) -> dict[str, float]:
    """How many times as fast as `other` ours is, within each round: median, least, most. clock: 0 wall, 1 CPU."""
    found = [b[clock] / a[clock] for a, b in zip(seconds[ours], seconds[other], strict=True)]
    return {"median": statistics.median(found), "min": min(found), "max": max(found)}


def report(path: str, patches: int, threads: int, rounds: int, seed: int) -> dict[str, Any]:
    """Everything measured on the slide at `path`, as plain data."""
    with ThreadPoolExecutor(threads) as pool:
        slide = open_slide(path, workers=threads)
        work = scattered(slide, patches, threads, seed)
        out = np.zeros((patches, SIDE_PX, SIDE_PX, 3), np.uint8)
        arms = [*our_arms(work, slide), *jpeg_arms(work, slide, pool)]
        arms += cucim_arms(work, slide, pool, out) if find_spec("cucim") else []
        arms.append(openslide_arm(work, pool, out))
        same = same_pixels(arms, out)
        measure(arms, work, 1, seed)
        seconds = measure(arms, work, rounds, seed + 1)
    mine, others = [arm.name for arm in arms if arm.ours], [arm.name for arm in arms if not arm.ours]
    table = [
        {"ours": a, "other": b, "wall": ratios(seconds, a, b, 0), "cpu": ratios(seconds, a, b, 1)}
        for a in mine for b in [*others, *(name for name in mine if name != a and a == "ours")]
    ]  # fmt: skip
    info = slide.info
    return {
        "slide": {"side0_px": [info.width0_px, info.height0_px], "levels": list(work.downsamples)},
        "reader": info.reader, "reason": info.reader_reason, "patches": patches, "threads": threads, "rounds": rounds,
        "touches": len(work.plan.pair_region), "cost": asdict(slide.plan_cost(work.regions)),
        "arms": [{"name": a.name, "does": a.does, "tile_decodings": a.decoded} for a in arms],
        "largest_difference": same, "ratios": table, "seconds": seconds,
    }  # fmt: skip


def build(side0_px: int, folder: Path) -> str:
    """A generated slide that is all tissue, levels 1/4/16/64, 256-px JPEG tiles of quality 80."""
    from bench.demo.settings import DemoSettings
    from bench.demo.write import generate, slide_name

    try:
        settings = DemoSettings(slides=1, side0_px=side0_px, tissue_share=1.0, jpeg_quality=80)
        return str(generate(settings, folder, workers=1) / slide_name(0))
    except ValueError as error:
        raise UsageError(str(error)) from error


def show(found: dict[str, Any]) -> None:
    """The table, and what each row means."""
    cost, width = found["cost"], max(len(arm["name"]) for arm in found["arms"])
    print(f"{found['patches']} patches of {SIDE_PX} px at mixed levels of a {found['slide']['side0_px']} px slide, "
          f"levels {found['slide']['levels']}, {found['threads']} threads, {found['rounds']} rounds")  # fmt: skip
    print(f"reader {found['reader']} ({found['reason']}); {cost['tiles']} tiles touched {found['touches']} times, "
          f"{cost['decoded_px']} px, {cost['compressed_bytes']} bytes")  # fmt: skip
    for arm in found["arms"]:
        same = found["largest_difference"].get(arm["name"])
        note = "" if same is None else f"; differs from ours by at most {same}"
        print(f"  {arm['name']:{width}} {arm['tile_decodings']:6d} tile decodings: {arm['does']}{note}")
    print("speed relative to the other: median (least - most) by the clock, then by CPU seconds")
    for row in found["ratios"]:
        wall, cpu = row["wall"], row["cpu"]
        print(f"  {row['ours']:{width}} / {row['other']:{width}} {wall['median']:6.2f} ({wall['min']:.2f} - "
              f"{wall['max']:.2f})   {cpu['median']:6.2f} ({cpu['min']:.2f} - {cpu['max']:.2f})")  # fmt: skip


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.reading", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--slide", help="a tiled JPEG pyramid; without it one is generated")
    parser.add_argument("--side", type=int, default=20480, help="side of the generated slide in pixels")
    parser.add_argument("--folder", type=Path, help="keep the generated slide here, and use it again")
    parser.add_argument("--patches", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print everything measured as JSON")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    options = parse(arguments)
    try:
        if min(options.patches, options.rounds, options.threads) < 1:
            raise UsageError("--patches, --rounds and --threads must be at least 1")
        with tempfile.TemporaryDirectory() as scratch:
            slide = os.path.abspath(options.slide or build(options.side, (options.folder or Path(scratch)).absolute()))
            here = os.getcwd()
            os.chdir(scratch)  # cuCIM leaves a log where it runs
            try:
                found = report(slide, options.patches, options.threads, options.rounds, options.seed)
            finally:
                os.chdir(here)
    except (UsageError, SlideError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(json.dumps(found, indent=1)) if options.json else show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
