"""Photos of every kind: pixels against an independent reader of the same file, or refused with the reason; strictly."""

from __future__ import annotations

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from jsma.slides import DamagedSlideError, Regions, SlideError, open_slide
from jsma.slides.formats import photo
from jsma.slides.formats.colours import to_8_bits
from jsma.slides.formats.photo import load_photo, photo_size
from tests.jsma.slides.formats.test_kinds import picture

RNG = np.random.default_rng(3)
GREY = picture()[..., 0]
ALPHA = np.tile(np.linspace(0, 255, 300).astype(np.uint8), (200, 1))
RGBA = np.dstack([picture(), ALPHA])
PALETTE = RNG.integers(0, 65536, (3, 256)).astype(np.uint16)
EIGHT = "8 bits, as they are"


def on_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None].astype(float) / 255
    return np.rint(colours * share + 255 * (1 - share))


def by_pillow(path) -> np.ndarray:
    """libtiff's pixels, or Pillow's own; transparency laid on white by Pillow."""
    with Image.open(path) as image:
        if "A" in image.mode or "transparency" in image.info:
            white = Image.new("RGBA", image.size, "white")
            return np.asarray(Image.alpha_composite(white, image.convert("RGBA")).convert("RGB"))
        return np.asarray(image.convert("RGB"))


def wide(pixels: np.ndarray, times: int = 257) -> np.ndarray:
    return pixels.astype(np.uint16) * times


