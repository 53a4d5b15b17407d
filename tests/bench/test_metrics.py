import numpy as np
import pandas as pd
import pytest

from bench.metrics import accuracy_interval, auc, paired_ratio


def rows(n, right, **more):
    return pd.DataFrame({"slide": [f"s{i}" for i in range(n)], "patient": None, "label": "a",
                         "predicted": ["a"] * right + ["b"] * (n - right), **more})  # fmt: skip


def test_wilson_interval_of_a_published_example():
    # 81 of 263: Newcombe, Statistics in Medicine 1998, table I
    value, low, high = accuracy_interval(rows(263, 81))
    assert value == pytest.approx(81 / 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_seeds_do_not_count_as_slides():
    once = rows(60, 30)
    five = pd.concat([once] * 5, ignore_index=True)
    _, low, high = accuracy_interval(five)
    assert high - low == pytest.approx(2 * 1.96 * (0.25 / 60) ** 0.5, rel=0.1)


def test_auc_matches_pair_counting():
    table = pd.DataFrame(
        {"label": ["a", "b", "a", "b"], "prob_a": [0.9, 0.6, 0.4, 0.2], "prob_b": [0.1, 0.4, 0.6, 0.8]}
    )
    assert auc(table) == pytest.approx(3 / 4)


def test_paired_ratio_uses_shared_slides_only():
    assert paired_ratio(pd.Series({"a": 2.0, "b": 8.0, "c": 100.0}), pd.Series({"a": 1.0, "b": 1.0})) == pytest.approx(
        4
    )
    assert paired_ratio(pd.Series({"a": 2.0}), pd.Series({"b": 1.0})) is None
    assert np.isfinite(paired_ratio(pd.Series({"a": 2.0}), pd.Series({"a": 1.0})) or np.nan)
