"""The labels.csv of a folder of pyramids: written from a dataset, never over a list that the user wrote or edited."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path

from bench.datasets.contract import SlideRecord
from bench.disk import write_text
from bench.errors import UsageError

LABELS, WRITTEN = "labels.csv", "prepared.jsonl"
COLUMNS = ("path", "label", "patient", "split", "fold", "mpp", "annotation", "site")


@dataclass(frozen=True)
class Row:
    """A line of the list. path: of the file to read; mpp: um per level-0 pixel where that file does not say."""

    path: str
    record: SlideRecord
    mpp: float | None = None


def labels_text(rows: list[Row]) -> str:
    """The list as CSV."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows:
        r = row.record
        cells = (row.path, r.label, r.patient, r.split, r.fold, row.mpp, r.mask, r.site)
        writer.writerow(["" if cell is None else cell for cell in cells])
    return out.getvalue()


def check_labels(folder: Path) -> None:
    """UsageError where the labels.csv in `folder` was never one of ours: nothing there is overwritten."""
    if os.path.lexists(folder / LABELS) and not _written(folder):
        raise UsageError(
            f"--to {folder}: the {LABELS} there was not written by `data prepare`, and it is not overwritten; "
            "choose another folder, or move it away"
        )


def write_labels(rows: list[Row], folder: Path) -> str:
    """Write the list of `folder`; "", or one line that says why the one that is there was kept.

    Which lists are ours is in prepared.jsonl, a line a list: a process killed between the two writes, and two
    processes at once, leave lists that are known.
    """
    path, text = folder / LABELS, labels_text(rows)
    before = path.read_bytes() if path.is_file() else None
    if before == text.encode():
        return ""
    if before is not None and _digest(before) not in _written(folder):
        return f"{path}: was edited after `data prepare` wrote it and is kept; delete it to have it written anew"
    try:
        with (folder / WRITTEN).open("a", encoding="utf-8") as handle:
            handle.write("\n" + json.dumps({"wrote": LABELS, "sha256": _digest(text.encode())}) + "\n")
        write_text(path, text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); mend that and run the same command") from error
    return ""


def _written(folder: Path) -> set[str]:
    """SHA-256 of every list that was written to `folder`."""
    found = set()
    try:
        lines = (folder / WRITTEN).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return found
    for line in lines:
        try:
            found.add(str(json.loads(line)["sha256"]))
        except (ValueError, KeyError, TypeError):  # cut short by a full disk
            continue
    return found


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
