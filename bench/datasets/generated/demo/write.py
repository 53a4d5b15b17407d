"""Scenes to files: streamed pyramids, evidence masks, labels.csv; seeded, parallel, resumable."""

from __future__ import annotations

import csv
import io
import json
import os
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
import tifffile

from bench.datasets.generated.demo.render import Box, render
from bench.datasets.generated.demo.scene import SITE_RADIUS0, Scene, make_scene
from bench.datasets.generated.demo.settings import CLASSES, DemoSettings
from bench.files import aside, remove_leftovers, replacing, write_bytes
from bench.workers import mapped, pool

TILE_PX = 256
STEP = 4  # between stored levels
BAND_PX = 512  # rows rendered at a time
CHUNK_PX = 2048  # columns rendered at a time
MASK_STEP = 16


def generate(
    settings: DemoSettings, folder: Path, workers: int = 2, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Write what is missing of the slides to `folder`; returns it. ValueError if it holds other slides."""
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
    for i in range(settings.slides):  # also of slides that were made before there was such a file
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
    """Of the slides that are there; ValueError where that cannot be told."""
    try:
        return str(json.loads(stamp.read_bytes())["identity"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{stamp}: damaged ({error}); delete its folder, and the slides are made anew") from error


def slide_name(index: int) -> str:
    """File name of slide `index`."""
    return f"slide_{index:05d}.tif"


def sites_file(slide: str) -> str:
    """The mask of the candidate sites beside a slide's file."""
    return str(Path(slide).with_suffix(".sites.png"))


def _write_mask(path: Path, mask: np.ndarray) -> None:
    write_bytes(path, cv2.imencode(".png", mask)[1].tobytes())


def write_slide(settings: DemoSettings, folder: Path, index: int, workers: int = 1) -> None:
    """Write one slide and its mask; the slide appears under its name only when it is complete.

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
            write_pyramid(_rendered(scene, workers), settings, temporary, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_pyramid(rendered: Iterator[np.ndarray], settings: DemoSettings, target: Path, scratch: Path) -> None:
    """Tiled JPEG levels 1, 1/4, 1/16 ... from bands of level 0.

    The lower levels are block means of the light, kept in scratch files.
    """
    side = settings.side0_px
    sides = [side]
    while sides[-1] > TILE_PX and sides[-1] // STEP >= 64:
        sides.append(sides[-1] // STEP)
    with tifffile.TiffWriter(target, bigtiff=side > 40_000) as writer:
        below: np.ndarray | None = None
        for k, level_side in enumerate(sides):
            lower = None
            if k + 1 < len(sides):
                lower = _reserved(scratch / f"{k}.raw", (sides[k + 1], sides[k + 1], 3))
            bands = rendered if below is None else _stored(below)
            per_um = 1e4 / (settings.mpp * side / level_side)
            writer.write(
                _tiles(bands, level_side, lower),
                shape=(level_side, level_side, 3),
                dtype=np.uint8,
                photometric="rgb",
                tile=(TILE_PX, TILE_PX),
                compression="jpeg",
                compressionargs={"level": settings.jpeg_quality},
                subfiletype=int(k > 0),
                resolution=(per_um, per_um),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
            below = lower


def _reserved(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """uint8 in a file whose room on the disk is taken now: a full disk met later, in memory, would end the process."""
    with path.open("wb") as handle:
        os.posix_fallocate(handle.fileno(), 0, int(np.prod(shape)))
    return np.memmap(path, np.uint8, "r+", shape=shape)


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


def _stored(level: np.ndarray) -> Iterator[np.ndarray]:
    for y0 in range(0, len(level), BAND_PX):
        yield np.asarray(level[y0 : y0 + BAND_PX])


def _tiles(bands: Iterator[np.ndarray], side: int, lower: np.ndarray | None) -> Iterator[np.ndarray]:
    """Tiles of the level in file order; fills `lower` with block means on the way."""
    row = 0
    for band in bands:
        if lower is not None:
            size = len(lower)
            rows = len(band) // STEP
            end = min(row + rows, size)
            lower[row:end] = block_mean(band[: rows * STEP, : size * STEP])[: end - row]
            row += rows
        for y in range(0, len(band), TILE_PX):
            for x in range(0, side, TILE_PX):
                tile = np.full((TILE_PX, TILE_PX, 3), 255, np.uint8)
                part = band[y : y + TILE_PX, x : x + TILE_PX]
                tile[: part.shape[0], : part.shape[1]] = part
                yield tile


def block_mean(pixels: np.ndarray) -> np.ndarray:
    """uint8 [h / STEP, w / STEP, 3]: means of blocks of STEP x STEP pixels, halves rounded to even; integers only."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height // STEP, STEP, width, 3)
    total = sum((rows[:, k] for k in range(1, STEP)), rows[:, 0].astype(np.uint16))
    columns = total.reshape(height // STEP, width // STEP, STEP, 3)
    total = sum((columns[:, :, k] for k in range(1, STEP)), columns[:, :, 0].copy())
    whole, rest = np.divmod(total, STEP * STEP)
    half = STEP * STEP // 2
    return (whole + ((rest > half) | ((rest == half) & (whole % 2 == 1)))).astype(np.uint8)


def site_mask(scene: Scene, of: Literal["evidence", "candidates"]) -> np.ndarray:
    """uint8 at 1/16: bit 1 architecture, bit 2 cytology; discs of the site's radius, alike for both.

    of: the sites that hold evidence, or those that do in some class (the others of them are decoys).
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
