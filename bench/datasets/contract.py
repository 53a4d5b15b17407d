"""What a dataset is: labelled slides with a split for every fold, and the one class that brings one in."""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bench.datasets.content import annotation_digests, slide_digests
from bench.datasets.splitting import three_parts
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.datasets.fetch.listing import RemoteFile
    from bench.datasets.generated.wanted import Wanted

PARTS = ("train", "val", "test")
Report = Callable[[int, int], None]  # (done, total)


@dataclass(frozen=True)
class SlideRecord:
    """One labelled slide.

    path: the file that is read; mpp: um per level-0 pixel where the file's own value is absent or wrong;
    mask: file of the evidence (see `bench.datasets.evidence`), which need not exist; name: published id; site: where
    the slide comes from (centre, tissue source site); scheme: how the mask's own labels are to be read; source: the
    file that `path` was prepared from; sites: mask of the places where a generated slide may hold evidence.
    """

    path: str
    label: str
    patient: str | None = None
    split: str | None = None
    fold: int | None = None
    mpp: float | None = None
    mask: str | None = None
    name: str | None = None
    site: str | None = None
    scheme: str | None = None
    source: str | None = None
    sites: str | None = None

    @property
    def id(self) -> str:
        """Name of the slide in the records: its published id, or its path."""
        return self.name or self.path


@dataclass(frozen=True)
class Card:
    """What is declared about a dataset.

    mpp: um per level-0 pixel as published, None where it varies; counts: published slides per class;
    size_bytes: of the download; metric: the one that results are published in; ordered: the classes are grades, from
    the lowest to the highest, so that a near miss counts less than a far one (quadratic kappa).
    """

    name: str
    title: str
    version: str
    url: str
    licence: str
    citation: str
    classes: tuple[str, ...]
    counts: Mapping[str, int]
    size_bytes: int
    mpp: float | None
    metric: str
    note: str = ""
    ordered: bool = False


