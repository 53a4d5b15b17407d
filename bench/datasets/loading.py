"""From a name on the command line to a dataset."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import cast

from bench.datasets.contract import Dataset, DatasetSource, Report
from bench.datasets.generated.wanted import Wanted
from bench.datasets.known import DATASETS
from bench.datasets.photos.prepare import use_pyramids
from bench.datasets.splitting import FOLDS, fold_numbers
from bench.errors import UsageError
from bench.own_code import own_class


def source_named(name: str) -> tuple[DatasetSource, str]:
    """Find a dataset by its name on the command line.

    Args:
        name: `NAME`, `NAME:TASK` or `file.py:Class[:TASK]`.

    Returns:
        Its source, and the task; "" for the default one.

    Raises:
        UsageError: there is no such dataset or task; the message lists those that exist.
    """
    head, _, rest = name.partition(":")
    if head.endswith(".py"):
        cls, _, task = rest.partition(":")
        return _own(head, cls), task
    if head not in DATASETS:
        raise UsageError(
            f"unknown dataset {name!r}; there are: {', '.join(DATASETS)}; a dataset of your own is file.py:Class, "
            "for your own slides use --slides labels.csv"
        )
    module, cls = DATASETS[head].split(":")
    source = getattr(importlib.import_module(module), cls)()
    source.task_named(rest)
    return source, rest


def _own(path: str, cls: str) -> DatasetSource:
    own = own_class(f"{path}:{cls}", DatasetSource, "--dataset")
    found = cast(Callable[[], DatasetSource], own)  # the next line refuses abstract classes
    if inspect.isabstract(found) or not hasattr(found, "card") or not hasattr(found, "markers"):
        raise UsageError(f"--dataset {path}:{cls}: give it card, markers and read(root, task); see docs/datasets.md")
    return found()


def load_dataset(name: str, wanted: Wanted | None, folder: Path, report: Report | None = None) -> Dataset:
    """Load a dataset by name, ready to run. Generated slides that are missing are made, photos are converted.

    Args:
        name: As for `source_named`.
        wanted: Which slides to generate, for a dataset that makes its own.
        folder: The data folder.
        report: Called with (done, total).

    Returns:
        The dataset, with at least two classes.

    Raises:
        UsageError: it is unknown, its data are missing, or fewer than two classes have slides.
    """
    source, task = source_named(name)
    dataset = source.load(task, folder, wanted, report)
    if source.photos:
        dataset = use_pyramids(dataset, source.prepared_folder(folder), report)
    if len(dataset.classes) < 2:
        raise UsageError(
            f"dataset {dataset.name}: {len(dataset.records)} labelled slides of {len(dataset.classes)} class(es) found "
            f"({len(dataset.left_out)} left out); at least 2 classes are needed: see `jsma-bench data info {name}`"
        )
    return dataset


def limited_to(dataset: Dataset, limit: int) -> Dataset:
    """Take the slides that `--limit` asks for.

    Args:
        dataset: The dataset.
        limit: Most slides.

    Returns:
        The dataset with these slides.

    Raises:
        UsageError: a class would be missing in a part; the message says how many slides are needed.
    """
    some = dataset.limited(limit)
    if _whole(dataset, dataset.classes) and not _whole(some, dataset.classes):
        more = range(limit + 1, len(dataset.records) + 1)
        needed = next(n for n in more if _whole(dataset.limited(n), dataset.classes))
        raise UsageError(f"--limit {limit}: a class would be missing in a part; give {needed} or more, or leave it out")
    return some


def _whole(dataset: Dataset, classes: tuple[str, ...]) -> bool:
    """Whether every class is in every part of the first fold."""
    try:
        parts = dataset.split(fold_numbers(dataset.records, FOLDS)[0], FOLDS)
    except UsageError:
        return False
    return all({r.label for r in records} == set(classes) for records in parts.values())
