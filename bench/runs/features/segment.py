"""One file of features of one slide, in the safetensors format: written whole or not at all, and never changed.

Any reader of safetensors can open it. It holds `cells` (int32 [n], ascending flat indices) and `rows` (float32 or
float16 [n, dim], their features), and beside them, as text, what computing them took and on which machine.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np

FORMAT = "jsma-features-1"
SUFFIX = ".safetensors"
DTYPES = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "I32": np.dtype("<i4")}
"""Name of a number type in the format -> the type of numpy."""
HEADER_BYTES = 1 << 20  # longer ones are not ours


class DamagedSegmentError(ValueError):
    """A file that is not what was written: one line that names it."""


@dataclass(frozen=True)
class Segment:
    """What the header of a file of features says.

    Attributes:
        path: The file.
        n: Number of cells.
        dim: Width of a feature.
        precision: "float32" or "float16".
        begins: Where cells and features begin, in bytes.
        size_bytes: Of the file.
        said: What the writer noted, as JSON: slide, encoder, unit costs, machine.
        crc32: Of `said`, cells and rows.
    """

    path: Path
    n: int
    dim: int
    precision: str
    begins: tuple[int, int]
    size_bytes: int
    said: str
    crc32: str

    @property
    def notes(self) -> dict[str, Any]:
        """`said` as plain data."""
        return json.loads(self.said)

    @property
    def row_type(self) -> np.dtype:
        """How a feature is kept."""
        return np.dtype(self.precision)

    def read_rows(self, places: np.ndarray) -> np.ndarray:
        """Features [len(places), dim] at the positions `places` [at least 1]; neighbours are read at once.

        Raises:
            DamagedSegmentError: The file ends before.
            OSError: It cannot be read, or it is gone.
        """
        found = np.empty((len(places), self.dim), self.row_type)
        breaks = np.flatnonzero(np.diff(places) != 1) + 1
        starts, row_bytes = np.concatenate([[0], breaks]), self.dim * self.row_type.itemsize
        with self.path.open("rb", buffering=0) as handle:
            for start, end in zip(starts, [*breaks, len(places)], strict=True):
                handle.seek(self.begins[1] + int(places[start]) * row_bytes)
                _fill(self.path, handle, found[start:end])
        return found


def _fill(path: Path, handle: IO[bytes], array: np.ndarray) -> None:
    """Read as many bytes as `array` holds."""
    view, done = _bytes(array), 0
    while done < len(view):
        got = handle.readinto(view[done:])  # pyright: ignore[reportAttributeAccessIssue]
        if not got:
            raise DamagedSegmentError(f"{path}: it was cut short")
        done += got


@lru_cache(maxsize=64)
def read_cells(segment: Segment) -> np.ndarray:
    """The cells of a segment, int32 [n], ascending; those of the last segments asked for stay in memory."""
    cells = np.empty(segment.n, DTYPES["I32"])
    with segment.path.open("rb", buffering=0) as handle:
        handle.seek(segment.begins[0])
        _fill(segment.path, handle, cells)
    cells.flags.writeable = False
    return cells


def write_segment(path: Path, cells: np.ndarray, rows: np.ndarray, notes: Mapping[str, Any]) -> Segment:
    """Write a file of features, whole or not at all.

    Args:
        path: The file, which does not exist yet.
        cells: int32 [n], ascending, distinct.
        rows: float32 or float16 [n, dim].
        notes: What is kept beside them, as plain data.

    Returns:
        The segment as it can be read.

    Raises:
        OSError: It cannot be written; no file is left.
    """
    from safetensors.numpy import save

    from bench.files import write_with

    cells, rows = np.ascontiguousarray(cells, DTYPES["I32"]), np.ascontiguousarray(rows)
    said = json.dumps(dict(notes), sort_keys=True)
    head = {"format": FORMAT, "notes": said, "crc32": checksum(said, cells, rows)}
    content = save({"cells": cells, "rows": rows}, head)
    write_with(path, lambda handle: handle.write(content))
    return read_segment(path)


def checksum(said: str, cells: np.ndarray, rows: np.ndarray) -> str:
    """CRC-32 of all three, one after the other."""
    return f"{zlib.crc32(_bytes(rows), zlib.crc32(_bytes(cells), zlib.crc32(said.encode()))):08x}"


def _bytes(array: np.ndarray) -> memoryview:
    return array.data.cast("B")


def read_segment(path: Path) -> Segment:
    """The header of a file of features, its size checked.

    Raises:
        DamagedSegmentError: The file is no segment, or was cut short or made longer.
        OSError: It cannot be read.
    """
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        text = handle.read(length) if length <= HEADER_BYTES else b""
        size_bytes = handle.seek(0, 2)
    try:
        header = json.loads(text)
        said = header["__metadata__"]
        if said["format"] != FORMAT:
            raise DamagedSegmentError(f"{path}: its format is {said['format']!r}; this version reads {FORMAT!r}")
        cells, rows = header["cells"], header["rows"]
        (n, dim), types = rows["shape"], (DTYPES[cells["dtype"]], DTYPES[rows["dtype"]])
        ends = [part["data_offsets"][1] for part in (cells, rows)]
        begins = (8 + length + cells["data_offsets"][0], 8 + length + rows["data_offsets"][0])
        sound = n > 0 and cells["shape"] == [n] and max(ends) == n * (4 + dim * types[1].itemsize)
        json.loads(said["notes"])
    except (ValueError, TypeError, KeyError) as error:
        if isinstance(error, DamagedSegmentError):
            raise
        raise DamagedSegmentError(f"{path}: it is no file of features, or its header was changed") from error
    if not sound or types[0] != DTYPES["I32"] or size_bytes != 8 + length + max(ends):
        raise DamagedSegmentError(f"{path}: its size is not what its header says; it was cut short or changed")
    return Segment(path, n, dim, types[1].name, begins, size_bytes, said["notes"], said["crc32"])


def check_segment(path: Path) -> Segment:
    """As `read_segment`, and every feature is compared with the checksum that was kept.

    Raises:
        DamagedSegmentError: The file is not what was written.
        OSError: It cannot be read.
    """
    segment = read_segment(path)
    cells, rows = read_cells.__wrapped__(segment), segment.read_rows(np.arange(segment.n))
    if checksum(segment.said, cells, rows) != segment.crc32 or (np.diff(cells) <= 0).any():
        raise DamagedSegmentError(f"{path}: features or cells were changed")
    return segment
