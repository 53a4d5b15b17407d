"""Photos to pyramids: 8, 12 and 16 bits, two pages, strips; resumable, atomic, the source's checksum recorded."""

import hashlib
import os

import numpy as np
import pytest

from bench.datasets.contract import Dataset, SlideRecord
from bench.datasets.photos.convert import Job, convert, provenance_of
from bench.datasets.photos.prepare import PrepareSettings, prepare_photos, pyramid_path
from bench.errors import UsageError
from jsma.slides import Regions, open_slide
from tests.bench.datasets import images, layouts


def dataset(tmp_path, kinds, mpp=0.42):
    records = []
    for k, kind in enumerate(kinds):
        images.photo(tmp_path / "photos" / f"{k}.tif", k, kind)
        path = tmp_path / "photos" / f"{k}.tif"
        records.append(SlideRecord(str(path), "ab"[k % 2], mpp=mpp, name=str(k)))
    return Dataset("photos", ("a", "b"), tuple(records))


@pytest.mark.parametrize(
    "kind, samples, pages",
    [("16 bit", "16 bits, /65535", 1), ("two pages", "8 bits, as they are", 2), ("8 bit", "8 bits, as they are", 1)],
)
def test_pixels_scale_and_provenance(kind, samples, pages, tmp_path):
    photos = dataset(tmp_path, [kind])
    done = prepare_photos(photos, tmp_path / "out", PrepareSettings(workers=1, quality=95))
    assert (done.converted, done.kept, done.failed, done.pixels) == (1, 0, {}, images.SIDE_W * images.SIDE_H)
    path = pyramid_path(photos.records[0], tmp_path / "out")
    with open_slide(path) as slide:
        assert slide.info.reader == "cucim" and slide.info.mpp == pytest.approx(0.42, rel=1e-6)
        assert [(lv.width_px, lv.height_px) for lv in slide.info.levels] == [(384, 288), (192, 144)]
        middle = Regions(np.array([[192.0, 144.0]]), np.array([0.42]), 384, 288)
        pixels = slide.read(middle)[0][0].astype(int)
    truth = images.tissue(0).astype(int)
    assert np.abs(pixels - truth).mean() < 6 and abs(pixels.mean() - truth.mean()) < 1, "JPEG's loss, no other"
    made = provenance_of(str(path))
    source = tmp_path / "photos" / "0.tif"
    assert made["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert (made["samples"], made["pages"], made["jpeg_quality"]) == (samples, pages, 95)
    assert made["compression"] == "none" and made["source_bytes"] == source.stat().st_size


def test_again_keeps_what_is_current_and_redoes_what_is_not(tmp_path):
    photos, out = dataset(tmp_path, ["8 bit"] * 4), tmp_path / "out"
    assert prepare_photos(photos, out, PrepareSettings(workers=2)).converted == 4
    before = {p.name: p.stat().st_mtime_ns for p in out.iterdir()}
    assert prepare_photos(photos, out, PrepareSettings(workers=2)).kept == 4
    assert {p.name: p.stat().st_mtime_ns for p in out.iterdir()} == before
    images.photo(tmp_path / "photos" / "1.tif", 77, "8 bit")  # the source changes
    (out / "2.tif").write_bytes((out / "2.tif").read_bytes()[:-900])  # ours, and no longer whole
    again = prepare_photos(photos, out, PrepareSettings(workers=2))
    assert (again.converted, again.kept) == (2, 2)
    assert prepare_photos(photos, out, PrepareSettings(quality=50)).converted == 4, "another quality is another file"
    assert prepare_photos(photos, out, PrepareSettings()).kept == 4, "no quality asked: what is there will do"


def test_a_photo_that_fails_does_not_stop_the_others(tmp_path):
    photos, out = dataset(tmp_path, ["8 bit"] * 3), tmp_path / "out"
    (tmp_path / "photos" / "1.tif").write_bytes(b"not a picture")
    os.remove(tmp_path / "photos" / "2.tif")
    done = prepare_photos(photos, out, PrepareSettings(workers=1))
    assert done.converted == 1 and set(done.failed) == {"1", "2"}
    assert [p.name for p in out.iterdir()] == ["0.tif"], "whole files under their names, and nothing else"


def test_interrupted_writing_leaves_no_file_under_its_name(tmp_path, monkeypatch):
    images.photo(tmp_path / "p.tif", 0, "8 bit")
    replaced = "bench.datasets.photos.convert.os.replace"
    monkeypatch.setattr(replaced, lambda a, b: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        convert(Job(str(tmp_path / "p.tif"), str(tmp_path / "out.tif"), 0.5))
    assert [p.name for p in tmp_path.iterdir()] == ["p.tif"]


def test_unknown_scale_and_equal_names_are_refused(tmp_path):
    with pytest.raises(UsageError, match="give --mpp"):
        prepare_photos(dataset(tmp_path, ["8 bit"], mpp=None), tmp_path / "out", PrepareSettings())
    one = dataset(tmp_path, ["8 bit"]).records[0]
    twice = Dataset("d", ("a",), (one, SlideRecord(one.path, "a", mpp=1, name="0.tif")))
    with pytest.raises(UsageError, match="names must differ"):
        prepare_photos(twice, tmp_path / "out", PrepareSettings())


def test_command_line(tmp_path, command):
    photos = dataset(tmp_path, ["16 bit"] * 2)
    rows = [{"path": f"photos/{r.id}.tif", "label": r.label, "patient": f"p{r.id}"} for r in photos.records]
    csv = layouts.labelled(tmp_path, rows)

    code, out, err = command("data", "prepare", csv, "--to", tmp_path / "to", "--mpp", "0.42", "--workers", "1")
    assert code == 0, err
    assert "2 converted, 0 kept" in out and "Mpx/s" in out
    assert (tmp_path / "to" / "labels.csv").read_text().splitlines()[1].startswith("photos__0.tif,a,p0")
    assert command("data", "prepare", csv, "--to", tmp_path / "to")[0] == 2, "no scale"
    assert command("data", "prepare", "panda")[0] == 2, "no photos"
    (tmp_path / "photos" / "1.tif").write_bytes(b"not a picture")
    code, _, err = command("data", "prepare", csv, "--to", tmp_path / "to", "--mpp", "0.42")
    assert code == 3 and "photos/1.tif" in err