# pixels, how tifffile writes them, the rule, what is right where Pillow does not read the file so
TIFF = {
    "rgb": (picture(), {"photometric": "rgb"}, EIGHT, None),
    "rgb, planes": (
        np.moveaxis(picture(), 2, 0).copy(),
        {"photometric": "rgb", "planarconfig": "separate"},
        EIGHT,
        None,
    ),
    "rgb, jpeg": (picture(), {"photometric": "rgb", "compression": "jpeg"}, EIGHT, None),
    "rgb, lzw and predictor": (picture(), {"photometric": "rgb", "compression": "lzw", "predictor": True}, EIGHT, None),
    "rgba": (RGBA, {"photometric": "rgb", "extrasamples": ["unassalpha"]}, "on white", None),
    "rgb and something": (RGBA, {"photometric": "rgb", "extrasamples": ["unspecified"]}, EIGHT, picture()),
    "grey": (GREY, {"photometric": "minisblack"}, EIGHT, None),
    "grey, jpeg": (GREY, {"photometric": "minisblack", "compression": "jpeg"}, EIGHT, None),
    "grey, white is zero": (GREY, {"photometric": "miniswhite"}, "inverted", None),
    "grey and alpha": (
        np.dstack([GREY, ALPHA]),
        {"photometric": "minisblack", "extrasamples": ["unassalpha"]},
        "on white",
        on_white(np.repeat(GREY[..., None], 3, 2), ALPHA),
    ),
    "1 bit": (GREY > 100, {"photometric": "minisblack"}, "1 bit", None),
    "1 bit, white is zero": (GREY > 100, {"photometric": "miniswhite"}, "inverted", None),
    "4 bits": (GREY // 16, {"photometric": "minisblack", "bitspersample": 4, "compression": None}, "4 bits", None),
    "palette": (GREY, {"photometric": "palette", "colormap": PALETTE}, "palette", None),
    "palette of 8 bits": (
        GREY,
        {"photometric": "palette", "colormap": PALETTE >> 8},
        "palette",
        (PALETTE >> 8).T[GREY],
    ),
    "cmyk": (np.dstack([picture(), GREY]), {"photometric": "separated"}, "CMYK", None),
    "cmyk, jpeg": (
        np.dstack([picture(), GREY // 2]),
        {"photometric": "separated", "compression": "jpeg"},
        "CMYK",
        None,
    ),
    "ycbcr": (picture(), {"photometric": "ycbcr"}, "BT.601", None),
    "ycbcr, jpeg": (picture(), {"photometric": "rgb", "compression": "jpeg", "subsampling": (2, 2)}, EIGHT, None),
    "16 bits": (wide(picture()), {"photometric": "rgb"}, "16 bits, /65535", picture()),
    "16 bits, grey": (wide(GREY), {"photometric": "minisblack"}, "16 bits", np.repeat(GREY[..., None], 3, 2)),
    "16 bits, alpha": (
        wide(RGBA),
        {"photometric": "rgb", "extrasamples": ["unassalpha"]},
        "16 bits",
        on_white(picture(), ALPHA),
    ),
    "12 bits in 16": (wide(picture(), 16), {"photometric": "rgb"}, "12 bits in 16", picture() * (16 * 255 / 4095)),
    "8 bits in 16": (wide(picture(), 1), {"photometric": "rgb"}, "8 bits in 16", picture()),
    "big endian": (wide(picture()), {"photometric": "rgb", "byteorder": ">"}, "16 bits", picture()),
    "one level in tiles": (GREY, {"photometric": "palette", "colormap": PALETTE, "tile": (64, 64)}, "palette", None),
}


@pytest.mark.parametrize("kind", TIFF)
def test_tiff(tmp_path, kind):
    pixels, more, rule, want = TIFF[kind]
    path = tmp_path / "p.tif"
    tifffile.imwrite(path, pixels, metadata=None, **({"rowsperstrip": 32} | more if "tile" not in more else more))
    loaded = load_photo(str(path))
    want = by_pillow(path) if want is None else want
    assert loaded.pixels.dtype == np.uint8 and loaded.pixels.shape == (200, 300, 3)
    assert photo_size(str(path)) == (300, 200)
    assert np.abs(loaded.pixels.astype(float) - want).max() <= 1
    assert rule in loaded.rule and loaded.pages == 1 and not loaded.notes
    if "tile" not in more:
        opened = open_slide(path, mpp=0.5)
        regions = Regions(np.array([[150.0, 100.0]]), 0.5, 300, 200)
        assert np.array_equal(opened.read(regions)[0][0], loaded.pixels) and rule in opened.info.reader_reason


def premultiplied(alpha):
    return np.rint(picture() * (alpha[..., None] / 255)).astype(np.uint8)


def test_alpha_that_is_multiplied_already(tmp_path):
    path = tmp_path / "p.tif"
    pixels = np.dstack([premultiplied(ALPHA), ALPHA])
    for scale in (pixels, wide(pixels)):
        tifffile.imwrite(path, scale, photometric="rgb", extrasamples=["assocalpha"], metadata=None)
        assert np.abs(load_photo(str(path)).pixels - on_white(picture(), ALPHA)).max() <= 1


REFUSED = {
    "float": (picture().astype(np.float32), {"photometric": "rgb"}, "float32"),
    "signed": (GREY.astype(np.int8), {"photometric": "minisblack"}, "int8"),
    "32 bits": (GREY.astype(np.uint32), {"photometric": "minisblack"}, "uint32"),
    "lab": (picture(), {"photometric": "cielab"}, "CIELAB"),
    "other inks": (RGBA, {"photometric": "separated", "extratags": [(332, 3, 1, 2, True)]}, "inks"),
    "colours without a meaning": (RGBA, {"photometric": "rgb", "extrasamples": ["unassalpha"]}, "4 colours"),
    "palette too short": (GREY, {"photometric": "palette", "colormap": PALETTE}, "palette"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_with_the_reason(tmp_path, kind):
    pixels, more, text = REFUSED[kind]
    path = tmp_path / "p.tif"
    tifffile.imwrite(path, pixels, metadata=None, **more)
    if kind == "palette too short":
        with tifffile.TiffFile(path, mode="r+") as tif:
            tif.pages[0].tags["ColorMap"].overwrite(PALETTE[:, :16].ravel())
    if kind == "colours without a meaning":
        path.write_bytes(path.read_bytes().replace(b"\x52\x01\x03\x00", b"\x51\xf1\x03\x00"))  # ExtraSamples: unknown
    for read in (lambda: load_photo(str(path)), lambda: open_slide(path, mpp=0.5)):
        with pytest.raises(SlideError, match=text) as caught:
            read()
        assert "\n" not in str(caught.value) and "p.tif" in str(caught.value)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "P transparent", "L transparent"])
@pytest.mark.parametrize("kind", ["png", "bmp"])
def test_pillow_kinds_against_opencv(tmp_path, mode, kind):
    image = Image.fromarray(RGBA)
    image = image.convert("RGB").convert(mode.split()[0]) if mode not in ("RGBA", "LA") else image.convert(mode)
    path, more = tmp_path / f"p.{kind}", {"transparency": 40} if "transparent" in mode else {}
    try:
        image.save(path, **more)
    except OSError:
        return pytest.skip("there is no such file")
    flat = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if flat.ndim == 3 and flat.shape[2] == 4 and kind == "png":
        want = on_white(flat[..., 2::-1], flat[..., 3])
    elif mode == "L transparent" and kind == "png":
        want = np.where(flat[..., None] == 40, 255, flat[..., None]).repeat(3, 2)
    else:
        want = cv2.imread(str(path))[..., ::-1]
    assert np.abs(load_photo(str(path)).pixels - want.astype(float)).max() <= 1


@pytest.mark.parametrize("shape", ["grey", "rgb", "rgba", "grey and alpha"])
def test_png_of_16_bits_keeps_its_range(tmp_path, shape):
    narrow = {"grey": GREY, "rgb": picture(), "rgba": RGBA, "grey and alpha": np.dstack([GREY, ALPHA])}[shape]
    path = tmp_path / "p.png"
    path.write_bytes(imagecodecs.png_encode(wide(narrow)))
    colours = np.repeat(GREY[..., None], 3, 2) if shape.startswith("grey") else picture()
    want = on_white(colours, ALPHA) if "a" in shape[3:] and shape != "grey" else colours
    loaded = load_photo(str(path))
    assert np.abs(loaded.pixels - want.astype(float)).max() <= 1 and loaded.rule.startswith("16 bits")
    path.write_bytes(imagecodecs.png_encode(wide(GREY, 16)))
    assert load_photo(str(path)).rule == "12 bits in 16, /4095"


@pytest.mark.parametrize(
    "mode, more", [("RGB", {}), ("RGB", {"progressive": True}), ("RGB", {"subsampling": 0}), ("L", {}), ("CMYK", {})]
)
def test_jpeg(tmp_path, mode, more):
    path = tmp_path / "p.jpg"
    Image.fromarray(picture()).convert(mode).save(path, **more)
    assert np.array_equal(load_photo(str(path)).pixels, by_pillow(path))


def test_orientation_and_profile_are_told_and_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture()).save(tmp_path / "p.jpg", exif=exif, icc_profile=b"a profile")
    Image.fromarray(picture()).save(tmp_path / "p.png", exif=exif)
    tifffile.imwrite(tmp_path / "p.tif", picture(), photometric="rgb", metadata=None, extratags=[(274, 3, 1, 6, True)])
    for name in ("p.jpg", "p.png", "p.tif"):
        loaded = load_photo(str(tmp_path / name))
        assert loaded.pixels.shape == (200, 300, 3) and loaded.notes[0].startswith("orientation 6"), name
        assert "orientation 6" in open_slide(tmp_path / name, mpp=0.5).info.reader_reason
    assert "profile" in load_photo(str(tmp_path / "p.jpg")).notes[1]


def noisy():
    return RNG.integers(60, 200, (256, 256, 3), dtype=np.uint8)


def written(path, kind):
    if path.suffix == ".tif":
        tifffile.imwrite(path, noisy(), photometric="rgb", metadata=None, rowsperstrip=32, compression=kind)
    else:
        Image.fromarray(noisy()).save(path)
    return path


FILES = [
    ("p.jpg", None),
    ("p.png", None),
    ("p.bmp", None),
    ("p.tif", None),
    ("p.tif", "jpeg"),
    ("p.tif", "deflate"),
    ("p.tif", "lzw"),
    ("p.tif", "packbits"),
    ("p.tif", "zstd"),
    ("p.tif", "jpeg2000"),
]


@pytest.mark.parametrize("name, kind", FILES)
def test_cut_short(tmp_path, name, kind):
    path = written(tmp_path / name, kind)
    data = path.read_bytes()
    for share in (0.3, 0.9, 0.999):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(DamagedSlideError) as caught:
            load_photo(str(path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name, kind", [f for f in FILES if f[1] not in (None, "lzw", "packbits") or "g" in f[0][-3:]])
def test_overwritten_in_the_middle(tmp_path, name, kind):
    path = written(tmp_path / name, kind)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = RNG.integers(0, 256, 300, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    with pytest.raises(DamagedSlideError):
        load_photo(str(path))


@pytest.mark.parametrize("kind", ["deflate", "jpeg"])
def test_a_strip_without_bytes(tmp_path, kind):
    path = written(tmp_path / "p.tif", kind)
    with tifffile.TiffFile(path, mode="r+") as tif:
        counts = list(tif.pages[0].databytecounts)
        tif.pages[0].tags["StripByteCounts"].overwrite([*counts[:3], 0, *counts[4:]])
    with pytest.raises(DamagedSlideError, match="part 3 has 0 of"):
        load_photo(str(path))


@pytest.mark.parametrize(
    "dtype, top, scaled, rule",
    [
        (np.uint8, 200, 200, EIGHT),
        (np.uint16, 200, 200, "8 bits in 16"),
        (np.uint16, 4095, 255, "12 bits in 16"),
        (np.uint16, 65535, 255, "16 bits"),
        (np.uint16, 32768, 128, "16 bits"),
    ],
)
def test_bits(dtype, top, scaled, rule):
    pixels = np.zeros((4, 5, 3), dtype)
    pixels[0] = top
    out, text = to_8_bits(pixels, "p")
    assert out.dtype == np.uint8 and out.shape == (4, 5, 3) and out.max() == scaled and out.min() == 0
    assert text.startswith(rule)


def test_above_the_limit_of_pillow_for_bombs(tmp_path, monkeypatch):
    Image.fromarray(picture()).save(tmp_path / "p.png")
    monkeypatch.setattr(photo, "MAX_WHOLE_PX", 59_999)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # an error above twice as many
    with pytest.raises(SlideError, match="300x200 px without tiles .* at most 59999 px"):
        load_photo(str(tmp_path / "p.png"))
    assert np.array_equal(load_photo(str(tmp_path / "p.png"), bounded=False).pixels, picture())
