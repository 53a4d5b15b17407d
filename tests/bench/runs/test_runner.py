"""The runner: what is charged, what is shared, and slides that break half-way."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from baselines.contract import StrategySettings
from baselines.random import Random
from bench.datasets import SlideRecord
from bench.errors import UsageError
from bench.runs.feature_scale import calibrate
from bench.runs.kept.identity import RunKey
from bench.runs.settings.settings import TrainSettings
from bench.runs.settings.strategies import strategy_class
from bench.runs.train import Labelled, Schedule, train
from jsma import JSMASettings
from jsma.encoders.encoder import EncoderSettings, build_encoder
from jsma.meter import Meter
from jsma.metered import Desk, MeteredSlide, ViewSettings
from jsma.slides import DamagedSlideError, open_slide

VIEW = ViewSettings(mpps=(1.0, 2.0), patch_px=32, overview_mpp=4.0)


@pytest.fixture(scope="module")
def encoder():
    return build_encoder(EncoderSettings("test_resnet", pretrained=None), seed=0)


@pytest.fixture
def records(tmp_path):
    found = []
    for i in range(4):
        pixels = np.full((128, 192, 3), (150 + 10 * i, 40, 90), np.uint8)
        pixels[::2] += 20
        path = tmp_path / f"{i}.tif"
        tifffile.imwrite(
            path, pixels, photometric="rgb", tile=(64, 64), resolution=(1e4, 1e4), resolutionunit="CENTIMETER"
        )
        found.append(SlideRecord(str(path), "ab"[i % 2]))
    return found


def opener(record):
    return open_slide(record.path, in_process=True)


def test_calibration_is_counted_and_charged_to_a_run(encoder, records):
    found = calibrate(encoder, records, opener, VIEW, torch.device("cpu"))
    # 8 patches of each of 2 magnifications, from each of 4 slides
    assert found.counters.patches == 4 * 16 and found.counters.encoder_flops > 0
    assert found.scale.mean.shape == (3, encoder.dim) and float(found.scale.mean.abs().sum()) > 0
    meter = Meter()
    found.charge(meter)
    assert meter.total() == found.counters and meter.charged_s == pytest.approx(sum(found.seconds.values()))


def test_an_unreadable_slide_does_not_stop_calibration(encoder, records):
    def sometimes(record):
        if record is records[1]:
            raise DamagedSlideError("broken")
        return opener(record)

    assert calibrate(encoder, records, sometimes, VIEW, torch.device("cpu")).counters.patches == 3 * 16


def test_a_slide_that_breaks_while_training_is_dropped_and_named(encoder, records):
    meter = Meter()
    desk = Desk(meter, encoder, VIEW)
    items = [Labelled(MeteredSlide(r.id, lambda r=r: opener(r), desk), i % 2) for i, r in enumerate(records)]
    for item in items:
        _ = item.slide.view
    opened = items[3].slide._open()

    def broken(regions):
        raise DamagedSlideError("tile row 1 col 1 of level 0 decodes to all black")

    opened.read = broken
    settings = StrategySettings(method=JSMASettings(n_patches=3, mpps=VIEW.mpps))

    def build(chosen, its_meter):
        return Random(chosen, encoder.dim, 2, its_meter)

    trained = train(build, [settings], {"train": items[1:], "val": items[:1]}, desk, Schedule(TrainSettings(epochs=2)))
    assert list(trained.dropped) == [records[3].id] and "all black" in trained.dropped[records[3].id]
    assert len(trained.curve) == 2 and all(np.isfinite(row["train_loss"]) for row in trained.curve)


def test_a_strategy_of_ones_own_comes_from_its_file_and_its_code_is_part_of_the_run(tmp_path):
    own = tmp_path / "mine.py"
    own.write_text((Path(__file__).parents[2] / "baselines" / "mine.py").read_text())
    assert strategy_class(f"{own}:Mine").name == "mine"
    for target, words in ((f"{own}:Yours", "there is: Mine"), ("gone.py:Mine", "no such file"), ("nope", "there are")):
        with pytest.raises(UsageError, match=words):
            strategy_class(target)
    own.write_text("1 / 0")
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        strategy_class(f"{own}:Mine")


def test_the_code_of_ones_own_strategy_changes_the_run():
    one, two = (RunKey("d", "h", "mine", 0, 0, {}, code) for code in ("a", "b"))
    assert one.name != two.name
