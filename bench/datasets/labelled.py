"""A user's own slides and photos: one CSV with the columns path and label, and optional ones."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from bench.datasets.contract import PARTS, Dataset, SlideRecord
from bench.datasets.slide_table import REQUIRED, read_slide_table
from bench.errors import UsageError

SPLITS = {**{part: part for part in PARTS}, "training": "train", "validation": "val", "valid": "val", "testing": "test"}
TABLES = (".csv", ".tsv")


def is_table(what: str) -> bool:
    """Tell whether `what` names a table of slides, and not a dataset."""
    return what.lower().endswith(TABLES)


def load(csv_path: Path, option: str = "") -> Dataset:
    """Read the slides of a table.

    Where something is read in another way than it is written (names of columns, encoding), stderr says so.

    Args:
        csv_path: The table. Relative paths in it are relative to its folder.
        option: The option that the user gave the path to; messages begin with it.

    Returns:
        The dataset, called after the table, or after its folder where the table is called labels.csv.

    Raises:
        UsageError: names the line, what is allowed and what to do.
    """
    given = f"{option} {csv_path}".strip()
    if not csv_path.is_file():
        raise UsageError(f"{given}: no such file; give a CSV with the columns path,label")
    table = read_slide_table(csv_path, f"{given}: ")
    for note in table.notes:
        print(note, file=sys.stderr)
    rows = [_Row(f"{given}: line {line}: ", line, values, table.decimal_comma) for line, values in table.rows]
    _check_columns_complete(rows, given)
    records, names = [], set()
    for row in rows:
        record = row.record(csv_path.resolve().parent, names)
        names.add(record.id)
        records.append(record)
    _check_fold_numbers(records, given)
    classes = tuple(sorted({r.label for r in records}))
    if len(classes) < 2:
        raise UsageError(
            f"{given}: {len(records)} slides with {len(classes)} different label(s); at least 2 labels are needed"
        )
    name = csv_path.stem if csv_path.stem.lower() != "labels" else csv_path.resolve().parent.name
    return Dataset(name, classes, tuple(records))


def _check_columns_complete(rows: list[_Row], given: str) -> None:
    """UsageError where only some slides have a split or a fold, or where both columns are given."""
    for column in ("split", "fold"):
        empty = [row for row in rows if not row.value(column)]
        if 0 < len(empty) < len(rows):
            raise UsageError(
                f"{empty[0].where}{column} is empty, and {len(rows) - len(empty)} of {len(rows)} lines have one; give "
                "it in every line or in none"
            )
    if rows and rows[0].value("split") and rows[0].value("fold"):
        raise UsageError(f"{given}: both split and fold are given; keep one of the two columns")


def _check_fold_numbers(records: list[SlideRecord], given: str) -> None:
    """UsageError unless folds are numbered 0, 1, .. or 1, 2, .. without a gap, and there are at least two."""
    folds = sorted({r.fold for r in records if r.fold is not None})
    if folds and (len(folds) < 2 or folds[0] > 1 or folds[-1] - folds[0] != len(folds) - 1):
        raise UsageError(
            f"{given}: column fold has the number(s) {', '.join(map(str, folds))}; allowed: two or more in a row, from "
            "0 or from 1"
        )


@dataclass(frozen=True)
class _Row:
    """One line of the table.

    Attributes:
        where: What every message on the line begins with.
        line: Its number in the file.
        values: Column -> text.
        decimal_comma: Whether numbers may be written 0,25.
    """

    where: str
    line: int
    values: dict[str, str]
    decimal_comma: bool

    def value(self, column: str) -> str:
        return self.values.get(column, "")

    def record(self, base: Path, names: set[str]) -> SlideRecord:
        """Make the slide of this line, from the table's folder `base` and the `names` of the slides before."""
        for column in REQUIRED:
            if not self.value(column):
                raise UsageError(f"{self.where}{column} is empty; every line needs path and label")
        split = SPLITS.get(self.value("split").lower())
        if self.value("split") and split is None:
            raise UsageError(f"{self.where}split {self.value('split')!r}; allowed: {', '.join(PARTS)}")
        name, annotation = self._path("path", base), self._path("annotation", base)
        return SlideRecord(
            path=str(base / os.path.expanduser(name)),
            label=self.value("label"),
            patient=self.value("patient") or None,
            split=split,
            fold=self._fold(),
            mpp=self._mpp(),
            mask=str(base / os.path.expanduser(annotation)) if annotation else None,
            name=name if name not in names else f"{name} (line {self.line})",
            site=self.value("site") or None,
        )

    def _path(self, column: str, base: Path) -> str:
        """Write a path as this system does. Tables from Windows have backslashes."""
        value = self.value(column)
        if os.name == "nt" or "\\" not in value or (base / value).exists():
            return value
        if PureWindowsPath(value).drive:
            raise UsageError(
                f"{self.where}{column} {value!r} is a path of another computer; give it as it is here, or relative "
                "to the table"
            )
        return value.replace("\\", "/")

    def _number(self, column: str, meaning: str) -> float | None:
        text = self.value(column)
        if not text:
            return None
        try:
            number = float(text.replace(",", ".") if self.decimal_comma else text)
        except ValueError as error:
            raise UsageError(f"{self.where}{column} {text!r} is no number; {meaning}") from error
        if not math.isfinite(number):
            raise UsageError(f"{self.where}{column} {text!r} is not finite; {meaning}")
        return number

    def _fold(self) -> int | None:
        number = self._number("fold", "fold is a whole number from 0")
        if number is not None and (number < 0 or number != int(number)):
            raise UsageError(f"{self.where}fold {self.value('fold')!r}; allowed: whole numbers from 0")
        return None if number is None else int(number)

    def _mpp(self) -> float | None:
        number = self._number("mpp", "mpp is micrometres per level-0 pixel, such as 0.5")
        if number is not None and number <= 0:
            raise UsageError(f"{self.where}mpp {self.value('mpp')!r}; micrometres per pixel must be above 0")
        return number
