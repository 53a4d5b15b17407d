"""A linear probe on true evidence: what does each magnification give away? Used by the design's tests."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.datasets.generated.demo import DemoSettings
from bench.datasets.generated.demo.scene import SITE_RADIUS0, make_scene
from jsma.cells.grid import CellGrid
from jsma.encoders.encoder import EncoderSettings, build_encoder
from jsma.slides import Regions, open_slide

MPPS = (0.5, 1.0, 2.0, 4.0)
PATCH_PX = 64
WHOLE0 = SITE_RADIUS0 + 50  # whole sites: a tighter disc cuts off spaced glands only, which is no evidence


@dataclass
class Probed:
    """Per slide: label, mean feature of the candidate sites by magnification, colour statistics, overview."""

    label: np.ndarray
    sites: np.ndarray  # [n, 4, 2 * dim]: mean over the architecture and over the cytology candidates
    colour: np.ndarray
    overview: np.ndarray


def probe(folder: Path, settings: DemoSettings) -> Probed:
    """Features of every slide in `folder`, read through the readers like any slide."""
    encoder = build_encoder(EncoderSettings("tf_efficientnet_lite0", "package"))
    with (folder / "labels.csv").open() as handle:
        records = list(csv.DictReader(handle))
    rows = [_slide(folder / r["path"], settings, i, encoder) for i, r in enumerate(records)]
    sites, colour, overview = (np.stack(part) for part in zip(*rows, strict=True))
    return Probed(np.array([r["label"] for r in records]), sites, colour, overview)


def _slide(path: Path, settings: DemoSettings, index: int, encoder) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scene = make_scene(settings, index)
    with open_slide(path) as slide:
        info = slide.info
        grid = CellGrid(info.width0_px, info.height0_px, info.mpp, MPPS, PATCH_PX, strides=(1.0, 1.0, 0.5, 0.5))
        centres0 = grid.centres0(np.arange(grid.n_cells))
        per_kind = []
        for kind in ("architecture", "cytology"):
            near = np.sqrt(((centres0[:, None] - scene.candidates[kind][None]) ** 2).sum(-1)).min(1)
            inside = np.flatnonzero(near < WHOLE0)
            with torch.no_grad():
                pixels = slide.read(Regions(centres0[inside], grid.mpp_of(inside), PATCH_PX, PATCH_PX))[0]
                features = encoder(torch.from_numpy(np.array(pixels))).numpy()
            m = grid.decode(inside)[0]
            per_kind.append(np.stack([_mean(features[m == k], encoder.dim) for k in range(len(MPPS))]))
        side0 = np.array([[info.width0_px / 2, info.height0_px / 2]])
        side_px = round(info.width0_px * info.mpp / 8)
        overview = np.array(slide.read(Regions(side0, 8.0, side_px, side_px))[0])
        with torch.no_grad():
            seen = encoder(torch.from_numpy(overview))[0].numpy()
    flat = overview.reshape(-1, 3).astype(float)
    tissue = flat[flat.min(axis=1) < 215]
    colour = np.concatenate([tissue.mean(0), tissue.std(0), *np.percentile(tissue, [5, 25, 50, 75, 95], axis=0)])
    return np.concatenate(per_kind, axis=1), colour, seen


def _mean(features: np.ndarray, dim: int) -> np.ndarray:
    return features.mean(0) if len(features) else np.zeros(dim)


def predictions(features: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Cross-validated predictions of a logistic regression on standardised features."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return cross_val_predict(model, features, label, cv=folds)


def accuracy(features: np.ndarray, label: np.ndarray) -> float:
    """Share of right `predictions`."""
    return float((predictions(features, label) == label).mean())
