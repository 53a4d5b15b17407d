"""Reading measured against its floor and its rivals, all in one job, in turn, in random order.

Scattered patches at mixed levels of one slide are read through our whole path, and through what a user might write
instead. The file is in the page cache, and every arm has run once before any is timed. Nothing here imports torch,
because cuCIM may hang in a process that did.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
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
from jsma.slides import open_slide
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


@dataclass(frozen=True)
class Amount:
    """How much is measured in a process.

    Attributes:
        patches: patches of 256 px.
        rounds: how often every arm reads them.
        threads: threads that every arm may use.
        seed: of the places of the patches.
    """

    patches: int
    rounds: int
    threads: int
    seed: int


def one_process(path: str, amount: Amount) -> dict[str, Any]:
    """Everything measured on the slide at `path` in this process, as plain data."""
    patches, threads, seed = amount.patches, amount.threads, amount.seed
    with ThreadPoolExecutor(threads) as pool:
        slide = open_slide(path, workers=threads)
        work = scattered(slide, patches, threads, seed)
        out = np.zeros((patches, SIDE_PX, SIDE_PX, 3), np.uint8)
        arms = [*our_arms(work, slide), *jpeg_arms(work, slide, pool), copies_arm(work, slide, pool, out)]
        arms += cucim_arms(work, slide, pool, out) if find_spec("cucim") else []
        arms.append(openslide_arm(work, pool, out))
        same = same_pixels(arms, out)
        measure(arms, work, 1, seed)
        seconds = measure(arms, work, amount.rounds, seed + os.getpid())
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


def many_processes(amount: Amount, slide: str, processes: int) -> dict[str, Any]:
    """The same in fresh processes, one after the other, because where memory lies moves a ratio by a tenth."""
    found: dict[str, Any] = {}
    for _ in range(processes):
        command = [sys.executable, "-m", "bench.cli", "study", "reading", "--json", "--processes", "1"]
        command += ["--slide", slide]
        for name, value in asdict(amount).items():
            command += [f"--{name}", str(value)]
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
    print(
        f"{found['patches']} patches of {SIDE_PX} px at mixed levels of a {found['slide']['side0_px']} px slide, "
        f"levels {found['slide']['levels']}, {found['threads']} threads, {found['rounds']} rounds"
    )
    print(f"reader {found['reader']} ({found['reason']}), decoder {found['decoder']}")
    print(
        f"{cost['tiles']} tiles touched {found['touches']} times, "
        f"{cost['decoded_px']} px, {cost['compressed_bytes']} bytes"
    )
    for arm in found["arms"]:
        same = found["largest_difference"].get(arm["name"])
        note = "" if same is None else f"; differs from ours by at most {same}"
        print(f"  {arm['name']:{width}} {arm['tile_decodings']:6d} tile decodings: {arm['does']}{note}")
    print("speed relative to the other: median (least - most) by the clock, then by CPU seconds")
    for row in found["ratios"]:
        wall, cpu = row["wall"], row["cpu"]
        print(
            f"  {row['ours']:{width}} / {row['other']:{width}} {wall['median']:6.2f} ({wall['min']:.2f} - "
            f"{wall['max']:.2f})   {cpu['median']:6.2f} ({cpu['min']:.2f} - {cpu['max']:.2f})"
        )


def compare(amount: Amount, slide: str | None, side0_px: int, folder: Path | None, processes: int) -> dict[str, Any]:
    """Everything measured, with its ratios, as plain data.

    Args:
        amount: how much is measured in each process.
        slide: a tiled JPEG pyramid; None: one is generated.
        side0_px: side of the generated slide.
        folder: where the generated slide is kept; None: it is removed afterwards.
        processes: fresh processes, one after the other.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.abspath(slide or build(side0_px, (folder or Path(scratch)).absolute()))
        if processes > 1:
            return with_ratios(many_processes(amount, path, processes))
        with contextlib.chdir(scratch):  # cuCIM leaves a log where it runs
            return with_ratios(one_process(path, amount))
