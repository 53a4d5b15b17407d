"""Anybody's own slides and photos: one CSV with `path,label`; also patient, split, fold, mpp, annotation, site."""

from __future__ import annotations

import csv
from pathlib import Path

from bench.datasets.contract import Dataset, SlideRecord
from bench.errors import UsageError

REQUIRED = ("path", "label")
OPTIONAL = ("patient", "split", "fold", "mpp", "annotation", "mask", "site")  # mask: older name of annotation
SPLITS = ("train", "val", "test")


def load(csv_path: Path, limit: int | None = None) -> Dataset:
    """The slides of `csv_path`; relative paths are relative to the CSV. UsageError names the line."""
    if not csv_path.is_file():
        raise UsageError(f"--slides {csv_path}: no such file; give a CSV with the columns path,label")
    try:
        with csv_path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle, strict=True)
            columns = [c.strip() for c in reader.fieldnames or []]
            _check_columns(csv_path, columns)
            reader.fieldnames = columns
            records = [_record(csv_path, reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"--slides {csv_path}: not a readable UTF-8 CSV ({error}); save it again as CSV") from error
    classes = tuple(sorted({r.label for r in records}))
    if len(classes) < 2:
        raise UsageError(
            f"--slides {csv_path}: {len(records)} slides with {len(classes)} different label(s); "
            "at least 2 labels are needed"
        )
    name = csv_path.stem if csv_path.stem != "labels" else csv_path.resolve().parent.name
    dataset = Dataset(name, classes, tuple(records))
    return dataset.limited(limit) if limit else dataset


def _check_columns(csv_path: Path, columns: list[str]) -> None:
    missing = [c for c in REQUIRED if c not in columns]
    if missing:
        raise UsageError(
            f"--slides {csv_path}: line 1: column {' and '.join(missing)} missing, got "
            f"{','.join(columns) or 'an empty file'}; needed: path,label; optional: {','.join(OPTIONAL)}"
        )


def _record(csv_path: Path, line: int, row: dict[str, str]) -> SlideRecord:
    where = f"--slides {csv_path}: line {line}: "
    value = {c: (row.get(c) or "").strip() for c in REQUIRED + OPTIONAL}
    for column in REQUIRED:
        if not value[column]:
            raise UsageError(f"{where}{column} is empty; every line needs path and label")
    if value["split"] and value["split"] not in SPLITS:
        raise UsageError(f"{where}split {value['split']!r}; allowed: {', '.join(SPLITS)}")
    try:
        fold = int(value["fold"]) if value["fold"] else None
        mpp = float(value["mpp"]) if value["mpp"] else None
    except ValueError as error:
        raise UsageError(f"{where}{error}; fold is a whole number, mpp micrometres per pixel") from error
    if mpp is not None and not mpp > 0:
        raise UsageError(f"{where}mpp {mpp}; micrometres per pixel must be above 0")
    base, annotation = csv_path.resolve().parent, value["annotation"] or value["mask"]
    return SlideRecord(
        path=str(base / value["path"]),
        label=value["label"],
        patient=value["patient"] or None,
        split=value["split"] or None,
        fold=fold,
        mpp=mpp,
        mask=str(base / annotation) if annotation else None,
        name=value["path"],
        site=value["site"] or None,
    )
