"""The generator: seams, seeds, masks, resumption, and light that the cytology must not change."""

import csv
import json

import cv2
import numpy as np
import pytest
import tifffile

from bench.datasets.generated.demo import CLASSES, DemoSettings, generate
from bench.datasets.generated.demo.render import Box, render
from bench.datasets.generated.demo.scene import SITE_RADIUS0, make_scene
from bench.datasets.generated.demo.stamps import NUCLEUS_PX, VARIANTS, gland_outline, nuclei, transmitted
from bench.datasets.generated.demo.write import MASK_STEP, site_mask, sites_file, slide_name
from bench.datasets.generated.streamed_pyramid import block_mean
from jsma.slides import Regions, open_slide

SMALL = DemoSettings(slides=4, side0_px=1024)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return generate(SMALL, tmp_path_factory.mktemp("made"), workers=1)


def test_a_box_is_the_same_alone_and_inside_a_larger_one():
    scene = make_scene(SMALL, 3)
    whole = render(scene, Box(200, 300, 500, 400))
    part = render(scene, Box(417, 391, 150, 133))
    assert np.array_equal(part, whole[91 : 91 + 133, 217 : 217 + 150])


def test_same_seed_same_scene_and_another_seed_another():
    one, two = (render(make_scene(SMALL, 1), Box(400, 400, 64, 64)) for _ in range(2))
    other = render(make_scene(DemoSettings(slides=4, side0_px=1024, seed=1), 1), Box(400, 400, 64, 64))
    assert np.array_equal(one, two) and not np.array_equal(one, other)


def test_layout_does_not_depend_on_the_class():
    """Slides 0-3 of one seed differ by index; the same index with another label must share its layout."""
    for index in range(3):
        both = make_scene(SMALL, index)
        single = make_scene(DemoSettings(slides=4, side0_px=1024, variant="cytology"), index)
        assert np.array_equal(both.sites, single.sites) and np.array_equal(both.tissue, single.tissue)
        assert len(both.glands) == len(single.glands) == 4 * len(both.sites)
        for kind in ("architecture", "cytology"):
            assert np.array_equal(both.candidates[kind], single.candidates[kind])


