"""The check of the data before runs are made, and the slides of each part that can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.datasets import Dataset, SlideRecord
from bench.datasets.inspect.verify.quick import quick, refuse
from bench.errors import UsageError, listed
from bench.runs.context import Context
from jsma.metered import ViewSettings
from jsma.slides import Slide


@dataclass(frozen=True)
class DataCheck:
    """What was found out about the data.

    Attributes:
        unreadable: Slide -> why no run can use it.
        findings: What else is wrong and was accepted, one line each.
    """

    unreadable: dict[str, str] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)


def check_data(context: Context, folds: tuple[int, ...]) -> DataCheck:
    """Check the data as `data verify` does, without looking at pixels. Every slide is opened once.

    Magnifications that slides lack are said in one line.

    Raises:
        UsageError: No slide can be read.
        FindingsError: Something is wrong with the data, and the user did not accept it.
    """
    dataset, mpps = context.dataset, context.settings.view.mpps
    lacking: Counter[float] = Counter()

    def open_and_count(record: SlideRecord) -> Slide:
        slide = context.open_record(record)
        read = context.settings.view.read_at(slide.info.mpp)
        lacking.update(mpp for mpp in mpps if mpp not in read)
        return slide

    def report(done: int, total: int) -> None:
        context.report("checking slides", done, total)

    found = quick(dataset, mpps, folds, report, open_and_count)
    if dataset.records and len(found.unread) == len(dataset.records):
        raise UsageError(f"no slide can be read; {listed(found.unread)}")
    if not context.accept_findings:
        refuse(dataset.name, found.stopping, _verify_options(mpps, folds))
    if lacking:
        parts = ", ".join(f"{mpp:g} um/px on {number}" for mpp, number in sorted(lacking.items()))
        context.say(
            f"note: magnifications finer than the slide itself are not read: {parts} of {len(dataset.records)} slides "
            "(mpps)"
        )
    return DataCheck(dict(found.unread), [str(one) for one in found.findings if one.slide not in found.unread])


def _verify_options(mpps: tuple[float, ...], folds: tuple[int, ...]) -> str:
    """The options with which `data verify` looks at what this run asks for; "" where its defaults do."""
    own_mpps = "" if mpps == ViewSettings().mpps else f" --mpps {','.join(f'{mpp:g}' for mpp in mpps)}"
    return own_mpps + (f" --folds {len(folds)}" if len(folds) > 1 else "")


def readable_parts(
    dataset: Dataset, unreadable: Mapping[str, str], fold: int, n_folds: int
) -> dict[str, list[SlideRecord]]:
    """The readable slides of the parts "train", "val" and "test" of one fold.

    Raises:
        UsageError: A part has no readable slide.
    """
    parts = dataset.split(fold, n_folds)
    readable = {part: [r for r in records if r.id not in unreadable] for part, records in parts.items()}
    for part, records in readable.items():
        if not records:
            raise UsageError(
                f"dataset {dataset.name}: no readable slide in the {part} part of fold {fold}; add slides or "
                "change the split" + (f"; {listed(unreadable)}" if unreadable else "")
            )
    return readable
