"""Cards of the datasets and what is here of them, as rows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from bench.datasets import DATASETS, Dataset, source_named
from bench.errors import UsageError
from bench.markup import write_markdown

COLUMNS = ("name", "title", "classes", "um/px", "size", "licence", "metric", "source", "note")


def card_rows() -> list[dict[str, str]]:
    """List the cards of all known datasets, one row each with the columns COLUMNS."""
    rows = []
    for name in DATASETS:
        source, _ = source_named(name)
        card = source.card
        rows.append(
            {
                "name": ", ".join(f"{name}:{task}" if task else name for task in source.tasks),
                "title": card.title,
                "classes": ", ".join(card.classes),
                "um/px": f"{card.mpp:g}" if card.mpp else "by file",
                "size": f"about {card.size_bytes / 1e9:.3g} GB" if card.size_bytes else "generated",
                "licence": card.licence,
                "metric": card.metric,
                "source": card.url,
                "note": card.note,
            }
        )
    return rows


def card_markdown() -> str:
    """Write the cards as a Markdown table."""
    return write_markdown(COLUMNS, [[row[key] for key in COLUMNS] for row in card_rows()])


def describe(dataset: Dataset) -> dict[str, Any]:
    """Describe what is here of a dataset.

    Args:
        dataset: The dataset.

    Returns:
        Slides per class and part (of fold 0 where parts are drawn), patients, sites, annotations, and what was left
        out and why.
    """
    try:
        parts = dataset.split(0, 5)
    except UsageError:
        parts = {}
    counts: dict[str, dict[str, int]] = {c: {} for c in dataset.classes}
    for part, records in parts.items():
        for label, number in Counter(r.label for r in records).items():
            counts[label][part] = number
    for label, number in Counter(r.label for r in dataset.records).items():
        counts[label]["all"] = number
    return {
        "name": dataset.name,
        "slides": len(dataset.records),
        "counts": counts,
        "parts": _parts_in_words(dataset) if parts else "cannot be drawn: too few slides",
        "patients": len({r.patient for r in dataset.records if r.patient}),
        "sites": dict(sorted(Counter(r.site for r in dataset.records if r.site).items())),
        "annotations": sum(r.mask is not None for r in dataset.records),
        "left_out": dict(Counter(dataset.left_out.values())),
        "problems": dict(dataset.problems),
        "fingerprint": dataset.fingerprint,
    }


def find_here(name: str, data: Path) -> Dataset | str:
    """Read a dataset as it is in the data folder, without converting or making anything.

    Args:
        name: As for `bench.datasets.source_named`.
        data: The data folder.

    Returns:
        The dataset, or one line that says what is missing.
    """
    source, task = source_named(name)
    try:
        return source.read(source.find(data, task), task)
    except UsageError as error:
        return str(error)


def _parts_in_words(dataset: Dataset) -> str:
    if all(r.split for r in dataset.records):
        drawn = not any(r.split == "val" for r in dataset.records)
        return "as published" + (f", validation drawn from seed {dataset.split_seed}" if drawn else "")
    if all(r.fold is not None for r in dataset.records):
        return "fold 0 of the given folds"
    return f"fold 0 of 5, drawn from seed {dataset.split_seed}"
