"""Label masks of every kind against what Pillow reads, pixel by pixel; what is no label mask is refused."""

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from bench.datasets.evidence import check_annotation, load_evidence
from bench.datasets.evidence.raster import trace_outline
from jsma.slides import SlideError

ROWS, COLUMNS = 30, 40  # of a mask; its slide is four times as large
SIZE0 = (4 * COLUMNS, 4 * ROWS)


def drawn(top=3, dtype=np.uint8):
    """Labels 0 (background), 1 .. top: blocks, a diagonal, a frame with a hole, single pixels."""
    rng = np.random.default_rng(0)
    labels = np.zeros((ROWS, COLUMNS), dtype)
    labels[2:12, 3:20] = 1
    labels[5:9, 8:12] = 0
    labels[14:28, 2:16] = rng.integers(0, 2, (14, 14)) * (top - 1)
    labels[np.arange(20), np.arange(20) + 18] = top
    labels[29, 39] = top
    return labels


def painted(evidence, labels):
    """The labels again, from the evidence at the middle of every mask pixel."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS] * 4 + 2.0
    found = np.zeros((ROWS, COLUMNS), int)
    for kind in evidence.areas:
        found[evidence.contains(np.column_stack([x.ravel(), y.ravel()]), kind).reshape(ROWS, COLUMNS)] = int(kind)
    assert evidence.union.area == pytest.approx(16 * (labels > 0).sum()), "to the pixel"
    return found


def as_png(path, kind):
    labels = drawn()
    if kind == "palette":
        image = Image.fromarray(labels).convert("P")
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 9, 9])
        image.save(path, bits=8)
    elif kind == "palette of 2 bits":
        image = Image.fromarray(labels).convert("P")
        image.putpalette([9, 9, 9, 255, 0, 0, 0, 255, 0, 9, 9, 9])
        image.save(path, bits=2, transparency=0)
    elif kind == "1 bit":
        labels = (labels > 0).astype(np.uint8)
        Image.fromarray(labels.astype(bool)).save(path)
    elif kind == "4 bits":
        cells = labels.reshape(ROWS, -1, 2)
        rows = b"".join(b"\0" + bytes((row[:, 0] << 4 | row[:, 1]).tolist()) for row in cells)
        path.write_bytes(png_of(rows, depth=4, colour=0))
    elif kind == "16 bits":
        labels = drawn(3000, np.uint16)
        cv2.imwrite(str(path), labels)
    elif kind == "RGB":
        Image.fromarray(np.repeat(labels[..., None], 3, 2)).save(path)
    elif kind == "RGBA":
        Image.fromarray(
            np.concatenate([np.repeat(labels[..., None], 3, 2), np.full((ROWS, COLUMNS, 1), 255, np.uint8)], 2)
        ).save(path)
    elif kind == "RGBA, background transparent":
        Image.fromarray(
            np.concatenate([np.repeat(labels[..., None], 3, 2), 255 * (labels[..., None] > 0)], 2).astype(np.uint8)
        ).save(path)
    elif kind == "RGB of 16 bits":
        labels = drawn(3000, np.uint16)
        cv2.imwrite(str(path), np.repeat(labels[..., None], 3, 2))
    else:
        Image.fromarray(labels).save(path)
    return labels


def png_of(rows, depth, colour):
    import struct
    import zlib

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", COLUMNS, ROWS, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "kind",
    [
        "grey",
        "palette",
        "palette of 2 bits",
        "1 bit",
        "4 bits",
        "16 bits",
        "RGB",
        "RGB of 16 bits",
        "RGBA",
        "RGBA, background transparent",
    ],
)
def test_a_png_gives_the_numbers_that_are_stored(kind, tmp_path):
    labels = as_png(tmp_path / "m.png", kind)
    assert np.array_equal(painted(load_evidence(str(tmp_path / "m.png"), *SIZE0), labels), labels)
    if kind not in ("4 bits", "RGB of 16 bits"):  # Pillow spreads 4 bits over 0..255, and drops half of 16
        read = np.array(Image.open(tmp_path / "m.png"))
        assert np.array_equal(read if read.ndim == 2 else read[..., 0], labels)


TIFFS = {
    "grey": (drawn(), {}),
    "tiled": (drawn(), {"tile": (16, 16), "compression": "deflate"}),
    "above 255": (drawn(300, np.uint16), {}),
    "signed": (drawn(3, np.int16), {}),
    "whole floats": (drawn(3, np.float32), {}),
    "planar": (np.repeat(drawn()[None], 3, 0), {"photometric": "rgb", "planarconfig": "separate"}),
    "red alone": (np.stack([drawn(), 0 * drawn(), 0 * drawn()], 2), {"photometric": "rgb"}),
    "1 bit": (drawn() > 0, {"photometric": "minisblack"}),
}


@pytest.mark.parametrize("kind", TIFFS)
def test_a_tiff_gives_the_numbers_that_are_stored(kind, tmp_path):
    pixels, options = TIFFS[kind]
    tifffile.imwrite(tmp_path / "m.tif", pixels, metadata=None, **options)
    labels = pixels[0] if kind == "planar" else pixels[..., 0] if kind == "red alone" else pixels
    assert np.array_equal(painted(load_evidence(str(tmp_path / "m.tif"), *SIZE0), labels), labels.astype(int))


def test_a_lower_level_of_a_pyramid_is_read_and_its_largest_says_the_proportions(tmp_path, monkeypatch):
    labels = np.zeros((1200, 1600), np.uint8)
    labels[400:800, 400:1200] = 2
    with tifffile.TiffWriter(tmp_path / "m.tif") as tif:
        for step in (1, 2, 4):
            tif.write(
                labels[::step, ::step], tile=(128, 128), compression="lzw", subfiletype=int(step > 1), metadata=None
            )
    monkeypatch.setattr("bench.datasets.evidence.raster.LONGEST_PX", 500)
    evidence = load_evidence(str(tmp_path / "m.tif"), 3200, 2400)
    assert evidence.areas["2"].bounds == (800, 800, 2400, 1600)


def test_a_large_mask_is_thinned_and_keeps_its_place(tmp_path, monkeypatch):
    labels = np.zeros((600, 900), np.uint8)
    labels[120:300, 300:750] = 1
    cv2.imwrite(str(tmp_path / "m.png"), labels)
    monkeypatch.setattr("bench.datasets.evidence.raster.THINNED_PX", 300)
    bounds = load_evidence(str(tmp_path / "m.png"), 900, 600).areas["1"].bounds
    assert bounds == pytest.approx((300, 120, 750, 300), abs=2)


def colours(top):
    return np.random.default_rng(0).integers(0, top, (ROWS, COLUMNS, 3)).astype(np.uint8)


BAD = {
    "colours.png": (colours(256), "its channels differ"),
    "photo.png": (colours(256)[..., 0], "different values, more than 64"),
    "holes.png": (np.dstack([colours(1), colours(256)[..., 0]]) + np.uint8(1), "transparent"),
    "below.tif": (drawn(3, np.int16) - 1, "value -1, which is below 0"),
    "half.tif": (drawn(3, np.float32) / 2, "no whole numbers"),
    "nan.tif": (np.full((ROWS, COLUMNS), np.nan, np.float32), "no whole numbers"),
    "stack.tif": (np.stack([drawn()] * 3), "3 pages"),
    "wide.png": (np.ones((ROWS, COLUMNS * 2), np.uint8), "80 x 30 px is of other proportions than its slide (160 x"),
    "turned.png": (np.ones((COLUMNS, ROWS), np.uint8), "other proportions"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_label_mask_is_refused_with_the_reason(name, tmp_path):
    pixels, words = BAD[name]
    if name.endswith("png"):
        cv2.imwrite(str(tmp_path / name), pixels)
    else:
        tifffile.imwrite(tmp_path / name, pixels, photometric="minisblack", metadata=None)
    with pytest.raises(SlideError) as error:
        load_evidence(str(tmp_path / name), *SIZE0)
    assert words in str(error.value) and name in str(error.value) and "\n" not in str(error.value)
    assert check_annotation(str(tmp_path / name), *SIZE0) == str(error.value)


def test_inverted_and_doubled_pages_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "i.tif", drawn(), photometric="miniswhite", metadata=None)
    with tifffile.TiffWriter(tmp_path / "two.tif") as tif:
        for value in (1, 2):
            tif.write(drawn() * np.uint8(value), metadata=None)
            tif.write(drawn()[::2, ::2], metadata=None)
    for name, words in {"i.tif": "white is zero", "two.tif": "2 pages"}.items():
        with pytest.raises(SlideError, match=words):
            load_evidence(str(tmp_path / name), *SIZE0)


@pytest.mark.parametrize("side", [1, 2, 40])
def test_a_mask_may_be_a_pixel_off_its_slides_proportions(side, tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.ones((side, side), np.uint8))
    width0 = 1000
    assert check_annotation(str(tmp_path / "m.png"), width0, round(width0 * (1 + 0.9 / side))) is None


def test_outlines_run_along_the_pixels_whatever_their_pattern():
    rng = np.random.default_rng(1)
    for share in (0.1, 0.4, 0.6, 0.9):
        layer = rng.random((23, 31)) < share
        shape = trace_outline(layer, (3.0, 2.0))
        assert shape.is_valid and shape.area == pytest.approx(6 * layer.sum())
