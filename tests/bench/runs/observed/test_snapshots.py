"""Looks: what was seen is kept, of the slides that were chosen, and costs nothing that is counted."""

import numpy as np
import pytest
import tifffile
import torch

from baselines.contract import StrategySettings
from bench.datasets import Dataset, SlideRecord
from bench.runs.infer import Contestant, infer
from bench.runs.observed.snapshots import Album, album, load, save
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


def inferred(record, names, albums, open_it=None):
    encoder = build_encoder(EncoderSettings("test_resnet", pretrained=None), seed=0)
    settings = StrategySettings(method=JSMASettings(n_patches=5, mpps=VIEW.mpps, patch_px=32), mpp=1.0)
    contestants = {}
    for name in names:
        torch.manual_seed(0)
        strategy = strategy_class(name)(settings, encoder.dim, 2, Meter())
        contestants[name] = Contestant(strategy, encoder, [], album=albums.get(name))
    dataset = Dataset("d", ("a", "b"), (record,))
    open_it = open_it or (lambda r: open_slide(r.path, in_process=True))
    assert not infer(contestants, [record], dataset, VIEW, open_it, 0, lambda *_: None).failed
    return contestants


def test_a_look_is_what_was_read_and_changes_no_counter(record, tmp_path):
    names = ("jsma", "exhaustive", "overview")
    albums = {name: Album(frozenset([record.id]), []) for name in names}
    with_looks, without = inferred(record, names, albums), inferred(record, names, {})
    for name in names:
        (kept,), (plain,) = with_looks[name].rows, without[name].rows
        for counter in vars(Counters()):
            assert kept[counter] == plain[counter], (name, counter)
    (look,) = albums["jsma"].looks
    assert look.n_patches == len(look.cells0) == len(look.patches) == 5
    assert sum(float(m.sum()) for m in look.attention) == pytest.approx(1, abs=1e-5)
    assert look.probabilities[look.predicted] == max(look.probabilities.values()) and look.label == "a"
    with open_slide(record.path, in_process=True) as slide:
        centres0 = look.cells0[:, :2] + look.cells0[:, 2:] / 2
        expected = slide.read(Regions(centres0, look.cell_mpps, 32, 32))[0]
    assert np.array_equal(look.patches, expected)
    assert albums["exhaustive"].looks[0].attention == () and len(albums["overview"].looks[0].patches) == 0
    save([look, albums["overview"].looks[0]], tmp_path / "looks.npz")
    again = load(tmp_path / "looks.npz")
    assert [one.slide for one in again] == [record.id, record.id] and not list(tmp_path.glob("*.tmp*"))
    for field, value in vars(look).items():
        other = vars(again[0])[field]
        if field == "attention":
            assert all(np.array_equal(a, b) for a, b in zip(value, other, strict=True))
        else:
            assert np.array_equal(value, other) if isinstance(value, np.ndarray) else value == other, field
    assert load(tmp_path / "nothing.npz") == []


def test_slides_are_taken_from_each_class_in_turn_and_of_the_first_seed_only():
    records = [SlideRecord(f"{k}.tif", label) for k, label in enumerate("aaabbc")]
    assert album(records, 0).slides == {records[0].id, records[3].id, records[5].id}
    assert album(records, 1).slides == frozenset()


def test_a_slide_that_cannot_be_read_again_is_a_picture_less(record):
    opened = []

    def breaks(one):
        opened.append(one)
        if len(opened) == 3:  # warm-up, inference, then the look
            raise DamagedSlideError("gone")
        return open_slide(one.path, in_process=True)

    kept = Album(frozenset([record.id]), [])
    contestants = inferred(record, ("jsma",), {"jsma": kept}, breaks)
    assert len(contestants["jsma"].rows) == 1 and kept.looks == [] and len(opened) == 3
