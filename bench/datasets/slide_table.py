"""A user's table of slides as spreadsheets write it: any usual encoding, delimiter and spelling of columns."""

from __future__ import annotations

import csv
import difflib
import io
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import UsageError
from bench.text_files import text_of

REQUIRED = ("path", "label")
OPTIONAL = ("patient", "split", "fold", "mpp", "annotation", "site")
COLUMNS = REQUIRED + OPTIONAL
ALIASES: dict[str, tuple[str, ...]] = {
    "path": ("slide", "slide_path", "file", "filename", "file_name", "file_path", "filepath", "image", "image_path"),
    "label": ("labels", "class"),
    "patient": ("patients", "patient_id", "patientid", "case", "case_id", "caseid"),
    "fold": ("folds",),
    "mpp": ("um_per_px", "um_per_pixel", "microns_per_pixel"),
    "annotation": ("annotations", "mask"),
}
"""Column -> other names that are taken for it. A note says so."""
UNSAID = ("mask",)  # no note for the older name of annotation, which tables made here have
DELIMITERS = (",", ";", "\t")
NAMED = {",": "comma", ";": "semicolon", "\t": "tab"}
CLOSE = 0.8  # likeness to one of our columns from which a column is taken for a slip of the pen


@dataclass
class SlideTable:
    """The rows of a table.

    Attributes:
        rows: (line in the file, column -> text without blanks around it); empty rows are left out.
        decimal_comma: Whether numbers may be written 0,25.
        notes: What was read in another way than it is written.
    """

    rows: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    decimal_comma: bool = False
    notes: list[str] = field(default_factory=list)


def read_slide_table(path: Path, where: str) -> SlideTable:
    """Read a table of slides.

    Args:
        path: The file.
        where: What every message begins with.

    Returns:
        Its rows.

    Raises:
        UsageError: names the line, what is allowed and what to do.
    """
    text, note = text_of(path, where)
    table = SlideTable(notes=[note] if note else [])
    lines = text.splitlines(keepends=True)
    skipped = 0
    if lines and lines[0].strip().lower() in {f"sep={d}" for d in DELIMITERS}:
        skipped = 1  # Excel writes such a line for itself
    while skipped < len(lines) and not lines[skipped].strip(" \t\r\n,;"):
        skipped += 1
    if skipped == len(lines):
        raise UsageError(f"{where}line 1: column path and label missing, got an empty file; {_needed()}")
    delimiter = _delimiter(lines[skipped])
    table.decimal_comma = delimiter != ","
    reader = csv.reader(io.StringIO("".join(lines[skipped:]), newline=""), delimiter=delimiter, strict=True)
    try:
        columns = _columns(next(reader), f"{where}line {skipped + 1}: ", table.notes)
        for row in reader:
            line, values = skipped + reader.line_num, [value.strip() for value in row]
            if not any(values):
                continue  # Excel leaves them at the end
            if any(values[len(columns) :]):
                raise UsageError(
                    f"{where}line {line}: {len(values)} values where the header has {len(columns)} columns; put a "
                    f'value that holds a {NAMED[delimiter]} in quotes: "like, this"'
                )
            values += [""] * (len(columns) - len(values))
            table.rows.append((line, {c: v for c, v in zip(columns, values, strict=False) if c}))
    except csv.Error as error:
        raise UsageError(f"{where}line {skipped + reader.line_num}: not readable as CSV ({error})") from error
    return table


def _delimiter(header: str) -> str:
    """Find the delimiter that cuts the header into most columns; a comma where none does."""
    return max(DELIMITERS, key=lambda d: len(next(csv.reader([header], delimiter=d))))


def _columns(header: list[str], where: str, notes: list[str]) -> list[str]:
    """Find our column for each of the file's, "" for those that are ignored."""
    written = [name.strip() for name in header]
    while written and not written[-1]:
        written.pop()
    plain = [name.lower().replace(" ", "_").replace("-", "_") for name in written]
    taken: dict[str, list[int]] = {}
    for position, name in enumerate(plain):
        if name in COLUMNS:
            taken.setdefault(name, []).append(position)
    for column, names in ALIASES.items():
        also = [p for p, name in enumerate(plain) if name in names]
        if column not in taken and also:
            taken[column] = also
    for column, positions in taken.items():
        if len(positions) > 1:
            several = " and ".join(written[p] for p in positions)
            raise UsageError(f"{where}columns {several} would all be {column}; keep the one that is meant")
    ours = {positions[0]: column for column, positions in taken.items()}
    missing = [column for column in REQUIRED if column not in taken]
    foreign = [(written[p], plain[p]) for p in range(len(plain)) if p not in ours and plain[p]]
    _refuse_slips(foreign, taken, where)
    if missing:
        raise UsageError(
            f"{where}column {' and '.join(missing)} missing, got {','.join(written) or 'an empty line'}; {_needed()}"
        )
    renamed = [f"{written[p]} as {c}" for p, c in ours.items() if plain[p] != c and plain[p] not in UNSAID]
    if renamed:
        notes.append(f"{where}columns taken: {', '.join(renamed)}")
    if foreign:
        notes.append(f"{where}columns ignored: {', '.join(name for name, _ in foreign)}")
    return [ours.get(p, "") for p in range(len(written))]


def _refuse_slips(foreign: list[tuple[str, str]], taken: dict[str, list[int]], where: str) -> None:
    """UsageError where a column is unknown and almost has the name of one of ours that is missing."""
    absent = {name: column for column in COLUMNS if column not in taken for name in (column, *ALIASES.get(column, ()))}
    for written, plain in foreign:
        swapped = [name for name in absent if sorted(name) == sorted(plain)]
        near = swapped or difflib.get_close_matches(plain, absent, 1, CLOSE)
        if near:
            raise UsageError(
                f"{where}unknown column {written!r}, probably {absent[near[0]]}; rename it so, or take it out; "
                f"{_needed()}"
            )


def _needed() -> str:
    return f"needed: {','.join(REQUIRED)}; optional: {','.join(OPTIONAL)}"
