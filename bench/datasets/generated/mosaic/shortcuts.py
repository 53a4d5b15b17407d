"""Can the class of a mosaic be told without tissue? Two small probes try to.

Each part of the set (train, val, test) is left out in turn and predicted from the other two. No patient, and no photo
where patients are not known, is in two parts: so this is a cross-validation by patient or photo.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.datasets.contract import PARTS, Dataset, SlideRecord
from bench.datasets.evidence import load_evidence
from bench.datasets.generated.mosaic.settings import CROWDED
from jsma.slides import Regions, SlideError, open_slide
from jsma.slides.stains import density_of

CELL_PX = 32  # side of a cell, as the colour probe sees it
OVERVIEW_PX = 32  # sides of the whole mosaic, as the overview probe sees it
COMPONENTS = 20
SMALLEST = 1e-9  # probability of which a logarithm is taken
ORDINARY = ""
COLUMNS = ["probe", "slide", "patient", "label", "predicted"]


@dataclass(frozen=True)
class Overview:
    """A mosaic from afar.

    Attributes:
        record: The mosaic.
        colours: Mean and spread of the optical density of R, G and B in every cell, float64 [cells, 6].
        kinds: Of the needle in every cell, or ORDINARY.
        small: The whole mosaic at OVERVIEW_PX x OVERVIEW_PX, float64 [OVERVIEW_PX^2 * 3].
    """

    record: SlideRecord
    colours: np.ndarray
    kinds: list[str]
    small: np.ndarray


def probe_mosaics(
    dataset: Dataset, grid: tuple[int, int], report: Callable[[int, int], None] | None = None
) -> pd.DataFrame:
    """What the two probes call every mosaic.

    The probe `colour` is a logistic regression on the colours of single cells, without texture. It learns from the
    outlines of the training mosaics which cells are needles. A second regression reads the largest score of every
    kind in a mosaic. This probe is told more than any strategy is. The probe `overview` is a logistic regression on
    the principal components of the whole mosaic at 32 x 32 px.

    Args:
        dataset: The mosaics, with a split.
        grid: Columns and rows of cells.
        report: Called with (mosaics looked at, all).

    Returns:
        A row for each probe and mosaic that can be read: probe, slide, patient, label, predicted.
    """
    seen: dict[str, list[Overview]] = {part: [] for part in PARTS}
    for number, record in enumerate(dataset.records):
        overview = look_from_afar(record, grid)
        if overview is not None and record.split in seen:
            seen[record.split].append(overview)
        if report:
            report(number + 1, len(dataset.records))
    rows = []
    for part in PARTS:
        train = [one for other in PARTS if other != part for one in seen[other]]
        if not seen[part] or len({one.record.label for one in train}) < 2:
            continue
        for name, predict in (("colour", _predict_by_colour), ("overview", _predict_by_overview)):
            for one, predicted in zip(seen[part], predict(train, seen[part]), strict=True):
                r = one.record
                rows.append((name, r.id, r.patient or r.id, r.label, predicted))
    return pd.DataFrame(rows, columns=COLUMNS)


def look_from_afar(record: SlideRecord, grid: tuple[int, int]) -> Overview | None:
    """The mosaic at CELL_PX a cell; None where it cannot be read."""
    columns, rows = grid
    try:
        with open_slide(record.path, mpp=record.mpp) as slide:
            info = slide.info
            middle0 = np.array([[info.width0_px / 2, info.height0_px / 2]])
            mpp = np.array([info.mpp * info.width0_px / (columns * CELL_PX)])
            whole = slide.read(Regions(middle0, mpp, columns * CELL_PX, rows * CELL_PX))[0][0]
        kinds = _needle_kinds(record, (info.width0_px, info.height0_px), grid)
    except (SlideError, OSError):
        return None
    density = density_of(whole).reshape(rows, CELL_PX, columns, CELL_PX, 3)
    colours = np.concatenate([density.mean((1, 3)), density.std((1, 3))], axis=2).reshape(rows * columns, 6)
    small = cv2.resize(whole, (OVERVIEW_PX, OVERVIEW_PX), interpolation=cv2.INTER_AREA)
    return Overview(record, colours, kinds, small.reshape(-1).astype(float))


def _needle_kinds(record: SlideRecord, size0_px: tuple[int, int], grid: tuple[int, int]) -> list[str]:
    """Kind of the needle in every cell, row by row; ORDINARY where there is none."""
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


def _predict_by_colour(train: Sequence[Overview], test: Sequence[Overview]) -> list[str]:
    """Labels of `test` from the largest score of every kind among the cells."""
    cells, kinds = np.concatenate([one.colours for one in train]), [kind for one in train for kind in one.kinds]
    if len(set(kinds)) < 2:  # no needles: only the arrangement differs, and colours of cells say nothing of it
        return [train[0].record.label] * len(test)
    score = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))
    score.fit(cells, kinds)
    scores = [[score.predict_proba(one.colours).max(0) for one in some] for some in (train, test)]
    largest = [[np.log(np.maximum(row, SMALLEST)) for row in some] for some in scores]
    return _predict(make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)), largest, train)


def _predict_by_overview(train: Sequence[Overview], test: Sequence[Overview]) -> list[str]:
    """Labels of `test` from the mosaics as a whole."""
    components = PCA(min(COMPONENTS, len(train) - 1), random_state=0)
    regression = LogisticRegression(C=0.1, max_iter=2000)
    learner = make_pipeline(StandardScaler(), components, StandardScaler(), regression)
    return _predict(learner, [[one.small for one in some] for some in (train, test)], train)


def _predict(learner: Pipeline, features: list[list[np.ndarray]], train: Sequence[Overview]) -> list[str]:
    """Labels of the second half of `features` by a learner that is fitted to the first."""
    learner.fit(np.stack(features[0]), [one.record.label for one in train])
    return [str(label) for label in learner.predict(np.stack(features[1]))]
