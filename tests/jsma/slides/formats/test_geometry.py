"""Positions on every level of every kind of pyramid, against coordinates painted into the pixels and OpenSlide."""

from __future__ import annotations

import numpy as np
import openslide
import pytest
import tifffile

from jsma.slides import Regions, SlideError, open_slide
from jsma.slides.types import both_axes

TILE = 128
PERIOD = 180  # level pixels after which the painted coordinate starts anew


def painted(width: int, height: int, stored: tuple[int, int]) -> np.ndarray:
    """The pixel's own column in red and row in green, modulo PERIOD; white where the level is only padded."""
    out = np.full((stored[1], stored[0], 3), 255, np.uint8)
    y, x = np.mgrid[0:height, 0:width]
    out[:height, :width] = np.stack([x % PERIOD, y % PERIOD, np.full_like(x, 60)], axis=2)
    return out


def philips_xml(levels: int) -> str:
    parts = "".join(
        '<DataObject ObjectType="PixelDataRepresentation"><Attribute Name="DICOM_PIXEL_SPACING">'
        f'"{0.000227273 * 2**k:.6g}" "{0.000227273 * 2**k:.6g}"</Attribute>'
        f'<Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_NUMBER">{k}</Attribute></DataObject>'
        for k in range(levels)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8" ?><DataObject ObjectType="DPUfsImport">'
        '<Attribute Name="PIM_DP_SCANNED_IMAGES"><Array><DataObject ObjectType="DPScannedImage">'
        '<Attribute Name="PIM_DP_IMAGE_TYPE">WSI</Attribute><Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE">'
        f"<Array>{parts}</Array></Attribute></DataObject></Array></Attribute></DataObject>"
    )


