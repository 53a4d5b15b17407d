"""Tables that datasets come with, read with one-line errors."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from bench.errors import UsageError


def text_of(path: Path, where: str) -> tuple[str, str]:
    """Text of a table, and a line for the user where its encoding was guessed ("" where it was not).

    UTF-8 and UTF-16 as they say themselves, Windows-1252 (Excel's "CSV") for what is neither. where: what messages
    begin with. UsageError where it is no text.
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
    """Rows of a table as dicts; `columns` names them where the file has no header. UsageError names the file."""
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
    """UsageError where a column is missing."""
    have = list(rows[0]) if rows else []
    missing = [c for c in columns if c not in have]
    if missing:
        raise UsageError(
            f"{path}: column {' and '.join(missing)} missing, got {','.join(have[:12]) or 'no rows'}; "
            "is this the right file?"
        )
