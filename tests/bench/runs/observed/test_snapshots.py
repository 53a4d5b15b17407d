"""Snapshots: what was seen is kept, of the slides that were chosen, and costs nothing that is counted."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from baselines.contract import StrategySettings
from bench.datasets import Dataset, SlideRecord
from bench.runs.context import Context
from bench.runs.infer import Contestant, infer
from bench.runs.observed.snapshots import pictured_slides, read_snapshots, write_snapshots
from bench.runs.settings.settings import RunSettings
from bench.runs.settings.strategies import strategy_class
from jsma import JSMASettings
from jsma.encoders.encoder import EncoderSettings, build_encoder
from jsma.meter import Counters, Meter
from jsma.metered import ViewSettings
from jsma.slides import DamagedSlideError, Regions, open_slide

VIEW = ViewSettings(mpps=(1.0, 2.0), patch_px=32, overview_mpp=4.0)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    path = tmp_path_factory.mktemp("looks") / "a.tif"
    pixels = np.random.default_rng(0).integers(60, 180, (192, 250, 3)).astype(np.uint8)
    pixels[..., 0] = 200
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(64, 64), resolution=(1e4, 1e4), resolutionunit="CENTIMETER")
    return SlideRecord(str(path), "a")


def inferred(record, names, pictured, open_it=None):
    encoder = build_encoder(EncoderSettings("test_resnet", pretrained=None), seed=0)
    settings = StrategySettings(method=JSMASettings(n_patches=5, mpps=VIEW.mpps), mpp=1.0)
    contestants = {}
    for name in names:
        torch.manual_seed(0)
        strategy = strategy_class(name)(settings, encoder.dim, 2, Meter())
        contestants[name] = Contestant(strategy, encoder)
    dataset = Dataset("d", ("a", "b"), (record,))
    open_it = open_it or (lambda r: open_slide(r.path, in_process=True))
    context = Context(dataset, RunSettings(view=VIEW), Path(), open_record=open_it)
    found = infer(contestants, [record], context, 0, frozenset(pictured))
    assert not found.incidents.failed
    return found


def test_a_snapshot_is_what_was_read_and_changes_no_counter(record, tmp_path):
    names = ("jsma", "exhaustive", "overview")
    pictured, without = inferred(record, names, [record.id]), inferred(record, names, [])
    assert not any(without.snapshots.values())
    for name in names:
        (kept,), (plain,) = pictured.rows[name], without.rows[name]
        for counter in vars(Counters()):
            assert kept[counter] == plain[counter], (name, counter)
    (one,) = pictured.snapshots["jsma"]
    assert one.n_patches == len(one.cells0) == len(one.patches) == 5
    assert sum(float(m.sum()) for m in one.attention) == pytest.approx(1, abs=1e-5)
    assert one.probabilities[one.predicted] == max(one.probabilities.values()) and one.label == "a"
    with open_slide(record.path, in_process=True) as slide:
        centres0 = one.cells0[:, :2] + one.cells0[:, 2:] / 2
        expected = slide.read(Regions(centres0, one.cell_mpps, 32, 32))[0]
    assert np.array_equal(one.patches, expected)
    assert pictured.snapshots["exhaustive"][0].attention == () and len(pictured.snapshots["overview"][0].patches) == 0
    write_snapshots([one, pictured.snapshots["overview"][0]], tmp_path / "looks.npz")
    again = read_snapshots(tmp_path / "looks.npz")
    assert [other.slide for other in again] == [record.id, record.id] and not list(tmp_path.glob("*.tmp*"))
    for field, value in vars(one).items():
        other = vars(again[0])[field]
        if field == "attention":
            assert all(np.array_equal(a, b) for a, b in zip(value, other, strict=True))
        else:
            assert np.array_equal(value, other) if isinstance(value, np.ndarray) else value == other, field
    assert read_snapshots(tmp_path / "nothing.npz") == []


def test_slides_are_taken_from_each_class_in_turn_and_of_the_first_seed_only():
    records = [SlideRecord(f"{k}.tif", label) for k, label in enumerate("aaabbc")]
    assert pictured_slides(records, 0) == {records[0].id, records[3].id, records[5].id}
    assert pictured_slides(records, 1) == frozenset()


def test_a_slide_that_cannot_be_read_again_is_a_picture_less(record):
    opened = []

    def breaks(one):
        opened.append(one)
        if len(opened) == 3:  # warm-up, inference, then the snapshot
            raise DamagedSlideError("gone")
        return open_slide(one.path, in_process=True)

    found = inferred(record, ("jsma",), [record.id], breaks)
    assert len(found.rows["jsma"]) == 1 and found.snapshots["jsma"] == [] and len(opened) == 3
