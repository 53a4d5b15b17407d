"""What a dataset is: labelled slides with a split for every fold, and the class that brings one in."""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bench.datasets.content import annotation_digests, slide_digests
from bench.datasets.records import Card, SlideRecord
from bench.datasets.splitting import three_parts
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.datasets.fetch.listing import RemoteFile
    from bench.datasets.generated.wanted import Wanted

PARTS = ("train", "val", "test")
Report = Callable[[int, int], None]  # (done, total)


@dataclass(frozen=True)
class Dataset:
    """Labelled slides, ready to be split.

    Attributes:
        name: Name in runs and tables.
        classes: Labels that occur, in the order of the logits.
        records: The slides.
        left_out: Slide -> why it is not among the records, by design.
        problems: Slide -> what is wrong with this copy, so that it is not among the records.
        card: What is declared about the data; None for a user's own table.
        split_seed: Seed of the parts that are drawn.
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

        All classes of the card count, also those without a slide here: the distance of two grades must not depend on
        the copy. A task with classes of its own has its own order.
        """
        if self.card is None or not self.card.ordered:
            return ()
        return self.card.classes if set(self.classes) <= set(self.card.classes) else self.classes

    @cached_property
    def fingerprint(self) -> str:
        """Content hash of the dataset, 16 hexadecimal digits.

        It covers ids, labels, patients, splits, scales, slides and annotations (`bench.datasets.content`). Folders and
        times of files do not enter, so that a copy on another machine has the same fingerprint.
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
        """Split the records into three parts.

        A split that the slides give is used as it is; a missing validation part is drawn from the training part.
        Without a split, one fold is the test part and a fifth of the rest is the validation part. Drawn parts are
        stratified by class, and grouped by patient where patients are known.

        Args:
            fold: Number of the fold to test, from 0 or as the slides number them.
            n_folds: Number of folds to draw where the slides give none.
            seed: Of what is drawn; None: `split_seed`.

        Returns:
            "train", "val" and "test" -> their records.

        Raises:
            UsageError: a class or the patients are too few for the parts.
        """
        parts = three_parts(self.records, self.classes, fold, n_folds, self.split_seed if seed is None else seed)
        return {name: [self.records[i] for i in parts[name]] for name in PARTS}

    def split_digest(self, fold: int, n_folds: int) -> str:
        """Content hash of the ids in each part of a fold.

        Args:
            fold: As for `split`.
            n_folds: As for `split`.

        Returns:
            16 hexadecimal digits; "" where the slides are too few to be split.
        """
        try:
            parts = {name: sorted(map(_portable, part)) for name, part in self.split(fold, n_folds).items()}
        except UsageError:
            return ""  # the run gets the same error when it splits
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def limited(self, limit: int) -> Dataset:
        """Take a few slides, in turn from each label and split.

        Args:
            limit: Most slides that are taken.

        Returns:
            The same dataset with these slides and their classes.
        """
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
    """One dataset: its card, how its folder is read, where it is fetched from.

    A subclass in one file adds a dataset. It must have `card`, `markers` and `read`.

    Attributes:
        card: What is declared about the data.
        markers: Paths (globs) inside the dataset's folder. The data are there if one of them exists.
        tasks: Name of a task -> what is predicted. The default task is called "".
        photos: True where the files are not tiled pyramids. They are then converted once (`data prepare`).
        folder_name: Folder below the data folder; "": the card's name.
    """

    card: ClassVar[Card]
    markers: ClassVar[tuple[str, ...]]
    tasks: ClassVar[Mapping[str, str]] = {"": "the label of the slide"}
    photos: ClassVar[bool] = False
    folder_name: ClassVar[str] = ""

    @abstractmethod
    def read(self, root: Path, task: str) -> Dataset:
        """Read the labelled slides. Tables and annotations may be opened, slides may not.

        Args:
            root: Folder that holds the data, one of `markers` in it.
            task: One of `tasks`.

        Returns:
            The slides whose files exist. What is missing or left out is listed with its reason.

        Raises:
            UsageError: a table cannot be read, or holds a value that is not allowed.
        """

    def remote(self, folder: Path, endpoint: str | None) -> list[RemoteFile]:
        """List what `data fetch` downloads.

        Args:
            folder: Where the files will go.
            endpoint: Server in place of the official one.

        Returns:
            The files, with sizes and checksums where the server gives them.

        Raises:
            UsageError: no program may fetch the data; the message says how to get them by hand.
        """
        raise UsageError(f"{self.card.name} cannot be fetched by a program: see {self.card.url}")

    def load(self, task: str, folder: Path, wanted: Wanted | None, report: Report | None = None) -> Dataset:
        """Find and read the data. A dataset of generated slides first makes those that are missing.

        Photos are converted afterwards, by `bench.datasets.load_dataset`.

        Args:
            task: One of `tasks`.
            folder: The data folder.
            wanted: Which slides to generate; None: the dataset's own default.
            report: Called with (done, total) while slides are made.

        Returns:
            The dataset.

        Raises:
            UsageError: the task is unknown, or the data are missing.
        """
        return self.read(self.find(folder, task), self.task_named(task))

    def folder(self, folder: Path) -> Path:
        """Where `data fetch` puts the data, below the data folder `folder`."""
        return folder / (self.folder_name or self.card.name)

    def prepared_folder(self, folder: Path) -> Path:
        """Where `data prepare` puts the pyramids, below the data folder `folder`."""
        return folder / f"{self.folder_name or self.card.name}-prepared"

    def find(self, folder: Path, task: str = "") -> Path:
        """Find the folder that holds the data: `<folder>/<name>`, or `folder` itself.

        Args:
            folder: The data folder.
            task: For a dataset whose tasks lie in folders of their own.

        Returns:
            The folder in which a marker exists.

        Raises:
            UsageError: there is none; the message is `missing`.
        """
        for candidate in (self.folder(folder), folder):
            if any(next(candidate.glob(marker), None) is not None for marker in self.markers):
                return candidate
        raise UsageError(self.missing(folder))

    def missing(self, folder: Path) -> str:
        """One line that says what is missing, where to get it, its size, its licence and the command."""
        card = self.card
        return (
            f"dataset {card.name}: {self.markers[0]} is missing in {self.folder(folder)}; get it from {card.url} "
            f"(about {card.size_bytes / 1e9:.3g} GB, {card.licence}) with: "
            f"jsma-bench data fetch {card.name} --data {folder}"
        )

    def task_named(self, task: str) -> str:
        """Check the name of a task. UsageError lists those that exist."""
        if task not in self.tasks:
            known = ", ".join(f"{self.card.name}:{t}" if t else self.card.name for t in self.tasks)
            raise UsageError(f"dataset {self.card.name} has no task {task!r}; there are: {known}")
        return task

    def named(self, task: str) -> str:
        """Name of the dataset in runs: the card's name and the task."""
        return f"{self.card.name}-{task}" if task else self.card.name
