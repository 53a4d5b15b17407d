import errno
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import tifffile
import torch
from torch.autograd.graph import saved_tensors_hooks

from jsma.encoders.encoder import EncoderSettings, build_encoder
from jsma.meter import STAGES, Counters, Meter
from jsma.metered import Desk, MeteredSlide, ViewSettings, features_of
from jsma.metered.store import FeatureStore
from jsma.slides import SlideError, open_slide


def test_stages_sum_to_the_wall_clock_and_nest_exclusively(monkeypatch):
    now = [0]
    monkeypatch.setattr("jsma.meter.time.perf_counter_ns", lambda: now[0])

    def wait(seconds):
        now[0] += int(seconds * 1e9)

    meter = Meter()
    wait(1)
    with meter.stage("read"):
        wait(2)
        with meter.stage("encode"):
            wait(4)
        wait(8)
    seconds = meter.seconds()
    assert set(seconds) == set(STAGES)
    assert (seconds["other"], seconds["read"], seconds["encode"]) == (1.0, 10.0, 4.0)
    assert sum(seconds.values()) == meter.wall_s == 15.0


def test_charges_are_in_the_stages_and_kept_apart():
    meter = Meter()
    meter.charge("encode", 5.0)
    assert meter.charged_s == 5.0 and meter.seconds()["encode"] >= 5.0 and meter.wall_s < 1.0


def test_unknown_stage_is_refused():
    with pytest.raises(ValueError, match="unknown stage 'reading'"), Meter().stage("reading"):
        pass


def test_counters_add():
    assert Counters(patches=2, tiles=3) + Counters(patches=1) == Counters(patches=3, tiles=3)


@pytest.fixture(scope="module")
def encoder():
    return build_encoder(EncoderSettings("test_resnet", pretrained=None), seed=0)


@pytest.fixture
def small(tmp_path):
    """256 x 128 px, 64-px raw tiles, one level at 1 um/px, all tissue (dark red) so that every cell is allowed."""
    pixels = np.full((128, 256, 3), (150, 40, 90), np.uint8)
    pixels[::2] += 20
    path = tmp_path / "small.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(64, 64), resolution=(1e4, 1e4), resolutionunit="CENTIMETER")
    return path


VIEW = ViewSettings(mpps=(1.0, 2.0), patch_px=64, overlap_from_mpp=9.0, overview_mpp=4.0, overview_max_px=256)


def look(path, encoder, store, view=VIEW):
    meter = Meter()
    return MeteredSlide("s", lambda: open_slide(path, in_process=True), Desk(meter, encoder, view, store)), meter


def test_counters_of_a_slide_worked_out_by_hand(small, encoder):
    slide, meter = look(small, encoder, None)
    grid = slide.view.grid
    assert grid.shapes == ((2, 4), (1, 2)) and slide.view.mask.all()
    # the overview: 64 x 32 px from all 8 tiles of 64 x 64 raw RGB pixels
    overview = meter.total()
    assert (overview.tiles, overview.decoded_px, overview.compressed_bytes) == (8, 8 * 64 * 64, 8 * 64 * 64 * 3)
    assert overview.output_px == 64 * 32 and overview.patches == 0
    # cell 1 of the fine grid is one tile, cell 0 of the coarse grid four, of which one is the same: 4 tiles
    slide.features(torch.tensor([1, 8]))
    total = meter.total()
    assert (total.patches, total.unique_patches, total.tiles - overview.tiles) == (2, 2, 4)
    assert total.decoded_px - overview.decoded_px == 4 * 64 * 64
    assert total.output_px - overview.output_px == 2 * 64 * 64
    one = total.encoder_flops // 2
    assert one > 0 and total.encoder_flops == 2 * one
    slide.features(torch.tensor([1, 1]))
    assert (meter.total().patches, meter.total().unique_patches) == (4, 2)
    assert meter.total().encoder_flops == 3 * one  # a patch asked for twice in a call is encoded once


def test_store_charges_a_second_run_exactly_what_the_first_read(small, encoder):
    store = FeatureStore(encoder.dim)
    cells = torch.tensor([0, 5, 9])
    totals, features = [], []
    for _ in range(2):
        slide, meter = look(small, encoder, store)
        features.append(slide.features(cells))
        totals.append(meter.total())
    assert torch.equal(features[0], features[1])
    assert totals[0] == totals[1] and totals[0].store_hits == 0
    assert meter.charged_s > 0
    slide.features(cells)
    assert meter.total().store_hits == 3 and meter.total().tiles == totals[0].tiles


def test_a_bag_read_in_blocks_is_charged_as_it_was_read(small, encoder, monkeypatch):
    # a coarse cell lies in several blocks: tiles are decoded again
    monkeypatch.setattr("jsma.metered.view.BLOCK_CELLS", 1)
    store, totals = FeatureStore(encoder.dim), []
    for _ in range(2):
        slide, meter = look(small, encoder, store)
        slide.features(torch.arange(10))
        totals.append(meter.total())
    assert totals[0] == totals[1] and totals[0].calls > 2


