"""The stain dial of the demo: the test part gets another mix of stains, and at 0 nothing is another."""

import hashlib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from bench.datasets import load_dataset
from bench.datasets.generated.demo import DemoSettings
from bench.datasets.generated.demo.render import Box, render
from bench.datasets.generated.demo.scene import make_scene
from bench.datasets.generated.wanted import Wanted
from bench.datasets.known.demo import folder_name, settings_of
from bench.runs.settings.overrides import assign
from bench.runs.settings.presets import PRESETS
from bench.runs.settings.settings import RunSettings
from jsma.slides.stains import LARGEST_SHIFT, separate_stains

SMALL = DemoSettings(slides=8, side0_px=1024)
TEST, TRAIN = 4, 0  # slides of the test and of the training part


def test_at_0_settings_scenes_and_folders_are_those_from_before_there_was_a_dial():
    assert SMALL.identity == "5e40ebc2e8cb4a59"
    assert DemoSettings(seed=202, side0_px=1280).identity == "a8f7f9d17b71809a"
    assert folder_name(Wanted()) == "demo-200x1280-h0.8-e0.3-both-0"
    stains = b"".join(make_scene(SMALL, index).stains.tobytes() for index in range(8))
    assert hashlib.sha256(stains).hexdigest()[:16] == "8113539bded599a2"


def test_a_shift_has_a_folder_and_an_identity_of_its_own():
    shifted = replace(SMALL, test_stain=0.3)
    assert shifted.identity != SMALL.identity
    assert folder_name(Wanted(test_stain=0.3)) == "demo-200x1280-h0.8-e0.3-both-0-t0.3"
    assert settings_of(Wanted(test_stain=0.3)).test_stain == 0.3


@pytest.mark.parametrize("shift", [-0.4, 0.4])
def test_only_the_stains_of_the_test_part_change(shift):
    shifted = replace(SMALL, test_stain=shift)
    assert (SMALL.split(TRAIN), SMALL.split(TEST)) == ("train", "test")
    for index in range(8):
        before, after = make_scene(SMALL, index), make_scene(shifted, index)
        gains = np.array([[1 + shift], [1 - shift]]) if SMALL.split(index) == "test" else np.ones((2, 1))
        np.testing.assert_allclose(after.stains, before.stains * gains)
        for name in asdict(before):
            if name not in ("stains", "candidates", "evidence"):
                np.testing.assert_array_equal(getattr(after, name), getattr(before, name), err_msg=name)


def test_pixels_of_the_test_part_hold_more_haematoxylin_and_less_eosin_and_glass_stays():
    box = Box(256, 256, 512, 512)
    before, after = (render(make_scene(replace(SMALL, test_stain=shift), TEST), box) for shift in (0.0, 0.4))
    amounts, shifted = (separate_stains(pixels).reshape(-1, 3).mean(0) for pixels in (before, after))
    assert shifted[0] > 1.2 * amounts[0] and shifted[1] < 0.8 * amounts[1]
    glass = before.min(axis=2) > 242
    assert np.abs(after[glass].astype(int) - before[glass]).max() <= 6
    one, other = (render(make_scene(replace(SMALL, test_stain=shift), TRAIN), box) for shift in (0.0, 0.4))
    assert np.array_equal(one, other)


def test_the_dial_is_a_setting_of_a_run_and_its_range_that_of_the_mathematics():
    preset, _ = assign(PRESETS["tiny"], RunSettings(), ("test_stain=0.25",))
    assert preset.test_stain == 0.25
    for shift in (LARGEST_SHIFT, -LARGEST_SHIFT):
        assert replace(SMALL, test_stain=shift).test_stain == shift
    with pytest.raises(ValueError, match="test_stain is 0.91; allowed: a number from -0.9 to 0.9; nearest: 0.9"):
        replace(SMALL, test_stain=LARGEST_SHIFT + 0.01)


def test_shifted_slides_are_another_dataset_with_the_same_labels_and_evidence(tmp_path):
    wanted = Wanted(slides=8, side0_px=1024)
    plain, shifted = (load_dataset("demo", replace(wanted, test_stain=s), tmp_path) for s in (0.0, 0.4))
    assert plain.fingerprint != shifted.fingerprint
    for one, other in zip(plain.records, shifted.records, strict=True):
        assert (one.label, one.split) == (other.label, other.split)
        for name in ("mask", "sites"):
            mine, theirs = getattr(one, name), getattr(other, name)
            assert Path(mine).read_bytes() == Path(theirs).read_bytes()
        same = Path(one.path).read_bytes() == Path(other.path).read_bytes()
        assert same == (one.split != "test")
