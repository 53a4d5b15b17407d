"""Can the class of a mosaic be told without looking at tissue? Two small probes, trained and tested like a strategy."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.datasets.contract import Dataset, SlideRecord
from bench.datasets.evidence import load_evidence
from bench.datasets.generated.mosaic.settings import CROWDED
from bench.datasets.generated.mosaic.stain import DENSITY
from jsma.slides import Regions, SlideError, open_slide

CELL_PX = 32  # a cell of the grid, as the colour probe sees it
OVERVIEW_PX = 32  # both sides of what the overview probe sees
COMPONENTS = 20
ORDINARY = ""


def probe(dataset: Dataset, grid: tuple[int, int]) -> pd.DataFrame:
    """What two probes call the test mosaics: columns slide, label, patient, colour, overview.

    colour: a logistic regression on mean and spread of optical density of single cells. It learns from the outlines
    of the training part which cells are needles. A second one reads the largest score of every kind in a mosaic. It is
    told more than any strategy is, and sees no texture. overview: a logistic regression on the principal components
    of the whole mosaic at 32 x 32 px. Mosaics that cannot be read are left out; empty where a part has none left.

    Args:
        dataset: the mosaics, with a split.
        grid: columns and rows of cells.
    """
    parts = dataset.split(0, 1)
    seen = {part: [s for r in parts[part] if (s := _Seen.of(r, grid)) is not None] for part in ("train", "test")}
    train, test = seen["train"], seen["test"]
    if not test or len({s.record.label for s in train}) < 2:
        return pd.DataFrame(columns=["slide", "label", "patient", "colour", "overview"])
    return pd.DataFrame({
        "slide": [s.record.id for s in test],
        "label": [s.record.label for s in test],
        "patient": [s.record.patient or s.record.id for s in test],
        "colour": _by_colour(train, test),
        "overview": _by_overview(train, test),
    })  # fmt: skip


class _Seen:
    """A mosaic at CELL_PX a cell. colours: [cells, 6]; kinds: of the needle in each cell, or ORDINARY."""

    def __init__(self, record: SlideRecord, small: np.ndarray, colours: np.ndarray, kinds: list[str]):
        self.record, self.small, self.colours, self.kinds = record, small, colours, kinds

    @classmethod
    def of(cls, record: SlideRecord, grid: tuple[int, int]) -> _Seen | None:
        columns, rows = grid
        try:
            with open_slide(record.path, mpp=record.mpp) as slide:
                info = slide.info
                middle = np.array([[info.width0_px / 2, info.height0_px / 2]])
                mpp = np.array([info.mpp * info.width0_px / (columns * CELL_PX)])
                whole = slide.read(Regions(middle, mpp, columns * CELL_PX, rows * CELL_PX))[0][0]
            kinds = _kinds(record, (info.width0_px, info.height0_px), grid)
        except (SlideError, OSError):
            return None
        density = DENSITY[whole].reshape(rows, CELL_PX, columns, CELL_PX, 3)
        colours = np.concatenate([density.mean((1, 3)), density.std((1, 3))], axis=2).reshape(rows * columns, 6)
        small = cv2.resize(whole, (OVERVIEW_PX, OVERVIEW_PX), interpolation=cv2.INTER_AREA)
        return cls(record, small.reshape(-1).astype(float), colours, kinds)


def _kinds(record: SlideRecord, size0_px: tuple[int, int], grid: tuple[int, int]) -> list[str]:
    columns, rows = grid
    kinds = np.full(rows * columns, ORDINARY, dtype=object)
    if record.mask is not None:
        y, x = np.mgrid[:rows, :columns].reshape(2, -1) + 0.5
        centres0 = np.stack([x * size0_px[0] / columns, y * size0_px[1] / rows], axis=1)
        evidence = load_evidence(record.mask, *size0_px, record.scheme)
        for kind in evidence.areas:
            if kind != CROWDED:
                kinds[evidence.contains(centres0, kind)] = kind
    return kinds.tolist()


def _by_colour(train: Sequence[_Seen], test: Sequence[_Seen]) -> list[str]:
    cells, kinds = np.concatenate([s.colours for s in train]), [kind for s in train for kind in s.kinds]
    if len(set(kinds)) < 2:  # only the arrangement tells the classes apart, and colour knows nothing of it
        return [train[0].record.label] * len(test)
    one = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))
    one.fit(cells, kinds)
    most = [[one.predict_log_proba(s.colours).max(0) for s in some] for some in (train, test)]
    return _told(LogisticRegression(max_iter=2000), most, train)


def _by_overview(train: Sequence[_Seen], test: Sequence[_Seen]) -> list[str]:
    components = min(COMPONENTS, len(train) - 1)
    model = make_pipeline(PCA(components, random_state=0), StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    return _told(model, [[s.small for s in some] for some in (train, test)], train)


def _told(model: LogisticRegression | Pipeline, features: list[list[np.ndarray]], train: Sequence[_Seen]) -> list[str]:
    learner = make_pipeline(StandardScaler(), model)
    learner.fit(np.stack(features[0]), [s.record.label for s in train])
    return [str(label) for label in learner.predict(np.stack(features[1]))]
