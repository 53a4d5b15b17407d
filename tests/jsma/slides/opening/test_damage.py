"""Damage of every kind is an error with the tile in it, through every reader: never a crash, never wrong pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from jsma.slides import DamagedSlideError, Regions, SlideError, open_slide
from jsma.slides.opening.preflight import compare_readers
from jsma.slides.readers.base import SourceSpec
from jsma.slides.types import Level

WHERE = Regions(np.array([[320.0, 192.0]]), 0.5, 100, 100)  # inside tile row 1, column 2
TILE = 1 * 8 + 2
READERS = ("cucim", "tifffile")
WAYS = [{"reader": "cucim"}, {"reader": "cucim", "decoder": "cucim"}, {"reader": "tifffile"}]


def speckled(seed: int = 0) -> list[np.ndarray]:
    """Levels that fill their tiles with enough data for damage to hit something."""
    rng = np.random.default_rng(seed)
    full = rng.integers(90, 200, (768, 1024, 3), dtype=np.uint8)
    return [full, full[::4, ::4].copy(), full[::16, ::16].copy()]


def segment(path: Path, tile: int = TILE) -> tuple[int, int]:
    with tifffile.TiffFile(path) as tif:
        return tif.pages[0].dataoffsets[tile], tif.pages[0].databytecounts[tile]


def patch(path: Path, offset: int, data: bytes) -> None:
    with open(path, "r+b") as handle:
        handle.seek(offset)
        handle.write(data)


def noise(size: int) -> bytes:
    return np.random.default_rng(5).integers(0, 256, size, dtype=np.uint8).tobytes()


DAMAGE = {
    "zeroed": lambda offset, size: (offset, bytes(size)),
    "zeroed from the middle": lambda offset, size: (offset + size // 2, bytes(size - size // 2)),
    "random in the middle": lambda offset, size: (offset + size // 2, noise(400)),
    "random all over": lambda offset, size: (offset, noise(size)),
}


@pytest.mark.parametrize("in_process", [False, True])
@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_jpeg_tile(tmp_path, paint, damage, way, in_process):
    path = paint(tmp_path / "s.tif", speckled(), "jpeg")
    whole = open_slide(path, preflight=False, in_process=in_process, **way)
    whole.read(WHERE)
    patch(path, *DAMAGE[damage](*segment(path)))
    opened = open_slide(path, preflight=False, in_process=in_process, **way)
    elsewhere = Regions(np.array([[64.0, 64.0], [700, 600]]), 0.5, 100, 100)
    for _ in range(3):  # cuCIM's buffers then hold pixels of other tiles, which it would hand out
        opened.read(elsewhere)
    with pytest.raises(DamagedSlideError, match="row 1 col 2 of level 0"):
        opened.read(WHERE)
    opened.read(elsewhere)  # the rest of the slide, and the process, go on


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("compression", ["deflate", "lzw", 33005])
@pytest.mark.parametrize("damage", ["zeroed", "zeroed from the middle", "random all over"])
def test_damaged_tile_of_other_kinds(tmp_path, paint, damage, compression, reader):
    path = paint(tmp_path / "s.tif", speckled(), compression)
    patch(path, *DAMAGE[damage](*segment(path)))
    opened = open_slide(path, reader=reader, preflight=False)
    with pytest.raises(DamagedSlideError, match="row 1 col 2 of level 0"):
        opened.read(WHERE)


def unwrite(path: Path, tiles: range, names: tuple[str, ...] = ("TileOffsets", "TileByteCounts")) -> None:
    """Make the file say that nothing is stored for tiles of level 0."""
    with tifffile.TiffFile(path) as tif:
        found = [(tif.pages[0].tags[name], name) for name in names]
        places = [
            (tag.valueoffset + n * {3: 2, 4: 4, 16: 8}[int(tag.dtype)], int(tag.dtype))
            for tag, _ in found
            for n in tiles
        ]
    for offset, dtype in places:
        patch(path, offset, bytes({3: 2, 4: 4, 16: 8}[dtype]))


@pytest.mark.parametrize("names", [("TileOffsets", "TileByteCounts"), ("TileByteCounts",)])
@pytest.mark.parametrize("compression", ["jpeg", "deflate", None])
def test_tiles_that_are_not_stored_are_background(tmp_path, paint, compression, names):
    """As OpenSlide reads them: white, the others unchanged, and nothing is counted as decoded."""
    path = paint(tmp_path / "s.tif", speckled(), compression)
    whole, cost = open_slide(path).read(WHERE)
    assert cost.tiles == 1 and (whole < 255).any()
    unwrite(path, range(TILE, TILE + 1), names)
    opened = open_slide(path)
    assert opened.info.missing_tiles == (1, 0, 0) and "1 tiles that are not stored" in opened.info.reader_reason
    pixels, cost = opened.read(WHERE)
    assert (pixels == 255).all() and (cost.tiles, cost.decoded_px, cost.compressed_bytes) == (0, 0, 0)
    both = Regions(np.array([[384.0, 192.0]]), 0.5, 100, 100)  # half of it in the next tile
    assert opened.read(both)[1].tiles == 1
    theirs = open_slide(path, reader="openslide").read(both)[0].astype(int)
    assert np.abs(opened.read(both)[0] - theirs).max() <= (1 if compression == "jpeg" else 0)
    with pytest.raises(SlideError, match="not stored"):
        open_slide(path, reader="cucim")


def test_level_that_was_never_written(tmp_path, paint):
    path = paint(tmp_path / "s.tif", speckled(), "jpeg")
    copy = tmp_path / "copy.tif"
    copy.write_bytes(path.read_bytes())
    unwrite(path, range(48))
    with pytest.raises(DamagedSlideError, match="48 of 48 tiles of level 0 are nowhere"):
        open_slide(path)
    unwrite(copy, range(TILE, TILE + 1), ("TileOffsets",))
    with pytest.raises(DamagedSlideError, match="1 of 48 tiles of level 0 are nowhere"):
        open_slide(copy)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("last, back_to", [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2)])
def test_chain_of_pages_that_loops(tmp_path, paint, last, back_to, big):
    path = tmp_path / "s.tif"
    with tifffile.TiffWriter(path, bigtiff=big) as tif:
        for k, level in enumerate(speckled()):
            tif.write(level, photometric="rgb", tile=(128, 128), subfiletype=int(k > 0), metadata=None)
    with tifffile.TiffFile(path) as tif:
        pages, form = [page.offset for page in tif.pages], tif.tiff
        number = len(tif.pages[last].tags)
    patch(
        path, pages[last] + form.tagnosize + number * form.tagsize, pages[back_to].to_bytes(form.offsetsize, "little")
    )
    with pytest.raises(DamagedSlideError, match="comes back"):
        open_slide(path, mpp=0.5)


@pytest.mark.parametrize("way", [*WAYS, {"reader": "openslide"}], ids=str)
def test_black_in_the_file_is_read_and_black_by_damage_is_not(tmp_path, paint, way):
    levels = speckled()
    levels[0][128:256, 256:384] = 0  # a scanner's border, one whole tile
    path = paint(tmp_path / "s.tif", levels, "jpeg")
    assert not open_slide(path, **way).read(WHERE)[0].any()
    raw = paint(tmp_path / "raw.tif", speckled(), None)
    patch(raw, *DAMAGE["zeroed"](*segment(raw)))
    if way["reader"] != "openslide":  # zeros stored as such: a border and a zeroed part of a file look the same
        with pytest.raises(DamagedSlideError, match="black"):
            open_slide(raw, **way).read(WHERE)


@pytest.mark.parametrize("share", [0.999, 0.5, 0.01])
def test_truncated_at_any_place(tmp_path, paint, share):
    path = paint(tmp_path / "s.tif", speckled(), "jpeg")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SlideError) as caught:
        open_slide(path).read(WHERE)
    assert "\n" not in str(caught.value)


def test_truncated_between_levels(tmp_path, paint, caplog):
    """Every tile of the level that is left is whole: only the chain of pages tells."""
    path = paint(tmp_path / "s.tif", speckled(), "jpeg")
    path.write_bytes(path.read_bytes()[: sum(segment(path, 47)) + 2])
    with pytest.raises(DamagedSlideError, match="cut short"):
        open_slide(path)
    assert not caplog.records  # one line, not tifffile's as well


def test_photo_cut_short(tmp_path):
    from PIL import Image

    Image.fromarray(speckled()[0]).save(tmp_path / "p.jpg")
    data = (tmp_path / "p.jpg").read_bytes()
    (tmp_path / "p.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(SlideError):
        open_slide(tmp_path / "p.jpg", mpp=0.5).read(WHERE)


def test_openslide_reports_damage_too(tmp_path, paint):
    path = paint(tmp_path / "s.tif", speckled(), "jpeg")
    patch(path, *DAMAGE["zeroed"](*segment(path)))
    with pytest.raises(DamagedSlideError, match="level 0"):
        open_slide(path, reader="openslide", preflight=False).read(WHERE)


def test_readers_that_disagree_stop_the_slide(tmp_path, paint, monkeypatch):
    from jsma.slides.opening import preflight

    path = paint(tmp_path / "s.tif", speckled(), "jpeg")
    monkeypatch.setattr(preflight, "MAX_DIFFERENCE", -1.0)
    with pytest.raises(DamagedSlideError, match="readers disagree"):
        open_slide(path)


@pytest.mark.parametrize("step", (-1, 1))
def test_readers_that_differ_by_one_grey_level_agree(tmp_path, step):
    """Either way: unsigned pixels would make a difference of -1 one of 255."""

    class Off:
        def read(self, spec, plan, shape):
            return np.full(shape, 100 + step * (spec.reader == "cucim"), np.uint8)

    levels = (Level(1024, 768, 1.0, 128, 128),)
    spec = SourceSpec(str(tmp_path / "s.tif"), "cucim", levels)
    assert compare_readers(spec, Off(), 0.5, may_fall_back=False) == ""
