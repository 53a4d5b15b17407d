"""The name of a run follows what slides and annotations hold, and nothing else; a second start reads nothing."""

import os
import shutil
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from bench.datasets import Dataset, SlideRecord, content
from bench.datasets.content import END_BYTES, WHOLE_BYTES, annotation_digests, file_digest, slide_digests


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    monkeypatch.setattr(content, "_known", {})
    monkeypatch.setattr(content, "_place", None)


def dataset(folder):
    (folder / "a.tif").write_bytes(b"slide a" * 100)
    (folder / "b.tif").write_bytes(b"slide b" * 100)
    (folder / "a.xml").write_text("<Annotations/>")
    records = (
        SlideRecord(str(folder / "a.tif"), "x", patient="p", split="train", mask=str(folder / "a.xml"), name="a.tif"),
        SlideRecord(str(folder / "b.tif"), "y", patient="q", split="test", name="b.tif"),
    )
    return Dataset("d", ("x", "y"), records)


def again(one):
    return replace(one, records=one.records).fingerprint


CHANGES = {
    "a slide of equal size": lambda f: (f / "b.tif").write_bytes(b"slide c" * 100),
    "an outline": lambda f: (f / "a.xml").write_text("<Annotation s/>"),
    "an outline that is gone": lambda f: (f / "a.xml").unlink(),
    "a slide that is gone": lambda f: (f / "b.tif").unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_another_run(change, tmp_path):
    one = dataset(tmp_path)
    before = again(one)
    CHANGES[change](tmp_path)
    assert again(one) != before


@pytest.mark.parametrize(
    "field, value", [("label", "y"), ("patient", "q"), ("split", "val"), ("mpp", 0.5), ("fold", 1)]
)
def test_what_the_table_says_is_part_of_the_name(field, value, tmp_path):
    one = dataset(tmp_path)
    changed = replace(one, records=(replace(one.records[0], **{field: value}), one.records[1]))
    assert changed.fingerprint != one.fingerprint


def test_a_copy_elsewhere_with_other_times_keeps_its_runs(tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    one, other = dataset(tmp_path / "here"), dataset(tmp_path / "there")
    os.utime(tmp_path / "there" / "a.tif", (1, 1))
    assert one.fingerprint == other.fingerprint
    unnamed = [replace(d, records=tuple(replace(r, name=None) for r in d.records)) for d in (one, other)]
    assert unnamed[0].fingerprint == unnamed[1].fingerprint
    assert unnamed[0].split_digest(0, 5) == unnamed[1].split_digest(0, 5)


def large(path, seed=0):
    """A tiled TIFF above the limit up to which files are read whole: noise does not compress."""
    pixels = np.random.default_rng(seed).integers(0, 255, (2816, 2816, 3)).astype(np.uint8)
    with tifffile.TiffWriter(path) as tif:
        for k in range(2):
            tif.write(
                pixels[:: k + 1, :: k + 1],
                photometric="rgb",
                tile=(256, 256),
                compression="zlib",
                subfiletype=k,
                metadata=None,
            )
    assert path.stat().st_size > WHOLE_BYTES
    return path


def patched(path, at, new):
    data = bytearray(path.read_bytes())
    data[at : at + len(new)] = new
    path.write_bytes(data)


def test_a_large_slide_is_told_by_ends_blocks_and_tile_tables(tmp_path):
    path = large(tmp_path / "a.tif")
    size = path.stat().st_size
    with tifffile.TiffFile(path) as tif:
        tables = [page.tags["TileByteCounts"].valueoffset for page in tif.pages]
    places = [1000, size - 1000, size * 31 // 63, *tables]
    assert all(END_BYTES < t < size - END_BYTES for t in tables[1:]), "not told by the ends"
    seen = {file_digest(str(path))}
    for at in places:
        patched(path, at, b"\x01\x02\x03")
        seen.add(file_digest(str(path)))
    assert len(seen) == 1 + len(places)


def test_a_large_slide_that_was_encoded_anew_is_another(tmp_path):
    """Of equal size and with equal ends: only where its tiles lie has changed."""
    one = large(tmp_path / "a.tif")
    with tifffile.TiffFile(one) as tif:
        tag = tif.pages[1].tags["TileByteCounts"]
        counts = np.array(tag.value, np.uint32)
    before = file_digest(str(one))
    counts[[3, 4]] += np.array([7, -7], np.int64).astype(np.uint32)
    patched(one, tag.valueoffset, counts.astype("<u4").tobytes())
    assert file_digest(str(one)) != before


HEADERS = [b"II*\0" + b"\x08\0\0\0" * 6, b"MM\0+" + b"\xff" * 60, b"II+\0" + b"\x10" * 40, b"II"]


@pytest.mark.parametrize("data", HEADERS)
def test_headers_made_to_mislead_end(data, tmp_path):
    (tmp_path / "a.tif").write_bytes(data + b"\0" * (WHOLE_BYTES + 1))
    assert len(file_digest(str(tmp_path / "a.tif"))) == 32


def test_the_second_start_reads_nothing_and_a_change_is_seen(tmp_path, monkeypatch):
    for k in range(3):
        (tmp_path / f"{k}.tif").write_bytes(b"%d" % k * 999)
        os.utime(tmp_path / f"{k}.tif", (1, 1))
    monkeypatch.setattr(content, "SETTLED_NS", -1)  # as if they had lain there for long
    paths = [str(tmp_path / f"{k}.tif") for k in range(3)]
    content.keep_in(tmp_path / "kept.json")
    first = slide_digests(paths)
    monkeypatch.setattr(content, "_known", {})
    content.keep_in(tmp_path / "kept.json")
    with monkeypatch.context() as patch:
        patch.setattr(content, "_read_samples", lambda *_: pytest.fail("read again"))
        assert slide_digests(paths) == first
    time.sleep(0.02)
    (tmp_path / "1.tif").write_bytes(b"x" * 999)
    os.utime(tmp_path / "1.tif", (1, 1))  # the times of before, as a copying program may leave them
    assert [a == b for a, b in zip(slide_digests(paths), first, strict=True)] == [True, False, True]


def test_a_file_that_was_written_just_now_is_read_again(tmp_path):
    """It may change once more within one tick of the clock, and nothing but its bytes would tell."""
    (tmp_path / "a.tif").write_bytes(b"one")
    (tmp_path / "b.tif").write_bytes(b"one")
    for name in "ab":
        file_digest(str(tmp_path / f"{name}.tif"))
    assert not content._known


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": 1, "files": {"a": 3}}'])
def test_a_damaged_or_read_only_cache_is_no_loss(text, tmp_path, monkeypatch):
    monkeypatch.setattr(content, "SETTLED_NS", -1)
    (tmp_path / "kept.json").write_text(text)
    content.keep_in(tmp_path / "kept.json")
    (tmp_path / "a.tif").write_bytes(b"a")
    assert slide_digests([str(tmp_path / "a.tif"), str(tmp_path / "gone.tif")])[1] is None
    content.keep_in(tmp_path / "no" / "such" / "folder.json")
    (tmp_path / "b.tif").write_bytes(b"b")
    assert slide_digests([str(tmp_path / "b.tif")]) != [None]


def test_annotations_in_zips_and_folders_and_none(tmp_path):
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as zipped:
        zipped.writestr("a.xml", "<A/>")
        zipped.writestr("b.xml", "<B/>")
    (tmp_path / "masks").mkdir()
    shutil.copy(tmp_path / "l.zip", tmp_path / "masks")
    packed = [str(tmp_path / "l.zip" / name) for name in ("a.xml", "b.xml")]
    found = annotation_digests([*packed, None, str(tmp_path / "masks")])
    assert len(set(found)) == 4 and found[2] == ""
    (tmp_path / "masks" / "more.png").write_bytes(b"1")
    assert annotation_digests([str(tmp_path / "masks")]) != found[3:]


def test_a_mirax_slide_is_its_folder_too(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a.mrxs").write_bytes(b"head")
    (tmp_path / "a" / "Data0.dat").write_bytes(b"one")
    before = slide_digests([str(tmp_path / "a.mrxs")])
    (tmp_path / "a" / "Data0.dat").write_bytes(b"two")
    assert slide_digests([str(tmp_path / "a.mrxs")]) != before
