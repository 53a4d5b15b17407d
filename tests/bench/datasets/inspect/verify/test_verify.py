"""`data verify` finds every defect that is planted, names the slide, and finds nothing in a clean set."""

import errno
import json
import os

import cv2
import numpy as np
import tifffile
from PIL import Image

from bench import files
from bench.datasets import Dataset, SlideRecord, load_dataset, source_named
from bench.datasets.inspect.verify import VerifySettings, verify
from bench.datasets.inspect.verify.quick import quick
from bench.datasets.inspect.verify.verdict import CHECKS
from bench.datasets.labelled import load
from tests.bench.datasets import images, layouts
from tests.bench.datasets.layouts import SQUARE, asap_xml


def tiles(path, image, spoil=None, compression="jpeg"):
    """A pyramid of two levels; spoil(level 0) paints on level 0 only."""
    small = cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    level0 = image.copy()
    if spoil:
        spoil(level0)
    extra = {"compressionargs": {"level": 90}} if compression == "jpeg" else {}
    with tifffile.TiffWriter(path) as tif:
        for k, level in enumerate((level0, small)):
            tif.write(
                level,
                photometric="rgb",
                tile=(128, 128),
                compression=compression,
                subfiletype=k,
                metadata=None,
                resolution=(1e4 / 0.5 / 4**k,) * 2,
                resolutionunit=3,
                **extra,
            )


