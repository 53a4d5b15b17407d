"""A table of labelled photos to a folder of mosaics: parallel, seeded, resumable."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.datasets.contract import PARTS, Dataset, SlideRecord
from bench.datasets.generated.mosaic.folder import LABELS, check_folder, stamp_folder, write_tables
from bench.datasets.generated.mosaic.photos import Photo, load_photos
from bench.datasets.generated.mosaic.plan import Material
from bench.datasets.generated.mosaic.settings import TILE_STEP_PX, MosaicSettings
from bench.datasets.generated.mosaic.writing import file_of, write_mosaic
from bench.errors import UsageError
from bench.files import remove_leftovers
from bench.workers import mapped
from jsma.slides.stains import average_moments

NOMINAL_MPP = 0.5
LEAST_TILE_PX = 64
SAME_SCALE = 1.02  # two scales up to this ratio are one
Report = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True)
class Made:
    """What `make_mosaics` did.

    Attributes:
        labels: The table of the mosaics.
        made: Mosaics that were missing.
        kept: Mosaics that were there.
        width0_px: Of each mosaic.
        height0_px: Of each mosaic.
        photos: Label -> part -> (photos, patients or photos that they come from).
        failed: Photo -> why it cannot be read.
        notes: Lines for the user.
    """

    labels: Path
    made: int
    kept: int
    width0_px: int
    height0_px: int
    photos: dict[str, dict[str, tuple[int, int]]]
    failed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def make_mosaics(
    table: Dataset, settings: MosaicSettings, folder: Path, workers: int = 0, report: Report | None = None
) -> Made:
    """Write the mosaics that are missing in `folder`, then labels.csv and tiles.csv (which photo lies where).

    Args:
        table: The labelled photos.
        settings: What is mixed.
        folder: Empty, new, or of the same settings. It may hold fewer mosaics, or more.
        workers: Processes. 0: as many as cores.
        report: Called with (what is done, done, total).

    Raises:
        UsageError: A label is not in the table, no tile fits, scales differ, or the folder holds anything else.
    """
    processes = workers or os.cpu_count() or 1
    records = _wanted_records(table, settings)
    check_folder(folder)
    loaded = load_photos(records, settings.seed, processes, partial(report, "looking at photos") if report else None)
    _check_labels(loaded.photos, settings)
    mpp, notes = _common_mpp(records, settings)
    notes += [f"{name} is left out: it has the same content as {other}" for name, other in loaded.repeated.items()]
    side = _tile_side(loaded.photos, settings)
    training = [photo.stain for photo in loaded.photos if photo.part == "train"]
    target = average_moments(training) if settings.match_stain else None
    material = Material(settings, loaded.photos, side, mpp, target)
    stamp_folder(material, folder)
    remove_leftovers(folder)
    todo = [i for i in range(settings.slides) if not (folder / file_of(i)).is_file()]
    there = settings.slides - len(todo)
    for number, _ in enumerate(mapped(partial(write_mosaic, material, folder), todo, processes) if todo else ()):
        if report:
            report("mixing mosaics", there + number + 1, settings.slides)
    notes += write_tables(material, folder)
    size0_px = (settings.columns * side, settings.rows * side)
    return Made(folder / LABELS, len(todo), there, *size0_px, _count(loaded.photos), loaded.failed, notes)


def _wanted_records(table: Dataset, settings: MosaicSettings) -> list[SlideRecord]:
    """The photos of the labels that are asked for."""
    known = sorted({r.label for r in table.records})
    for option, labels in (("--positive", settings.positive), ("--negative", settings.negative)):
        for label in labels:
            if label not in known:
                raise UsageError(f"{option} {label}: no photo has that label; there are: {', '.join(known)}")
    return [r for r in table.records if r.label in (*settings.positive, *settings.negative)]


def _check_labels(photos: Sequence[Photo], settings: MosaicSettings) -> None:
    """UsageError where no photo of a label can be read."""
    readable = {photo.label for photo in photos}
    for label in (*settings.positive, *settings.negative):
        if label not in readable:
            raise UsageError(f"no photo with the label {label} can be read; look at them with `data verify`")


def _common_mpp(records: Sequence[SlideRecord], settings: MosaicSettings) -> tuple[float, list[str]]:
    """Micrometres per pixel of the photos: the option, else the table, else a nominal scale with a note."""
    if settings.mpp is not None:
        return settings.mpp, []
    stated = [r for r in records if r.mpp is not None]
    if not stated:
        note = f"um per pixel unknown: {NOMINAL_MPP} is written, which is nominal; give --mpp, or an mpp column"
        return NOMINAL_MPP, [note]
    first = stated[0]
    for record in records:
        if record.mpp is None or not 1 / SAME_SCALE <= record.mpp / (first.mpp or 1.0) <= SAME_SCALE:
            raise UsageError(
                f"{record.id}: um per pixel {record.mpp or 'unknown'}, {first.id} has {first.mpp:g}; tiles of one "
                "mosaic need one scale: resize the photos, or give --mpp"
            )
    return float(first.mpp or NOMINAL_MPP), []


def _tile_side(photos: Sequence[Photo], settings: MosaicSettings) -> int:
    """Side of a tile in px that fits in every photo."""
    smallest = min(photos, key=lambda photo: min(photo.width_px, photo.height_px))
    room = min(smallest.width_px, smallest.height_px)
    side = settings.tile_px or room // TILE_STEP_PX * TILE_STEP_PX
    if not LEAST_TILE_PX <= side <= room:
        raise UsageError(
            f"--tile {side}: {smallest.name} has {smallest.width_px}x{smallest.height_px} px, and a tile of "
            f"{LEAST_TILE_PX} px or more must fit in every photo; give a smaller --tile, or leave small photos out"
        )
    return side


def _count(photos: Sequence[Photo]) -> dict[str, dict[str, tuple[int, int]]]:
    """Label -> part -> (photos, groups)."""
    number = Counter((p.label, p.part) for p in photos)
    groups = Counter((label, part) for label, part, _ in {(p.label, p.part, p.group) for p in photos})
    labels = sorted({photo.label for photo in photos})
    return {label: {part: (number[label, part], groups[label, part]) for part in PARTS} for label in labels}
