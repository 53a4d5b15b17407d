"""All readers against a naive resample of the whole image, and against each other, on awkward shapes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from jsma.slides import Regions, SlideError, open_slide
from jsma.slides.types import both_axes

REAL = Path(os.environ.get("JSMA_SLIDES", Path(__file__).resolve().parents[3].parent / "shared/data/slides"))
READERS = ("cucim", "tifffile", "openslide")
MPP0 = 0.5
APERIO = "Aperio Image Library v12\r\n1x1|AppMag = 20|MPP = 0.5"


def painted(width: int, height: int, step: float) -> np.ndarray:
    """x in red, y in green; `step` level-0 pixels a pixel, so that levels show the same colours at the same place."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = (x + 0.5) * step / 8, (y + 0.5) * step / 8 + 30
    return np.stack([red, green, np.full_like(red, 40 + 10 * np.log2(step))], axis=2).round().astype(np.uint8)


SHAPES = {  # level sizes (width, height) and tile (height, width)
    "odd levels": ([(1111, 903), (555, 451), (277, 225)], (64, 64)),
    "levels rounded up": ([(1111, 903), (278, 226)], (128, 128)),
    "tiles not square": ([(1000, 700), (250, 175)], (64, 192)),
    "tiles larger than a level": ([(600, 500), (150, 125)], (512, 512)),
    "one level": ([(777, 555)], (256, 256)),
}


def write(path: Path, sizes: list[tuple[int, int]], tile: tuple[int, int], **more) -> list[np.ndarray]:
    images = [painted(w, h, both_axes(sizes[0], (w, h)) or 0) for w, h in sizes]
    with tifffile.TiffWriter(path, bigtiff="bigtiff" in more and more.pop("bigtiff")) as tif:
        for index, image in enumerate(images):
            per_cm = 1e4 / (MPP0 * sizes[0][0] / sizes[index][0])
            tif.write(
                image,
                photometric="rgb",
                tile=tile,
                subfiletype=int(index > 0),
                metadata=None,
                resolution=(per_cm, per_cm),
                resolutionunit=3,
                **more,
            )
    return images


def naive(images: list[np.ndarray], centre: np.ndarray, mpp: float, width: int, height: int) -> np.ndarray:
    """Each output pixel as the mean over its box of the coarsest level that is fine enough, white outside."""
    steps = [both_axes(images[0].shape[1::-1], i.shape[1::-1]) or 0 for i in images]
    index = max(i for i, step in enumerate(steps) if step * MPP0 <= mpp * 1.02)
    image, scale = images[index].astype(float), mpp / MPP0 / steps[index]
    x0, y0 = centre / steps[index] - np.array([width, height]) * scale / 2
    if abs(scale - 1) <= 0.02:
        scale, x0, y0 = 1.0, np.floor(x0 + 0.5), np.floor(y0 + 0.5)

    def weights(start: float, count: int, size: int) -> np.ndarray:
        low = start + np.arange(count)[:, None] * scale
        pixel = np.arange(size)[None]
        return np.clip(np.minimum(low + scale, pixel + 1) - np.maximum(low, pixel), 0, None) / scale

    down, across = weights(y0, height, image.shape[0]), weights(x0, width, image.shape[1])
    rows = (down @ (image - 255).reshape(len(image), -1)).reshape(height, -1, 3)
    return np.einsum("ikc,lk->ilc", rows, across, optimize=True) + 255


def scattered(width: int, height: int) -> Regions:
    """Mixed magnifications in any order: inside, over every edge, at corners, far outside."""
    rng = np.random.default_rng(1)
    centre = rng.uniform(-0.1, 1.1, (40, 2)) * (width, height)
    centre[:6] = [[0, 0], [width, height], [width, 0], [-9e5, 3], [width / 2, 9e6], [width / 2, height / 2]]
    mpp = rng.choice([0.5, 0.505, 0.71, 1.0, 1.9, 2.0, 3.3, 8.0], len(centre))
    return Regions(centre, mpp, 61, 47)