@dataclass(frozen=True)
class Dataset:
    """Labelled slides. classes: in the order of the logits.

    left_out: slide -> why it is not among the records, by design; problems: slide -> what is wrong with this copy, so
    that it is not among the records.
    """

    name: str
    classes: tuple[str, ...]
    records: tuple[SlideRecord, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    card: Card | None = None
    problems: Mapping[str, str] = field(default_factory=dict)
    split_seed: int = 0

    @property
    def class_order(self) -> tuple[str, ...]:
        """The classes from the lowest to the highest grade; empty where they have no order.

        The card's classes count, also those without a slide here: the distance of two grades must not depend on the
        copy. A task with classes of its own has its own order.
        """
        if self.card is None or not self.card.ordered:
            return ()
        return self.card.classes if set(self.classes) <= set(self.card.classes) else self.classes

    @cached_property
    def fingerprint(self) -> str:
        """Content hash of ids, labels, patients, splits, scales, slides and annotations (see `bench.datasets.content`).

        The folder that the files lie in and their times do not enter: a copy on another machine has the same.
        """
        slides = slide_digests(r.path for r in self.records)
        annotations = annotation_digests(r.mask for r in self.records)
        rows = [
            (_portable(r), r.label, r.patient, r.split, r.fold, r.mpp, r.scheme, slide, annotation)
            for r, slide, annotation in zip(self.records, slides, annotations, strict=True)
        ]
        text = json.dumps([self.classes, rows, self.split_seed])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def split(self, fold: int, n_folds: int, seed: int | None = None) -> dict[str, list[SlideRecord]]:
        """Records of "train", "val" and "test".

        With a split for every slide: that split; a validation part that is missing is drawn from the
        training part. Else fold `fold` of `n_folds` is the test part (the `fold` of the slides, or drawn) and a
        fifth of the rest is validation. Drawn parts are stratified, grouped by patient where patients are known,
        from `seed` (default: the dataset's `split_seed`).
        """
        parts = three_parts(self.records, self.classes, fold, n_folds, self.split_seed if seed is None else seed)
        return {name: [self.records[i] for i in parts[name]] for name in PARTS}

    def split_digest(self, fold: int, n_folds: int) -> str:
        """Content hash of the ids in each part of a fold; "" where the slides are too few to be split."""
        try:
            parts = {name: sorted(map(_portable, part)) for name, part in self.split(fold, n_folds).items()}
        except UsageError:
            return ""  # the run says so when it comes to split
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def counts(self) -> Counter[tuple[str, str]]:
        """Slides per (class, split); the split is "-" where the dataset gives none."""
        return Counter((r.label, r.split or "-") for r in self.records)

    def limited(self, limit: int) -> Dataset:
        """The first `limit` slides, taken in turn from each (label, split)."""
        groups: dict[tuple[str, str | None], list[SlideRecord]] = {}
        for record in self.records:
            groups.setdefault((record.label, record.split), []).append(record)
        turns = [r for i in range(len(self.records)) for g in groups.values() for r in g[i : i + 1]]
        kept = {id(r) for r in turns[:limit]}
        records = tuple(r for r in self.records if id(r) in kept)
        present = {r.label for r in records}
        return replace(self, classes=tuple(c for c in self.classes if c in present), records=records)


def _portable(record: SlideRecord) -> str:
    """Name of a slide that is the same wherever its folder lies."""
    return record.name or os.path.basename(record.path)


class DatasetSource(ABC):
    """One dataset: its card, how its folder is read, where it is fetched from. One subclass in one file adds one.

    markers: paths (globs) inside the dataset's folder, one of which tells that the data are there; tasks: name -> what
    is predicted, the default is called ""; photos: True where the files are not tiled pyramids and are converted
    once (`data prepare`); folder_name: the folder below the data folder, the card's name by default.
    """

    card: ClassVar[Card]
    markers: ClassVar[tuple[str, ...]]
    tasks: ClassVar[Mapping[str, str]] = {"": "the label of the slide"}
    photos: ClassVar[bool] = False
    folder_name: ClassVar[str] = ""

    @abstractmethod
    def read(self, root: Path, task: str) -> Dataset:
        """The labelled slides of `root` for `task`; opens tables and annotations, no slide."""

    def remote(self, folder: Path, endpoint: str | None) -> list[RemoteFile]:
        """What `data fetch` downloads to `folder`; `endpoint` replaces the official server.

        UsageError says how to get the data by hand where no program may.
        """
        raise UsageError(f"{self.card.name} cannot be fetched by a program: see {self.card.url}")

    def load(self, task: str, folder: Path, wanted: Wanted | None, report: Report | None = None) -> Dataset:
        """The dataset, read from `folder`. A dataset that makes its slides makes what is missing of `wanted`.

        Photos are converted afterwards, by whoever loads the dataset.
        """
        return self.read(self.find(folder, task), self.task_named(task))

    def folder(self, folder: Path) -> Path:
        """Where `fetch` puts the data, below the data folder."""
        return folder / (self.folder_name or self.card.name)

    def prepared_folder(self, folder: Path) -> Path:
        """Where `prepare` puts the pyramids, below the data folder."""
        return folder / f"{self.folder_name or self.card.name}-prepared"

    def find(self, folder: Path, task: str = "") -> Path:
        """The folder that holds the data: `<folder>/<name>`, or `folder` itself. UsageError if there is none.

        task: for a dataset whose tasks lie in folders of their own.
        """
        for candidate in (self.folder(folder), folder):
            if any(next(candidate.glob(marker), None) is not None for marker in self.markers):
                return candidate
        raise UsageError(self.missing(folder))

    def missing(self, folder: Path) -> str:
        """One line: what is missing, where to get it, its size and licence, and the command."""
        card = self.card
        return (
            f"dataset {card.name}: {self.markers[0]} is missing in {self.folder(folder)}; get it from {card.url} "
            f"(about {card.size_bytes / 1e9:.3g} GB, {card.licence}) with: "
            f"jsma-bench data fetch {card.name} --data {folder}"
        )

    def task_named(self, task: str) -> str:
        """`task`, if there is such a task; UsageError that lists what exists."""
        if task not in self.tasks:
            known = ", ".join(f"{self.card.name}:{t}" if t else self.card.name for t in self.tasks)
            raise UsageError(f"dataset {self.card.name} has no task {task!r}; there are: {known}")
        return task

    def named(self, task: str) -> str:
        """Name of the dataset in runs."""
        return f"{self.card.name}-{task}" if task else self.card.name
