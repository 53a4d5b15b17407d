"""Reading against its floor and its rivals: `python -m bench.studies.reading.measure`, all in one job, in turn, in
random order.

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
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.errors import UsageError
from bench.studies.reading.arms import (
    SIDE_PX,
    Arm,
    Work,
    copies_arm,
    cucim_arms,
    jpeg_arms,
    openslide_arm,
    our_arms,
    scattered,
)
from jsma.slides import SlideError, open_slide
from jsma.slides.process.client import client

CPU_TICK_S = 0.01
PARTS, FLOOR = ("libjpeg-turbo", "copies alone"), "libjpeg-turbo + copies"


def cpu_s(work: Work) -> float:
    """CPU seconds so far of this process and of the decoding process."""
    pids = [os.getpid(), getattr(client(False, work.threads), "pid", None)]
    times = [psutil.Process(pid).cpu_times() for pid in pids if pid]
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
    found = [b[clock] / max(a[clock], CPU_TICK_S) for a, b in zip(seconds[ours], seconds[other], strict=True)]
    return {"median": statistics.median(found), "min": min(found), "max": max(found)}


def one_process(path: str, patches: int, threads: int, rounds: int, seed: int) -> dict[str, Any]:
    """Everything measured on the slide at `path` in this process, as plain data."""
    with ThreadPoolExecutor(threads) as pool:
        slide = open_slide(path, workers=threads)
        work = scattered(slide, patches, threads, seed)
        out = np.zeros((patches, SIDE_PX, SIDE_PX, 3), np.uint8)
        arms = [*our_arms(work, slide), *jpeg_arms(work, slide, pool), copies_arm(work, slide, pool, out)]
        arms += cucim_arms(work, slide, pool, out) if find_spec("cucim") else []
        arms.append(openslide_arm(work, pool, out))
        same = same_pixels(arms, out)
        measure(arms, work, 1, seed)
        seconds = measure(arms, work, rounds, seed + os.getpid())
    info = slide.info
    return {
        "slide": {"side0_px": [info.width0_px, info.height0_px], "levels": list(work.downsamples)},
        "reader": info.reader,
        "reason": info.reader_reason,
        "decoder": f"{info.decoder} ({info.decoder_reason})",
        "patches": patches,
        "threads": threads,
        "touches": len(work.plan.pair_region),
        "cost": asdict(slide.plan_cost(work.regions)),
        "arms": [{"name": a.name, "ours": a.ours, "does": a.does, "tile_decodings": a.decoded} for a in arms],
        "largest_difference": same,
        "seconds": seconds,
    }


def many_processes(options: argparse.Namespace, slide: str) -> dict[str, Any]:
    """The same in fresh processes, one after the other: where memory happens to lie moves a ratio by a tenth."""
    found: dict[str, Any] = {}
    for _ in range(options.processes):
        command = [sys.executable, "-m", "bench.studies.reading.measure", "--json", "--processes", "1"]
        command += ["--slide", slide]
        for name in ("patches", "rounds", "threads", "seed"):
            command += [f"--{name}", str(getattr(options, name))]
        ran = subprocess.run(command, capture_output=True, text=True)
        if ran.returncode:
            raise UsageError(ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else f"exit {ran.returncode}")
        one = json.loads(ran.stdout)
        for name, seconds in found.get("seconds", {}).items():
            one["seconds"][name] = seconds + one["seconds"][name]
        found = one
    return found


def floor(seconds: dict[str, list[tuple[float, float]]]) -> list[tuple[float, float]]:
    """Per round, decoding every tile once and copying every patch: what reading by tiles takes at least."""
    return [(a[0] + b[0], a[1] + b[1]) for a, b in zip(*(seconds[name] for name in PARTS), strict=True)]


def with_ratios(found: dict[str, Any]) -> dict[str, Any]:
    """`found` and the ratios of each of our ways to each other's and to the floor, and of our default to our others."""
    mine = [arm["name"] for arm in found["arms"] if arm["ours"]]
    others = [arm["name"] for arm in found["arms"] if not arm["ours"]]
    pairs = [(a, b) for a in mine for b in (FLOOR, *others)] + [(mine[0], b) for b in mine[1:]]
    seconds = {**found["seconds"], FLOOR: floor(found["seconds"])}
    table = [
        {"ours": a, "other": b, "wall": ratios(seconds, a, b, 0), "cpu": ratios(seconds, a, b, 1)} for a, b in pairs
    ]
    return {**found, "rounds": len(seconds[mine[0]]), "ratios": table}


def build(side0_px: int, folder: Path) -> str:
    """A generated slide that is all tissue, levels 1/4/16/64, 256-px JPEG tiles of quality 80."""
    from bench.datasets.generated.demo.settings import DemoSettings
    from bench.datasets.generated.demo.write import generate, slide_name

    try:
        settings = DemoSettings(slides=1, side0_px=side0_px, tissue_share=1.0, jpeg_quality=80)
        return str(generate(settings, folder) / slide_name(0))
    except ValueError as error:
        raise UsageError(str(error)) from error


def show(found: dict[str, Any]) -> None:
    """The table, and what each row means."""
    cost, width = found["cost"], max(len(arm["name"]) for arm in found["arms"])
    print(f"{found['patches']} patches of {SIDE_PX} px at mixed levels of a {found['slide']['side0_px']} px slide, "
          f"levels {found['slide']['levels']}, {found['threads']} threads, {found['rounds']} rounds")  # fmt: skip
    print(f"reader {found['reader']} ({found['reason']}), decoder {found['decoder']}")
    print(f"{cost['tiles']} tiles touched {found['touches']} times, "
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
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m bench.studies.reading.measure", description=about)
    parser.add_argument("--slide", help="a tiled JPEG pyramid; without it one is generated")
    parser.add_argument("--side", type=int, default=20480, help="side of the generated slide in pixels")
    parser.add_argument("--folder", type=Path, help="keep the generated slide here, and use it again")
    parser.add_argument("--patches", type=int, default=2000)
    parser.add_argument("--processes", type=int, default=5, help="fresh processes, one after the other")
    parser.add_argument("--rounds", type=int, default=3, help="rounds in each process")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print everything measured as JSON")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code."""
    options = parse(arguments)
    try:
        if min(options.patches, options.rounds, options.processes, options.threads) < 1:
            raise UsageError("--patches, --rounds, --processes and --threads must be at least 1")
        with tempfile.TemporaryDirectory() as scratch:
            slide = os.path.abspath(options.slide or build(options.side, (options.folder or Path(scratch)).absolute()))
            here = os.getcwd()
            os.chdir(scratch)  # cuCIM leaves a log where it runs
            try:
                if options.processes == 1:
                    found = one_process(slide, options.patches, options.threads, options.rounds, options.seed)
                else:
                    os.chdir(here)
                    found = many_processes(options, slide)
            finally:
                os.chdir(here)
    except (UsageError, SlideError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    found = with_ratios(found)
    print(json.dumps(found, indent=1)) if options.json else show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
