"""Nowhere, in memory or in a folder: a training spends and says the same to the last bit."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from baselines.contract import StrategySettings
from baselines.mean import MeanAll
from bench.datasets import SlideRecord
from bench.errors import UsageError
from bench.runs.settings.settings import TrainSettings
from bench.runs.stores import FeatureStores
from bench.runs.train import Labelled, Schedule, train
from jsma import JSMASettings
from jsma.encoders.encoder import EncoderSettings, build_encoder
from jsma.meter import Meter
from jsma.metered import Desk, MeteredSlide, ViewSettings
from jsma.slides import ArraySlide

VIEW = ViewSettings(mpps=(1.0, 2.0), patch_px=32, overview_mpp=8.0)


def train_with(stores, records, precision):
    """Train one epoch on slides that are arrays; (counters, charged seconds, weights, validation loss)."""
    encoder = build_encoder(EncoderSettings("test_resnet", pretrained=None, precision=precision), seed=0)
    desk = Desk(Meter(), encoder, VIEW, stores.of(encoder))
    items = []
    for n, record in enumerate(records):
        random = np.random.default_rng(n)
        pixels = np.array([150 + 20 * (n % 2), 40, 90], np.uint8) + random.integers(0, 20, (96, 128, 3), np.uint8)
        items.append(Labelled(MeteredSlide(record.id, lambda p=pixels: ArraySlide(p, 1.0), desk), n % 2))
    settings = StrategySettings(method=JSMASettings(mpps=VIEW.mpps))
    parts = {"train": items[:4], "val": items[4:]}
    found = train(
        lambda own, meter: MeanAll(own, encoder.dim, 2, meter), [settings], parts, desk, Schedule(TrainSettings(2))
    )
    stores.flush()
    counters = asdict(desk.meter.total())
    return counters, desk.meter.charged_s, found, stores.record(encoder, counters), stores.of(encoder)


@pytest.mark.parametrize("precision", ("float32", "float16"))
def test_where_features_are_kept_decides_nothing(tmp_path, precision):
    records = []
    for n in range(8):
        (tmp_path / f"{n}.tif").write_bytes(bytes([n]))  # its content is the key; its pixels are made up
        records.append(SlideRecord(str(tmp_path / f"{n}.tif"), "ab"[n % 2]))
    folder = str(tmp_path / "kept")
    places = ("memory", "fresh", folder, folder)
    found = [train_with(FeatureStores(where, records), records, precision) for where in places]
    expected = found[0]
    for counters, _, trained, record, _ in found:
        assert counters == expected[0] and counters["encoder_flops"] > 0
        assert trained.val_loss == expected[2].val_loss
        own, other = trained.strategy.state_dict(), expected[2].strategy.state_dict()
        assert all(torch.equal(own[name], other[name]) for name in other)
        assert record["bytes"] == expected[3]["bytes"] > 0
    assert [record["kept"] for _, _, _, record, _ in found] == ["memory", "fresh", "folder", "folder"]
    (first, again) = (store for *_, store in found[2:])
    assert first.unit.patches > 0 and again.unit.patches == 0 == again.unit.tiles
    assert again.price.patches == first.price.patches and again.taken > 0
    assert found[3][1] > 0 and len(found[3][3]["charged_at"]) == 1


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="it is there and holds no features; give a new folder or an empty one"):
        FeatureStores(str(tmp_path))


def test_16_bits_are_for_frozen_encoders_and_halve_the_room():
    with pytest.raises(ValueError, match="precision=float16 is for frozen encoders"):
        EncoderSettings("test_resnet", pretrained=None, frozen=False, precision="float16")
    patches = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    whole, half = (
        build_encoder(EncoderSettings("test_resnet", pretrained=None, precision=precision), seed=0)(patches)
        for precision in ("float32", "float16")
    )
    assert torch.equal(half, whole.half().float()) and not torch.equal(half, whole)
