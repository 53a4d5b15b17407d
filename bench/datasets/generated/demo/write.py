"""Scenes to files: streamed pyramids, evidence masks, labels.csv; seeded, parallel, resumable."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from bench.datasets.generated.demo.render import Box, render
from bench.datasets.generated.demo.scene import SITE_RADIUS0, Scene, make_scene
from bench.datasets.generated.demo.settings import CLASSES, DemoSettings
from bench.datasets.generated.streamed_pyramid import BAND_PX, Frame, write_bands
from bench.files import aside, remove_leftovers, replacing, write_bytes
from bench.workers import mapped, pool

CHUNK_PX = 2048  # columns rendered at a time
MASK_STEP = 16


def generate(
    settings: DemoSettings, folder: Path, workers: int = 2, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Make the slides that are missing, their masks and labels.csv.

    Args:
        settings: What is generated.
        folder: Where the slides go.
        workers: Processes.
        progress: Called with (done, total).

    Returns:
        `folder`.

    Raises:
        ValueError: the folder holds slides of other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    stamp = folder / "settings.json"
    if stamp.is_file() and _identity(stamp) != settings.identity:
        raise ValueError(f"{folder}: holds slides of other settings; choose another folder or delete it")
    write_bytes(stamp, json.dumps({"identity": settings.identity, **asdict(settings)}, indent=1).encode())
    todo = [i for i in range(settings.slides) if not (folder / slide_name(i)).is_file()]
    done = settings.slides - len(todo)
    if todo:
        one = partial(write_slide, settings, folder, workers=max(1, workers // len(todo)))
        for _ in mapped(one, todo, workers):
            done += 1
            if progress:
                progress(done, settings.slides)
    for i in range(settings.slides):  # older slides have no such file
        if not (sites := Path(sites_file(str(folder / slide_name(i))))).is_file():
            _write_mask(sites, site_mask(make_scene(settings, i), "candidates"))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["path", "label", "split", "mask"])
    for i in range(settings.slides):
        label = CLASSES[settings.variant][settings.labels[i % len(settings.labels)]]
        writer.writerow([slide_name(i), label, settings.split(i), slide_name(i).replace(".tif", ".mask.png")])
    write_bytes(folder / "labels.csv", text.getvalue().encode())
    return folder


def _identity(stamp: Path) -> str:
    """Read the identity of the slides that are there. ValueError where it is damaged."""
    try:
        return str(json.loads(stamp.read_bytes())["identity"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{stamp}: damaged ({error}); delete its folder, and the slides are made anew") from error


def slide_name(index: int) -> str:
    """Name the file of slide `index`."""
    return f"slide_{index:05d}.tif"


def sites_file(slide: str) -> str:
    """Name the mask of the candidate sites.

    Args:
        slide: Path of the slide.

    Returns:
        Path of the mask, beside the slide.
    """
    return str(Path(slide).with_suffix(".sites.png"))


def _write_mask(path: Path, mask: np.ndarray) -> None:
    write_bytes(path, cv2.imencode(".png", mask)[1].tobytes())


def write_slide(settings: DemoSettings, folder: Path, index: int, workers: int = 1) -> None:
    """Write one slide and its mask. The slide gets its name only when it is complete.

    With several workers its bands are rendered side by side, a few ahead of the one being written.
    """
    cv2.setNumThreads(1)
    target = folder / slide_name(index)
    if target.is_file():
        return  # another process made it meanwhile
    scene = make_scene(settings, index)
    _write_mask(target.with_suffix(".mask.png"), site_mask(scene, "evidence"))
    scratch = aside(target.with_name(f"{target.name}.scratch"))
    scratch.mkdir(exist_ok=True)
    try:
        with replacing(target) as temporary:
            frame = Frame(settings.side0_px, settings.side0_px, settings.mpp, settings.jpeg_quality)
            write_bands(_rendered(scene, workers), frame, temporary, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _band(scene: Scene, y0: int) -> np.ndarray:
    """Rows y0 .. y0 + BAND_PX of level 0, over its whole width."""
    side, rows = scene.side0_px, min(BAND_PX, scene.side0_px - y0)
    return np.concatenate(
        [render(scene, Box(x0, y0, min(CHUNK_PX, side - x0), rows)) for x0 in range(0, side, CHUNK_PX)], axis=1
    )


def _rendered(scene: Scene, workers: int) -> Iterator[np.ndarray]:
    starts = range(0, scene.side0_px, BAND_PX)
    if workers == 1 or len(starts) == 1:
        yield from (_band(scene, y0) for y0 in starts)
        return
    with pool(workers, _hold, scene) as bands:
        ahead: deque[Future[np.ndarray]] = deque()
        for y0 in starts:
            ahead.append(bands.submit(_held_band, y0))
            if len(ahead) > workers:  # so many bands are in memory at most, and one that is being written
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


_held: list[Scene] = []  # in a process that renders bands: the scene, sent once


def _hold(scene: Scene) -> None:
    cv2.setNumThreads(1)
    _held[:] = [scene]


def _held_band(y0: int) -> np.ndarray:
    return _band(_held[0], y0)


def site_mask(scene: Scene, of: Literal["evidence", "candidates"]) -> np.ndarray:
    """Draw the sites of a scene as discs of their radius.

    Args:
        scene: The scene.
        of: "evidence": the sites that hold it on this slide; "candidates": those that hold it in some class.

    Returns:
        uint8 at 1/16 of the side. Bit 1 is architecture, bit 2 is cytology.
    """
    side = scene.side0_px // MASK_STEP
    mask = np.zeros((side, side), np.uint8)
    for bit, kind in ((1, "architecture"), (2, "cytology")):
        layer = np.zeros_like(mask)
        for x0, y0 in (scene.evidence if of == "evidence" else scene.candidates)[kind]:
            centre = (round(x0 / MASK_STEP), round(y0 / MASK_STEP))
            cv2.circle(layer, centre, round(SITE_RADIUS0 / MASK_STEP), bit, -1)
        mask |= layer
    return mask
