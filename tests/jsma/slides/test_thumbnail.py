"""The whole slide, small."""

from __future__ import annotations

import numpy as np
import pytest

from jsma.slides import ArraySlide


def ramp(width: int, height: int) -> np.ndarray:
    """Grey that grows from left to right."""
    row = np.linspace(0, 250, width).round().astype(np.uint8)
    return np.repeat(np.tile(row, (height, 1))[..., None], 3, axis=2)


def test_the_longer_side_is_as_asked():
    pixels, scale0 = ArraySlide(ramp(1000, 600), 0.25).thumbnail(100)
    assert pixels.shape == (60, 100, 3) and scale0 == 10
    mean = ramp(1000, 600)[:600, :1000].reshape(60, 10, 100, 10, 3).mean(axis=(1, 3))
    assert np.abs(pixels - mean).max() <= 1


def test_it_is_not_finer_than_the_slide_or_than_asked():
    small = ramp(40, 30)
    pixels, scale0 = ArraySlide(small, 0.25).thumbnail(100)
    assert scale0 == 1 and np.array_equal(pixels, small)
    pixels, scale0 = ArraySlide(ramp(1000, 600), 0.25).thumbnail(100, 20)
    assert scale0 == 20 and pixels.shape == (30, 50, 3)


@pytest.mark.parametrize("width, height, longest, shape", [(109, 60, 100, (55, 100)), (800, 425, 384, (204, 384))])
def test_rounding_does_not_take_a_pixel_away(width, height, longest, shape):
    assert int(width / (width / longest)) < longest or int(height / (width / longest)) < shape[0]
    assert ArraySlide(ramp(width, height), 0.25).thumbnail(longest)[0].shape[:2] == shape


def test_no_pixel_of_it_lies_beyond_the_slide():
    """A slide that is black to its edge has no grey edge."""
    pixels, _ = ArraySlide(np.zeros((531, 1003, 3), np.uint8), 0.25).thumbnail(100)
    assert pixels.shape == (52, 100, 3) and pixels.max() == 0
