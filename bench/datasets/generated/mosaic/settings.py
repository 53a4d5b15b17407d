"""Settings of needle mosaics, and the classes that follow from them."""

from __future__ import annotations

import itertools
from typing import Annotated, NamedTuple

from pydantic import Field

from jsma.checked import Count, Mpp, Seed, checked

NEGATIVE, CROWDED = "negative", "crowded"
TILE_STEP_PX = 16  # sides of tiles are multiples, so that levels 1/4 and 1/16 have whole pixels
PARTS_OF_TEN = ("train", "test", "train", "val", "train", "test", "train", "val", "train", "test")
MOSAICS_A_CLASS = 4  # the first four of a class lie in all three parts
Side = Annotated[int, Field(ge=2, le=200)]


class Kind(NamedTuple):
    """What decides the class of a mosaic: the label of its needles, and whether the crowd lies together."""

    needle: str | None
    crowded: bool

    @property
    def label(self) -> str:
        """Name of the class."""
        names = ([self.needle] if self.needle else []) + ([CROWDED] if self.crowded else [])
        return "+".join(names) or NEGATIVE


@checked
class MosaicSettings:
    """What is mixed.

    Attributes:
        positive: Labels of needles. Each is a class.
        negative: Labels of all other tiles.
        columns: Cells of the grid from left to right.
        rows: Cells of the grid from top to bottom.
        fewest: Needles of a positive mosaic at least.
        most: Needles of a positive mosaic at most.
        slides: Number of mosaics.
        seed: Of the parts of the photos, and of places, windows and turns of the tiles.
        tile_px: Side of a square tile. None: the short side of the smallest photo.
        mpp: Micrometres per pixel of the photos. None: as the table says.
        background: Share of the cells that are glass, 0..0.9.
        crowd: A negative label. Its tiles lie together in some classes and apart in the others, which is a second
            kind of evidence, visible from afar. None: there is none.
        match_stain: Whether every photo gets the stain that training photos have on average.
        test_stain: Change of the stain in the test part, -0.9..0.9.
        jpeg_quality: Of the pyramids, 1..100.
    """

    positive: tuple[str, ...]
    negative: tuple[str, ...]
    columns: Side = 8
    rows: Side = 8
    fewest: Count = 1
    most: Count = 3
    slides: Count = 100
    seed: Seed = 0
    tile_px: Annotated[int, Field(ge=64, le=8192, multiple_of=TILE_STEP_PX)] | None = None
    mpp: Mpp | None = None
    background: Annotated[float, Field(ge=0, le=0.9)] = 0.0
    crowd: str | None = None
    match_stain: bool = False
    test_stain: Annotated[float, Field(ge=-0.9, le=0.9)] = 0.0
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] = 90

    def __post_init__(self) -> None:
        _check_labels(self)
        if self.slides < (least := MOSAICS_A_CLASS * len(self.kinds)):
            raise ValueError(
                f"--slides {self.slides}; allowed: at least {least}, which is {MOSAICS_A_CLASS} of each of "
                f"{len(self.kinds)} classes, so that each class is in training, validation and test"
            )
        if self.fewest > self.most:
            raise ValueError(f"--needles {self.fewest}-{self.most}: the first number is above the second; swap them")
        if self.most > (room := self.tissue_cells - self.crowd_cells - 1):
            raise ValueError(
                f"--needles {self.fewest}-{self.most}: at most {room} fit beside other tissue on a grid of "
                f"{self.columns}x{self.rows}; give fewer, or a larger --grid"
            )
        if self.crowd is not None and (min(self.columns, self.rows) < 4 or self.background > 0):
            raise ValueError("--levels needs a --grid of 4x4 or more, and no --background; change one of them")

    @property
    def cells(self) -> int:
        """Number of cells of the grid."""
        return self.columns * self.rows

    @property
    def tissue_cells(self) -> int:
        """Number of cells that are no glass."""
        return self.cells - round(self.background * self.cells)

    @property
    def crowd_side(self) -> int:
        """Side of the square, in cells, in which the crowd lies together. 0 without a crowd."""
        return 0 if self.crowd is None else max(2, min(self.columns, self.rows) // 3)

    @property
    def crowd_cells(self) -> int:
        """Number of tiles of the crowd's label in every mosaic, together or apart."""
        return self.crowd_side**2

    @property
    def kinds(self) -> list[Kind]:
        """One kind for each class, in the order in which the mosaics take turns."""
        crowds = (False, True) if self.crowd is not None else (False,)
        return [Kind(*kind) for kind in itertools.product((None, *self.positive), crowds)]

    def kind(self, index: int) -> Kind:
        """Kind of mosaic `index`."""
        return self.kinds[index % len(self.kinds)]

    def part(self, index: int) -> str:
        """Part of mosaic `index`: of every ten of a class five train, two validate, three test."""
        return PARTS_OF_TEN[index // len(self.kinds) % 10]


def _check_labels(settings: MosaicSettings) -> None:
    """ValueError where the labels contradict each other."""
    positive, negative = settings.positive, settings.negative
    if not positive or not negative:
        raise ValueError("--positive and --negative each need at least one label of the table")
    if twice := [a for a in positive if a in negative or positive.count(a) > 1]:
        raise ValueError(f"--positive {','.join(positive)}: {twice[0]} is named twice; give each label one role")
    if taken := [a for a in positive if a.casefold() in (NEGATIVE, CROWDED)]:
        raise ValueError(f"--positive {taken[0]}: a class of mosaics has that name; rename the label in the table")
    if settings.crowd is not None and (settings.crowd not in negative or len(set(negative)) < 2):
        raise ValueError(
            f"--levels {settings.crowd}: it must be one label of --negative {','.join(negative)}, and another label "
            "must be left for the other tiles"
        )
