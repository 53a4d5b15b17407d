"""Memory: used again only when nobody looks at it, bounded in every call, and planning that stays small."""

from __future__ import annotations

import gc
import os
import tracemalloc

import numpy as np
import pytest

from jsma.slides import ArraySlide, Level, Regions, SlideError, open_slide
from jsma.slides import slide as slide_module
from jsma.slides.formats import photo
from jsma.slides.process import shared_memory as segments_module
from jsma.slides.process.client import Isolated, client
from jsma.slides.process.shared_memory import Segments
from jsma.slides.process.worker import Decoder
from jsma.slides.reading.plan import cost_of, make_plan

COPIED = segments_module.COPIED_BYTES
pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="shared memory without a name: Linux only")


def at(x: float, y: float, number: int = 1) -> Regions:
    return Regions(np.full((number, 2), (x, y)), 0.5, 64, 64)


@pytest.mark.parametrize("in_process", [False, True])
def test_arrays_in_use_are_never_overwritten(jpeg, in_process):
    opened = open_slide(jpeg, in_process=in_process)
    places = [(100, 100), (400, 300), (700, 500), (900, 90)]
    first = [opened.read(at(*place, 100))[0] for place in places]
    assert first[0].nbytes >= COPIED
    kept = [(pixels.copy(), pixels[0, 10:20, :, 1]) for pixels in first]  # a copy, and a view of a view
    del first
    gc.collect()
    for _ in range(3):
        for place in places[::-1]:
            opened.read(at(*place, 100))
    for copy, view in kept:
        assert np.array_equal(copy[0, 10:20, :, 1], view)


