"""The feature map of a slide: where it lies, what it costs, once for each run, the same from the store and the file."""

import numpy as np
import pytest
import tifffile
import torch

from jsma.cells.grid import CellGrid
from jsma.encoders.encoder import EncoderSettings, build_encoder
from jsma.errors import EncoderError
from jsma.meter import Meter
from jsma.metered import Desk, MeteredSlide, ViewSettings
from jsma.metered.feature_map import BLOCK_PX, map_frame
from jsma.metered.store import FeatureStore, UnitCost
from jsma.slides import open_slide

WIDTH, HEIGHT = 1600, 1000
VIEW = ViewSettings(mpps=(1.0, 2.0), patch_px=64, overlap_from_mpp=2.0, overview_mpp=16.0, map_mpp=2.0)


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """1600 x 1000 px at 1 um/px: red says the column, green the row (both / 8), all of it tissue."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    pixels = np.stack([columns // 8, rows // 8, np.full_like(rows, 90)], -1).astype(np.uint8)
    path = tmp_path_factory.mktemp("painted") / "painted.tif"
    scale = {"resolution": (1e4, 1e4), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(256, 256), **scale)
    return path


@pytest.fixture(scope="module")
def encoder():
    return build_encoder(EncoderSettings("test_resnet", pretrained=None, stage=2), seed=0)


def look(path, encoder, store, view=VIEW):
    meter = Meter()
    return MeteredSlide("s", lambda: open_slide(path, in_process=True), Desk(meter, encoder, view, store)), meter


def test_a_cell_takes_its_own_place_out_of_the_map(painted, encoder, monkeypatch):
    """With mean colours in place of features, the mean over a cell is the colour of its centre."""

    def colours(pixels):
        return torch.nn.functional.avg_pool2d(pixels.permute(0, 3, 1, 2).float(), 16)

    slide, _ = look(painted, encoder, None)
    slide.view.mask[:] = True
    monkeypatch.setattr(encoder, "spatial", colours)
    found = slide.feature_map()
    grid = slide.view.grid
    cells = torch.cat([(wy @ found.features @ wx.T).flatten(1) for wy, wx in found.pools], 1).T
    centres = grid.centres0(np.arange(grid.n_cells))
    half = np.asarray(grid.cell0)[grid.decode(np.arange(grid.n_cells))[0]] / 2
    inside = (centres[:, 0] + half < WIDTH) & (centres[:, 1] + half < HEIGHT)
    assert inside.sum() > 100
    np.testing.assert_allclose(cells[inside, :2] * 8 + 3.5, centres[inside] - 0.5, atol=2.0)


def test_only_squares_where_a_patch_may_be_drawn_are_read():
    grid = CellGrid(2048, 1024, 1.0, (1.0, 2.0), 64)
    mask = torch.zeros(grid.n_cells, dtype=torch.bool)
    mask[grid.encode(np.array([0]), np.array([9]), np.array([20]))] = True  # x 1280 to 1344, y 576 to 640
    frame = map_frame(grid, mask, 1.0, 4096)
    assert (frame.rows, frame.columns, frame.mpp, frame.block0) == (4, 8, 1.0, 256.0)
    assert frame.read == (2 * 8 + 5,)
    assert frame.regions.centre0.tolist() == [[5.5 * 256, 2.5 * 256]]
    mask[grid.encode(np.array([1]), np.array([3]), np.array([3]))] = True  # a coarse cell, 384 to 512 both ways
    assert map_frame(grid, mask, 1.0, 4096).read == (8 + 1, 2 * 8 + 5)


def test_a_map_is_never_finer_than_the_slide_nor_larger_than_allowed():
    grid = CellGrid(100_000, 50_000, 0.25, (0.5,), 64)
    none = torch.zeros(grid.n_cells, dtype=torch.bool)
    assert map_frame(grid, none, 4.0, 4096).mpp == 100_000 * 0.25 / 4096
    assert map_frame(grid, none, 4.0, 65536).mpp == 4.0
    assert map_frame(grid, none, 0.1, 10**6).mpp == 0.25


def test_it_costs_what_the_file_says(painted, encoder):
    slide, meter = look(painted, encoder, None)
    overview = slide.view and meter.total()
    slide.feature_map()
    total = meter.total()
    # 4 x 2 squares of 512 level-0 px are read four at a time, a row each, and no tile lies in both rows
    assert total.tiles - overview.tiles == 7 * 4
    assert total.output_px - overview.output_px == 8 * BLOCK_PX * BLOCK_PX
    blank = torch.zeros(1, BLOCK_PX, BLOCK_PX, 3, dtype=torch.uint8)
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
        encoder(blank)
    assert total.encoder_flops == 8 * counter.get_total_flops()
    assert (total.patches, total.unique_patches) == (0, 0)


def test_every_run_pays_once_whoever_read_it(painted, encoder):
    store, totals, maps = FeatureStore(encoder.dim), [], []
    for _ in range(2):
        slide, meter = look(painted, encoder, store)
        maps.append(slide.feature_map().features)
        totals.append(meter.total())
        slide.feature_map()
        assert meter.total() == totals[-1], "asked for again"
    fresh, meter = look(painted, encoder, None)
    assert torch.equal(maps[0], maps[1]) and torch.equal(maps[0], fresh.feature_map().features)
    assert totals[0] == totals[1] == meter.total()
    store.unit = UnitCost(read_s=2.0, tiles=56, encode_s=4.0, patches=256)  # a square has the area of 16 patches
    slide, meter = look(painted, encoder, store)
    slide.feature_map()
    assert meter.charged_s == 28 * 2.0 / 56 + 8 * 16 * 4.0 / 256


def test_an_encoder_without_a_map_is_told(painted):
    pooled = build_encoder(EncoderSettings("test_resnet", pretrained=None), seed=0)
    slide, _ = look(painted, pooled, None)
    with pytest.raises(EncoderError, match="no feature map; set stage"):
        slide.feature_map()


@pytest.mark.parametrize("precision", ("float32", "float16"))
def test_what_is_kept_of_a_map_is_what_was_computed(painted, precision):
    """Also where the next run may draw elsewhere: a place in the store is a place on the slide."""
    half = build_encoder(EncoderSettings("test_resnet", pretrained=None, stage=2, precision=precision), seed=0)
    store = FeatureStore(half.dim, precision=precision)

    def found(columns, store):
        slide, _ = look(painted, half, store)
        slide.view.mask[:] = False
        for part, (rows, n) in zip(slide.view.grid.slices, slide.view.grid.shapes, strict=True):
            slide.view.mask[part].view(rows, n)[:, : n * columns // 4] = True
        return slide.feature_map().features

    kept = [found(columns, store) for columns in (1, 3, 2, 3)]
    for columns, features in zip((1, 3, 2, 3), kept, strict=True):
        assert torch.equal(features, found(columns, None)) and features.any()
    assert not torch.equal(kept[0], kept[1]) and torch.equal(kept[1], kept[3])
