"""One labelled slide, and the card of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class SlideRecord:
    """One labelled slide.

    Attributes:
        path: The file that is read.
        label: Its class, one of the `classes` of the dataset.
        patient: Slides of one patient never fall in two parts that are drawn. None where it is not known.
        split: "train", "val" or "test"; None where the parts are drawn.
        fold: Number of the fold in which the slide is tested; None where folds are drawn.
        mpp: Micrometres per level-0 pixel, where the file's own value is absent or wrong.
        mask: File of the annotated evidence (`bench.datasets.evidence`). It need not exist.
        name: Published id of the slide.
        site: Where the slide comes from (centre, tissue source site).
        scheme: Name in `bench.datasets.evidence.SCHEMES` of how the labels in `mask` are read.
        source: The photo from which `path` was prepared.
        sites: Mask of the places where a generated slide may hold evidence.
    """

    path: str
    label: str
    patient: str | None = None
    split: str | None = None
    fold: int | None = None
    mpp: float | None = None
    mask: str | None = None
    name: str | None = None
    site: str | None = None
    scheme: str | None = None
    source: str | None = None
    sites: str | None = None

    @property
    def id(self) -> str:
        """Name of the slide: its published id, or else its path."""
        return self.name or self.path


@dataclass(frozen=True)
class Card:
    """What is declared about a dataset.

    Attributes:
        name: Name on the command line; of one file in `bench.datasets.known`.
        title: What the slides show, in a few words.
        version: Release or year of the published data.
        url: Where the data come from.
        licence: Of the data. `data fetch` asks for it once.
        citation: The publication to cite.
        classes: Labels, in the order of the logits.
        counts: Published number of slides per class; empty where nothing is published.
        size_bytes: Of the download; 0 for slides that are generated.
        mpp: Micrometres per level-0 pixel as published; None where it varies.
        metric: The metric that results on the data are published in.
        note: What else a user must know.
        ordered: The classes are grades, from the lowest to the highest. Then results have a quadratic kappa, in which
            a near miss counts less than a far one.
    """

    name: str
    title: str
    version: str
    url: str
    licence: str
    citation: str
    classes: tuple[str, ...]
    counts: Mapping[str, int]
    size_bytes: int
    mpp: float | None
    metric: str
    note: str = ""
    ordered: bool = False
