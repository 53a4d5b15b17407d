"""Stages, slopes and mean curves on numbers that are known."""

import numpy as np
import pandas as pd
import pytest

from bench.analysis.statistics.breakdown import area_slope, by_slide, mean_curve, stage_seconds


def test_stages_in_their_order_and_only_those_that_took_time():
    rows = pd.DataFrame({"encode_s": [1.0, 3.0], "read_s": [0.5, 0.5], "backward_s": 0.0, "seconds": [1.5, 3.5]})
    found = stage_seconds(rows)
    assert list(found.items()) == [("read", 0.5), ("encode", 2.0)]
    assert sum(found.values()) == rows["seconds"].mean()


def test_an_exact_power_law_is_found():
    area = np.array([1.0, 2.0, 4.0, 8.0])
    slope = area_slope(area, 3.0 * area**0.5)
    assert slope is not None and (slope.n, slope.sizes) == (4, 4)
    assert slope.exponent == pytest.approx(0.5) and slope.factor == pytest.approx(3.0)
    assert slope.at(np.array([100.0])) == pytest.approx([30.0])


def test_the_interval_of_a_slope_is_students():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        area = np.exp(rng.uniform(0, 3, 12))
        slope = area_slope(area, area**0.7 * np.exp(rng.normal(0, 0.3, 12)))
        hits += slope.low <= 0.7 <= slope.high
    assert 0.92 < hits / 400 < 0.98


@pytest.mark.parametrize("area", ([1.0, 1.0, 1.0], [1.0, 2.0, 2.0], [1.0, 1.1, 1.2]))
def test_no_slope_without_slides_of_different_size(area):
    assert area_slope(np.array(area), np.array([1.0, 2.0, 3.0])) is None


def test_a_slide_is_one_dot_however_often_it_was_predicted():
    rows = pd.DataFrame({"slide": ["a", "b", "a"], "area0_px": [4, 9, 4], "seconds": [1.0, 5.0, 3.0]})
    assert by_slide(rows).to_dict("index") == {"a": {"area0_px": 4, "seconds": 2.0}, "b": {"area0_px": 9, "seconds": 5}}


def test_the_mean_curve_holds_the_last_finished_epoch():
    one = pd.DataFrame({"seconds": [1.0, 4.0], "val_accuracy": [0.2, 0.6]})
    two = pd.DataFrame({"seconds": [2.0, 16.0], "val_accuracy": [0.4, 1.0]})
    found = mean_curve([one, two], points=4)
    assert found["seconds"].tolist() == pytest.approx([2, 4, 8, 16])
    assert found["mean"].tolist() == pytest.approx([0.3, 0.5, 0.5, 0.8])
    assert found["low"].tolist() == pytest.approx([0.2, 0.4, 0.4, 0.6])
    assert found["high"].tolist() == pytest.approx([0.4, 0.6, 0.6, 1.0])
    assert mean_curve([]).empty
