"""What must hold of labelled slides, in one list that `data verify` and `run` share, and one finding."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One thing that must hold of labelled slides.

    Attributes:
        holds: What is true where nothing is found.
        quick: Whether `run` checks it too, before it trains.
        stops: Whether `run` goes on with a finding only if it is accepted. A slide that cannot be read is dropped and
            listed instead, and an incomplete copy is used as it is.
    """

    holds: str
    quick: bool = True
    stops: bool = True


CHECKS: dict[str, Check] = {
    "counts": Check("published number of slides in each class", stops=False),
    "incomplete": Check("every slide of the published lists is there", stops=False),
    "labels": Check("one label a slide, each written in one way"),
    "unreadable": Check("opens, is whole, decodes", stops=False),
    "no mpp": Check("um per pixel known", stops=False),
    "mpp": Check("um per pixel plausible, as the file says and as published, fine enough"),
    "too small": Check("an overview to look at", stops=False),
    "missing tiles": Check("every tile is stored", stops=False),
    "no tissue": Check("something to look at", quick=False),
    "black tiles": Check("no tile is black", stops=False),
    "white tiles": Check("no tile is white where there is tissue", quick=False),
    "exact duplicates": Check("no two slides are the same file, or have the same content"),
    "near duplicates": Check("no two slides look the same", quick=False),
    "patients": Check("no patient in two parts"),
    "parts": Check("parts can be made, and every class is in each of them"),
    "shortcuts": Check("of mosaics: neither colour nor the overview alone tells the class", quick=False),
    "missing masks": Check("every expected annotation is there"),
    "bad masks": Check("annotations can be read and lie on their slide"),
}
"""By name, in the order of the table."""
NOT_LOOKED_AT = "tissue, tiles, near duplicates, shortcuts"  # by `run`: they need pixels


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        check: Name in CHECKS.
        slide: The slide, class or patient that it is about.
        text: What is wrong.
    """

    check: str
    slide: str
    text: str

    @property
    def stops(self) -> bool:
        """Whether a run goes on only if the finding is accepted."""
        return CHECKS[self.check].stops

    def __str__(self) -> str:
        return f"{self.check}: {self.slide}: {self.text}"