def tolerance(reader: str, shape: str) -> int:
    """Grey levels. OpenSlide interpolates where the size of a level is not a whole fraction, with seams of its own."""
    return 4 if reader == "openslide" and shape in ("odd levels", "levels rounded up") else 1


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_within_one_grey_level_of_the_naive_resample(tmp_path, shape, reader):
    sizes, tile = SHAPES[shape]
    images = write(tmp_path / "s.tif", sizes, tile)
    regions = scattered(*sizes[0])
    pixels = open_slide(tmp_path / "s.tif", reader=reader).read(regions)[0]
    for got, centre, mpp in zip(pixels, regions.centre0, regions.mpp, strict=True):
        assert np.abs(got - naive(images, centre, mpp, 61, 47)).max() <= tolerance(reader, shape), (centre, mpp)


@pytest.mark.parametrize("more", [{}, {"bigtiff": True}, {"description": APERIO}], ids=["generic", "bigtiff", "aperio"])
@pytest.mark.parametrize("shape", ["odd levels", "tiles not square"])
def test_readers_agree_with_each_other_on_jpeg(tmp_path, shape, more):
    path = tmp_path / ("s.svs" if "description" in more else "s.tif")
    sizes, tile = SHAPES[shape]
    write(path, sizes, tile, compression="jpeg", **more)
    regions = scattered(*sizes[0])
    read = {reader: open_slide(path, reader=reader).read(regions)[0].astype(int) for reader in READERS}
    read["cuCIM decodes"] = open_slide(path, decoder="cucim").read(regions)[0].astype(int)
    for reader in [*READERS[1:], "cuCIM decodes"]:
        assert np.abs(read[reader] - read["cucim"]).max() <= tolerance(reader, shape)


def test_order_of_the_request_is_the_order_of_the_answer(tmp_path):
    sizes, tile = SHAPES["odd levels"]
    write(tmp_path / "s.tif", sizes, tile)
    opened, regions = open_slide(tmp_path / "s.tif"), scattered(*sizes[0])
    together = opened.read(regions)[0]
    for index in (0, 7, 23, 39):
        alone = Regions(regions.centre0[index : index + 1], regions.mpp[index : index + 1], 61, 47)
        assert np.array_equal(opened.read(alone)[0][0], together[index])


FACTS = {  # levels, and micrometres per pixel as the file says (the second says nothing)
    "cmu_small_region.svs": ([(2220, 2967)], 0.499),
    "tcga-cr-7395-01a-01-ts1.svs": ([(4443, 3567), (2221, 1783)], None),
}


@pytest.mark.parametrize("name", FACTS)
def test_real_slides(name):
    if not (REAL / name).exists():
        pytest.skip(f"{name} is not in the folder of real slides (JSMA_SLIDES)")
    sizes, mpp = FACTS[name]
    if mpp is None:
        with pytest.raises(SlideError, match="`mpp` column"):
            open_slide(REAL / name)
    slides = [open_slide(REAL / name, reader=reader, mpp=None if mpp else 0.25) for reader in READERS]
    for opened in slides:
        assert opened.info.mpp == pytest.approx(mpp or 0.25)
        assert [(lv.width_px, lv.height_px) for lv in opened.info.levels] == sizes
    assert open_slide(REAL / name, mpp=0.25).info.reader == "cucim"
    rng = np.random.default_rng(0)
    centre, steps = rng.uniform(0, 1, (24, 2)) * sizes[0], rng.choice([1.0, 1.3, 2.0, 4.0], 24)
    cucim, tifffile_, openslide = (
        opened.read(Regions(centre, steps * opened.info.mpp, 128, 96))[0].astype(int) for opened in slides
    )
    assert cucim.std() > 10  # tissue, not glass
    assert np.abs(cucim - tifffile_).max() <= 1
    apart = np.abs(cucim - openslide)
    assert apart[steps < 2].max() <= 1  # from level 0
    assert apart.mean() < 1.5  # the second level of one slide is not a whole fraction: interpolated by OpenSlide
