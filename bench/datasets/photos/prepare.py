"""Which photos are converted to pyramids, where they go, and what is never overwritten."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.datasets.contract import Dataset, SlideRecord
from bench.datasets.generated.pyramid import QUALITY
from bench.datasets.labels import Row
from bench.datasets.photos.all_photos import convert_all
from bench.datasets.photos.convert import Job, Provenance, provenance_of
from bench.datasets.photos.plan import Plan, Prepared, PrepareSettings
from bench.errors import UsageError
from bench.files import remove_leftovers, writable
from jsma.slides import SlideError
from jsma.slides.formats.tiff_headers import TIFF_EXTENSIONS, inspect_tiff
from jsma.slides.opening.mpp import choose_mpp
from jsma.slides.readers.openslide import OpenslideReader

LEAST_PYRAMID_PX = 2048  # a tiled file of one level is converted above this side: its overview would cost all of it
Report = Callable[[int, int], None]


def prepare_photos(dataset: Dataset, folder: Path, settings: PrepareSettings, report: Report | None = None) -> Prepared:
    """Convert every photo whose pyramid is absent or out of date. No file is overwritten that was not made here.

    Args:
        dataset: The photos.
        folder: Where the pyramids go.
        settings: How they are converted.
        report: Called with (done, total).

    Returns:
        What was done.

    Raises:
        UsageError: a file is in the way, a scale is unknown, or two photos would become one file. Nothing is written.
    """
    plans = _plans(dataset, folder, settings)
    photos = [p for p in plans if not p.pyramid]
    todo = [p for p in photos if not _is_current(p, settings)]
    writable(folder, settings.option)
    done = Prepared(folder, kept=len(photos) - len(todo), left=len(plans) - len(photos))
    began, quality = time.perf_counter(), settings.quality or QUALITY
    jobs = {p.record.id: Job(p.record.path, str(p.target), p.mpp(settings) or 0.0, quality) for p in todo}

    def settle(name: str, made: Provenance | str) -> None:
        done.settle(name, made)
        if report:
            report(done.kept + done.left + done.converted + len(done.failed), len(plans))

    convert_all(jobs, settings.processes, settle)
    remove_leftovers(folder)  # of a worker that was killed
    done.seconds = time.perf_counter() - began
    done.notes = _scale_notes(plans, settings) + done.notes
    done.rows = [_row(plan, settings) for plan in plans if plan.record.id not in done.failed]
    return done


def _plans(dataset: Dataset, folder: Path, settings: PrepareSettings) -> list[Plan]:
    """Plan what becomes of every slide. UsageError where something is in the way."""
    plans = [_plan(record, folder) for record in dataset.records]
    photos = [p for p in plans if not p.pyramid]
    _check_scales(plans, settings)
    _check_names(photos)
    _check_targets(photos, [r.path for r in dataset.records], settings.way_out)
    return plans


def _plan(record: SlideRecord, folder: Path) -> Plan:
    target, extension = pyramid_path(record, folder), os.path.splitext(record.path)[1].lower()
    if extension in OpenslideReader.extensions:
        return Plan(record, target, None, True)
    if extension not in TIFF_EXTENSIONS or not os.path.isfile(record.path):
        return Plan(record, target, None, False)
    try:
        facts = inspect_tiff(record.path)
    except SlideError:  # converting it says what is wrong
        return Plan(record, target, None, False)
    try:
        stated = choose_mpp(record.path, None, facts.mpp)[0]
    except SlideError:
        stated = None
    layered = len(facts.levels) > 1 or max(facts.width0_px, facts.height0_px) <= LEAST_PYRAMID_PX
    return Plan(record, target, stated, facts.tiled and layered and not facts.unserved)


def _check_scales(plans: list[Plan], settings: PrepareSettings) -> None:
    own = [p for p in plans if p.record.mpp is None]
    for plan in own:
        if (
            plan.mpp(settings) is None
            and os.path.splitext(plan.record.path)[1].lower() not in OpenslideReader.extensions
        ):
            raise UsageError(f"{plan.record.id}: um per pixel unknown; give --mpp, or an mpp column")
    against = _with_other_scale(plans, settings)
    if against and len(against) == len(own):
        first = against[0]
        raise UsageError(
            f"--mpp {settings.mpp:g}: {first.record.id} states {first.stated:.4g} um per pixel itself, as every slide "
            "here does; leave --mpp out, or give an mpp column where the files are wrong"
        )


def _with_other_scale(plans: list[Plan], settings: PrepareSettings) -> list[Plan]:
    """Find slides that state another scale than --mpp, and whose scale the dataset does not give."""
    asked = settings.mpp
    return [p for p in plans if asked and p.record.mpp is None and p.stated and abs(p.stated - asked) > 0.01 * asked]


def _scale_notes(plans: list[Plan], settings: PrepareSettings) -> list[str]:
    against = _with_other_scale(plans, settings)
    if not against:
        return []
    first = against[0]
    return [
        f"--mpp {settings.mpp:g} was not applied to {len(against)} slides that state their own scale "
        f"({first.record.id}: {first.stated:.4g}); an mpp column overrides it"
    ]


def _check_names(plans: list[Plan]) -> None:
    """UsageError where two photos would become one file, also on a disk that ignores case."""
    taken: dict[str, Plan] = {}
    for plan in plans:
        other = taken.setdefault(str(plan.target).casefold(), plan)
        if other is not plan:
            raise UsageError(
                f"{other.record.id} and {plan.record.id} would both become {plan.target.name}; names must differ, "
                "rename one of them"
            )


def _check_targets(plans: list[Plan], sources: list[str], way_out: str) -> None:
    """UsageError where a pyramid would overwrite a source, by any path or link, or another file not made here."""
    files = {(s.st_dev, s.st_ino): path for path in sources if (s := _status(path))}
    foreign = []
    for plan in plans:
        if not os.path.lexists(plan.target):
            continue
        status, made = _status(str(plan.target)), provenance_of(str(plan.target))
        source = files.get((status.st_dev, status.st_ino)) if status else None
        if source is not None:
            raise UsageError(
                f"{plan.target}: the pyramid of {plan.record.id} would overwrite the slide {source}; {way_out}"
            )
        if made is None:
            foreign.append(f"{plan.target} was not made by `data prepare`")
        elif other := _other_source(plan, made):
            foreign.append(f"{plan.target} was made from {other}")
    if foreign:
        raise UsageError(f"{foreign[0]}{_more(len(foreign) - 1)}; nothing was written, {way_out}")


def _more(number: int) -> str:
    return f" (and {number} more)" if number else ""


def _other_source(plan: Plan, made: dict[str, object]) -> str:
    """Find the photo that a pyramid was made from, if it is another one and has not changed since; else ""."""
    path = os.path.normpath(plan.target.parent / str(made.get("source_path") or ""))
    status, mine = _status(path), _status(plan.record.path)
    if not made.get("source_path") or status is None or (mine and os.path.samestat(status, mine)):
        return ""
    unchanged = (made.get("source_bytes"), made.get("source_mtime_ns")) == (status.st_size, status.st_mtime_ns)
    return path if unchanged else ""


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def pyramid_path(record: SlideRecord, folder: Path) -> Path:
    """Name the file of a slide's pyramid in `folder`."""
    return folder / f"{record.id.replace('/', '__').removesuffix(Path(record.path).suffix)}.tif"


