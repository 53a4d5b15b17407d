"""Ratios, fronts and budgets by hand."""

import numpy as np
import pandas as pd
import pytest

from bench.analysis.fronts import best_under, hypervolume, mark_fronts, pareto, pools
from bench.analysis.statistics.costs import ratio_interval

ROWS = [
    {"strategy": "a", "accuracy": 0.5, "cost": 1.0},
    {"strategy": "b", "accuracy": 0.8, "cost": 10.0},
    {"strategy": "c", "accuracy": 0.7, "cost": 20.0},
    {"strategy": "d", "accuracy": 0.9, "cost": 100.0},
    {"strategy": "e", "accuracy": 0.9, "cost": None},
]


def test_ratio_pairs_what_is_shared():
    found = ratio_interval(pd.Series({"x": 2.0, "y": 8.0, "z": 9.0}), pd.Series({"x": 1.0, "y": 1.0}))
    assert found is not None and found[0] == pytest.approx(4.0)
    assert found[1] < 4.0 < found[2]
    assert ratio_interval(pd.Series({"x": 2.0}), pd.Series({"y": 1.0})) is None
    assert ratio_interval(pd.Series({"x": 2.0}), pd.Series({"x": 1.0})) == (pytest.approx(2.0), None, None)


def test_ratio_interval_covers_the_true_ratio():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        slow = pd.Series(np.exp(rng.normal(0, 0.5, 40)))
        found = ratio_interval(slow * 3 * np.exp(rng.normal(0, 0.1, 40)), slow)
        assert found is not None
        hits += found[1] <= 3 <= found[2]
    assert 0.92 <= hits / 400 <= 0.98


def test_front_hypervolume_and_budget():
    assert pareto(ROWS, "cost") == ["a", "b", "d"]
    assert pareto([*ROWS, {**ROWS[1], "strategy": "twin"}], "cost") == ["a", "b", "twin", "d"]
    assert hypervolume(ROWS, "cost") == pytest.approx((0.5 + 0.8) / 2)  # a decade each
    assert pareto([*ROWS, {**ROWS[1], "strategy": "dear", "cost": 15.0}], "cost") == ["a", "b", "d"]
    assert best_under(ROWS, "cost", 10) is ROWS[1] and best_under(ROWS, "cost", 0.5) is None


def test_fronts_are_marked_within_a_dataset_and_by_settings():
    common = {"megapixels_decoded_per_slide": 2.0, "megabytes_read_per_slide": 0.0, "inference_s_per_slide": None}
    rows = [
        {**common, "dataset": "x", "strategy": "a", "settings": "n=1", "accuracy": 0.5, "patches_per_slide": 0.0},
        {**common, "dataset": "x", "strategy": "a", "settings": "n=4", "accuracy": 0.8, "patches_per_slide": 4.0},
        {**common, "dataset": "x", "strategy": "b", "settings": None, "accuracy": 0.7, "patches_per_slide": 40.0},
        {**common, "dataset": "y", "strategy": "b", "settings": None, "accuracy": 0.1, "patches_per_slide": 90.0},
    ]
    mark_fronts(rows)
    assert [row["pareto"] for row in rows] == [["patches"], ["patches", "Mpx", "MB"], [], ["patches", "Mpx", "MB"]]
    assert hypervolume(rows[:3], "patches_per_slide") == pytest.approx(0.8)  # from 4 to 40, for 0 has no logarithm
    assert hypervolume(rows[:3], "megabytes_read_per_slide") is None
    assert hypervolume(rows, "inference_s_per_slide") is None


def test_seconds_of_warm_and_cold_have_fronts_of_their_own():
    common = {"dataset": "x", "strategy": "a", "accuracy": 0.5, "patches_per_slide": 4.0}
    rows = [
        {**common, "settings": f"cache={state}", "cache": state, "inference_s_per_slide": s}
        for state, s in (("warm", 1.0), ("cold", 2.0))
    ]
    assert list(pools(rows, "inference_s_per_slide")) == ["x (warm)", "x (cold)"]
    assert list(pools(rows, "patches_per_slide")) == list(pools(rows[:1], "inference_s_per_slide")) == ["x"]
    mark_fronts(rows)
    assert [row["pareto"] for row in rows] == [["patches", "seconds"]] * 2


def test_pairs_of_one_cluster_are_resampled_together():
    logs = [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]
    own, reference = pd.Series(1.0, range(6)), pd.Series(np.exp(logs))
    alone, together = ratio_interval(reference, own), ratio_interval(reference, own, pd.Series([0, 0, 1, 1, 2, 2]))
    once = ratio_interval(reference[::2], own[::2])
    assert alone is not None and together == pytest.approx(once) and together[2] > alone[2]


def test_a_control_that_is_handed_the_evidence_is_on_no_front():
    rows = [
        {
            "dataset": "x",
            "strategy": name,
            "settings": None,
            "accuracy": accuracy,
            "patches_per_slide": 10.0,
            "uses_evidence": told,
        }
        for name, accuracy, told in (("jsma", 0.7, False), ("random", 0.6, False), ("oracle", 0.9, True))
    ]
    mark_fronts(rows)
    assert [row["pareto"] for row in rows] == [["patches"], [], []]
    mark_fronts(alone := [dict(rows[2])])
    assert alone[0]["pareto"] == ["patches"]
