"""All checks of `data verify` together, as rows of one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from bench.datasets.contract import Dataset
from bench.datasets.inspect.verify import between_slides
from bench.datasets.inspect.verify.checks import CHECKS, Finding
from bench.datasets.inspect.verify.one_slide import Look, look
from bench.datasets.inspect.verify.quick import quick
from bench.datasets.splitting import folds_to_run
from jsma.checked import Count, Mpps, checked, in_order


@checked
class VerifySettings:
    """What a run will ask for, and how many tiles are looked at.

    The default magnifications are those of `jsma.metered.ViewSettings`. They stand here again because that module loads
    torch.

    Attributes:
        mpps: Magnifications, um/px, fine to coarse.
        tiles_per_level: Most tiles per level that are looked at; None: all.
        folds: How many of the drawn folds will be run.
    """

    mpps: Mpps = (0.5, 1.0, 2.0, 4.0)
    tiles_per_level: Count | None = 256
    folds: Count = 1

    def __post_init__(self) -> None:
        in_order(self.mpps)


@dataclass
class Verdict:
    """What was found.

    Attributes:
        slides: Number of slides.
        tiles: Number of tiles that were looked at.
        found: Check -> [(slide, text)].
        levels: Rows that say which level serves each magnification, and of how many slides.
        left_out: Reason -> number of slides.
    """

    slides: int = 0
    tiles: int = 0
    found: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: {check: [] for check in CHECKS})
    levels: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def add(self, findings: Iterable[Finding]) -> None:
        """Add findings."""
        for finding in findings:
            self.found[finding.check].append((finding.slide, finding.text))

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not any(self.found.values())

    def rows(self) -> list[dict[str, Any]]:
        """List the checks, one row each."""
        return [
            {
                "check": check,
                "what must hold": holds.holds,
                "found": len(self.found[check]),
                "first": ": ".join(self.found[check][0]) if self.found[check] else "-",
            }
            for check, holds in CHECKS.items()
        ]


def verify(dataset: Dataset, settings: VerifySettings, report: Callable[[int, int], None] | None = None) -> Verdict:
    """Check what `run` checks before it trains, then the pixels of every slide, then all slides against each other.

    Args:
        dataset: The slides.
        settings: What a run will ask for.
        report: Called with (done, total).

    Returns:
        What was found.
    """
    verdict = Verdict(slides=len(dataset.records), left_out=dict(Counter(dataset.left_out.values())))
    total = 2 * len(dataset.records)
    folds = folds_to_run(dataset.records, settings.folds)
    found = quick(dataset, settings.mpps, folds, (lambda done, _: report(done, total)) if report else None)
    verdict.add(found.findings)
    looks = []
    for number, record in enumerate(dataset.records):
        if record.id not in found.unread:
            seen = look(record, settings.mpps, settings.tiles_per_level)
            looks.append(seen)
            verdict.tiles += seen.tiles
            verdict.add(Finding(check, record.id, text) for check, text in seen.found.items())
        if report:
            report(len(dataset.records) + number + 1, total)
    verdict.add(between_slides.find_near_duplicates(looks, between_slides.parts_of(dataset)))
    verdict.levels = level_rows(looks, settings.mpps)
    return verdict


def level_rows(looks: list[Look], mpps: tuple[float, ...]) -> list[dict[str, Any]]:
    """List for each magnification how many slides serve it from which level, and at which resampling."""
    rows = []
    for asked in mpps:
        used = Counter()
        for seen in looks:
            if asked in seen.levels:
                level = seen.levels[asked]
                used[None if level is None else (level[0], round(level[1], 3))] += 1
        for key, slides in sorted(used.items(), key=lambda item: -item[1]):
            index, mpp = key if key is not None else (None, None)
            rows.append(
                {
                    "asked um/px": asked,
                    "level": "none: left out" if index is None else index,
                    "stored um/px": "-" if mpp is None else mpp,
                    "resampled": "-" if mpp is None else ("no" if asked / mpp <= 1.02 else f"x {asked / mpp:.2f}"),
                    "slides": slides,
                }
            )
    return rows