def _is_current(plan: Plan, settings: PrepareSettings) -> bool:
    """Tell whether the pyramid was made from this source, at the quality and scale that are asked for."""
    made, status = provenance_of(str(plan.target)), _status(plan.record.path)
    if made is None or status is None or not made["whole"]:
        return False
    same = (made.get("source_bytes"), made.get("source_mtime_ns")) == (status.st_size, status.st_mtime_ns)
    asked = settings.quality in (None, made.get("jpeg_quality"))
    return same and asked and made.get("mpp") == plan.mpp(settings)


def _row(plan: Plan, settings: PrepareSettings) -> Row:
    """Make the slide's line in the list."""
    if not plan.pyramid:
        return Row(plan.target.name, plan.record)
    mpp = plan.record.mpp or (None if plan.stated else settings.mpp)
    return Row(os.path.abspath(plan.record.path), plan.record, mpp)


def use_pyramids(dataset: Dataset, folder: Path, report: Report | None = None) -> Dataset:
    """Replace photos by their pyramids, and convert those that are missing.

    Args:
        dataset: The photos.
        folder: Where the pyramids are.
        report: Called with (done, total).

    Returns:
        The dataset with the paths of the pyramids. Photos that fail keep their own path.

    Raises:
        UsageError: as for `prepare_photos`.
    """
    done = prepare_photos(dataset, folder, PrepareSettings(option="--data"), report)
    pyramids = {id(row.record): str(folder / row.path) for row in done.rows if not os.path.isabs(row.path)}
    records = []
    for record in dataset.records:
        path = pyramids.get(id(record))
        records.append(replace(record, path=path, source=record.path) if path else record)
    return replace(dataset, records=tuple(records))
