"""Which photo is in which part, and which tile lies where."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from bench.datasets.contract import SlideRecord
from bench.datasets.generated.mosaic.photos import load_photos, parts_of
from bench.datasets.generated.mosaic.plan import Material, plan_mosaic
from bench.errors import UsageError
from tests.bench.datasets.generated.mosaic.painted import TILE_PX, paint_photos, small_settings


def material(folder, settings, **painted):
    return Material(settings, load_photos(paint_photos(folder, **painted).records, 0, 1).photos, TILE_PX, 0.5, None)


@pytest.mark.parametrize("seed", range(5))
def test_a_patient_is_in_one_part_only(seed):
    records = [SlideRecord(f"{k}", "ab"[k % 2], patient=f"p{k // 3}") for k in range(30)]
    parts, labels = defaultdict(set), defaultdict(set)
    for record, part in zip(records, parts_of(records, seed), strict=True):
        parts[record.patient].add(part)
        labels[part].add(record.label)
    assert all(len(some) == 1 for some in parts.values())
    assert dict(labels) == {part: {"a", "b"} for part in ("train", "val", "test")}


def test_parts_have_their_shares_and_follow_the_seed():
    records = [SlideRecord(f"{k}", "ab"[k % 2]) for k in range(200)]
    drawn = [parts_of(records, seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    counts = Counter(zip((r.label for r in records), drawn[0], strict=True))
    assert all(counts[label, part] == n for label in "ab" for part, n in (("train", 60), ("val", 20), ("test", 20)))


def test_too_few_patients_are_refused_with_the_way_out():
    records = [SlideRecord(f"{k}", "ab"[k % 2], patient=f"p{k % 2}") for k in range(30)]
    with pytest.raises(UsageError, match="comes from 1 patient.*leave the column patient out"):
        parts_of(records, 0)


@pytest.mark.parametrize(
    "splits, words",
    ((("train", "val", "test", "val"), "patient p0 is in train and in val"), (("train",) * 4, "no photo in part val")),
)
def test_a_split_that_cannot_be_is_refused(splits, words):
    records = [SlideRecord(f"{k}", "a", patient=f"p{k % 3}", split=part) for k, part in enumerate(splits)]
    with pytest.raises(UsageError, match=words):
        parts_of(records, 0)


def test_a_photo_that_repeats_another_is_left_out_and_two_labels_for_it_are_refused(tmp_path):
    records = list(paint_photos(tmp_path).records)
    (tmp_path / "copy.png").write_bytes((tmp_path / "sick2.png").read_bytes())
    again = SlideRecord(str(tmp_path / "copy.png"), "sick", name="copy.png")
    loaded = load_photos([*records, again], 0, 1)
    assert loaded.repeated == {"copy.png": "sick2.png"} and len(loaded.photos) == len(records)
    with pytest.raises(
        UsageError, match=r"sick2\.png and copy\.png have the same content and the labels sick and well"
    ):
        load_photos([*records, SlideRecord(str(tmp_path / "copy.png"), "well", name="copy.png")], 0, 1)


def test_a_plan_follows_the_seed_and_the_number(tmp_path):
    first, other = material(tmp_path, small_settings()), material(tmp_path, small_settings(seed=1))
    assert plan_mosaic(first, 3) == plan_mosaic(first, 3)
    assert plan_mosaic(first, 3).tiles != plan_mosaic(first, 5).tiles
    assert plan_mosaic(first, 3).tiles != plan_mosaic(other, 3).tiles


def test_tiles_come_from_the_part_and_needles_from_one_patient(tmp_path):
    some = material(tmp_path, small_settings(), patients=True)
    for index in range(20):
        mosaic = plan_mosaic(some, index)
        photos = {(t.column, t.row): some.photos[t.photo] for t in mosaic.tiles}
        assert len(photos) == 30 and {photo.part for photo in photos.values()} == {mosaic.part}
        assert {cell for cell, photo in photos.items() if photo.label == "sick"} == set(mosaic.needles)
        assert bool(mosaic.needles) == (mosaic.label == "sick")
        assert {photos[cell].group for cell in mosaic.needles} <= {mosaic.group}


def test_a_mosaic_without_needles_has_decoys_from_one_group_in_their_place(tmp_path):
    some = material(tmp_path, small_settings(fewest=2, most=2, slides=40), number=12)
    for index in range(0, 40, 2):
        mosaic = plan_mosaic(some, index)
        groups = Counter(some.photos[t.photo].group for t in mosaic.tiles)
        assert mosaic.needle is None and groups[mosaic.group] == 2


def test_several_positive_labels_are_several_classes(tmp_path):
    some = material(tmp_path, small_settings(positive=("sick", "scar"), negative=("well",)))
    planned = [plan_mosaic(some, index) for index in range(12)]
    assert [m.label for m in planned[:3]] == ["negative", "sick", "scar"]
    for mosaic in planned:
        labels = {some.photos[t.photo].label for t in mosaic.tiles}
        assert labels == {"well"} | ({mosaic.needle} if mosaic.needle else set())


def test_a_crowd_differs_by_its_arrangement_alone(tmp_path):
    some = material(tmp_path, small_settings(crowd="scar", slides=40))
    labels = set()
    for mosaic in (plan_mosaic(some, index) for index in range(40)):
        cells = {(t.column, t.row) for t in mosaic.tiles if some.photos[t.photo].label == "scar"}
        touching = [(a, b) for a in cells for b in cells if a < b and max(abs(a[0] - b[0]), abs(a[1] - b[1])) == 1]
        assert len(cells) == some.settings.crowd_cells == 4
        assert len(touching) == (6 if "crowded" in mosaic.label else 0)  # all pairs of a square of two by two
        assert set(mosaic.crowd) == (cells if "crowded" in mosaic.label else set())
        labels.add(mosaic.label)
    assert labels == {"negative", "sick", "crowded", "sick+crowded"}


def test_glass_is_the_share_asked_in_every_class(tmp_path):
    some = material(tmp_path, small_settings(background=0.4))
    assert {len(plan_mosaic(some, index).tiles) for index in range(8)} == {18}


def test_every_class_is_in_every_part_from_the_fewest_mosaics_on():
    settings = small_settings(slides=8)
    assert {(settings.kind(k).label, settings.part(k)) for k in range(8)} == {
        (label, part) for label in ("sick", "negative") for part in ("train", "val", "test")
    }
    many = Counter(settings.part(k) for k in range(0, 2000, 2))
    assert many == {"train": 500, "val": 200, "test": 300}


def test_windows_and_turns_vary_and_stay_inside(tmp_path):
    some = material(tmp_path, small_settings())
    tiles = [tile for index in range(20) for tile in plan_mosaic(some, index).tiles]
    assert {t.turn for t in tiles} == set(range(8))
    assert np.ptp([t.x_px for t in tiles]) > 25 and max(t.x_px for t in tiles) <= 96 - TILE_PX
    assert np.ptp([t.y_px for t in tiles]) > 12 and max(t.y_px for t in tiles) <= 80 - TILE_PX