def test_evidence_is_where_the_class_says():
    for index, (architecture, cytology) in enumerate(SMALL.labels):
        scene = make_scene(SMALL, index)
        assert (len(scene.evidence["architecture"]) > 0) == architecture
        assert (len(scene.evidence["cytology"]) > 0) == cytology
        mask = site_mask(scene, "evidence")
        assert ((mask & 1).any(), (mask & 2).any()) == (architecture, cytology)
        for bit, kind in ((1, "architecture"), (2, "cytology")):
            for x0, y0 in scene.evidence[kind]:
                assert mask[int(y0) // MASK_STEP, int(x0) // MASK_STEP] & bit


def test_cytology_keeps_the_light_of_a_nucleus_and_of_its_quarters():
    stamps = nuclei()
    blocks = NUCLEUS_PX // 4
    fine, coarse = [], []
    for plain, evidence in zip(stamps[:VARIANTS], stamps[VARIANTS : 2 * VARIANTS], strict=True):
        assert transmitted(evidence) == pytest.approx(transmitted(plain), rel=1e-4)
        difference = 10.0 ** -(0.7201 * plain) - 10.0 ** -(0.7201 * evidence)
        fine.append(np.abs(difference).mean())
        coarse.append(np.abs(difference.reshape(blocks, 4, blocks, 4).mean((1, 3))).mean())
    # the last word on 5x is with the probe of test_design
    assert np.mean(fine) > 0.04 and np.mean(coarse) < 0.6 * np.mean(fine)


def test_no_gland_hangs_over_glass_or_overlaps_another():
    for index in range(4):
        scene = make_scene(SMALL, index)
        pairs = np.sqrt(((scene.glands[:, None] - scene.glands[None]) ** 2).sum(-1)) + 1e9 * np.eye(len(scene.glands))
        assert pairs.min() > 2 * gland_outline(0, np.zeros(1))[0][0]
        for x0, y0 in scene.sites:
            assert SITE_RADIUS0 <= min(x0, y0) and max(x0, y0) <= 1024 - SITE_RADIUS0
            around = render(scene, Box(int(x0) - 200, int(y0) - 200, 400, 400))
            assert np.median(around[..., 1]) < 200


def test_files_are_pyramids_with_mpp_labels_splits_and_masks(made):
    with (made / "labels.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [r["label"] for r in rows] == list(CLASSES["both"].values())
    with open_slide(made / rows[1]["path"]) as slide:
        assert slide.info.mpp == pytest.approx(0.5) and slide.info.reader == "cucim"
        assert [level.width_px for level in slide.info.levels] == [1024, 256]
        scene = make_scene(SMALL, 1)
        read = slide.read(Regions(np.array([[512.0, 512.0]]), np.array([0.5]), 128, 128))[0][0]
        drawn = render(scene, Box(448, 448, 128, 128))
        assert np.abs(read.astype(int) - drawn).mean() < 6  # JPEG
    with tifffile.TiffFile(made / rows[1]["path"]) as tif:
        page = tif.pages.first
        assert page.is_tiled and page.compression == tifffile.COMPRESSION.JPEG
    mask = cv2.imread(str(made / rows[1]["mask"]), cv2.IMREAD_UNCHANGED)
    assert mask is not None and mask.shape == (64, 64) and set(np.unique(mask)) == {0, 1}


def test_generation_resumes_and_refuses_other_settings(made):
    before = {p: p.stat().st_mtime_ns for p in made.glob("*.tif")}
    (made / "slide_00002.tif").unlink()
    generate(SMALL, made, workers=1)
    after = {p: p.stat().st_mtime_ns for p in made.glob("*.tif")}
    assert {p for p in after if after[p] != before.get(p)} == {made / "slide_00002.tif"}
    assert json.loads((made / "settings.json").read_text())["side0_px"] == 1024
    with pytest.raises(ValueError, match="other settings"):
        generate(DemoSettings(slides=4, side0_px=1024, hint=0.1), made)


def test_bands_rendered_side_by_side_make_the_same_file(made, tmp_path):
    together = generate(DemoSettings(slides=1, side0_px=1024), tmp_path, workers=2)
    assert (together / "slide_00000.tif").read_bytes() == (made / "slide_00000.tif").read_bytes()


def test_block_means_round_halves_to_even():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    pixels[:4, :4], pixels[:4, 4:8] = 0, 1
    pixels[0, :8] += np.array([2, 2, 2, 2, 2, 2, 2, 2], np.uint8)[:, None]  # means of 0.5 and 1.5
    mean = pixels.reshape(16, 4, 32, 4, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    assert mean[0, :2, 0].tolist() == [0, 2] and np.array_equal(block_mean(pixels), mean)


@pytest.mark.parametrize("wrong", ({"hint": 2}, {"side0_px": 1000}, {"variant": "x"}, {"slides": 0}))
def test_bad_settings_say_what_is_allowed(wrong):
    with pytest.raises(ValueError, match="allowed"):
        DemoSettings(**wrong)


def test_sites_are_where_evidence_may_be_whatever_the_class(tmp_path):
    settings = DemoSettings(slides=4, side0_px=1024)
    scenes = [make_scene(settings, i) for i in range(4)]
    for scene in scenes:
        sites, evidence = site_mask(scene, "candidates"), site_mask(scene, "evidence")
        assert ((sites & evidence) == evidence).all()
        assert {bit for bit in (1, 2) if (sites & bit).any()} == {1, 2}, "decoys are sites too"
    sites = [sites_file(str(tmp_path / slide_name(i))) for i in range(4)]
    for i in range(4):
        (tmp_path / slide_name(i)).touch()  # slides that were made before there were such files
    generate(settings, tmp_path, workers=1)
    for path, scene in zip(sites, scenes, strict=True):
        assert np.array_equal(np.asarray(cv2.imread(path, cv2.IMREAD_UNCHANGED)), site_mask(scene, "candidates"))
