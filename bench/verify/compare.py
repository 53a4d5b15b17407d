"""Slides compared with each other: counts, labels, duplicates, patients in two parts."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from bench.datasets.contract import PARTS, Dataset, SlideRecord
from bench.errors import UsageError
from bench.pyramid import sha256_of
from bench.verify.look import Look

NEAR = 0.9  # correlation of two thumbnails from which their slides count as near duplicates
Found = Iterator[tuple[str, str, str]]  # check, slide, text


def counted(dataset: Dataset) -> Found:
    """Classes whose number of slides is not the published one."""
    have = Counter(r.label for r in dataset.records)
    for label, expected in (dataset.card.counts if dataset.card else {}).items():
        if have[label] != expected:
            yield "counts", label, f"{have[label]} slides, {expected} are published"


def labelled(dataset: Dataset) -> Found:
    """Problems that the dataset itself reports, and files with two labels."""
    for name, reason in dataset.problems.items():
        yield "labels", name, reason
    labels: dict[str, set[str]] = defaultdict(set)
    for record in dataset.records:
        labels[os.path.realpath(_original(record))].add(record.label)
    for path, some in labels.items():
        if len(some) > 1:
            yield "labels", os.path.basename(path), f"one file with the labels {' and '.join(sorted(some))}"


def parts_of(dataset: Dataset) -> dict[str, str]:
    """Slide -> its part (train, val, test) in fold 0, or its fold; empty where the data cannot be split."""
    if all(r.fold is not None for r in dataset.records):
        return {r.id: f"fold {r.fold}" for r in dataset.records}
    try:
        return {r.id: part for part, some in dataset.split(0, 5).items() for r in some}
    except UsageError:
        return {}


def patients(dataset: Dataset, parts: dict[str, str]) -> Found:
    """Patients whose slides lie in two parts."""
    where: dict[str, set[str]] = defaultdict(set)
    for record in dataset.records:
        if record.patient and record.id in parts:
            where[record.patient].add(parts[record.id])
    for patient, some in where.items():
        if len(some) > 1:
            yield "patients", f"patient {patient}", f"slides in {' and '.join(sorted(some, key=_order))}"


def _order(part: str) -> tuple[int, str]:
    return (PARTS.index(part) if part in PARTS else len(PARTS), part)


def exact_duplicates(records: list[SlideRecord], parts: dict[str, str]) -> Found:
    """Files of the same content; only files of equal size are hashed."""
    sizes: dict[int, list[SlideRecord]] = defaultdict(list)
    for record in records:
        if os.path.isfile(_original(record)):
            sizes[os.path.getsize(_original(record))].append(record)
    for some in sizes.values():
        same: dict[str, list[SlideRecord]] = defaultdict(list)
        for record in some if len(some) > 1 else []:
            same[sha256_of(_original(record))].append(record)
        for group in same.values():
            for other in group[1:]:
                yield "exact duplicates", other.id, f"same content as {group[0].id}{_across(group[0], other, parts)}"


def near_duplicates(looks: list[Look], parts: dict[str, str]) -> Found:
    """Slides whose overviews agree, also turned or mirrored, though their files differ."""
    seen = [look for look in looks if look.thumbnail is not None]
    if len(seen) < 2:
        return
    images = np.stack([look.thumbnail for look in seen if look.thumbnail is not None])
    flat = images.reshape(len(images), -1)
    best = np.full((len(images), len(images)), -1.0, np.float32)
    for mirrored in (images, images[:, :, ::-1]):
        for quarter in range(4):
            turned = np.rot90(mirrored, quarter, axes=(1, 2)).reshape(len(images), -1)
            best = np.maximum(best, flat @ turned.T)
    for i, j in np.argwhere(np.triu(best, 1) >= NEAR).tolist():
        a, b = seen[i].record, seen[j].record
        if not _same_file(_original(a), _original(b)):
            yield "near duplicates", b.id, f"looks like {a.id} (correlation {best[i, j]:.3f}){_across(a, b, parts)}"


def _original(record: SlideRecord) -> str:
    return record.source or record.path


def _same_file(a: str, b: str) -> bool:
    return os.path.getsize(a) == os.path.getsize(b) and sha256_of(a) == sha256_of(b)


def _across(a: SlideRecord, b: SlideRecord, parts: dict[str, str]) -> str:
    some = {parts.get(a.id, ""), parts.get(b.id, "")}
    return f", in {' and '.join(sorted(some, key=_order))}" if len(some) > 1 else ""
