"""The half of the checks that needs headers only: seconds for thousands of slides, each opened once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from bench.datasets.contract import Card, Dataset, SlideRecord
from bench.datasets.evidence import annotation_exists, check_annotation
from bench.datasets.inspect.verify import between_slides
from bench.datasets.inspect.verify.checks import NOT_LOOKED_AT, Finding
from bench.errors import FindingsError
from jsma.cells.grid import overview_frame
from jsma.slides import Slide, SlideError, open_slide
from jsma.slides.opening.mpp import MPP_RANGE
from jsma.slides.types import SlideInfo

THREADS = 8  # opening waits for the disk
FINER = 1.02  # a slide this little coarser than a magnification still serves it, as in `jsma.metered`
AS_FILED = 1.15  # ratio of two scales of one slide up to which they agree
BY_POWER = 1.5  # where the file names its objective only: 20x is .5 um/px in name
AS_PUBLISHED = 1.25
SHOWN = 50  # findings that `run` prints; `data verify` prints any number
_KINDS = {"no micrometres per pixel": "no mpp", "all black": "black tiles"}

Opener = Callable[[SlideRecord], Slide]
Report = Callable[[int, int], None]


def open_record(record: SlideRecord) -> Slide:
    """The slide of `record`, with its own mpp if it gives one."""
    return open_slide(record.path, mpp=record.mpp)


def failure(record: SlideRecord, error: Exception) -> Finding:
    """Why the slide cannot be read, as `verify` and `run` say it."""
    kind = next((check for words, check in _KINDS.items() if words in str(error)), "unreadable")
    return Finding(kind, record.id, str(error).removeprefix(f"{record.path}: "))


@dataclass(frozen=True)
class Opened:
    """What the headers of one slide say. info: None where it cannot be opened, `unread` says why."""

    record: SlideRecord
    info: SlideInfo | None
    unread: Finding | None = None
    annotation: Finding | None = None


@dataclass(frozen=True)
class Quick:
    """What the quick checks found.

    Attributes:
        opened: Slide by slide.
        findings: Of all quick checks.
        published: Whether the slides are of a published dataset, and not from a user's own table.
    """

    opened: list[Opened]
    findings: list[Finding]
    published: bool = False

    @property
    def unread(self) -> dict[str, str]:
        """Slides that cannot be read -> why."""
        return {o.record.id: o.unread.text for o in self.opened if o.unread is not None}

    @property
    def stopping(self) -> list[Finding]:
        """Findings with which a run goes on only if they are accepted.

        Annotations that are missing do not stop a published dataset, because not every copy has them. They stop a
        user's table, because it names them.
        """
        known = ("missing masks",) if self.published else ()
        return [finding for finding in self.findings if finding.stops and finding.check not in known]


def refuse(name: str, findings: Sequence[Finding], options: str = "") -> None:
    """Refuse to train where something was found.

    Args:
        name: Of the dataset.
        findings: What was found.
        options: Options with which `data verify` finds the same, each with a blank before it.

    Raises:
        FindingsError: there are findings; it has a line for each.
    """
    if findings:
        shown = "".join(f"\n{finding}" for finding in findings[:SHOWN])
        more = len(findings) - SHOWN
        if more > 0:
            shown += f"\nand {more} more: `jsma-bench data verify{options} --most {len(findings)}` lists all"
        raise FindingsError(
            f"dataset {name}: {len(findings)} finding(s), nothing was trained; mend them, or go on with "
            f"--accept-findings: they are recorded and stand below the tables ({NOT_LOOKED_AT} were not looked at: "
            f"`jsma-bench data verify{options}` does){shown}"
        )


def quick(
    dataset: Dataset,
    mpps: tuple[float, ...],
    folds: tuple[int, ...] = (0,),
    report: Report | None = None,
    opener: Opener = open_record,
) -> Quick:
    """Open every slide once, in threads, and check what its headers, its annotation and the table say.

    Args:
        dataset: The slides.
        mpps: Magnifications that a run will ask for, um/px.
        folds: Numbers of the drawn folds that are looked at.
        report: Called with (done, total).
        opener: Opens a slide.

    Returns:
        What was found.
    """
    opened: dict[int, Opened] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        running = {pool.submit(_open, record, opener): k for k, record in enumerate(dataset.records)}
        try:
            for future in as_completed(running):
                opened[running[future]] = future.result()
                if report:
                    report(len(opened), len(running))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    found = [opened[k] for k in range(len(opened))]
    unread = {o.record.id for o in found if o.unread is not None}
    return Quick(
        found,
        [
            *between_slides.find_wrong_counts(dataset),
            *between_slides.find_incomplete(dataset),
            *between_slides.find_label_faults(dataset),
            *(o.unread for o in found if o.unread is not None),
            *(finding for o in found if o.info is not None for finding in _find_missing_pixels(o.record, o.info)),
            *find_wrong_scales(found, mpps, dataset.card),
            *between_slides.find_exact_duplicates(dataset.records, between_slides.parts_of(dataset)),
            *between_slides.find_shared_patients(dataset, between_slides.parts_of(dataset)),
            *between_slides.find_missing_classes(dataset, unread, folds),
            *(o.annotation for o in found if o.annotation is not None),
        ],
        dataset.card is not None,
    )


def _open(record: SlideRecord, opener: Opener) -> Opened:
    try:
        with opener(record) as slide:
            info = slide.info
    except (SlideError, OSError) as error:
        return Opened(record, None, failure(record, error), _annotation(record, None))
    return Opened(record, info, None, _annotation(record, info))


def _annotation(record: SlideRecord, info: SlideInfo | None) -> Finding | None:
    """Check the annotation. Of a slide that cannot be read, only whether it is there."""
    if record.mask is None:
        return None
    there = annotation_exists(record.mask)
    if info is None and there:
        return None
    size0_px = (1, 1) if info is None else (info.width0_px, info.height0_px)
    text = check_annotation(record.mask, *size0_px, record.scheme)
    return None if text is None else Finding("bad masks" if there else "missing masks", record.id, text)


def _find_missing_pixels(record: SlideRecord, info: SlideInfo) -> Iterator[Finding]:
    """Find tiles for which nothing is stored, and slides too small or too thin for an overview."""
    if absent := [f"{n} of level {k}" for k, n in enumerate(info.missing_tiles) if n]:
        text = ", ".join(absent) + ": nothing is stored for them, read as background"
        yield Finding("missing tiles", record.id, text)
    try:
        overview_frame((info.width0_px, info.height0_px), info.mpp)
    except ValueError as error:
        yield Finding("too small", record.id, str(error))


def find_wrong_scales(opened: Sequence[Opened], mpps: tuple[float, ...], card: Card | None) -> Iterator[Finding]:
    """Find scales that cannot be true, contradict the file or the card, or serve no magnification that is asked for.

    Where only some slides serve a magnification, more is read of them than of the others, and that may betray a class.

    Args:
        opened: The slides.
        mpps: Magnifications that a run will ask for, um/px.
        card: What is declared about the data.

    Yields:
        Findings.
    """
    known = [(o.record, o.info) for o in opened if o.info is not None]
    useless = set()
    for record, info in known:
        for text in _find_scale_faults(record, info, card):
            yield Finding("mpp", record.id, text)
        if not any(_serves(info, asked) for asked in mpps):
            useless.add(record.id)
            asked = ", ".join(f"{mpp:g}" for mpp in mpps)
            yield Finding(
                "mpp",
                record.id,
                f"all of mpps, {asked} um/px, are finer than the slide's {info.mpp:.3g}; set mpps to "
                f"{info.mpp:.3g} or coarser, or, if that scale is wrong, give the true one in the `mpp` column",
            )
    rest = [(record, info) for record, info in known if record.id not in useless]
    for asked in mpps:
        coarser = [(record, info) for record, info in rest if not _serves(info, asked)]
        if 0 < len(coarser) < len(rest):
            record, info = coarser[0]
            yield Finding(
                "mpp",
                f"{asked:g} um/px",
                f"{len(coarser)} of {len(rest)} slides are coarser (the first: {record.id}, "
                f"{info.mpp:.3g} um/px) and cannot be read at it, others can; ask only for what all have (--set mpps)",
            )


def _find_scale_faults(record: SlideRecord, info: SlideInfo, card: Card | None) -> Iterator[str]:
    low, high = MPP_RANGE
    if not low <= info.mpp <= high:
        yield f"{info.mpp:.3g} um/px ({info.mpp_rule}) is no slide's; plausible: {low:g} to {high:g}"
    elif record.mpp is not None and info.file_mpp is not None:
        limit = BY_POWER if info.file_mpp_rule == "objective power" else AS_FILED
        if not 1 / limit <= record.mpp / info.file_mpp <= limit:
            yield (
                f"{record.mpp:.3g} um/px in the table, the file says {info.file_mpp:.3g} ({info.file_mpp_rule}); "
                "correct the table, or leave the cell empty"
            )
    if card is not None and card.mpp is not None and record.mpp is None:
        if not 1 / AS_PUBLISHED <= info.mpp / card.mpp <= AS_PUBLISHED:
            yield f"{info.mpp:.3g} um/px by {info.mpp_rule}, the dataset is published at {card.mpp:g}"


def _serves(info: SlideInfo, asked: float) -> bool:
    return info.mpp <= asked * FINER
