"""All checks together, as rows of one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.datasets.contract import Dataset
from bench.verify import compare
from bench.verify.look import Look, look

CHECKS: dict[str, str] = {
    "counts": "published number of slides in each class",
    "labels": "one valid label a slide, file there",
    "unreadable": "opens, is whole, decodes",
    "no mpp": "um per pixel known",
    "mpp": "um per pixel as published, fine enough",
    "too small": "an overview to look at",
    "no tissue": "something to look at",
    "missing tiles": "every tile is stored",
    "black tiles": "no tile is black",
    "white tiles": "no tile is white where there is tissue",
    "exact duplicates": "no two files are the same",
    "near duplicates": "no two slides look the same",
    "patients": "no patient in two parts",
    "missing masks": "every expected annotation is there",
    "bad masks": "annotations can be read and lie on their slide",
}
"""Check -> what holds where nothing is found."""


@dataclass(frozen=True)
class VerifySettings:
    """mpps: magnifications that a run will ask for, um/px; tiles_per_level: looked at, None: all."""

    mpps: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    tiles_per_level: int | None = 256


@dataclass
class Verdict:
    """What was found. found: check -> [(slide, text)]; levels: which level really serves each magnification."""

    slides: int = 0
    tiles: int = 0
    found: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: {check: [] for check in CHECKS})
    levels: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not any(self.found.values())

    def rows(self) -> list[dict[str, Any]]:
        """One row a check."""
        return [
            {
                "check": check,
                "what must hold": text,
                "found": len(self.found[check]),
                "first": ": ".join(self.found[check][0]) if self.found[check] else "-",
            }
            for check, text in CHECKS.items()
        ]


def verify(dataset: Dataset, settings: VerifySettings, report: Callable[[int, int], None] | None = None) -> Verdict:
    """Look at every slide of `dataset`, and compare them."""
    verdict = Verdict(slides=len(dataset.records), left_out=dict(Counter(dataset.left_out.values())))
    looks = []
    for number, record in enumerate(dataset.records):
        card_mpp = dataset.card.mpp if dataset.card and record.mpp is None else None
        seen = look(record, settings.mpps, settings.tiles_per_level, card_mpp)
        looks.append(seen)
        verdict.tiles += seen.tiles
        for check, text in seen.found.items():
            verdict.found[check].append((record.id, text))
        if report:
            report(number + 1, len(dataset.records))
    parts = compare.parts_of(dataset)
    for some in (
        compare.counted(dataset),
        compare.labelled(dataset),
        compare.patients(dataset, parts),
        compare.exact_duplicates(list(dataset.records), parts),
        compare.near_duplicates(looks, parts),
    ):
        for check, slide, text in some:
            verdict.found[check].append((slide, text))
    verdict.levels = level_rows(looks, settings.mpps)
    return verdict


def level_rows(looks: list[Look], mpps: tuple[float, ...]) -> list[dict[str, Any]]:
    """For each magnification asked: how many slides serve it from which level, at which resampling."""
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