def write(path, size0, factors, *, padded, tile=TILE, **more):
    """A pyramid whose level k is floor(size / factor), filled up to whole tiles where asked."""
    xml, big = more.pop("xml", ""), more.pop("tiff", {})
    with tifffile.TiffWriter(path, **big) as tif:
        for k, factor in enumerate(factors):
            inside = [max(1, side // factor) for side in size0]
            up = [-(side // -(factor * tile)) * tile for side in size0]
            first = {"description": xml, "software": "Philips DP v1.0"} if xml and not k else {}
            tif.write(
                painted(*inside, up if padded else inside),
                photometric="rgb",
                tile=(tile, tile),
                metadata=None,
                subfiletype=int(k > 0),
                **{"compression": "deflate", **more},
                **first,
            )
    return path


def check_positions(opened, factors, most=1):
    """Far from the origin and at it, every level shows the column and row that the place in level-0 pixels has."""
    info = opened.info
    assert [lv.downsample for lv in info.levels] == list(factors)
    for factor in factors:
        for share in (0.03, 0.5, 0.97):
            middle = np.floor(np.array([info.width0_px, info.height0_px]) * share / factor) + 0.5
            got = opened.read(Regions(middle[None] * factor, np.array([info.mpp * factor]), 1, 1))[0][0, 0, 0]
            want = np.floor(middle) % PERIOD
            apart = np.abs(got[:2].astype(float) - want)
            assert np.minimum(apart, PERIOD - apart).max() <= most, (factor, share, got, want)


SIZES = {"not square": (TILE * 9, TILE * 17), "square": (TILE * 13, TILE * 13), "much padding": (TILE * 17, TILE * 17)}


@pytest.mark.parametrize("reader", [None, "openslide", "tifffile"])
@pytest.mark.parametrize("xml", [True, False], ids=["with xml", "sizes only"])
@pytest.mark.parametrize("size", SIZES)
def test_levels_padded_to_whole_tiles(tmp_path, size, xml, reader):
    factors = (1, 2, 4, 8)
    path = write(tmp_path / "s.tiff", SIZES[size], factors, padded=True, xml=philips_xml(4) if xml else "")
    opened = open_slide(path, reader=reader, mpp=None if xml else 0.25)
    if xml:
        assert opened.info.mpp == pytest.approx(0.227273) and opened.info.reader == (reader or "cucim")
        assert openslide.OpenSlide(path).level_downsamples == factors
    check_positions(opened, factors)


@pytest.mark.parametrize("xml", [True, False], ids=["with xml", "sizes only"])
def test_padding_is_outside_of_the_slide(tmp_path, xml):
    """Dark padding is not read: what lies beyond the slide is white, on every level."""
    path = tmp_path / "s.tiff"
    size0 = SIZES["much padding"]
    with tifffile.TiffWriter(path) as tif:
        for k, side in enumerate((size0[0], TILE * 9, TILE * 5)):
            image = np.full((side, side, 3), 90, np.uint8)
            image[size0[0] >> k :] = image[:, size0[0] >> k :] = 10
            tif.write(
                image,
                photometric="rgb",
                tile=(TILE, TILE),
                subfiletype=int(k > 0),
                metadata=None,
                compression="deflate",
                description=philips_xml(3) if xml and not k else None,
            )
    for reader in (None, "tifffile", "openslide"):
        opened = open_slide(path, mpp=0.25, reader=reader)
        for factor in (2, 4):
            edge = np.array([[size0[0] - 1.0, size0[0] - 1.0]])
            pixels = opened.read(Regions(edge, 0.25 * factor, 16, 16))[0][0]
            assert set(np.unique(pixels)) == {90, 255}, (reader, factor)


def test_xml_that_contradicts_the_sizes_is_refused(tmp_path):
    path = write(tmp_path / "s.tiff", (TILE * 9, TILE * 17), (1, 4), padded=True, xml=philips_xml(2))
    with pytest.raises(SlideError, match=r"cut down by 2 .*Philips.*3.* by its size"):
        open_slide(path)


KINDS = {
    "big-endian": {"tiff": {"byteorder": ">"}},
    "bigtiff": {"tiff": {"bigtiff": True}},
    "big-endian bigtiff": {"tiff": {"byteorder": ">", "bigtiff": True}},
    "jpeg": {"compression": "jpeg", "compressionargs": {"level": 100}, "subsampling": (1, 1)},
}
SHAPES = {  # size, factors: the last level of each is small enough for its own ratio to be far off
    "wide": ((4099, 301), (1, 2, 4, 16, 64)),
    "tall": ((301, 4099), (1, 2, 4, 16, 64)),
    "square": ((1023, 1023), (1, 2, 4, 8, 64)),
    "threes": ((1007, 730), (1, 3, 9)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_levels_cut_to_whole_pixels(tmp_path, shape, kind):
    size0, factors = SHAPES[shape]
    path = write(tmp_path / "s.tif", size0, factors, padded=False, tile=64, **KINDS[kind])
    check_positions(open_slide(path, mpp=0.25), factors, 2 if kind == "jpeg" else 1)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 8, 16, 32, 100, 256, 1024])
@pytest.mark.parametrize("rounding", [np.floor, np.ceil, np.rint])
def test_scale_of_a_level_however_it_was_rounded(step, rounding):
    for size0 in ((100_003, 39_999), (7_411, 100_003), (50_021, 50_021)):
        size = tuple(int(max(1, rounding(side / step))) for side in size0)
        assert both_axes(size0, size) == step, (size0, size)
    assert both_axes((97_792, 221_184), (49_152, 110_592)) is None


def test_another_picture_is_no_level(tmp_path):
    """Of the same shape, smaller, tiled: without the mark of a reduced copy it is not read as one."""
    path = tmp_path / "s.tif"
    black = np.zeros((300, 400, 3), np.uint8)
    with tifffile.TiffWriter(path) as tif:
        common = {"photometric": "rgb", "tile": (64, 64), "metadata": None, "compression": "deflate"}
        tif.write(painted(1600, 1200, (1600, 1200)), **common)
        tif.write(painted(800, 600, (800, 600)), subfiletype=1, **common)
        tif.write(black, **common)
        tif.write(black[:150, :200].copy(), subfiletype=1, **common)
    for reader in (None, "tifffile", "openslide"):
        opened = open_slide(path, mpp=0.25, reader=reader)
        assert opened.info.levels[1].downsample == 2
        assert opened.read(Regions(np.array([[800.0, 600.0]]), 1.0, 64, 64))[0][0].any(axis=2).all()
    assert "2 more pictures that are not marked as levels" in open_slide(path, mpp=0.25).info.reader_reason


def test_first_picture_must_be_the_slide(tmp_path):
    path = tmp_path / "s.tif"
    with tifffile.TiffWriter(path) as tif:
        for side in (100, 800):
            tif.write(painted(side, side, (side, side)), photometric="rgb", tile=(64, 64), metadata=None)
    with pytest.raises(SlideError, match="100x100 px. is smaller than that of page 1 .800x800"):
        open_slide(path, mpp=0.25)


def test_a_reader_that_sees_other_levels_is_not_overruled(tmp_path, monkeypatch):
    from jsma.slides import slide
    from jsma.slides.process.client import InProcess
    from jsma.slides.types import GeometryError

    path = write(tmp_path / "s.tif", (1024, 768), (1, 2), padded=False)
    read = InProcess.read

    def other(self, spec, plan, shape):
        if spec.reader == "cucim":
            raise GeometryError(f"{spec.path}: cuCIM sees levels A, the headers B")
        return read(self, spec, plan, shape)

    monkeypatch.setattr(InProcess, "read", other)
    slide._passed.clear()
    with pytest.raises(GeometryError, match="sees levels A, the headers B"):
        open_slide(path, mpp=0.25, in_process=True)
