"""Tables that datasets come with, read with one-line errors."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from bench.errors import UsageError


def text_of(path: Path, where: str) -> tuple[str, str]:
    """Read the text of a table.

    UTF-8 and UTF-16 say themselves that they are. What is neither is read as Windows-1252, which Excel writes as CSV.

    Args:
        path: the file.
        where: what messages begin with.

    Returns:
        The text, and a line for the user where the encoding was guessed ("" where it was not).

    Raises:
        UsageError: it is no text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{where}cannot be read ({error.strerror or error})") from error
    if data[:4] == b"PK\x03\x04":
        raise UsageError(f"{where}an Excel or zip file, and no CSV; save it as CSV")
    halves = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}.get(data[:2])
    if halves is None and len(data) > 3 and 0 in data[:2]:
        halves = "utf-16-be" if data[0] == 0 else "utf-16-le"
    for encoding in (halves,) if halves else ("utf-8-sig", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        guessed = encoding == "cp1252"
        return text, f"{where}not UTF-8: read as Windows-1252 (Western European)" if guessed else ""
    raise UsageError(f"{where}not a readable CSV (neither UTF-8, UTF-16 nor Windows-1252 text); save it again as CSV")


def read_rows(path: Path, delimiter: str = ",", columns: tuple[str, ...] | None = None) -> list[dict[str, str]]:
    """Read the rows of a table.

    Args:
        path: the file.
        delimiter: between the values of a line.
        columns: names of the columns, for a file without a header.

    Returns:
        A dict of column and value for each row that is not empty.

    Raises:
        UsageError: there is no such file, or it is no table.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file; it comes with the dataset, fetch or unpack it again")
    text, _ = text_of(path, f"{path}: ")
    rows: list[dict[str, str]] = []
    try:
        reader = csv.DictReader(
            io.StringIO(text, newline=""), fieldnames=columns, delimiter=delimiter, strict=True, restval=""
        )
        for row in reader:
            spare = row.pop(None, None)  # pyright: ignore[reportArgumentType, reportCallIssue]
            if columns is None and spare and any(spare):
                raise UsageError(
                    f"{path}: line {reader.line_num}: more values than the header has columns; a value with the "
                    "delimiter in it must be in quotes"
                )
            rows.append({str(k).strip(): (v or "").strip() for k, v in row.items()})
    except csv.Error as error:
        raise UsageError(f"{path}: not a readable table ({error}); fetch it again") from error
    return [row for row in rows if any(row.values())]


def require(path: Path, rows: list[dict[str, str]], columns: tuple[str, ...]) -> None:
    """Raise UsageError where a column is missing from the rows of the file `path`."""
    have = list(rows[0]) if rows else []
    missing = [c for c in columns if c not in have]
    if missing:
        raise UsageError(
            f"{path}: column {' and '.join(missing)} missing, got {','.join(have[:12]) or 'no rows'}; "
            "is this the right file?"
        )