def clean(folder, n=12):
    """n slides of two classes, patients apart, each with an annotation."""
    rows = []
    for k in range(n):
        tiles(folder / f"s{k:02d}.tif", images.tissue(4000 + k, 512, 384))
        (folder / f"s{k:02d}.xml").write_text(asap_xml([("tumor", SQUARE)]))
        split = ("train", "train", "val", "test")[k // 2 % 4]
        rows.append(
            {
                "path": f"s{k:02d}.tif",
                "label": "ab"[k % 2],
                "patient": f"p{k}",
                "split": split,
                "mpp": "",
                "annotation": f"s{k:02d}.xml",
            }
        )
    return rows


def black(level0):
    level0[128:256, 128:256] = 0


def white(level0):
    level0[128:256, 256:384] = 255


def plant(folder):
    """The clean set with one defect of each kind; returns (csv, check -> slides in which it must be found)."""
    rows = clean(folder)
    by = {row["path"]: row for row in rows}
    expected = {}
    (folder / "s00.tif").write_bytes((folder / "s00.tif").read_bytes()[:5000])
    expected["unreadable"] = {"s00.tif"}
    tifffile.imwrite(folder / "s01.tif", images.tissue(1, 512, 384), photometric="rgb", tile=(128, 128))
    expected["no mpp"] = {"s01.tif"}
    by["s02.tif"]["mpp"] = "9"
    expected["mpp"] = {"s02.tif"}
    tiles(folder / "s03.tif", np.full((384, 512, 3), 244, np.uint8))
    expected["no tissue"] = {"s03.tif"}
    tiles(folder / "s04.tif", images.tissue(4004, 512, 384), black)
    expected["black tiles"] = {"s04.tif"}
    tiles(folder / "s05.tif", images.tissue(4005, 512, 384), white)
    expected["white tiles"] = {"s05.tif"}
    (folder / "s07.tif").write_bytes((folder / "s06.tif").read_bytes())
    expected["exact duplicates"] = {"s07.tif"}
    tiles(folder / "s09.tif", np.ascontiguousarray(np.rot90(images.tissue(4008, 512, 384), 2)))  # turned, saved anew
    expected["near duplicates"] = {"s09.tif"}
    by["s10.tif"]["patient"], by["s10.tif"]["split"] = "p8", "test"
    expected["patients"] = {"patient p8"}
    (folder / "s10.xml").unlink()
    expected["missing masks"] = {"s10.tif"}
    (folder / "s11.xml").write_text(asap_xml([("tumor", [(4000, 4000), (5000, 4000), (5000, 5000)])]))
    expected["bad masks"] = {"s11.tif"}
    rows.append({**by["s08.tif"], "label": "b", "path": "./s08.tif"})
    expected["labels"] = {"s08.tif"}
    for check in ("exact duplicates", "near duplicates"):  # of s08.tif, and of its turned copy s09.tif
        expected[check] |= {"./s08.tif"}
    return layouts.labelled(folder, rows), expected


def test_a_clean_set_is_clean(command, tmp_path):
    csv = layouts.labelled(tmp_path, clean(tmp_path))
    code, out, err = command("data", "verify", csv)
    assert code == 0, out
    verdict = verify(load(csv), VerifySettings())
    assert verdict.clean and verdict.slides == 12
    assert verdict.tiles == 12 * (12 + 1), "4 x 3 tiles of level 0 and one of level 1"
    used = {(row["asked um/px"], row["level"], row["resampled"]): row["slides"] for row in verdict.levels}
    assert used == {(0.5, 0, "no"): 12, (1.0, 0, "x 2.00"): 12, (2.0, 1, "no"): 12, (4.0, 1, "x 2.00"): 12}


def test_every_planted_defect_is_found_and_nothing_else(command, tmp_path):
    csv, expected = plant(tmp_path)
    code, out, err = command("data", "verify", csv, "--json")
    assert code == 3, err
    found = {check: {slide for slide, _ in some} for check, some in json.loads(out)["found"].items() if some}
    assert found == expected
    beside = {"counts", "incomplete", "parts", "missing tiles", "too small", "shortcuts"}
    assert set(CHECKS) - set(expected) == beside, "they are the next tests, test_verify_and_run and test_mosaic"
    code, out, _ = command("data", "verify", csv)
    assert code == 3 and "labels: s08.tif: one file with the labels a and b" in out
    assert "in train and test" in out, "the patient"
    assert out.index("levels that will be read") < out.index("what must hold"), "it ends in the one table"


def test_counts_problems_and_masks_of_a_published_dataset(tmp_path):
    layouts.bach(tmp_path)
    photos = tmp_path / "bach" / "ICIAR2018_BACH_Challenge" / "Photos"
    (photos / "Benign" / "b002.tif").write_bytes((photos / "Benign" / "b042.tif").read_bytes())
    dataset = load_dataset("bach", None, tmp_path)
    verdict = verify(dataset, VerifySettings())
    assert verdict.found["counts"] == [(c, "9 slides, 100 are published") for c in dataset.card.counts]
    assert {slide for slide, _ in verdict.found["incomplete"]} == {"b098", "b099"} and not verdict.found["labels"]
    assert verdict.found["exact duplicates"] == [("b042", "same content as b002, in train and test")], "of the photos"
    assert not verdict.found["near duplicates"] and not verdict.found["unreadable"]
    source, _ = source_named("camelyon16")
    layouts.camelyon16(tmp_path)
    verdict = verify(source.read(source.find(tmp_path), ""), VerifySettings())
    assert {slide for slide, _ in verdict.found["missing masks"]} == {"tumor_004"}
    assert verdict.left_out["mislabelled"] == 1


def test_slides_that_a_run_would_refuse_and_tiles_that_are_not_there(tmp_path):
    image = images.tissue(0, 512, 384)
    tiles(tmp_path / "thin.tif", np.full((40, 5200, 3), (150, 40, 90), np.uint8))
    tifffile.imwrite(tmp_path / "dot.tif", np.full((1, 1, 3), 90, np.uint8), photometric="rgb", tile=(16, 16))
    tiles(tmp_path / "sparse.tif", image)
    with tifffile.TiffFile(tmp_path / "sparse.tif", mode="r+b") as tif:
        counts = tif.pages[0].tags["TileByteCounts"]
        counts.overwrite([0, *counts.value[1:]])
    for name, check in (("thin", "too small"), ("dot", "too small"), ("sparse", "missing tiles")):
        record = SlideRecord(str(tmp_path / f"{name}.tif"), "a", mpp=0.5)
        found = {f.check: f.text for f in quick(Dataset("d", ("a",), (record,)), (0.5,)).findings}
        assert check in found, (name, found)
    assert "1 of level 0" in found["missing tiles"]


def test_deep_looks_at_every_tile(tmp_path):
    tiles(tmp_path / "a.tif", images.tissue(1, 512, 384), lambda level0: level0[256:, 384:].fill(0))
    tiles(tmp_path / "b.tif", images.tissue(2, 512, 384))
    csv = layouts.labelled(tmp_path, [{"path": "a.tif", "label": "a"}, {"path": "b.tif", "label": "b"}])
    some = verify(load(csv), VerifySettings(tiles_per_level=3))
    every = verify(load(csv), VerifySettings(tiles_per_level=None))
    assert some.tiles < every.tiles == 2 * 13
    assert not some.found["black tiles"] and [s for s, _ in every.found["black tiles"]] == ["a.tif"]


def test_show_outlines_the_masks(command, tmp_path):
    csv = layouts.labelled(tmp_path, clean(tmp_path, 4))
    (tmp_path / "s03.tif").write_bytes(b"damaged")
    code, out, err = command("data", "show", csv, "--png", tmp_path / "sheet.png", "--count", "4")
    assert code == 0, err
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None and sheet.shape == (400, 4 * 320, 3)
    red = (sheet[..., 2] > 200) & (sheet[..., 1] < 20) & (sheet[..., 0] < 20)
    assert red[40:, :960].sum() > 3 * 300, "outlines of the first three slides"
    code, _, err = command("data", "show", csv, "--png", tmp_path / "no" / "where.png")
    assert code == 2 and "cannot be written" in err


def test_show_writes_over_its_own_pictures_only(command, tmp_path):
    csv, png = layouts.labelled(tmp_path, clean(tmp_path, 2)), tmp_path / "sheet.png"
    for _ in range(2):  # its own
        assert command("data", "show", csv, "--png", png)[0] == 0
    Image.fromarray(images.tissue(1)).save(tmp_path / "mine.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "text.png").write_text("notes")
    (tmp_path / "folder.png").mkdir()
    os.symlink(tmp_path / "mine.png", tmp_path / "link.png")
    os.symlink(tmp_path / "gone.png", tmp_path / "nowhere.png")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    cases = {
        "mine.png": "was not written by",
        "pipe.png": "was not written by",
        "text.png": "was not written by",
        "folder.png": "is a folder",
        "link.png": "was not written by",
        "nowhere.png": "was not written by",
        "sheet.jpg": "ends in .png",
        csv.name: "ends in .png",
    }
    for name, words in cases.items():
        code, _, err = command("data", "show", csv, "--png", tmp_path / name)
        assert code == 2 and words in err and f"--png {tmp_path / name}" in err and len(err.splitlines()) == 1, name
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before
    assert os.path.islink(tmp_path / "nowhere.png")


def test_a_picture_is_whole_or_not_there(command, tmp_path, monkeypatch):
    csv, png = layouts.labelled(tmp_path, clean(tmp_path, 2)), tmp_path / "sheet.png"

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "sync", full)
    code, _, err = command("data", "show", csv, "--png", png)
    assert code == 2 and "No space left" in err and len(err.splitlines()) == 1 and not png.exists()


def test_mistakes(command, tmp_path):
    for arguments in (["verify", "nope"], ["verify", tmp_path / "gone.csv"], ["info", "nope"], ["show", "bach"]):
        code, _, err = command("data", *arguments, "--data", tmp_path)
        assert code == 2 and len(err.splitlines()) == 1, err
