"""Snapshots: what a strategy looked at on a few test slides, kept beside its run for the report. Nothing is metered.

The overview and the cells are those of the timed inference. The patches and a thumbnail are read once more, after
all strategies were timed on the slide and outside of every meter.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from bench.files import write_with
from bench.runs.layout import LABEL, PREDICTED, SLIDE, class_of_column
from jsma.slides import Regions, Slide

if TYPE_CHECKING:  # whoever draws a report from what was kept needs neither
    from baselines.contract import Outcome
    from bench.datasets import SlideRecord
    from jsma.metered import SlideView

SLIDES, SEED = 3, 0  # how many slides of a run, and of which training seed
MOST_PATCHES, MOST_CELLS, MAP_SIDE, THUMBNAIL_PX = 32, 1024, 256, 384


@dataclass(frozen=True)
class Snapshot:
    """One slide as one strategy saw it.

    Attributes:
        slide: Id of the slide.
        label: Its class.
        predicted: The class that the strategy gave it.
        probabilities: Class -> 0..1.
        mpps: The magnifications, um/px.
        n_patches: How many patches were used.
        size0_px: Width and height of the slide in level-0 pixels.
        overview: uint8 [h, w, 3], what the strategy saw.
        thumbnail: uint8 [h, w, 3], the slide for people, finer.
        cells0: [min(n_patches, 1024), 4] x, y, width and height of the patches in level-0 pixels, in draw order.
        cell_mpps: um/px of each of them.
        patches: uint8 [n <= 32, P, P, 3], the first of them.
        attention: Per magnification the map [rows, columns] of probabilities. Blocks are summed where a side would pass
            256. Empty where nothing is drawn.
        map0: Per magnification (width, height) in level-0 pixels that the map covers.
    """

    slide: str
    label: str
    predicted: str
    probabilities: dict[str, float]
    mpps: tuple[float, ...]
    n_patches: int
    size0_px: tuple[int, int]
    overview: np.ndarray
    thumbnail: np.ndarray
    cells0: np.ndarray
    cell_mpps: np.ndarray
    patches: np.ndarray
    attention: tuple[np.ndarray, ...]
    map0: tuple[tuple[float, float], ...]


@dataclass
class Album:
    """Snapshots of one run.

    Attributes:
        slides: Ids of the slides that are pictured.
        snapshots: Those that were taken.
        pending: What the last inference saw, until the patches are read.
    """

    slides: frozenset[str]
    snapshots: list[Snapshot] = field(default_factory=list)
    pending: tuple[SlideView, Outcome, dict[str, Any]] | None = None

    def note(self, view: SlideView, outcome: Outcome, row: dict[str, Any]) -> None:
        """Remember an inference, if its slide is pictured. Nothing is read.

        Args:
            view: What the strategy saw.
            outcome: What it said.
            row: Its prediction, as it is kept.
        """
        self.pending = (view, outcome, row) if row[SLIDE] in self.slides else None


def pictured_slides(records: Sequence[SlideRecord], seed: int) -> frozenset[str]:
    """Ids of the first test slides, of each class in turn; none for other seeds than the first."""
    by_class: dict[str, list[str]] = {}
    for record in records:
        by_class.setdefault(record.label, []).append(record.id)
    rounds = max((len(ids) for ids in by_class.values()), default=0)
    in_turn = [ids[k] for k in range(rounds) for ids in by_class.values() if k < len(ids)]
    return frozenset(in_turn[:SLIDES] if seed == SEED else ())


def fill_albums(albums: Iterable[Album], slide: Slide) -> None:
    """Turn what is pending into snapshots: patches and thumbnail are read from `slide`, unmetered."""
    thumbnail: np.ndarray | None = None
    for album in albums:
        if album.pending is not None:
            thumbnail = slide.thumbnail(THUMBNAIL_PX)[0] if thumbnail is None else thumbnail
            album.snapshots.append(_snapshot(*album.pending, thumbnail, slide))
            album.pending = None


def _snapshot(view: SlideView, outcome: Outcome, row: dict[str, Any], thumbnail: np.ndarray, slide: Slide) -> Snapshot:
    grid = view.grid
    cells = np.zeros(0, np.int64) if outcome.cells is None else outcome.cells.cpu().numpy()
    shown, first = cells[:MOST_CELLS], cells[:MOST_PATCHES]
    centres0, mpps = grid.centres0(shown), grid.mpp_of(shown)
    side0 = (grid.patch_px * mpps / grid.mpp0)[:, None]
    patches = np.zeros((0, grid.patch_px, grid.patch_px, 3), np.uint8)
    if len(first):
        regions = Regions(grid.centres0(first), grid.mpp_of(first), grid.patch_px, grid.patch_px)
        patches = np.array(slide.read(regions)[0])
    maps = [] if outcome.attention is None else _maps(outcome.attention.cpu().numpy(), view)
    return Snapshot(
        row[SLIDE],
        row[LABEL],
        row[PREDICTED],
        {name: float(value) for key, value in row.items() if (name := class_of_column(key)) is not None},
        grid.mpps,
        len(cells),
        (grid.width0_px, grid.height0_px),
        view.overview,
        thumbnail,
        np.hstack([centres0 - side0 / 2, side0, side0]),
        mpps,
        patches,
        tuple(m for m, _ in maps),
        tuple(size for _, size in maps),
    )


def _maps(attention: np.ndarray, view: SlideView) -> list[tuple[np.ndarray, tuple[float, float]]]:
    """Per magnification the map and what it covers, (width, height) in level-0 pixels."""
    grid, found = view.grid, []
    for part, (rows, columns), cell0 in zip(grid.slices, grid.shapes, grid.cell0, strict=True):
        k = math.ceil(max(rows, columns) / MAP_SIDE)
        padded = np.pad(attention[part].reshape(rows, columns), ((0, -rows % k), (0, -columns % k)))
        blocks = padded.reshape(padded.shape[0] // k, k, padded.shape[1] // k, k).sum((1, 3))
        found.append((blocks.astype(np.float32), (padded.shape[1] * cell0, padded.shape[0] * cell0)))
    return found


def write_snapshots(snapshots: Sequence[Snapshot], path: Path) -> None:
    """`dump` to a file, whole or not at all."""
    write_with(path, lambda handle: dump(snapshots, handle))


def dump(snapshots: Sequence[Snapshot], handle: IO[bytes]) -> None:
    """Write snapshots as one compressed .npz: arrays by number, the rest as JSON."""
    arrays: dict[str, Any] = {}
    plain = []
    for k, one in enumerate(snapshots):
        rest = {**vars(one)}
        for name in ("overview", "thumbnail", "cells0", "cell_mpps", "patches"):
            arrays[f"{k}_{name}"] = rest.pop(name)
        for m, values in enumerate(rest.pop("attention")):
            arrays[f"{k}_attention_{m}"] = values
        plain.append(rest)
    np.savez_compressed(handle, about=np.array(json.dumps(plain)), **arrays)


def read_snapshots(path: Path) -> list[Snapshot]:
    """The snapshots in the file `path`; none where there is no such file.

    Raises:
        OSError, ValueError, KeyError: The file is damaged.
    """
    return parse_snapshots(path.read_bytes()) if path.is_file() else []


def parse_snapshots(content: bytes) -> list[Snapshot]:
    """The snapshots that `dump` wrote as `content`."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        found = []
        for k, rest in enumerate(json.loads(str(file["about"]))):
            names = ("overview", "thumbnail", "cells0", "cell_mpps", "patches")
            arrays = {name: file[f"{k}_{name}"] for name in names}
            maps = tuple(file[f"{k}_attention_{m}"] for m in range(len(rest["map0"])))
            rest["mpps"], rest["size0_px"] = tuple(rest["mpps"]), tuple(rest["size0_px"])
            rest["map0"] = tuple(tuple(size) for size in rest["map0"])
            found.append(Snapshot(**rest, **arrays, attention=maps))
        return found
