"""Inference: every slide has draws of its own."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from baselines.contract import Outcome, Strategy, StrategySettings
from bench.datasets import Dataset, SlideRecord
from bench.runs.context import Context
from bench.runs.infer import Contestant, infer, sampling_seed
from bench.runs.result import Incidents
from bench.runs.settings.settings import RunSettings
from jsma.encoders.encoder import EncoderSettings, build_encoder
from jsma.meter import Meter
from jsma.metered import ViewSettings
from jsma.slides import open_slide

VIEW = ViewSettings(mpps=(1.0, 2.0), patch_px=32, overview_mpp=4.0)


class Dice(Strategy):
    """Logits that are nothing but the draw."""

    name, source = "dice", "this test"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, slides, generator):
        return [Outcome(torch.rand(2, generator=generator)) for _ in slides]


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("infer")
    pixels = np.full((128, 128, 3), 200, np.uint8)
    pixels[..., 1] = 90
    tifffile.imwrite(
        folder / "0.tif", pixels, photometric="rgb", tile=(64, 64), resolution=(1e4, 1e4), resolutionunit="CENTIMETER"
    )
    for n in (1, 2):
        shutil.copy(folder / "0.tif", folder / f"{n}.tif")
    return [SlideRecord(str(folder / f"{n}.tif"), "a") for n in range(3)]


def said(records, seed):
    encoder = build_encoder(EncoderSettings("test_resnet", pretrained=None), seed=0)
    dice = Contestant(Dice(StrategySettings(), encoder.dim, 2, Meter()), encoder)
    data = Dataset("d", ("a", "b"), tuple(records))
    context = Context(data, RunSettings(view=VIEW), Path(), open_record=lambda r: open_slide(r.path, in_process=True))
    found = infer({"dice": dice}, records, context, seed)
    assert found.incidents == Incidents()
    return {row["slide"]: row["prob_a"] for row in found.rows["dice"]}


def test_equal_slides_are_drawn_apart_and_a_slide_the_same_whatever_is_beside_it(records):
    together = said(records, 0)
    assert len(set(together.values())) == 3
    assert said(records[2:], 0) == {records[2].id: together[records[2].id]}
    other = said(records, 1)
    assert all(other[name] != together[name] for name in together)


def test_a_sampling_seed_is_that_of_the_run_and_the_slide():
    seeds = {sampling_seed(seed, slide) for seed in range(50) for slide in ("a", "b", "1/a")}
    assert len(seeds) == 150 and all(0 <= s < 2**63 for s in seeds)
    assert sampling_seed(3, "s") == sampling_seed(3, "s")
