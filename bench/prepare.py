"""Photos to tiled pyramidal TIFF, once, so that reading a part of one costs a part of it."""

from __future__ import annotations

import csv
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.datasets.contract import Dataset, SlideRecord
from bench.errors import UsageError
from bench.pyramid import QUALITY, Job, convert, provenance_of
from bench.rundir import writable
from jsma.slides import SlideError

Report = Callable[[int, int], None]


@dataclass
class Prepared:
    """What a `prepare` did. pixels: of the photos converted now; failed: slide -> reason."""

    folder: Path
    converted: int = 0
    kept: int = 0
    pixels: int = 0
    seconds: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PrepareSettings:
    """mpp: um per pixel where the dataset does not say; quality: JPEG, None keeps what is there; workers: processes."""

    mpp: float | None = None
    quality: int | None = None
    workers: int = 0

    @property
    def processes(self) -> int:
        """Worker processes: as many as cores by default."""
        return self.workers or os.cpu_count() or 1


def prepare(dataset: Dataset, folder: Path, settings: PrepareSettings, report: Report | None = None) -> Prepared:
    """Convert every photo of `dataset` whose pyramid in `folder` is absent or out of date."""
    for record in dataset.records:
        if settings.mpp is None and record.mpp is None:
            raise UsageError(f"{record.id}: um per pixel unknown; give --mpp, or an mpp column")
    targets = {r.id: pyramid_path(r, folder) for r in dataset.records}
    if len(set(targets.values())) < len(targets):
        raise UsageError(f"dataset {dataset.name}: two slides have one name; names must differ")
    todo = [r for r in dataset.records if not _current(r, targets[r.id], settings)]
    if todo:
        writable(folder)
    done = Prepared(folder, kept=len(dataset.records) - len(todo))
    began = time.perf_counter()
    jobs = {
        r.id: Job(r.path, str(targets[r.id]), r.mpp or settings.mpp or 0.0, settings.quality or QUALITY) for r in todo
    }
    _run(jobs, settings.processes, done, report, len(dataset.records))
    done.seconds = time.perf_counter() - began
    return done


def _run(jobs: dict[str, Job], workers: int, done: Prepared, report: Report | None, total: int) -> None:
    """Convert, one process a worker; a photo that fails is listed, the others go on."""
    if not jobs:
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context) as pool:
        running = {pool.submit(convert, job): name for name, job in jobs.items()}
        try:
            for future in as_completed(running):
                try:
                    done.pixels += future.result().pixels
                    done.converted += 1
                except (SlideError, OSError) as error:
                    done.failed[running[future]] = str(error)
                if report:
                    report(done.kept + done.converted + len(done.failed), total)
        except BaseException:  # interrupted: what is complete stays, the rest is not begun
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def pyramid_path(record: SlideRecord, folder: Path) -> Path:
    """Where the pyramid of `record` lies."""
    return folder / f"{record.id.replace('/', '__').removesuffix(Path(record.path).suffix)}.tif"


def _current(record: SlideRecord, target: Path, settings: PrepareSettings) -> bool:
    """Whether the pyramid was made from this very source, at the quality and scale that are asked."""
    made = provenance_of(str(target)) if target.is_file() else None
    if made is None or not os.path.isfile(record.path):
        return False
    status = os.stat(record.path)
    same = (made.get("source_bytes"), made.get("source_mtime_ns")) == (status.st_size, status.st_mtime_ns)
    asked = settings.quality in (None, made.get("jpeg_quality"))
    return same and asked and made.get("mpp") == (record.mpp or settings.mpp)


def prepared(dataset: Dataset, folder: Path, report: Report | None = None) -> Dataset:
    """`dataset` with the paths of its pyramids, converting what is missing; photos that fail keep their own path."""
    prepare(dataset, folder, PrepareSettings(), report)
    records = []
    for record in dataset.records:
        path = pyramid_path(record, folder)
        records.append(replace(record, path=str(path), source=record.path) if path.is_file() else record)
    return replace(dataset, records=tuple(records))


def write_labels(dataset: Dataset, folder: Path) -> Path:
    """A labels.csv for `run --slides` that names the pyramids in `folder`."""
    columns = ["path", "label", "patient", "split", "fold", "annotation", "site"]
    with (folder / "labels.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(columns)
        for r in dataset.records:
            path = pyramid_path(r, folder)
            if path.is_file():
                fold = "" if r.fold is None else r.fold
                row = [path.name, r.label, r.patient or "", r.split or "", fold, r.mask or "", r.site or ""]
                writer.writerow(row)
    return folder / "labels.csv"
