"""Stains: every value, every mix of a grid of amounts, and pictures whose stains are known."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from jsma.slides.stains import (
    HED,
    Moments,
    StainFit,
    average_moments,
    change_density,
    density_of,
    draw_gains,
    fit_stains,
    gain_change,
    match_change,
    match_table,
    moments_of,
    pixels_of,
    separate_stains,
    shift_gains,
    shift_stains,
)

AMOUNTS = np.array(list(itertools.product(np.linspace(0, 0.9, 10), np.linspace(0, 0.9, 10), (0.0, 0.1))))[None]
VALUES = np.arange(256, dtype=np.uint8)


def pixels_with(amounts, stains=HED):
    return pixels_of(amounts @ stains)


def tissue(stains, seed=0, side=128):
    """A picture of two stains in random amounts: [side, side, 3], a tenth of it glass."""
    rng = np.random.default_rng(seed)
    amounts = rng.uniform(0, 1, (side, side, 2)) ** 2 * 1.2
    amounts[rng.random((side, side)) < 0.1] = 0
    return pixels_of(amounts @ np.asarray(stains))


def degrees(one, other):
    return np.degrees(np.arccos(np.clip(np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other), -1, 1)))


def test_all_values_come_back():
    grey = np.stack([VALUES, VALUES[::-1], VALUES], axis=-1)[None]
    assert np.array_equal(pixels_of(density_of(grey)), grey)
    assert np.array_equal(change_density(grey, np.eye(3)), grey)
    assert np.array_equal(shift_stains(grey, 0.0), grey)


def test_the_matrix_is_the_published_one():
    skimage = pytest.importorskip("skimage.color")
    np.testing.assert_allclose(HED, skimage.rgb_from_hed)


def test_amounts_are_found_again_to_the_rounding_of_eight_bits():
    found = separate_stains(pixels_with(AMOUNTS))
    assert np.abs(found - AMOUNTS).max() < 0.06  # half a grey level in the dark


@pytest.mark.parametrize("shift", [-0.9, -0.5, -0.1, 0.3, 0.9])
def test_a_shift_multiplies_the_amounts_and_leaves_glass(shift):
    light = AMOUNTS[:, (AMOUNTS[0, :, :2].max(axis=1) <= 0.5)]  # so that nothing is clipped
    wanted = pixels_with(light * shift_gains(shift)).astype(int)
    found = shift_stains(pixels_with(light), shift).astype(int)
    assert np.abs(found - wanted).max() <= 4  # each is rounded once, and density is steep
    assert np.abs(found - wanted).mean() < 0.4
    assert np.array_equal(shift_stains(np.full((1, 1, 3), 255, np.uint8), shift)[0, 0], [255, 255, 255])


def test_a_change_and_its_inverse_leave_pixels_as_they_were():
    pixels = pixels_with(AMOUNTS[:, AMOUNTS[0, :, :2].max(axis=1) <= 0.5])
    there = change_density(pixels, gain_change((1.2, 0.8, 1.0)))
    back = change_density(there, gain_change((1 / 1.2, 1 / 0.8, 1.0)))
    assert np.abs(back.astype(int) - pixels).max() <= 2


def test_a_shift_above_0_is_more_haematoxylin_and_less_eosin():
    assert shift_gains(0.25) == (1.25, 0.75, 1.0)


def test_a_shift_out_of_range_is_an_error():
    for shift in (-1.0, 0.91, float("nan")):
        with pytest.raises(ValueError, match="allowed: -0.9 to 0.9"):
            shift_gains(shift)


def test_drawn_gains_fill_their_range_and_none_is_drawn_at_zero():
    rng = np.random.default_rng(0)
    drawn = np.array([draw_gains(0.2, rng) for _ in range(2000)])
    assert 0.8 <= drawn.min() < 0.801 and 1.199 < drawn.max() <= 1.2
    assert np.abs(np.corrcoef(drawn.T) - np.eye(3)).max() < 0.1, "the stains vary on their own"
    assert draw_gains(0.0, rng) == (1.0, 1.0, 1.0)


def test_moments_are_those_of_the_density_and_are_matched():
    own, other = tissue(HED[:2]), tissue(HED[:2] * 0.8, seed=1)
    density = density_of(own).reshape(-1, 3).astype(float)
    np.testing.assert_allclose(moments_of(own).mean, density.mean(0), atol=1e-5)
    np.testing.assert_allclose(moments_of(own).spread, density.std(0), atol=1e-5)
    target = Moments((0.5, 0.6, 0.4), (0.1, 0.12, 0.08))  # dark and narrow: nothing is clipped
    for picture in (own, other):
        table = match_table(moments_of(picture), target)
        matched = moments_of(np.take_along_axis(table[0], picture.reshape(-1, 3), axis=0).reshape(picture.shape))
        np.testing.assert_allclose(matched.mean, target.mean, atol=0.01)
        np.testing.assert_allclose(matched.spread, target.spread, atol=0.01)
    middle = average_moments([moments_of(own), moments_of(other)])
    assert moments_of(other).mean[0] < middle.mean[0] < moments_of(own).mean[0]


OTHER = np.array([[0.55, 0.75, 0.35], [0.15, 0.90, 0.35]])


@pytest.mark.parametrize("stains", [HED[:2], OTHER], ids=["ruifrok", "other"])
def test_the_stains_of_a_picture_are_found_in_it(stains):
    fit = fit_stains(tissue(stains))
    assert fit is not None
    for found, own in zip(fit.vectors, stains, strict=True):
        assert degrees(found, own) < 6
    assert all(0.8 < strength < 1.4 for strength in fit.strengths)


def test_a_slide_matched_to_another_has_its_colours():
    own, target = tissue(HED[:2] * [[0.7], [1.2]]), tissue(OTHER)  # the same amounts, other stains
    fits = fit_stains(own), fit_stains(target)
    assert fits[0] is not None and fits[1] is not None
    matched = change_density(own, match_change(fits[0], fits[1]))
    before, after = (np.abs(p.astype(int) - target).mean() for p in (own, matched))
    assert after < 0.35 * before
    np.testing.assert_allclose(match_change(fits[0], fits[0]), np.eye(3), atol=1e-9)


@pytest.mark.parametrize("picture", ["glass", "one colour", "grey"])
def test_no_stains_are_found_where_there_are_none(picture):
    pixels = np.full((64, 64, 3), 255 if picture == "glass" else (150, 60, 140), np.uint8)
    if picture == "grey":
        pixels[:] = np.random.default_rng(0).integers(40, 160, (64, 64, 1))
    assert fit_stains(pixels) is None


def test_haematoxylin_comes_first_whichever_is_darker():
    for amounts in ((1.0, 0.3), (0.3, 1.0)):
        fit = fit_stains(tissue(HED[:2] * np.array(amounts)[:, None]))
        assert isinstance(fit, StainFit) and degrees(fit.vectors[0], HED[0]) < degrees(fit.vectors[0], HED[1])


def test_torch_is_not_loaded():
    code = "import sys, jsma.slides.stains; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
