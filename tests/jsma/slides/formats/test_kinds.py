"""Every kind of file is read right or refused in one line: pixels against what was written."""

from __future__ import annotations

import re
import shutil

import imagecodecs
import numpy as np
import pytest
import tifffile

from jsma.slides import Regions, SlideError, open_slide

ALL = Regions(np.array([[150.0, 100.0]]), 0.5, 300, 200)
APERIO = "Aperio Image Library v12\r\n300x200 (64x64)|AppMag = 20|MPP = 0.5"


def picture() -> np.ndarray:
    """uint8 [200,300,3]: smooth, different in every channel, no symmetry."""
    y, x = np.mgrid[0:200, 0:300]
    return np.stack([40 + x // 2, 30 + y, 220 - (x + y) // 4], axis=2).astype(np.uint8)


def save(path, pixels, *, tile=(64, 64), **more):
    """Write one level at 0.5 micrometres a pixel."""
    tifffile.imwrite(path, pixels, tile=tile, resolution=(20000, 20000), resolutionunit=3, **more)
    return path


def to_ycbcr(rgb: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(rgb.astype(float), 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.rint(np.stack([luma, 128 + (blue - luma) / 1.772, 128 + (red - luma) / 1.402], axis=2)).astype(np.uint8)


def grey(image: np.ndarray) -> np.ndarray:
    return np.repeat(image[..., :1], 3, axis=2)


RGBA = np.dstack([picture(), np.where(np.arange(300) < 150, 255, 100)[None].repeat(200, 0).astype(np.uint8)])
ON_WHITE = np.rint(RGBA[..., :3] * (RGBA[..., 3:] / 255) + 255 * (1 - RGBA[..., 3:] / 255))
PREMULTIPLIED = np.dstack([np.rint(RGBA[..., :3] * (RGBA[..., 3:] / 255)).astype(np.uint8), RGBA[..., 3]])
RGB = {"photometric": "rgb", "metadata": None}
KINDS = {
    "raw": (picture(), RGB, picture(), "cucim"),
    "lzw": (picture(), RGB | {"compression": "lzw"}, picture(), "cucim"),
    "deflate": (picture(), RGB | {"compression": "deflate"}, picture(), "cucim"),
    "deflate with predictor": (picture(), RGB | {"compression": "deflate", "predictor": True}, picture(), "tifffile"),
    "zstd": (picture(), RGB | {"compression": "zstd"}, picture(), "tifffile"),
    "webp": (picture(), RGB | {"compression": "webp", "compressionargs": {"lossless": True}}, picture(), "tifffile"),
    "packbits": (picture(), RGB | {"compression": "packbits"}, picture(), "tifffile"),
    "aperio jpeg 2000 rgb": (picture(), RGB | {"compression": 33005}, picture(), "cucim"),
    "jpeg 2000": (picture(), RGB | {"compression": "jpeg2000"}, picture(), "tifffile"),
    "bigtiff": (picture(), RGB | {"bigtiff": True}, picture(), "cucim"),
    "tiles not square": (picture(), RGB | {"tile": (32, 128)}, picture(), "cucim"),
    "strips": (picture(), RGB | {"tile": None, "rowsperstrip": 16}, picture(), "array"),
    "planar strips": (
        np.moveaxis(picture(), 2, 0).copy(),
        RGB | {"tile": None, "planarconfig": "separate"},
        picture(),
        "array",
    ),
    "grey": (picture()[..., 0], {"photometric": "minisblack", "metadata": None}, grey(picture()), "tifffile"),
    "white is zero": (
        picture()[..., 0],
        {"photometric": "miniswhite", "metadata": None},
        255 - grey(picture()),
        "tifffile",
    ),
    "ycbcr": (to_ycbcr(picture()), RGB | {"photometric": "ycbcr"}, picture(), "tifffile"),
    "grey and alpha": (
        RGBA[..., 2:],
        {"photometric": "minisblack", "extrasamples": ["unassalpha"], "metadata": None},
        ON_WHITE[..., 2:].repeat(3, axis=2),
        "tifffile",
    ),
    "rgba": (RGBA, RGB | {"extrasamples": ["unassalpha"]}, ON_WHITE, "tifffile"),
    "rgba, multiplied": (PREMULTIPLIED, RGB | {"extrasamples": ["assocalpha"]}, ON_WHITE, "tifffile"),
    "rgb and something": (RGBA, RGB | {"extrasamples": ["unspecified"]}, picture(), "tifffile"),
    "grey strips": (picture()[..., 0], {"tile": None, "metadata": None}, grey(picture()), "array"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_read_right(tmp_path, kind):
    pixels, more, want, reader = KINDS[kind]
    opened = open_slide(save(tmp_path / "s.tif", pixels, **more))
    assert opened.info.reader == reader, opened.info.reader_reason
    assert "fails" not in opened.info.reader_reason  # known beforehand, not found out by a crash
    rounded = 2 if kind == "ycbcr" else 1  # what is stored is rounded, and again what is read
    assert np.abs(opened.read(ALL)[0][0].astype(float) - want).max() <= rounded
    small = opened.read(Regions(np.array([[150.0, 100.0]]), 1.0, 150, 100))[0][0]
    mean = want.astype(float).reshape(100, 2, 150, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - mean).max() <= rounded


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 2), (2, 1)])
@pytest.mark.parametrize("reader", ["cucim", "tifffile", "openslide"])
def test_jpeg_colours(tmp_path, reader, subsampling):
    path = save(
        tmp_path / "s.tif", picture(), **RGB, compression="jpeg", subsampling=subsampling, compressionargs={"level": 95}
    )
    got = open_slide(path, reader=reader).read(ALL)[0][0].astype(int)
    assert np.abs(got - picture()).mean() < 2


def unmarked_rgb_tiles(pixels: np.ndarray, side: int):
    """JPEG tiles whose components are R, G, B, without a marker or names of components that tell."""
    for y in range(0, pixels.shape[0], side):
        for x in range(0, pixels.shape[1], side):
            part = pixels[y : y + side, x : x + side]
            tile = np.pad(part, ((0, side - part.shape[0]), (0, side - part.shape[1]), (0, 0)), mode="edge")
            data = imagecodecs.jpeg8_encode(tile, level=95, colorspace="rgb", outcolorspace="rgb", subsampling="444")
            data = re.sub(rb"\xff\xee\x00\x0eAdobe.{7}", b"", data, count=1, flags=re.DOTALL)
            for name, number in zip(b"RGB", (1, 2, 3), strict=True):  # frame header, then scan header
                data = data.replace(bytes([name, 0x11, 0]), bytes([number, 0x11, 0]), 1)
                at = data.index(b"\xff\xda") + 5 + 2 * (number - 1)
                data = data[:at] + bytes([number]) + data[at + 1 :]
            assert b"JFIF" not in data and b"Adobe" not in data
            yield data


@pytest.mark.parametrize("reader", ["cucim", "tifffile", "openslide"])
def test_jpeg_that_holds_rgb_without_saying_so(tmp_path, reader):
    """As Aperio writes: components are R, G, B, and only the TIFF tag tells."""
    path = tmp_path / "s.svs"
    tifffile.imwrite(
        path,
        unmarked_rgb_tiles(picture(), 64),
        shape=(200, 300, 3),
        dtype=np.uint8,
        tile=(64, 64),
        photometric="rgb",
        compression="jpeg",
        metadata=None,
        description=APERIO,
    )
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags["PhotometricInterpretation"].overwrite(2)  # tifffile writes 6 with any JPEG
    got = open_slide(path, reader=reader).read(ALL)[0][0].astype(int)
    assert np.abs(got - picture()).mean() < 2


def test_aperio_jpeg_2000_ycbcr_goes_to_openslide(tmp_path):
    path = save(
        tmp_path / "s.svs",
        to_ycbcr(picture()),
        **RGB,
        compression=33003,
        compressionargs={"mct": False},
        description=APERIO,
    )
    opened = open_slide(path)
    assert opened.info.reader == "openslide" and "colours" in opened.info.reader_reason
    assert np.abs(opened.read(ALL)[0][0].astype(int) - picture()).mean() < 2
    for reader in ("cucim", "tifffile"):
        with pytest.raises(SlideError, match="33003|YCbCr"):
            open_slide(path, reader=reader)


PALETTE = np.stack([np.arange(256) * 257, np.arange(255, -1, -1) * 257, np.full(256, 0x3030)]).astype(np.uint16)
AS_PILLOW = {
    "palette": (picture()[..., 0], {"photometric": "palette", "colormap": PALETTE, "compression": "deflate"}),
    "cmyk": (RGBA, {"photometric": "separated", "compression": "lzw"}),
    "ycbcr": (picture(), {"photometric": "ycbcr", "subsampling": (1, 1)}),
}


@pytest.mark.parametrize("kind", AS_PILLOW)
def test_tiles_of_other_colours_are_read_as_pillow_reads_them(tmp_path, kind):
    from PIL import Image

    pixels, more = AS_PILLOW[kind]
    path = save(tmp_path / "s.tif", pixels, metadata=None, **more)
    opened = open_slide(path)
    want = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert opened.info.reader == "tifffile" and want.std() > 10
    assert np.abs(opened.read(ALL)[0][0] - want).max() <= 1


@pytest.mark.parametrize(
    "vendor, more",
    [
        ("Trestle", {"software": "MedScan 4.1"}),
        ("Ventana", {"extratags": [(700, 1, 30, b'<Metadata><iScan AOI0="1"/></M>', True)]}),
    ],
)
def test_tiles_that_overlap_are_left_to_openslide(tmp_path, vendor, more):
    """Laid side by side their pixels would lie further and further from where they belong."""
    path = save(tmp_path / "s.tif", picture(), **RGB, description="x=1", **more)
    for reader in ("cucim", "tifffile"):
        with pytest.raises(SlideError, match="tiles that overlap"):
            open_slide(path, reader=reader)
    try:
        assert vendor in open_slide(path).info.reader_reason
    except SlideError as error:  # OpenSlide wants more of such a file than there is here
        assert "decoder" in str(error) or "cannot be read" in str(error) or "no micro" in str(error)


REFUSED = {
    "16-bit": (picture().astype(np.uint16), RGB, "16-bit"),
    "float": (picture().astype(np.float32), RGB, "32-bit"),
    "planes": (np.moveaxis(picture(), 2, 0).copy(), RGB | {"planarconfig": "separate"}, "planes"),
    "cielab": (picture(), {"photometric": "cielab"}, "photometric"),
    "cmyk in jpeg": (RGBA, {"photometric": "separated", "compression": "jpeg"}, "photometric"),
    "turned": (picture(), RGB | {"extratags": [(274, 3, 1, 6, True)]}, "Orientation"),
    "huge tiles": (np.zeros((16, 16, 3), np.uint8), RGB | {"tile": (8192, 4096), "compression": "deflate"}, "8192"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_in_one_line(tmp_path, kind):
    pixels, more, text = REFUSED[kind]
    with pytest.raises(SlideError, match=text) as caught:
        open_slide(save(tmp_path / "s.tif", pixels, **more))
    assert "\n" not in str(caught.value) and "convert" in str(caught.value)


def test_extension_in_capitals(tmp_path):
    path = save(tmp_path / "A.SVS", picture(), **RGB, compression="jpeg", description=APERIO)
    opened = open_slide(path)
    assert opened.info.reader == "cucim"
    lower = shutil.copy(path, tmp_path / "b.svs")
    assert np.array_equal(opened.read(ALL)[0], open_slide(lower).read(ALL)[0])


def test_subifd_pyramid_is_whole(tmp_path, levels):
    path = tmp_path / "s.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tif:
        common = {"photometric": "rgb", "tile": (128, 128), "compression": "deflate"}
        metadata = {
            "axes": "YXS",
            "PhysicalSizeX": 500.0,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 500.0,
            "PhysicalSizeYUnit": "nm",
        }
        tif.write(levels[0], subifds=2, metadata=metadata, **common)
        for level in levels[1:]:
            tif.write(level, subfiletype=1, **common)
    opened = open_slide(path)
    assert opened.info.reader == "tifffile" and "SubIFD" in opened.info.reader_reason
    assert [lv.downsample for lv in opened.info.levels] == [1, 4, 16]
    assert (opened.info.mpp, opened.info.mpp_rule) == (0.5, "OME PhysicalSizeX")
    pixels = opened.read(Regions(np.array([[512.0, 384.0]]), 8.0, 64, 48))[0][0]
    assert np.array_equal(pixels, levels[2])
    with pytest.raises(SlideError, match="SubIFD"):
        open_slide(path, reader="cucim")


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA", "CMYK"])
def test_photos(tmp_path, mode):
    from PIL import Image

    image = Image.fromarray(picture()).convert(mode)
    path = tmp_path / ("p.jpg" if mode == "CMYK" else "p.png")
    image.save(path)
    want = np.asarray(Image.open(path).convert("RGB"))
    opened = open_slide(path, mpp=0.5)
    assert opened.info.reader == "array" and np.array_equal(opened.read(ALL)[0][0], want)
