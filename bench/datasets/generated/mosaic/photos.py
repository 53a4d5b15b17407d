"""The photos that mosaics are mixed from: each is looked at once, and belongs to one part."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bench.datasets.content import slide_digests
from bench.datasets.contract import PARTS, SlideRecord
from bench.errors import UsageError
from bench.workers import mapped
from jsma.slides import SlideError
from jsma.slides.formats.photo import load_photo
from jsma.slides.stains import Moments, moments_of

SHARES = (0.6, 0.2, 0.2)  # of the photos of every label: train, val, test
TRIES = 100  # orders of the groups, until every label is in every part
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Photo:
    """One labelled photo.

    Attributes:
        path: The file.
        name: As the table names it.
        label: As the table says.
        group: Its patient, or its own name where patients are not known.
        part: train, val or test.
        width_px: Of the photo.
        height_px: Of the photo.
        stain: Optical density of all its pixels.
        digest: Of the content of the file.
    """

    path: str
    name: str
    label: str
    group: str
    part: str
    width_px: int
    height_px: int
    stain: Moments
    digest: str


@dataclass(frozen=True)
class Seen:
    """What the pixels of a photo say."""

    width_px: int
    height_px: int
    stain: Moments


@dataclass(frozen=True)
class Loaded:
    """The photos of a table.

    Attributes:
        photos: Those that are used.
        failed: Name -> why it cannot be read.
        repeated: Name -> which photo before it has the same content.
    """

    photos: tuple[Photo, ...]
    failed: dict[str, str]
    repeated: dict[str, str]


def look_at(path: str) -> Seen | str:
    """Size and stain of a photo, or why it cannot be read."""
    try:
        pixels = load_photo(path).pixels
    except (SlideError, OSError) as error:
        return str(error).removeprefix(f"{path}: ")
    return Seen(pixels.shape[1], pixels.shape[0], moments_of(pixels))


def load_photos(records: Sequence[SlideRecord], seed: int, workers: int = 0, report: Report | None = None) -> Loaded:
    """Look at every photo and give each to a part.

    Args:
        records: Photos with label, and patient and split where they are known.
        seed: Decides on the parts where the table does not.
        workers: Processes. 0: as many as cores.
        report: Called with (done, total).

    Raises:
        UsageError: No photo can be read, one is there with two labels, or a label would be missing in a part.
    """
    seen: dict[int, Seen] = {}
    failed: dict[str, str] = {}
    looks = mapped(look_at, [r.path for r in records], workers or os.cpu_count() or 1, chunksize=4)
    for k, look in enumerate(looks):
        if isinstance(look, str):
            failed[records[k].id] = look
        else:
            seen[k] = look
        if report:
            report(k + 1, len(records))
    if not seen:
        raise UsageError(f"none of the {len(records)} photos can be read; the first: {next(iter(failed.values()))}")
    digests, repeated = _without_repeats(records, list(seen))
    kept = [records[k] for k in digests]
    parts = parts_of(kept, seed)
    photos = [
        Photo(r.path, r.id, r.label, r.patient or r.id, part, look.width_px, look.height_px, look.stain, digest)
        for r, part, look, digest in zip(kept, parts, (seen[k] for k in digests), digests.values(), strict=True)
    ]
    return Loaded(tuple(photos), failed, repeated)


def _without_repeats(records: Sequence[SlideRecord], seen: Sequence[int]) -> tuple[dict[int, str], dict[str, str]]:
    """(position -> digest of photos that are the first of their content, name -> first name of the others)."""
    first: dict[str, int] = {}
    repeated = {}
    for k, digest in zip(seen, slide_digests(records[k].path for k in seen), strict=True):
        other = records[first.setdefault(str(digest), k)]
        if other.label != records[k].label:
            raise UsageError(
                f"{other.id} and {records[k].id} have the same content and the labels {other.label} and "
                f"{records[k].label}; correct the table"
            )
        if other is not records[k]:
            repeated[records[k].id] = other.id
    return {k: digest for digest, k in first.items()}, repeated


def parts_of(records: Sequence[SlideRecord], seed: int) -> list[str]:
    """Part of every photo: the given one, or drawn so that no patient (or photo, where unknown) is in two parts.

    UsageError where a label would be missing in a part.
    """
    if all(r.split for r in records):
        parts = [str(r.split) for r in records]
        _check_given(records, parts)
        return parts
    names, labels = sorted({r.patient or r.id for r in records}), sorted({r.label for r in records})
    row, column = ({name: k for k, name in enumerate(some)} for some in (names, labels))
    groups = [row[r.patient or r.id] for r in records]
    counts = np.zeros((len(names), len(labels)))
    np.add.at(counts, (groups, [column[r.label] for r in records]), 1)
    rng = np.random.default_rng([seed, 17])
    for _ in range(TRIES):
        drawn = _draw_parts(counts, rng)
        if all((counts[drawn == part].sum(0) > 0).all() for part in range(len(PARTS))):
            return [PARTS[drawn[group]] for group in groups]
    fewest = int((counts > 0).sum(0).argmin())
    raise UsageError(
        f"label {labels[fewest]!r} comes from {int((counts[:, fewest] > 0).sum())} patient(s) or photo(s), and no way "
        f"was found to have every label in training, validation and test without one of them in two; give more, a "
        "column split, or leave the column patient out to split by photo (its parts then share patients)"
    )


def _check_given(records: Sequence[SlideRecord], parts: Sequence[str]) -> None:
    """UsageError where a patient is in two parts, or a label is missing in one."""
    part_of: dict[str, str] = {}
    for record, part in zip(records, parts, strict=True):
        if record.patient and part_of.setdefault(record.patient, part) != part:
            raise UsageError(
                f"patient {record.patient} is in {part_of[record.patient]} and in {part}, and its photos would be in "
                "both; correct the column split"
            )
    there = Counter((record.label, part) for record, part in zip(records, parts, strict=True))
    for label in sorted({r.label for r in records}):
        for part in PARTS:
            if not there[label, part]:
                raise UsageError(f"label {label!r} has no photo in part {part}; correct the column split, or drop it")


def _draw_parts(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Part of every group: large groups first, each to the part that it brings nearest to its share.

    Args:
        counts: Photos [groups, labels].
        rng: Decides on the order of groups of the same size.

    Returns:
        Positions in PARTS [groups].
    """
    held, total = np.zeros((len(PARTS), counts.shape[1])), counts.sum(0)
    wanted = np.array(SHARES)[:, None]
    drawn = np.zeros(len(counts), int)
    order = rng.permutation(len(counts))
    for k in order[np.argsort(-counts[order].sum(1), kind="stable")]:
        costs = []
        for part in range(len(PARTS)):
            after = held.copy()
            after[part] += counts[k]
            costs.append((((after / total - wanted) ** 2) + (after == 0)).sum())
        drawn[k] = int(np.argmin(costs))
        held[drawn[k]] += counts[k]
    return drawn
