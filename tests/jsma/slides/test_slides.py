"""Reading painted slides: right pixels, exact counters, clear refusals, damage never passed on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from jsma.slides import ArraySlide, DamagedSlideError, ReadCost, Regions, SlideError, open_slide
from jsma.slides.process.client import client

CENTRES = [[512, 384], [3, 5], [1020, 760], [300.3, 200.7], [128, 128], [-4000, 10], [700, 333]]
MPPS = [0.5, 2.0, 0.5, 1.3, 8.0, 0.5, 3.1]


def naive(levels, centre, mpp, width, height):
    """Area filter of the whole level, one output pixel at a time, by cumulative sums."""
    index = max(i for i, d in enumerate((1, 4, 16)) if d * 0.5 <= mpp * 1.02)
    image, d = levels[index].astype(np.float64), (1, 4, 16)[index]
    scale = mpp / 0.5 / d
    x0, y0 = centre[0] / d - width * scale / 2, centre[1] / d - height * scale / 2
    if abs(scale - 1) <= 0.02:
        scale, x0, y0 = 1.0, np.floor(x0 + 0.5), np.floor(y0 + 0.5)

    def means(array, start, count):  # along axis 0
        sums = np.concatenate([np.zeros((1, *array.shape[1:])), np.cumsum(array - 255, axis=0)])
        edges = np.clip(start + np.arange(count + 1) * scale, 0, len(array))
        low = np.minimum(edges.astype(int), len(array) - 1)
        at = sums[low] + (edges - low).reshape(-1, 1, 1) * (sums[low + 1] - sums[low])
        return np.diff(at, axis=0) / scale + 255

    rows = means(image, y0, height)
    return means(rows.transpose(1, 0, 2), x0, width).transpose(1, 0, 2)


@pytest.mark.parametrize("reader", ["cucim", "tifffile", "openslide"])
def test_pixels_match_naive_resample_and_white_outside(slide, levels, reader):
    order = np.random.default_rng(0).permutation(len(MPPS))
    regions = Regions(np.array(CENTRES)[order], np.array(MPPS)[order], 96, 64)
    with open_slide(slide, reader=reader) as opened:
        pixels, cost = opened.read(regions)
        assert cost == opened.plan_cost(regions)
    stored = levels
    if slide.name.startswith("jpeg"):
        with tifffile.TiffFile(slide) as tif:
            stored = [page.asarray() for page in tif.pages]
    for got, centre, mpp in zip(pixels, regions.centre0, regions.mpp, strict=True):
        want = naive(stored, centre, mpp, 96, 64)
        assert np.abs(got - want).max() <= 1.0, (centre, mpp)


def test_counters_of_a_hand_worked_read(slide):
    with tifffile.TiffFile(slide) as tif:
        counts = tif.pages[0].databytecounts
    # 128-px tiles, 8 a row: two equal boxes over tiles (0,0) (0,1) (1,0) (1,1), one inside (0,0)
    regions = Regions(np.array([[128, 128], [128, 128], [40, 40]]), 0.5, 64, 64)
    with open_slide(slide) as opened:
        expected = ReadCost(4, 4 * 128 * 128, counts[0] + counts[1] + counts[8] + counts[9], 4)
        assert opened.plan_cost(regions) == expected
        assert opened.read(regions)[1] == expected


def test_in_process_equals_isolated(slide):
    regions = Regions(np.array(CENTRES), np.array(MPPS), 50, 40)
    one, two = open_slide(slide), open_slide(slide, in_process=True)
    assert np.array_equal(one.read(regions)[0], two.read(regions)[0])


def test_upsampling_refused_with_nearest_legal_mpp(slide):
    with pytest.raises(SlideError, match="0.5"):
        open_slide(slide).read(Regions(np.array([[9, 9]]), 0.48, 8, 8))
    open_slide(slide).read(Regions(np.array([[9, 9]]), 0.495, 8, 8))


def test_mpp_chain(levels, tmp_path, paint):
    bare = paint(tmp_path / "a.tif", levels, "jpeg", None)
    with pytest.raises(SlideError, match="`mpp` column"):
        open_slide(bare)
    assert open_slide(bare, mpp=0.3).info.mpp_rule == "explicit"
    tags = paint(tmp_path / "b.tif", levels, "jpeg")
    info = open_slide(tags).info
    assert info.mpp == pytest.approx(0.5) and info.mpp_rule == "TIFF XResolution"
    text = "Aperio Image Library|AppMag = 20|MPP = 0.4990"
    aperio = paint(tmp_path / "c.svs", levels[:1], "jpeg", description=text)
    assert (open_slide(aperio).info.mpp, open_slide(aperio).info.mpp_rule) == (0.499, "Aperio MPP")
    power = paint(tmp_path / "d.svs", levels[:1], "jpeg", None, description="Aperio Image Library|AppMag = 20")
    assert open_slide(power).info.mpp_rule == "objective power"


def test_zeroed_tile_caught_at_opening_and_at_reading(jpeg):
    with tifffile.TiffFile(jpeg) as tif:
        offset, count = tif.pages[0].dataoffsets[0], tif.pages[0].databytecounts[0]
    with open(jpeg, "r+b") as handle:
        handle.seek(offset)
        handle.write(bytes(count))
    with pytest.raises(DamagedSlideError, match="1 of 48"):
        open_slide(jpeg)
    for reader in ("cucim", "tifffile"):
        with pytest.raises(DamagedSlideError, match="level 0"):
            open_slide(jpeg, reader=reader, preflight=False).read(Regions(np.array([[30, 30]]), 0.5, 16, 16))


def test_truncated_file_caught(jpeg):
    with tifffile.TiffFile(jpeg) as tif:
        start = tif.pages[0].dataoffsets[20]
    data = jpeg.read_bytes()
    jpeg.write_bytes(data[:start])
    with pytest.raises(DamagedSlideError):
        open_slide(jpeg)


def test_unusable_paths_give_one_line(tmp_path):
    (tmp_path / "x.txt").write_text("x")
    for path in (tmp_path / "none.tif", tmp_path, tmp_path / "x.txt"):
        with pytest.raises(SlideError) as caught:
            open_slide(path)
        assert "\n" not in str(caught.value)


def test_array_counted_once():
    image = np.random.default_rng(1).integers(0, 255, (50, 70, 3), dtype=np.uint8)
    opened = ArraySlide(image, 0.5)
    pixels, cost = opened.read(Regions(np.array([[35, 25]]), 0.5, 70, 50))
    assert np.array_equal(pixels[0], image) and cost == ReadCost(1, 3500, 0, 1)
    assert opened.read(Regions(np.array([[35, 25]]), 1.0, 9, 9))[1] == ReadCost()


def test_child_killed_while_it_is_asked_is_asked_again(slide):
    regions = Regions(np.array([[100, 100]]), 0.5, 32, 32)
    opened = open_slide(slide)
    before = opened.read(regions)[0]
    shared = client(False, None)
    shared._child.send_signal(signal.SIGSTOP)
    import threading

    threading.Timer(0.3, os.kill, (shared.pid, signal.SIGKILL)).start()
    assert np.array_equal(opened.read(regions)[0], before)
    assert np.array_equal(opened.read(regions)[0], before)


def test_no_orphan_after_parent_is_killed(slide):
    code = (
        "import sys,time,numpy as np;from jsma.slides import *;from jsma.slides.process.client import client;"
        "open_slide(sys.argv[1]).read(Regions(np.array([[99,99]]),.5,8,8));"
        "assert 'torch' not in sys.modules;print(client(False,None).pid,flush=True);time.sleep(60)"
    )
    root = str(Path(__file__).resolve().parents[3])
    parent = subprocess.Popen([sys.executable, "-c", code, str(slide)], stdout=subprocess.PIPE, cwd=root)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(50):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.1)
    raise AssertionError("the decoding process outlived its parent")
