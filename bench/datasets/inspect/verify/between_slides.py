"""Comparing slides with each other: counts, labels, duplicates, patients in two parts."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from bench.datasets.content import slide_digests
from bench.datasets.contract import PARTS, Dataset, SlideRecord
from bench.datasets.inspect.verify.checks import Finding
from bench.datasets.inspect.verify.one_slide import Look
from bench.datasets.splitting import FOLDS, fold_numbers
from bench.errors import UsageError
from bench.files import sha256_of

NEAR = 0.9  # correlation of two thumbnails from which their slides count as near duplicates
Found = Iterator[Finding]


def find_wrong_counts(dataset: Dataset) -> Found:
    """Find classes whose number of slides is not the published one."""
    have = Counter(r.label for r in dataset.records)
    for label, expected in (dataset.card.counts if dataset.card else {}).items():
        if have[label] != expected:
            yield Finding("counts", label, f"{have[label]} slides, {expected} are published")


def find_incomplete(dataset: Dataset) -> Found:
    """Find slides that the dataset itself reports as a problem of this copy."""
    for name, reason in dataset.problems.items():
        yield Finding("incomplete", name, reason)


def find_label_faults(dataset: Dataset) -> Found:
    """Find files with two labels, by any path or link, and labels that differ only in capitals or blanks."""
    labels: dict[tuple[int, int] | str, list[SlideRecord]] = defaultdict(list)
    for record in dataset.records:
        labels[file_of(record)].append(record)
    for some in labels.values():
        if len(different := {r.label for r in some}) > 1:
            name = os.path.basename(_original(some[0]))
            yield Finding("labels", name, f"one file with the labels {' and '.join(sorted(different))}")
    written: dict[str, list[str]] = defaultdict(list)
    for label in sorted({r.label for r in dataset.records}):
        written["".join(label.casefold().split())].append(label)
    for some in written.values():
        if len(some) > 1:
            text = f"{' and '.join(map(repr, some))} differ only in capitals or blanks, and are two classes"
            yield Finding("labels", f"class {some[0]}", text)


def file_of(record: SlideRecord) -> tuple[int, int] | str:
    """Identify the file of a slide, the same for every path and link to it."""
    try:
        status = os.stat(_original(record))
    except OSError:
        return os.path.realpath(_original(record))
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(_original(record))


def parts_of(dataset: Dataset) -> dict[str, str]:
    """Map each slide to its part (train, val, test) in fold 0, or to its fold; empty where nothing can be split."""
    if all(r.fold is not None for r in dataset.records):
        return {r.id: f"fold {r.fold}" for r in dataset.records}
    try:
        return {r.id: part for part, some in dataset.split(0, FOLDS).items() for r in some}
    except UsageError:
        return {r.id: r.split for r in dataset.records if r.split}


def find_missing_classes(dataset: Dataset, unread: set[str], drawn: tuple[int, ...]) -> Found:
    """Find classes without a readable slide in a part, and folds that cannot be made.

    Args:
        dataset: The slides.
        unread: Ids of those that cannot be read.
        drawn: Numbers of the folds to look at, where the slides give none.

    Yields:
        Findings.
    """
    absent: dict[str, list[str]] = defaultdict(list)
    given = all(r.split or r.fold is not None for r in dataset.records)
    numbers = fold_numbers(dataset.records, FOLDS) if given else drawn
    for fold in numbers:
        try:
            parts = dataset.split(fold, FOLDS)
        except UsageError as error:
            yield Finding("parts", dataset.name, str(error))
            return
        for part, records in parts.items():
            here = {r.label for r in records if r.id not in unread}
            for label in dataset.classes:
                if label not in here:
                    absent[label].append(part if len(numbers) == 1 else f"{part} of fold {fold}")
    for label, some in absent.items():
        yield Finding("parts", f"class {label}", f"no readable slide in {', '.join(some)}")


def find_shared_patients(dataset: Dataset, parts: dict[str, str]) -> Found:
    """Find patients whose slides lie in two parts."""
    where: dict[str, set[str]] = defaultdict(set)
    for record in dataset.records:
        if record.patient and record.id in parts:
            where[record.patient].add(parts[record.id])
    for patient, some in where.items():
        if len(some) > 1:
            yield Finding("patients", f"patient {patient}", f"slides in {' and '.join(sorted(some, key=_order))}")


def _order(part: str) -> tuple[int, str]:
    return (PARTS.index(part) if part in PARTS else len(PARTS), part)


def find_exact_duplicates(records: Sequence[SlideRecord], parts: dict[str, str]) -> Found:
    """Find slides that are one file, by any path or link, and files of the same content."""
    digests = slide_digests(_original(r) for r in records)
    files: dict[tuple[int, int] | str, SlideRecord] = {}
    contents: dict[str, SlideRecord] = {}
    for record, digest in zip(records, digests, strict=True):
        first = files.setdefault(file_of(record), record)
        if first is not record:
            yield Finding("exact duplicates", record.id, f"the same file as {first.id}{_across(first, record, parts)}")
        elif digest is not None and (first := contents.setdefault(digest, record)) is not record:
            text = f"same content as {first.id}{_across(first, record, parts)}"
            yield Finding("exact duplicates", record.id, text)


def find_near_duplicates(looks: list[Look], parts: dict[str, str]) -> Found:
    """Find slides whose overviews agree, also turned or mirrored, while their files differ."""
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
            text = f"looks like {a.id} (correlation {best[i, j]:.3f}){_across(a, b, parts)}"
            yield Finding("near duplicates", b.id, text)


def _original(record: SlideRecord) -> str:
    return record.source or record.path


def _same_file(a: str, b: str) -> bool:
    return os.path.getsize(a) == os.path.getsize(b) and sha256_of(a) == sha256_of(b)


def _across(a: SlideRecord, b: SlideRecord, parts: dict[str, str]) -> str:
    some = {parts.get(a.id, ""), parts.get(b.id, "")}
    return f", in {' and '.join(sorted(some, key=_order))}" if len(some) > 1 else ""
