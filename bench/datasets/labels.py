"""The labels.csv of a folder of pyramids. It never overwrites a list that the user wrote or edited."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from shlex import quote

from bench.datasets.contract import SlideRecord
from bench.errors import UsageError
from bench.files import write_text

LABELS, WRITTEN = "labels.csv", "prepared.jsonl"
COLUMNS = ("path", "label", "patient", "split", "fold", "mpp", "annotation", "site")


@dataclass(frozen=True)
class Row:
    """A line of the list.

    Attributes:
        path: The file to read.
        record: The slide.
        mpp: Micrometres per level-0 pixel, where the file does not say.
    """

    path: str
    record: SlideRecord
    mpp: float | None = None


def labels_text(rows: list[Row]) -> str:
    """Write the list as CSV."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows:
        r = row.record
        cells = (row.path, r.label, r.patient, r.split, r.fold, row.mpp, r.mask, r.site)
        writer.writerow(["" if cell is None else cell for cell in cells])
    return out.getvalue()


def check_labels(folder: Path, option: str = "--to") -> None:
    """UsageError where the labels.csv in `folder` is not known to be one of ours. It is then not overwritten.

    Versions that left no prepared.jsonl wrote lists that look like a user's own.

    Args:
        folder: Where the list lies.
        option: The option that gave the folder.
    """
    path = folder / LABELS
    if os.path.lexists(path) and not _written(folder / WRITTEN):
        aside = next(p for n in count() if not os.path.lexists(p := folder / f"{LABELS}.old{n or ''}"))
        move = f"mv {quote(str(path))} {quote(str(aside))}"
        other = "; or choose another folder with --to" if option == "--to" else ""
        raise UsageError(
            f"{option}: {path} is not known to be written by `data prepare` (there is no {WRITTEN} beside it that says "
            f"so), and it is not overwritten; if you wrote it, keep it elsewhere, if an older version did, move it: "
            f"`{move}`, then run the same command again, which keeps the pyramids{other}"
        )


def write_labels(rows: list[Row], folder: Path) -> str:
    """Write the list of `folder`. Returns "", or one line that says why the list that is there was kept."""
    return write_list(folder / LABELS, labels_text(rows), folder / WRITTEN, "data prepare")


def write_list(path: Path, text: str, journal: Path, command: str) -> str:
    """Write a list, unless its user edited the one that is there.

    The journal beside it says which lists are ours, a line a list. A process killed between the two writes, and two
    processes at once, leave lists that are known.

    Args:
        path: The list.
        text: What it is to hold.
        journal: A file of JSON lines in the same folder.
        command: Which command writes it, for the message.

    Returns:
        "", or one line that says why the list that is there was kept.
    """
    before = path.read_bytes() if path.is_file() else None
    if before == text.encode():
        return ""
    if before is not None and _digest(before) not in _written(journal):
        return f"{path}: was edited after `{command}` wrote it and is kept; delete it to have it written anew"
    try:
        with journal.open("a", encoding="utf-8") as handle:
            handle.write("\n" + json.dumps({"wrote": path.name, "sha256": _digest(text.encode())}) + "\n")
        write_text(path, text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); mend that and run the same command") from error
    return ""


def _written(journal: Path) -> set[str]:
    """SHA-256 of every list that the journal names."""
    found = set()
    try:
        lines = journal.read_text(encoding="utf-8").splitlines()
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
