"""A store of features in a folder: shared by any number of processes and hosts, bounded in memory.

The folder of one encoder holds a folder for each slide, and that one holds files of features (`segment`). Each process
writes files under names that no other process has, aside and renamed, and never changes one. So there is no lock and
no server, and a process that is killed loses only what it had not written yet. That is computed again. What a slide
has is the union of its files. Two processes that compute a cell at once both keep it, with the same bytes. A slide may
be there in part, because samplers read few cells.

Files are read with plain reads, and not mapped: a mapped file that another host removes would end the process. The
page cache of the system keeps what is read often. A file that is damaged or gone counts as absent.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.files import host, remove_leftovers
from bench.runs.features.segment import (
    SUFFIX,
    DamagedSegmentError,
    Segment,
    read_cells,
    read_segment,
    write_segment,
)
from jsma.metered.store import FeatureStore, UnitCost

if TYPE_CHECKING:
    from jsma.cells.grid import CellGrid
    from jsma.metered.view import ViewSettings
    from jsma.slides import SlideInfo

VERSION = 1
"""Part of every key. Raise it when a change of the code changes the pixels or the feature of a cell."""
FLUSH_BYTES = 64 << 20  # features that wait to be written: what a kill may lose
FLUSH_S = 300.0  # or after so long
LOOK_S = 5.0  # how often a slide's folder is looked through for files of other processes
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shelf:
    """Where the features of one encoder lie, and what is noted beside them.

    Attributes:
        folder: Of this encoder; made when the first file is written.
        content: Slide id -> digest of what its file holds. A slide without one is never kept.
        machine: What unit costs are measured on, as plain data.
        encoder: What the features are of, as plain data.
    """

    folder: Path
    content: Mapping[str, str | None]
    machine: Mapping[str, Any]
    encoder: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class _Pending:
    """Features of one slide that are not written yet."""

    n_cells: int = 0
    cells: list[np.ndarray] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)
    cost: UnitCost = field(default_factory=UnitCost)


@dataclass
class _Known:
    """The files of one slide that this process has noticed, by name, and when it looked last."""

    segments: dict[str, Segment] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    looked: float = float("-inf")


@dataclass
class _Asked:
    """Distinct `cells` [n] of one slide; the features [n, dim] that were found, and which are lacking, bool [n]."""

    cells: np.ndarray
    rows: np.ndarray
    lacking: np.ndarray

    def take(self, own: np.ndarray, read: Callable[[np.ndarray], np.ndarray]) -> int:
        """Take what is lacking and among `own` (ascending), which `read` gives by its places there; how many."""
        absent = np.flatnonzero(self.lacking)
        places = np.minimum(np.searchsorted(own, self.cells[absent]), len(own) - 1)
        here = own[places] == self.cells[absent]
        if here.any():
            self.rows[absent[here]] = read(places[here])
            self.lacking[absent[here]] = False
        return int(here.sum())


class DiskStore(FeatureStore):
    """Features on a shelf. Memory holds what waits to be written, and headers of files, whatever the cohort's size.

    Attributes:
        shelf: Where they lie.
        taken: Number of features that came from the disk.
    """

    def __init__(self, dim: int, shelf: Shelf, precision: str = "float32") -> None:
        super().__init__(dim, 0, precision)
        self.shelf, self.taken = shelf, 0
        self._slides: dict[str, str] = {}  # key -> id
        self._pending: dict[str, _Pending] = {}
        self._pending_bytes, self._flushed, self._readonly = 0, time.monotonic(), False
        self._known: dict[str, _Known] = {}
        self._recorded: dict[str, UnitCost] = {}  # by machine, of the files of other processes
        self._writer, self._number = f"{host()}-{os.getpid()}-{secrets.token_hex(4)}", 0
        self._machine = json.dumps(dict(shelf.machine), sort_keys=True)

    def key_of(self, slide: str, grid: CellGrid, view: ViewSettings, info: Callable[[], SlideInfo]) -> str:
        """32 hexadecimal digits of all that decides the pixels of a cell; "" for a slide of unknown content."""
        content = self.shelf.content.get(slide)
        if content is None:
            return ""
        overview = (view.overview_mpp, view.overview_max_px, view.overview_min_px)
        how = (VERSION, content, asdict(grid), overview, info().reader, info().decoder)
        key = hashlib.sha256(json.dumps(how, sort_keys=True).encode()).hexdigest()[:32]
        self._slides[key] = slide
        return key

    @property
    def price(self) -> UnitCost:
        """As measured on this machine where that is known, else over all machines that filled what was used."""
        here = self._here
        return here if here.tiles and here.patches else sum(self._recorded.values(), self.unit)

    @property
    def machines(self) -> list[dict[str, Any]]:
        """The machines that `price` was measured on."""
        here = self._here
        own = here.tiles and here.patches
        return [json.loads(text) for text in ([self._machine] if own else sorted(self._recorded))]

    @property
    def _here(self) -> UnitCost:
        return self.unit + self._recorded.get(self._machine, UnitCost())

    def note(self, slide: str, cost: UnitCost) -> None:
        """See `FeatureStore`; it is also written beside the features."""
        super().note(slide, cost)
        if slide and not self._readonly:
            self._pending.setdefault(slide, _Pending()).cost += cost

    def get(self, slide: str, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `FeatureStore`."""
        asked = _Asked(cells, np.zeros((len(cells), self.dim), np.float32), np.ones(len(cells), bool))
        if not slide:
            return asked.rows, asked.lacking
        pending, known = self._pending.get(slide, _Pending()), self._known.setdefault(slide, _Known())
        for own, rows in zip(pending.cells, pending.rows, strict=True):
            order = np.argsort(own)
            asked.take(own[order], rows[order].__getitem__)
        self._take(asked, known, list(known.segments.values()))
        if asked.lacking.any() and time.monotonic() - known.looked >= LOOK_S:
            self._take(asked, known, self._look(slide, known))
        return asked.rows, asked.lacking

    def put(self, slide: str, n_cells: int, cells: np.ndarray, features: np.ndarray) -> None:
        """See `FeatureStore`. Features are written by and by, at the latest with `flush`."""
        if not slide or self._readonly:
            return
        pending = self._pending.setdefault(slide, _Pending())
        pending.n_cells = n_cells
        pending.cells.append(np.asarray(cells, np.int32))
        pending.rows.append(features.astype(self.precision))
        self._pending_bytes += pending.cells[-1].nbytes + pending.rows[-1].nbytes
        if self._pending_bytes >= FLUSH_BYTES or time.monotonic() - self._flushed >= FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Write what waits. A disk that is full is told once; from then on features are computed and not kept."""
        self._flushed = time.monotonic()
        try:
            for slide in [slide for slide, pending in self._pending.items() if pending.cells]:
                self._write(slide, self._pending[slide])
                del self._pending[slide]
        except OSError as error:
            self._readonly = True
            _LOG.warning(
                "features in %s: cannot be written (%s); the run goes on, and computes again what is not there",
                self.shelf.folder,
                error.strerror,
            )
            self._pending.clear()
        self._pending_bytes = 0

    def _write(self, slide: str, pending: _Pending) -> None:
        cells, first = np.unique(np.concatenate(pending.cells), return_index=True)
        notes = {
            "slide": self._slides.get(slide, ""),
            "n_cells": pending.n_cells,
            "unit": asdict(pending.cost),
            "machine": dict(self.shelf.machine),
            "encoder": dict(self.shelf.encoder),
        }
        path = self.shelf.folder / slide / f"{self._writer}-{self._number:06d}{SUFFIX}"
        self._number += 1
        try:
            written = write_segment(path, cells, np.concatenate(pending.rows)[first], notes)
        except FileNotFoundError:  # the first of this slide, or its folder was pruned
            path.parent.mkdir(parents=True, exist_ok=True)
            written = write_segment(path, cells, np.concatenate(pending.rows)[first], notes)
        remove_leftovers(path.parent)
        self._known.setdefault(slide, _Known()).segments[path.name] = written

    def _take(self, asked: _Asked, known: _Known, segments: list[Segment]) -> None:
        """Take what is asked for from `segments`."""
        for segment in segments:
            if not asked.lacking.any():
                return
            try:
                self.taken += asked.take(read_cells(segment), segment.read_rows)
            except (DamagedSegmentError, OSError) as error:
                known.segments.pop(segment.path.name, None)
                self._tell(known, segment.path, error)

    def _look(self, slide: str, known: _Known) -> list[Segment]:
        """Files of other processes that were not there, or not complete, when this process looked last."""
        known.looked, found = time.monotonic(), []
        with suppress(OSError):  # no folder yet; what cannot be listed counts as absent
            names = sorted(n for n in os.listdir(self.shelf.folder / slide) if n.endswith(SUFFIX))
            for name in names:
                if name not in known.segments and name not in known.bad:
                    found += self._notice(known, self.shelf.folder / slide / name)
            if names:
                os.utime(self.shelf.folder / slide)  # when it was used last, by which pruning goes
        return found

    def _notice(self, known: _Known, path: Path) -> list[Segment]:
        try:
            segment = read_segment(path)
        except (DamagedSegmentError, OSError) as error:
            self._tell(known, path, error)
            return []
        if (segment.dim, segment.precision) != (self.dim, self.precision):
            self._tell(known, path, DamagedSegmentError(f"{path}: features of another width or precision"))
            return []
        known.segments[path.name] = segment
        machine = json.dumps(segment.notes["machine"], sort_keys=True)
        self._recorded[machine] = self._recorded.get(machine, UnitCost()) + UnitCost(**segment.notes["unit"])
        return [segment]

    def _tell(self, known: _Known, path: Path, error: Exception) -> None:
        """Do without a file that is damaged, which is told, or gone, which is not."""
        if not isinstance(error, FileNotFoundError):
            known.bad.add(path.name)
            text = str(error) if isinstance(error, DamagedSegmentError) else f"{path}: {error}"
            _LOG.warning("%s; passed over, what it held is computed again", text)