def test_features_are_those_of_the_pixels_in_the_order_asked(small, encoder):
    slide, _ = look(small, encoder, None)
    cells = torch.tensor([8, 0, 3, 0])
    both = slide.features(cells)
    singly = torch.stack([slide.features(c[None])[0] for c in cells])
    torch.testing.assert_close(both, singly, rtol=1e-4, atol=1e-5)


def test_a_trained_encoder_holds_pixels_of_a_large_bag_and_not_its_activations(small, monkeypatch):
    monkeypatch.setattr("jsma.metered.view.BLOCK_CELLS", 1)  # every block is smaller than a chunk
    found, cells = {}, torch.arange(10)
    for chunk in (64, 2):
        encoder = build_encoder(EncoderSettings("test_resnet", pretrained=None, frozen=False, chunk=chunk), seed=0)
        slide, held = look(small, encoder.double(), None)[0], []
        with saved_tensors_hooks(lambda t, held=held: held.append(t.numel()) or t, lambda t: t):
            features = slide.features(cells)
        features.square().matmul(torch.arange(encoder.dim).double()).sum().backward()
        found[chunk] = features, [p.grad for p in encoder.parameters()], sum(held)
    (plain, plain_grads, plain_held), (features, grads, held) = found[64], found[2]
    torch.testing.assert_close(features, plain, rtol=1e-12, atol=1e-12)
    for a, b in zip(grads, plain_grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
    assert held < 10 * (64 * 64 * 3 + 10 * encoder.dim) < 0.1 * plain_held


def test_no_tissue_is_said(tmp_path, encoder):
    path = tmp_path / "glass.tif"
    tifffile.imwrite(
        path,
        np.full((128, 128, 3), 245, np.uint8),
        photometric="rgb",
        tile=(64, 64),
        resolution=(1e4, 1e4),
        resolutionunit="CENTIMETER",
    )
    with pytest.raises(SlideError, match="no tissue found on the overview .* leave the slide out") as caught:
        _ = look(path, encoder, None)[0].view
    assert "min_tissue" not in str(caught.value), "which helps nothing where there is none"


def test_too_little_tissue_is_said(tmp_path, encoder):
    path, image = tmp_path / "speck.tif", np.full((128, 128, 3), 245, np.uint8)
    image[16:48, 16:48] = (150, 60, 90)
    tifffile.imwrite(path, image, photometric="rgb", tile=(64, 64), resolution=(1e4, 1e4), resolutionunit="CENTIMETER")
    with pytest.raises(SlideError, match="no patch of 64 px lies on 90% tissue .*; lower min_tissue or patch_px"):
        _ = look(path, encoder, None, replace(VIEW, min_tissue=0.9))[0].view


def test_a_large_bag_is_read_in_blocks_at_the_cost_of_one_call(small, encoder, monkeypatch):
    whole, meter = look(small, encoder, None)
    cells = torch.tensor([7, 9, 3, 2, 0, 6, 5, 4, 1, 8, 3])
    expected, before = whole.features(cells), meter.total()
    monkeypatch.setattr("jsma.metered.view.BLOCK_CELLS", 2)
    cut, other = look(small, encoder, None)
    torch.testing.assert_close(cut.features(cells), expected, rtol=1e-4, atol=1e-5)
    total = other.total()
    assert (total.output_px, total.encoder_flops) == (before.output_px, before.encoder_flops)
    # two blocks of 2 x 2 tiles, each with its coarse cell: no tile is decoded twice
    assert total.tiles == before.tiles == 8 + 8


@pytest.mark.parametrize(("least", "shape"), ((12, (12, 24)), (5, (8, 16)), (400, (128, 256))))
def test_a_small_slide_keeps_an_overview_that_can_be_looked_at(small, encoder, least, shape):
    view = replace(VIEW, overview_mpp=16.0, overview_min_px=least)  # 128 um high: 8 px at 16 um/px
    slide = MeteredSlide("s", lambda: open_slide(small, in_process=True), Desk(Meter(), encoder, view))
    assert slide.view.overview.shape[:2] == shape


def after(path, encoder, store, calls):
    """Counters and features of one run that asks for `calls`, one after the other."""
    slide, meter = look(path, encoder, store)
    features = [slide.features(torch.tensor(cells)) for cells in calls]
    return meter.total(), torch.cat(features)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_counters_and_features_are_the_same_in_any_order_of_runs(small, encoder, order):
    """Cells 0, 1 and the coarse 8 share tiles: what another run has filled in before must not move a counter."""
    asks = ([[0, 8]], [[1, 4], [0, 1, 8]], [list(range(10))])
    alone = [after(small, encoder, FeatureStore(encoder.dim), calls) for calls in asks]
    store = FeatureStore(encoder.dim)
    for run in order:
        counters, features = after(small, encoder, store, asks[run])
        assert counters == alone[run][0]
        assert torch.equal(features, alone[run][1])


@pytest.mark.parametrize("rows", (0, 3))
def test_a_full_store_computes_again_at_the_same_counters(small, encoder, rows, caplog):
    calls = [[0, 8], [0, 1, 8], [1, 9, 8, 0, 4]]
    expected = after(small, encoder, FeatureStore(encoder.dim), calls)
    store = FeatureStore(encoder.dim, max_bytes=rows * encoder.dim * 4 + 11 * 4)
    counters, features = after(small, encoder, store, calls)
    assert counters == expected[0] and torch.equal(features, expected[1])
    assert store.full and store.held_bytes <= store.max_bytes and len(caplog.records) == 1


def test_the_store_holds_what_was_computed_and_not_the_grid():
    store = FeatureStore(dim=1000)
    cells = np.array([70_000, 5])
    store.put("s", 100_001, cells, np.array([[1.0] * 1000, [2.0] * 1000], np.float32))
    assert store.held_bytes < 0.01 * 100_001 * 1000 * 4
    rows, lacking = store.get("s", np.array([5, 6, 70_000]))
    assert lacking.tolist() == [False, True, False] and rows[:, 0].tolist() == [2.0, 0.0, 1.0]
    store.put("s", 100_001, np.array([6, 5]), np.full((2, 1000), 3.0, np.float32))
    assert store.get("s", np.array([5, 6, 70_000]))[0][:, 0].tolist() == [3.0, 3.0, 1.0]


def test_an_unreadable_slide_is_named_whatever_failed(small, encoder):
    slide, _ = look(small, encoder, None)
    _ = slide.view
    slide.close()
    small.unlink()
    with pytest.raises(SlideError) as failed:
        slide.features(torch.tensor([1]))
    assert failed.value.slide_id == "s"


def test_a_full_disk_is_no_fault_of_the_slide(encoder):
    def full():
        raise OSError(errno.ENOSPC, "no space left")

    with pytest.raises(OSError, match="no space") as failed:
        _ = MeteredSlide("s", full, Desk(Meter(), encoder, VIEW)).view
    assert not isinstance(failed.value, SlideError)


@pytest.mark.parametrize("shape, why", [((40, 5200), "too long"), ((5200, 40), "too long"), ((1, 1), "too small")])
def test_slide_whose_overview_would_be_a_line_is_refused_by_name(tmp_path, encoder, shape, why):
    """The attention network would end the whole run otherwise; the slide is named, so that the rest goes on."""
    path = tmp_path / "s.tif"
    image = np.full((*shape, 3), (150, 40, 90), np.uint8)
    tifffile.imwrite(path, image, photometric="rgb", tile=(64, 64), resolution=(1e4, 1e4), resolutionunit=3)
    slide, _ = look(path, encoder, None)
    with pytest.raises(SlideError, match=f"at least 5x5 are needed: it is {why}") as caught:
        _ = slide.view
    assert caught.value.slide_id == "s"


def test_slides_of_a_batch_are_encoded_in_full_passes_and_counted_apart(small, encoder, monkeypatch):
    passes = []
    plain = encoder._encode
    monkeypatch.setattr(encoder, "_encode", lambda patches: passes.append(len(patches)) or plain(patches))
    asked = [torch.tensor(cells) for cells in ([0, 8, 0], [1, 4, 9], [2])]

    def run(together, store):
        meter = Meter()
        desk = Desk(meter, encoder, VIEW, store)
        slides = [MeteredSlide(str(i), lambda: open_slide(small, in_process=True), desk) for i in range(3)]
        apart = [slide.features(own) for slide, own in zip(slides, asked, strict=True)] if not together else None
        return apart or features_of(slides, asked), meter.counters

    desk_flops = Desk(Meter(), encoder, VIEW).flops_per_patch(64, 64)
    assert desk_flops > 0  # counted once an encoder, by a pass of its own
    passes.clear()
    apart, counters = run(False, FeatureStore(encoder.dim))
    assert passes == [16, 16, 16]
    passes.clear()
    store = FeatureStore(encoder.dim)
    together, same = run(True, store)
    assert passes == [16]
    assert counters == same and all(torch.equal(a, b) for a, b in zip(apart, together, strict=True))
    assert run(True, store)[1] == counters and passes == [16]  # all charged, nothing computed
    monkeypatch.setattr("jsma.metered.together.TOGETHER", 1)
    passes.clear()
    assert run(True, FeatureStore(encoder.dim))[1] == counters and passes == [16, 16, 16]