def test_memory_comes_back_and_is_used_again():
    pool = Segments()
    segment = pool.take(COPIED)
    number, array = segment.number, pool.array(segment, (COPIED // 64, 4, 4, 4))
    del segment
    view = array[3:4].reshape(-1)
    del array
    gc.collect()
    assert pool.idle_bytes == 0  # the view still looks at it
    del view
    gc.collect()
    assert pool.idle_bytes == COPIED
    assert pool.take(COPIED - 9).number == number
    assert pool.take(COPIED - 9).number != number


def test_idle_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(segments_module, "MAX_IDLE_BYTES", 5 * COPIED // 2)
    pool = Segments()
    arrays = [pool.array(pool.take(COPIED), (COPIED,)) for _ in range(5)]
    big = pool.array(pool.take(3 * COPIED), (3 * COPIED,))
    del arrays, big
    gc.collect()
    assert pool.idle_bytes == 2 * COPIED and len(pool.gone()) == 4


def test_thousands_of_arrays_in_use_do_not_exhaust_file_descriptors(jpeg):
    opened = open_slide(jpeg)
    before = len(os.listdir("/proc/self/fd"))
    small = [opened.read(at(300, 300))[0] for _ in range(200)]
    large = [opened.read(at(300, 300, 90))[0] for _ in range(segments_module.MAX_OUT + 30)]
    assert large[0].nbytes >= COPIED > small[0].nbytes
    assert len(os.listdir("/proc/self/fd")) <= before + 2 * (segments_module.MAX_OUT + 1)
    assert all(np.array_equal(pixels, large[0]) for pixels in large)


def test_memory_seen_by_a_fork_is_not_used_again():
    pool = Segments()
    array = pool.array(pool.take(COPIED), (COPIED,))
    pool.new_era()
    del array
    gc.collect()
    assert pool.idle_bytes == 0


def test_reads_do_not_leak(jpeg):
    opened = open_slide(jpeg)
    opened.read(at(100, 100, 50))
    before = len(os.listdir("/proc/self/fd"))
    isolated = client(False, None)
    assert isinstance(isolated, Isolated)
    theirs = f"/proc/{isolated.pid}/fd"
    mapped = len(os.listdir(theirs))
    for number in range(1, 60):
        opened.read(at(300, 300, 9 * number))
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 2 * segments_module.MAX_IDLE
    opened.read(at(300, 300))  # tells the child what is gone
    assert len(os.listdir(theirs)) <= mapped + segments_module.MAX_IDLE + 1


@pytest.mark.parametrize("mpp, factor", [(0.5, 1), (0.7, 5)])
def test_one_call_is_bounded(jpeg, monkeypatch, mpp, factor):
    opened = open_slide(jpeg)
    regions = Regions(np.full((10, 2), 300.0), mpp, 64, 64)
    needed = 10 * 64 * 64 * 3 * factor  # the sums of resampled regions are four times their pixels
    monkeypatch.setattr(slide_module, "MAX_READ_BYTES", needed)
    opened.read(regions)
    monkeypatch.setattr(slide_module, "MAX_READ_BYTES", needed - 1)
    with pytest.raises(SlideError, match=f"needs {needed} bytes.*split it into 2"):
        opened.read(regions)


def test_images_decoded_whole_are_bounded(tmp_path, monkeypatch):
    import tifffile
    from PIL import Image

    image = np.full((100, 120, 3), 77, np.uint8)
    Image.fromarray(image).save(tmp_path / "p.png")
    tifffile.imwrite(tmp_path / "s.tif", image, photometric="rgb", rowsperstrip=10)
    monkeypatch.setattr(photo, "MAX_WHOLE_PX", 100 * 120 - 1)
    for name in ("p.png", "s.tif"):
        with pytest.raises(SlideError, match="120x100 px without tiles.*tiled pyramid"):
            open_slide(tmp_path / name, mpp=0.5, in_process=True)
    monkeypatch.setattr(photo, "MAX_WHOLE_PX", 100 * 120)
    for name in ("p.png", "s.tif"):
        open_slide(tmp_path / name, mpp=0.5, in_process=True).read(at(50, 50))


def test_photos_kept_open_are_bounded(tmp_path, monkeypatch):
    from PIL import Image

    from jsma.slides.process import worker
    from jsma.slides.readers.base import SourceSpec

    monkeypatch.setattr(worker, "MAX_HELD_BYTES", 3 * 100 * 100 * 3)
    decoder = Decoder(1)
    for number in range(7):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.full((100, 100, 3), number, np.uint8)).save(path)
        decoder.describe(SourceSpec(str(path), "array", ()))
        assert decoder.held_bytes <= 3 * 100 * 100 * 3
    assert len(decoder.sources) == 3
    decoder.close()


def test_large_image_is_resampled_in_small_pieces():
    image = np.random.default_rng(0).integers(0, 255, (3000, 4000, 3), dtype=np.uint8)
    opened = ArraySlide(image, 0.5)
    regions = Regions(np.array([[2000.0, 1500.0]]), 5.0, 400, 300)
    opened.read(regions)
    tracemalloc.start()
    pixels = opened.read(regions)[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    want = image.reshape(300, 10, 400, 10, 3).mean(axis=(1, 3))
    assert np.abs(pixels[0] - want).max() <= 1
    assert peak < image.size * 4 / 2  # the image as floats would be image.size * 4 bytes


def test_planning_on_a_slide_of_100k_pixels_a_side():
    levels = tuple(Level(100_000 // d, 100_000 // d, float(d), 256, 256) for d in (1, 4, 16, 64))
    rng = np.random.default_rng(0)
    regions = Regions(rng.uniform(0, 100_000, (2000, 2)), rng.choice([0.5, 2.0, 8.0], 2000), 256, 256)
    tile_bytes = tuple(np.ones(lv.grid[0] * lv.grid[1], np.int64) for lv in levels)
    tracemalloc.start()
    plan = make_plan(levels, 0.5, regions)
    cost = cost_of(plan, levels, tile_bytes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert cost.tiles == len(np.unique(plan.tiles, axis=0)) == cost.compressed_bytes
    assert peak < 8 << 20  # of the order of the regions' tiles (8,000), not of the slide's (163,000)


@pytest.mark.parametrize("value", [255, 200])
@pytest.mark.parametrize("reader", ["cucim", "tifffile"])
def test_empty_area_is_decoded_once_and_counted_in_full(tmp_path, monkeypatch, reader, value):
    """A large slide of one colour is looked at in a fraction of the time; counters say what a read asks for."""
    import tifffile as library
    from cucim import CuImage

    from jsma.slides.readers.tiff import TifffileSource

    image = np.full((1024, 1024, 3), value, np.uint8)
    image[300:340, 500:560] = 90  # all else is one tile, again and again
    library.imwrite(tmp_path / "s.tif", image, tile=(64, 64), photometric="rgb", metadata=None, compression="deflate")
    opened = open_slide(tmp_path / "s.tif", mpp=0.5, reader=reader, in_process=True, workers=1, preflight=False)
    calls, own, decode = [], CuImage.read_region, TifffileSource._decoded
    monkeypatch.setattr(CuImage, "read_region", lambda *a, **k: calls.append(a) or own(*a, **k))
    monkeypatch.setattr(TifffileSource, "_decoded", lambda *a: calls.append(a) or decode(*a))
    pixels, cost = opened.read(Regions(np.array([[512.0, 512.0]]), 4.0, 128, 128))
    assert cost.tiles == cost.calls == 256 and cost.decoded_px == 1024 * 1024
    assert len(calls) < 16
    want = image.reshape(128, 8, 128, 8, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(pixels[0] - want).max() <= 0.51
