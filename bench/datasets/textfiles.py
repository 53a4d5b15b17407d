"""Tables that datasets come with, read with one-line errors."""

from __future__ import annotations

import csv
from pathlib import Path

from bench.errors import UsageError


def read_rows(path: Path, delimiter: str = ",", columns: tuple[str, ...] | None = None) -> list[dict[str, str]]:
    """Rows of a table as dicts; `columns` names them where the file has no header. UsageError names the file."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file; it comes with the dataset, fetch or unpack it again")
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle, fieldnames=columns, delimiter=delimiter, strict=True, restval="")
            rows = [{str(k).strip(): (v or "").strip() for k, v in row.items() if isinstance(v, str)} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
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
