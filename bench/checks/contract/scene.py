"""Slides in memory on which a strategy is checked. They note what it does with them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.contract import Strategy, StrategySettings
from bench.datasets import SlideRecord
from bench.runs.feature_scale import calibrate
from jsma import JSMASettings
from jsma.cells.grid import CellGrid
from jsma.encoders.encoder import Encoder, EncoderSettings, build_encoder
from jsma.meter import Meter
from jsma.metered import Desk, MeteredSlide, ViewSettings
from jsma.metered.store import FeatureStore
from jsma.networks.feature_scale import FeatureScale
from jsma.slides import ArraySlide, Regions

MPPS, PATCH_PX, MPP0 = (1.0, 2.0, 4.0), 32, 1.0
VIEW = ViewSettings(mpps=MPPS, patch_px=PATCH_PX, overview_mpp=8.0)
SETTINGS = StrategySettings(JSMASettings(n_patches=5, mpps=MPPS), 2.0)
QUICK = {"topk_samples": 100, "first_look": 2}
"""Options that make a check quick and a strategy that looks again do so, for those that have them."""
COLOURS = ((205, 120, 165), (135, 75, 150))  # RGB of the tissue of either class: any patch tells which
WIDTH0_PX, HEIGHT0_PX = 256, 192  # of all slides but one, which lies the other way


class CountingSlide(ArraySlide):
    """A slide in memory that counts the pixels it hands out, whoever asks."""

    def __init__(self, array: np.ndarray) -> None:
        super().__init__(array, MPP0)
        self.output_px = 0

    def read(self, regions: Regions) -> Any:
        """See `Slide`."""
        self.output_px += len(regions) * regions.width_px * regions.height_px
        return super().read(regions)


class Watched(MeteredSlide):
    """A metered slide that remembers which cells were asked for. Its id names a file that is not there."""

    def __init__(self, record: SlideRecord, pixels: np.ndarray, desk: Desk, strategy: type[Strategy]):
        self.source, self.asked, self.label = CountingSlide(pixels), list[Tensor](), int(record.label)
        evidence = mark_left_half if record.label == "0" else mark_nothing
        super().__init__(record.id, lambda: self.source, desk, None, evidence if strategy.uses_evidence else None)

    def asked_for(self, flat: np.ndarray) -> None:
        """See `MeteredSlide`."""
        self.asked.append(torch.from_numpy(flat))
        super().asked_for(flat)

    @property
    def read_cells(self) -> Tensor:
        """Distinct cells that were asked for since the slide was made, long [n]."""
        return torch.cat([*self.asked, torch.empty(0, dtype=torch.long)]).unique()


def options_of(strategy: type[Strategy]) -> Any:
    """Choose the options of a strategy on the scene."""
    own = {field.name for field in fields(strategy.options_class)}
    return strategy.options_class(**{name: value for name, value in QUICK.items() if name in own})


def mark_left_half(grid: CellGrid) -> np.ndarray:
    """Evidence on the left half of a slide."""
    return (grid.centres0(np.arange(grid.n_cells))[:, 0] < grid.width0_px / 2).astype(float)


def mark_nothing(grid: CellGrid) -> None:
    """A slide without annotation."""


@dataclass(frozen=True)
class Scene:
    """Slides of two classes that differ in the colour of their tissue.

    Attributes:
        train: slides to train on, evenly of both classes, all of one geometry.
        test: as many others of that kind.
        other: one slide of another geometry.
        pixels: the slides as arrays [height, width, 3], by id.
        encoder: a small one with random weights.
        scale: of its features.
        store: keeps features once computed.
    """

    train: tuple[SlideRecord, ...]
    test: tuple[SlideRecord, ...]
    other: tuple[SlideRecord, ...]
    pixels: dict[str, np.ndarray]
    encoder: Encoder
    scale: FeatureScale
    store: FeatureStore

    def slides(
        self, part: tuple[SlideRecord, ...], strategy: type[Strategy], meter: Meter, store: bool = True
    ) -> list[Watched]:
        """Slides that nobody has looked at yet, metered by `meter`; `store`: features once computed are kept."""
        desk = Desk(meter, self.encoder, VIEW, self.store if store else None, self.scale)
        return [Watched(record, self.pixels[record.id], desk, strategy) for record in part]


@lru_cache(maxsize=1)
def make_scene() -> Scene:
    """The scene, made once a process."""
    rng = np.random.default_rng(0)
    pixels: dict[str, np.ndarray] = {}
    records = []
    for i in range(9):
        width, height = (HEIGHT0_PX, WIDTH0_PX) if i == 8 else (WIDTH0_PX, HEIGHT0_PX)
        array = np.full((height, width, 3), 245, np.uint8)
        tissue = np.array(COLOURS[i % 2]) + rng.normal(0, 12, (height - 40, width - 40, 3))
        array[20:-20, 20:-20] = tissue.clip(0, 255).astype(np.uint8)
        records.append(SlideRecord(f"no-such-folder/{i}.tif", str(i % 2)))
        pixels[records[-1].id] = array
    encoder = build_encoder(EncoderSettings("test_resnet", pretrained=None), seed=0)
    train, test, other = tuple(records[:4]), tuple(records[4:8]), tuple(records[8:])
    scale = calibrate(encoder, list(train), lambda r: ArraySlide(pixels[r.id], MPP0), VIEW, torch.device("cpu")).scale
    return Scene(train, test, other, pixels, encoder, scale, FeatureStore(encoder.dim))


def with_patches(n_patches: int) -> StrategySettings:
    """The settings of the checks with another number of patches."""
    return replace(SETTINGS, method=replace(SETTINGS.method, n_patches=n_patches))
