"""Which tile lies where in a mosaic. The seed and the number of the mosaic decide, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.datasets.generated.mosaic.photos import Photo
from bench.datasets.generated.mosaic.settings import MosaicSettings
from jsma.slides.stains import Moments

TURNS = 8  # quarter turns, mirrored or not
Cell = tuple[int, int]  # (column, row)


@dataclass(frozen=True)
class Material:
    """What all mosaics of a set are made of.

    Attributes:
        settings: Of the set.
        photos: All that are used.
        tile_px: Side of a tile.
        mpp: Micrometres per pixel.
        target: Stain that every photo gets. None: photos stay as they are.
    """

    settings: MosaicSettings
    photos: tuple[Photo, ...]
    tile_px: int
    mpp: float
    target: Moments | None

    @cached_property
    def pools(self) -> dict[tuple[str, str], list[int]]:
        """(part, label) -> positions of its photos."""
        found: dict[tuple[str, str], list[int]] = {}
        for k, photo in enumerate(self.photos):
            found.setdefault((photo.part, photo.label), []).append(k)
        return found


@dataclass(frozen=True)
class Tile:
    """What lies in one cell.

    Attributes:
        column: Of the cell.
        row: Of the cell.
        photo: Position among the photos.
        x_px: Left edge of the window in the photo.
        y_px: Upper edge of the window in the photo.
        turn: 0..3 quarter turns to the left, 4..7 the same of the mirrored window.
    """

    column: int
    row: int
    photo: int
    x_px: int
    y_px: int
    turn: int


@dataclass(frozen=True)
class Mosaic:
    """One planned mosaic.

    Attributes:
        index: Its number.
        part: train, val or test.
        label: Its class.
        needle: Label of its needles. None: it has none.
        group: Patient (or photo) that all its needles come from, or all its decoys where it has no needle.
        tiles: Of all cells that are no glass.
        needles: Cells of the needles.
        crowd: Cells of the crowd where it lies together.
    """

    index: int
    part: str
    label: str
    needle: str | None
    group: str
    tiles: tuple[Tile, ...]
    needles: tuple[Cell, ...]
    crowd: tuple[Cell, ...]


def plan_mosaic(material: Material, index: int) -> Mosaic:
    """Plan mosaic `index`.

    All needles come from one patient (or photo), as those of a slide do. A mosaic without needles has decoys in their
    place: as many tiles from one patient (or photo) of a negative label. So a photo that is seen twice says nothing.
    """
    settings, photos = material.settings, material.photos
    rng = np.random.default_rng([settings.seed, index])
    kind, part = settings.kind(index), settings.part(index)
    plain = [k for n in dict.fromkeys(settings.negative) if n != settings.crowd for k in material.pools[part, n]]
    crowd = _crowd_cells(settings, kind.crowded, rng)
    free = [cell for cell in _tissue_cells(settings, rng) if cell not in set(crowd)]
    number = int(rng.integers(settings.fewest, settings.most + 1))
    special = [free[k] for k in rng.choice(len(free), number, replace=False)]
    others = [cell for cell in free if cell not in set(special)]

    pool = plain if kind.needle is None else material.pools[part, kind.needle]
    groups = sorted({photos[k].group for k in pool})
    group = groups[int(rng.integers(len(groups)))]
    own = [k for k in pool if photos[k].group == group]
    rest = [k for k in plain if photos[k].group != group] or plain

    chosen = dict(zip(special, _deal(own, number, rng), strict=True))
    chosen.update(zip(others, _deal(rest, len(others), rng), strict=True))
    if crowd:
        chosen.update(zip(crowd, _deal(material.pools[part, str(settings.crowd)], len(crowd), rng), strict=True))
    in_order = sorted(chosen.items(), key=lambda item: item[0][::-1])
    tiles = tuple(_cut_tile(material, cell, k, rng) for cell, k in in_order)
    needles = tuple(special) if kind.needle is not None else ()
    return Mosaic(index, part, kind.label, kind.needle, group, tiles, needles, tuple(crowd) if kind.crowded else ())


def _deal(pool: Sequence[int], number: int, rng: np.random.Generator) -> list[int]:
    """`number` photos of the pool. None comes again before all others came as often."""
    rounds = -(-number // len(pool))
    return [int(k) for _ in range(rounds) for k in rng.permutation(pool)][:number]


def _cut_tile(material: Material, cell: Cell, k: int, rng: np.random.Generator) -> Tile:
    """A window somewhere in photo `k`, turned somehow."""
    photo = material.photos[k]
    x_px = int(rng.integers(photo.width_px - material.tile_px + 1))
    y_px = int(rng.integers(photo.height_px - material.tile_px + 1))
    return Tile(*cell, k, x_px, y_px, int(rng.integers(TURNS)))


def _tissue_cells(settings: MosaicSettings, rng: np.random.Generator) -> list[Cell]:
    """Cells that are no glass: those nearest to a random middle, with a ragged edge."""
    cells = [(c, r) for r in range(settings.rows) for c in range(settings.columns)]
    if settings.tissue_cells == settings.cells:
        return cells
    middle = rng.uniform(0.3, 0.7, 2)
    places = (np.array(cells) + 0.5) / [settings.columns, settings.rows]
    distance = np.hypot(*(places - middle).T) + rng.normal(0, 0.05, len(cells))
    return [cells[k] for k in sorted(np.argsort(distance, kind="stable")[: settings.tissue_cells])]


def _crowd_cells(settings: MosaicSettings, together: bool, rng: np.random.Generator) -> list[Cell]:
    """Cells of the crowd's label: a square somewhere, or as many cells of which no two touch."""
    side = settings.crowd_side
    if side == 0:
        return []
    if together:
        x, y = int(rng.integers(settings.columns - side + 1)), int(rng.integers(settings.rows - side + 1))
        return [(x + i, y + j) for j in range(side) for i in range(side)]
    x, y = (int(v) for v in rng.integers(0, 2, 2))
    apart = [(c, r) for r in range(y, settings.rows, 2) for c in range(x, settings.columns, 2)]
    return [apart[k] for k in rng.choice(len(apart), side**2, replace=False)]
