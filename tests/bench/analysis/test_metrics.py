import numpy as np
import pandas as pd
import pytest

from bench.analysis.metrics import accuracy_interval, auc_or_reason, class_metrics, ece


def rows(n, right, **more):
    return pd.DataFrame(
        {
            "slide": [f"s{i}" for i in range(n)],
            "patient": None,
            "label": "a",
            "predicted": ["a"] * right + ["b"] * (n - right),
            **more,
        }
    )


def test_interval_of_a_published_example():
    # 81 of 263, Clopper and Pearson: Newcombe, Statistics in Medicine 17 (1998) 857, table I
    value, low, high = accuracy_interval(rows(263, 81))
    assert value == pytest.approx(81 / 263)
    assert (round(low, 4), round(high, 4)) == (0.2527, 0.3676)


def test_seeds_do_not_count_as_slides():
    once = rows(60, 30)
    five = pd.concat([once] * 5, ignore_index=True)
    _, low, high = accuracy_interval(five)
    assert high - low == pytest.approx(2 * 1.96 * (0.25 / 60) ** 0.5, rel=0.1)


def test_auc_matches_pair_counting():
    table = pd.DataFrame(
        {"label": ["a", "b", "a", "b"], "prob_a": [0.9, 0.6, 0.4, 0.2], "prob_b": [0.1, 0.4, 0.6, 0.8]}
    )
    assert auc_or_reason(table)["auc"] == pytest.approx(3 / 4)


def test_class_metrics_by_hand():
    table = pd.DataFrame({"label": list("aaabbc"), "predicted": list("aabbba")})
    found = class_metrics(table, ["a", "b", "c"])
    assert (found["correct"], found["predictions"]) == (4, 6)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["macro_f1"] == pytest.approx((2 * 2 / 6 + 2 * 2 / 5 + 0) / 3)
    observed = np.array([[2, 1, 0], [0, 2, 0], [1, 0, 0]]) / 6
    expected = np.outer(observed.sum(1), observed.sum(0))
    weight = (np.arange(3)[:, None] - np.arange(3)) ** 2
    assert found["kappa"] == pytest.approx(1 - (weight * observed).sum() / (weight * expected).sum())
    assert found["ece"] is None and class_metrics(table)["kappa"] is None


def test_ece_by_hand():
    table = pd.DataFrame(
        {
            "label": ["a", "a", "b"],
            "predicted": ["a", "b", "b"],
            "prob_a": [0.95, 0.35, 0.05],
            "prob_b": [0.05, 0.65, 0.95],
        }
    )
    assert ece(table) == pytest.approx((2 * abs(1 - 0.95) + 1 * abs(0 - 0.65)) / 3)
