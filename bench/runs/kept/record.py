"""What a complete run says of its own files: size and SHA-256 of each, checked when they are read back."""

from __future__ import annotations

import hashlib
import io
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.errors import DamagedRunError
from bench.files import write_bytes
from bench.runs.layout import (
    COMPLETE,
    CURVE,
    ENVIRONMENT,
    NEEDED,
    PREDICTIONS,
    READ_AGAIN,
    SETTINGS,
    SLIDE,
    SNAPSHOTS,
    STATUS,
    SWEEP,
    SWEPT,
    TRAIN,
    class_of_column,
    is_stage_column,
    probability_column,
)
from bench.runs.observed.snapshots import parse_snapshots

KEY = {"dataset": str, "data_hash": str, "strategy": str, "fold": int, "seed": int, "settings": dict}
SECONDS = {"train_s": int | float, "charged_s": int | float}


def digest(content: bytes) -> dict[str, Any]:
    """What a record says of a file."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def seal(status: dict[str, Any]) -> dict[str, Any]:
    """`status` with a hash of itself, so that a change of the record is noticed too."""
    return {**status, "seal": _seal(status)}


def _seal(status: dict[str, Any]) -> str:
    text = json.dumps({key: value for key, value in status.items() if key != "seal"}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Record:
    """What a run says of itself.

    Attributes:
        path: Its directory.
        status: The content of STATUS, with size and checksum of each file; older runs have no checksums.
    """

    path: Path
    status: dict[str, Any]

    @classmethod
    def of(cls, path: Path) -> Record:
        """Read the status, and check the sizes of all files, and that those are there which every run has.

        Raises:
            DamagedRunError: Something is wrong with the directory.
        """
        status = _parse(path, STATUS, _read(path, STATUS))
        if status.get("status") != COMPLETE:
            raise describe_damage(path, f"{STATUS} says {status.get('status')!r}, not {COMPLETE!r}")
        if "seal" in status and status["seal"] != _seal(status):
            raise describe_damage(path, f"{STATUS} was changed")
        files = status.get("files", {})
        for name in dict.fromkeys([*NEEDED, *files]):
            try:
                size = (path / name).stat().st_size
            except FileNotFoundError as error:
                raise describe_damage(path, f"{name} is missing") from error
            except OSError as error:
                raise describe_damage(path, f"{name} cannot be read ({error.strerror})") from error
            if name in files and size != files[name]["bytes"]:
                raise describe_damage(path, f"{name} has {size} bytes, {files[name]['bytes']} were written")
        return cls(path, status)

    def content(self, name: str) -> bytes:
        """The file called `name`, checked where its checksum is known."""
        content = _read(self.path, name)
        known = self.status.get("files", {}).get(name)
        if known is not None and digest(content) != known:
            raise describe_damage(self.path, f"{name} was changed: its checksum is another")
        return content

    def json(self, name: str) -> dict[str, Any]:
        """The JSON object in the file called `name`."""
        return _parse(self.path, name, self.content(name))

    def predictions(self) -> pa.Table:
        """The predictions, with the columns and types that tables need, one row a slide, at least one."""
        try:
            table = pq.read_table(io.BytesIO(self.content(PREDICTIONS)), use_threads=False)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise describe_damage(self.path, f"{PREDICTIONS}: {error}") from error
        if wrong := _find_fault(table):
            raise describe_damage(self.path, f"{PREDICTIONS}: {wrong}")
        return table

    def check_beside(self, swept: bool = True) -> None:
        """Check the tables and the snapshots beside the predictions: each is what was written.

        Each is compared with its checksum. Where a run is too old to have one, the file is read.

        Args:
            swept: Whether SWEEP is checked too.

        Raises:
            DamagedRunError: A file is not what was written.
        """
        for name in (CURVE, SNAPSHOTS, *([SWEEP] if swept else [])):
            if not (self.path / name).exists():
                continue
            content = self.content(name)
            known = [self.status["files"][name]] if name in self.status.get("files", {}) else []
            known += _read_swept(self.path) if name == SWEEP else []
            if known and digest(content) not in known:
                raise describe_damage(self.path, f"{name} was changed: its checksum is another")
            if not known and (wrong := _find_damage(name, content)):
                raise describe_damage(self.path, f"{name}: {wrong}")


@dataclass(frozen=True)
class Stored:
    """What the files of a sound run hold.

    Attributes:
        path: Its directory.
        key: What decides it (`RunKey`), as plain data.
        environment: Code, machine and versions.
        train: What training cost and chose.
        status: Its record.
        table: Its predictions.
    """

    path: Path
    key: dict[str, Any]
    environment: dict[str, Any]
    train: dict[str, Any]
    status: dict[str, Any]
    table: pa.Table


def read_run(path: Path, swept: bool = True) -> Stored | DamagedRunError:
    """The run in `path`, or what is wrong with it; `swept`: what a sweep has written there is checked too."""
    try:
        record = Record.of(path)
        record.check_beside(swept)
        key, train = record.json(SETTINGS), record.json(TRAIN)
        for name, found, kinds in ((SETTINGS, key, KEY), (TRAIN, train, SECONDS)):
            if wrong := [field for field, kind in kinds.items() if not isinstance(found.get(field), kind)]:
                raise describe_damage(path, f"{name} has no usable {', '.join(wrong)}")
        return Stored(path, key, record.json(ENVIRONMENT), train, record.status, record.predictions())
    except DamagedRunError as error:
        return error


def find_finish_time(stored: Stored) -> float:
    """When the run was finished, in seconds since 1970; of older runs when their folder was written."""
    return float(stored.status.get("finished") or (stored.path / STATUS).stat().st_mtime)


def read_checked(file: Path) -> bytes:
    """A file of a run, checked against the record beside it; DamagedRunError where it is not what was written."""
    return Record.of(file.parent).content(file.name)


def describe_damage(path: Path, what: str) -> DamagedRunError:
    """The error about a run that cannot be used, in one line."""
    return DamagedRunError(f"damaged run {path}: {' '.join(what.split())[:200]}; delete this folder and run again")


def _read(path: Path, name: str) -> bytes:
    try:
        return (path / name).read_bytes()
    except FileNotFoundError as error:
        raise describe_damage(path, f"{name} is missing") from error
    except OSError as error:
        raise describe_damage(path, f"{name} cannot be read ({error.strerror})") from error


def _parse(path: Path, name: str, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError as error:
        raise describe_damage(path, f"{name} is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise describe_damage(path, f"{name} holds {found!r}, not a JSON object")
    return found


def write_sweep(path: Path, frame: pd.DataFrame) -> None:
    """Write the sweep of the run in the folder `path`, whole or not at all, its checksum before it."""
    content = io.BytesIO()
    frame.to_parquet(content, index=False)
    with (path / SWEPT).open("a", encoding="utf-8") as handle:
        handle.write("\n" + json.dumps(digest(content.getvalue())) + "\n")
    write_bytes(path / SWEEP, content.getvalue())


def _read_swept(path: Path) -> list[dict[str, Any]]:
    """Of every sweep that was written to the folder; a line that was cut short is none."""
    found = []
    with suppress(OSError):
        for line in (path / SWEPT).read_bytes().splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
    return found


def _find_damage(name: str, content: bytes) -> str | None:
    """Why a file of a run cannot be used, or None."""
    if name == SNAPSHOTS:
        try:
            parse_snapshots(content)
        except Exception as error:  # of zip, zlib, NumPy and JSON, each of its own kind
            return f"{type(error).__name__}: {error}"
        return None
    try:
        table = pq.read_table(io.BytesIO(content), use_threads=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        return str(error)
    texts, numbers = READ_AGAIN[name]
    return next(
        (wrong for column in (*texts, *numbers) if (wrong := _check_column(table, column, column in texts))), None
    )


def _check_column(table: pa.Table, name: str, is_text: bool) -> str | None:
    """What is wrong with a column of text, or of numbers; None where nothing is."""
    if name not in table.column_names:
        return f"no column {name}"
    column: Any = table.column(name)
    kind: Any = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if text is not is_text or not (text or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return f"column {name} is of type {column.type}"
    return None


def _find_fault(table: pa.Table) -> str | None:
    """What is wrong with a table of predictions, or None."""
    if not table.num_rows:
        return "no rows"
    texts, numbers = READ_AGAIN[PREDICTIONS]
    probabilities = [name for name in table.column_names if class_of_column(name) is not None]
    if not probabilities:
        return f"no column {probability_column('CLASS')}"
    for name in (*texts, *numbers, *probabilities, *filter(is_stage_column, table.column_names)):
        if wrong := _check_column(table, name, name in texts):
            return wrong
        if table.column(name).null_count and (name in texts or name in numbers):
            return f"column {name} has empty values"
    slides: Any = table.column(SLIDE)
    if pc.count_distinct(slides).as_py() < table.num_rows:  # pyright: ignore[reportAttributeAccessIssue]
        return "a slide occurs twice"
    return None
