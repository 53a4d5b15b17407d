"""Mosaics as files: pixels, levels, evidence, and what happens when they are made again."""

from collections import defaultdict

import numpy as np
import pytest
from PIL import Image

from bench.datasets.evidence import load_evidence
from bench.datasets.generated.mosaic.drawing import GLASS, draw_bands, draw_tile
from bench.datasets.generated.mosaic.make import make_mosaics
from bench.datasets.generated.mosaic.photos import load_photos
from bench.datasets.generated.mosaic.plan import Material, plan_mosaic
from bench.datasets.labelled import load
from bench.errors import UsageError
from jsma.slides import Regions, open_slide
from jsma.slides.stains import average_moments, match_table, moments_of, shift_stains
from tests.bench.datasets.generated.mosaic.painted import TILE_PX, paint_photos, read_rows, small_settings
from tests.bench.datasets.images import tissue


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Twenty mosaics of 384 x 320 px; (folder, labels.csv, tiles.csv)."""
    folder = tmp_path_factory.mktemp("mosaics")
    make_mosaics(paint_photos(folder), small_settings(), folder / "out", 1)
    return folder / "out", read_rows(folder / "out" / "labels.csv"), read_rows(folder / "out" / "tiles.csv")


def test_a_photo_is_in_one_part_only(made):
    _, slides, tiles = made
    part, parts = {row["path"]: row["split"] for row in slides}, defaultdict(set)
    for tile in tiles:
        parts[tile["photo"]].add(part[tile["path"]])
    assert len(parts) > 12 and all(len(some) == 1 for some in parts.values())


def test_evidence_is_where_the_needles_are_and_nowhere_else(made):
    folder, slides, tiles = made
    for slide in slides:
        some = [tile for tile in tiles if tile["path"] == slide["path"]]
        needles = [tile for tile in some if tile["label"] == "sick"]
        assert len(some) == 30 and [t for t in some if t["evidence"] == "1"] == needles
        assert bool(needles) == (slide["label"] == "sick") == bool(slide["annotation"])
        if needles:
            assert 1 <= len(needles) <= 3 and {tile["group"] for tile in needles} == {slide["patient"]}
            evidence = load_evidence(str(folder / slide["annotation"]), 6 * TILE_PX, 5 * TILE_PX)
            assert set(evidence.areas) == {"sick"}
            assert evidence.union.area == pytest.approx(len(needles) * TILE_PX**2)
            centres0 = np.array([[(int(t["column"]) + 0.5) * TILE_PX, (int(t["row"]) + 0.5) * TILE_PX] for t in some])
            assert evidence.contains(centres0).tolist() == [tile in needles for tile in some]


def test_pixels_are_those_of_the_photo_at_its_place(made):
    folder, _, tiles = made
    for tile in tiles[:: len(tiles) // 12]:
        x, y, turn = (int(tile[name]) for name in ("x_px", "y_px", "turn"))
        window = np.asarray(Image.open(folder.parent / tile["photo"]))[y : y + TILE_PX, x : x + TILE_PX]
        wanted = np.rot90(window[:, ::-1] if turn >= 4 else window, turn % 4)
        centre0 = np.array([[(int(tile["column"]) + 0.5) * TILE_PX, (int(tile["row"]) + 0.5) * TILE_PX]])
        with open_slide(folder / tile["path"]) as slide:
            pixels = slide.read(Regions(centre0, np.array([0.5]), TILE_PX, TILE_PX))[0][0]
        # JPEG loses some of the noise: of the eight ways to turn the window, the right one is nearest
        ways = [np.rot90(w, k) for w in (window, window[:, ::-1]) for k in range(4)]
        errors = [np.abs(way.astype(int) - pixels).mean() for way in ways]
        assert np.abs(wanted.astype(int) - pixels).mean() == min(errors) < 12


def test_every_level_shows_the_same_place(made):
    folder, *_ = made
    with open_slide(folder / "mosaic_00003.tif") as slide:
        assert [(lv.width_px, lv.height_px) for lv in slide.info.levels] == [(384, 320), (96, 80)]
        assert slide.info.mpp == pytest.approx(0.5, rel=1e-6)
        middle = np.array([[192.0, 160.0]])
        fine = slide.read(Regions(middle, np.array([0.5]), 384, 320))[0][0].astype(float)
        coarse = slide.read(Regions(middle, np.array([2.0]), 96, 80))[0][0].astype(float)
    means, coarse = fine.reshape(80, 4, 96, 4, 3).mean((1, 3, 4)), coarse.mean(2)
    moves = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    errors = {move: np.abs(np.roll(means, move, (0, 1)) - coarse).mean() for move in moves}
    assert errors.pop((0, 0)) < 0.6 * min(errors.values()), "in register: one pixel off is much worse"


def test_what_is_there_is_kept_what_is_missing_is_made_alike_and_more_may_be_added(made):
    folder, *_ = made
    table = load(folder.parent / "photos.csv")
    before = {path.name: path.read_bytes() for path in folder.glob("mosaic_*")}
    times = {name: (folder / name).stat().st_mtime_ns for name in before}
    (folder / "mosaic_00005.tif").unlink()
    again = make_mosaics(table, small_settings(), folder, 1)
    assert (again.made, again.kept) == (1, 19)
    assert {path.name: path.read_bytes() for path in folder.glob("mosaic_*")} == before
    changed = [name for name in before if (folder / name).stat().st_mtime_ns != times[name]]
    assert changed == ["mosaic_00005.tif"]
    first = (folder / "labels.csv").read_text()
    assert make_mosaics(table, small_settings(slides=21), folder, 1).made == 1
    assert (folder / "labels.csv").read_text().startswith(first)


def test_other_settings_other_photos_and_other_folders_are_refused(tmp_path):
    table, out = paint_photos(tmp_path), tmp_path / "out"
    make_mosaics(table, small_settings(slides=8), out, 1)
    held = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(UsageError, match="seed 0, asked: 1"):
        make_mosaics(table, small_settings(slides=8, seed=1), out, 1)
    Image.fromarray(tissue(999, 96, 80)).save(tmp_path / "sick0.png")
    with pytest.raises(UsageError, match="mosaics with photos"):
        make_mosaics(table, small_settings(slides=8), out, 1)
    with pytest.raises(UsageError, match="did not make"):
        make_mosaics(table, small_settings(slides=8), tmp_path, 1)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == held


def test_a_table_that_was_edited_is_kept_and_that_is_said(tmp_path):
    table, out = paint_photos(tmp_path), tmp_path / "out"
    make_mosaics(table, small_settings(slides=8), out, 1)
    edited = (out / "labels.csv").read_text() + "mine.tif,sick,,test,0.5,\n"
    (out / "labels.csv").write_text(edited)
    notes = make_mosaics(table, small_settings(slides=9), out, 1).notes
    assert len(notes) == 1 and "was edited after `data mosaic` wrote it" in notes[0]
    assert (out / "labels.csv").read_text() == edited
    assert len({row["path"] for row in read_rows(out / "tiles.csv")}) == 9


def test_scales_that_differ_are_refused_and_unknown_ones_are_nominal(tmp_path):
    table = paint_photos(tmp_path)
    made = make_mosaics(table, small_settings(slides=8, mpp=None), tmp_path / "out", 1)
    assert "nominal" in made.notes[0] and read_rows(made.labels)[0]["mpp"] == "0.5"
    lines = (tmp_path / "photos.csv").read_text().splitlines()
    scaled = [lines[0] + ",mpp", *(f"{line},{0.25 if k else 0.5}" for k, line in enumerate(lines[1:]))]
    (tmp_path / "scaled.csv").write_text("\n".join(scaled))
    with pytest.raises(UsageError, match=r"sick1\.png: um per pixel 0\.25, sick0\.png has 0\.5"):
        make_mosaics(load(tmp_path / "scaled.csv"), small_settings(slides=8, mpp=None), tmp_path / "other", 1)


def test_glass_lies_where_no_tile_does(tmp_path):
    photos = load_photos(paint_photos(tmp_path).records, 0, 1).photos
    some = Material(small_settings(background=0.4), photos, TILE_PX, 0.5, None)
    mosaic = plan_mosaic(some, 0)
    bands = list(draw_bands(some, mosaic, 96))
    assert [len(band) for band in bands] == [96, 96, 96, 32]
    blank = (np.concatenate(bands).reshape(5, TILE_PX, 6, TILE_PX, 3) == GLASS).all((1, 3, 4))
    assert blank.sum() == 12 and not any(blank[t.row, t.column] for t in mosaic.tiles)


def test_matched_photos_have_one_stain_and_only_the_test_part_is_shifted(tmp_path):
    photos = load_photos(paint_photos(tmp_path, tint={"sick": 40}).records, 0, 1).photos
    target, settings = average_moments([photo.stain for photo in photos]), small_settings(test_stain=0.3)
    for photo in photos:
        pixels = np.asarray(Image.open(photo.path))
        matched = np.stack([match_table(photo.stain, target)[0, :, c][pixels[..., c]] for c in range(3)], axis=2)
        own = moments_of(matched)
        assert np.allclose((own.mean, own.spread), (target.mean, target.spread), atol=0.02)
    plain, matched = (Material(settings, photos, TILE_PX, 0.5, stain) for stain in (None, target))
    tile = plan_mosaic(plain, 2).tiles[0]
    train, test = draw_tile(plain, "train", tile), draw_tile(plain, "test", tile)
    assert np.array_equal(test, shift_stains(train, 0.3)) and not np.array_equal(test, train)
    assert np.array_equal(draw_tile(matched, "val", tile), draw_tile(matched, "train", tile))
    assert not np.array_equal(draw_tile(matched, "train", tile), train)
