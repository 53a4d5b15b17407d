"""The intervals by hand: exact at the ends, inside their range, and none of one cluster."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from scipy.stats import t as student

from bench.analysis.statistics.intervals import (
    clusters_by_size,
    difference_interval,
    least_clusters,
    mean_interval,
    share_interval,
)


def clusters(n, each=1):
    return pd.Series([f"c{i // each}" for i in range(n * each)])


@pytest.mark.parametrize("n", (3, 5, 20, 240))
def test_all_right_or_all_wrong_has_the_exact_bound(n):
    for each in (1, 5):  # five seeds of a slide that are all right are one slide that is right
        ones = pd.Series(np.ones(n * each))
        assert share_interval(ones, clusters(n, each)) == (pytest.approx(0.025 ** (1 / n)), 1.0)
        assert share_interval(0 * ones, clusters(n, each)) == (0.0, pytest.approx(1 - 0.025 ** (1 / n)))


@pytest.mark.parametrize("right, n", ((1, 4), (17, 20), (81, 263)))
def test_one_prediction_a_slide_is_that_of_clopper_and_pearson(right, n):
    found = share_interval(pd.Series([1.0] * right + [0.0] * (n - right)), clusters(n))
    exact = binomtest(right, n).proportion_ci(method="exact")
    assert found == pytest.approx((exact.low, exact.high), abs=1e-9)


@pytest.mark.parametrize("n", (3, 8, 200))
@pytest.mark.parametrize("level", (0.0, 0.5, 1.0))
def test_no_discordant_slide_is_no_proof(n, level):
    own = np.random.default_rng(0).random(n) < level  # both have the same right
    found = difference_interval(pd.Series(own.astype(float) - own), clusters(n))
    half = 1 - 0.025 ** (1 / n)
    assert found == (pytest.approx(-half), pytest.approx(half))


def test_a_difference_lies_inside_its_range_and_turns_with_its_sign():
    rng = np.random.default_rng(0)
    for _ in range(200):
        n, each = int(rng.integers(2, 9)), int(rng.integers(1, 4))
        gap = pd.Series(rng.choice([-1.0, 0.0, 1.0, 0.4], n * each))
        low, high = difference_interval(gap, clusters(n, each))
        assert -1 <= low <= gap.mean() <= high <= 1 and high - low > 0
        assert difference_interval(-gap, clusters(n, each)) == pytest.approx((-high, -low))


def test_one_cluster_has_no_interval():
    for values in ([1.0, 1.0, 0.0], [1.0]):
        one = pd.Series(["p"] * len(values))
        assert share_interval(pd.Series(values), one) is None
        assert difference_interval(pd.Series(values), one) is None
        assert mean_interval(pd.Series(values), one) is None


def test_a_patient_with_most_of_the_slides_is_not_many():
    uneven = pd.Series(["a"] * 10 + ["b", "c"])
    assert clusters_by_size(uneven) == pytest.approx(144 / 102)
    even = share_interval(pd.Series([1.0] * 12), clusters(3, 4))
    assert share_interval(pd.Series([1.0] * 12), uneven)[0] < even[0]


@pytest.mark.parametrize("margin", (0.01, 0.02, 0.05, 0.3, 0.99))
def test_the_least_number_for_non_inferiority_is_that_of_the_interval_itself(margin):
    least = least_clusters(margin)
    assert difference_interval(pd.Series(np.zeros(least)), clusters(least))[0] > -margin
    if least > 2:
        assert difference_interval(pd.Series(np.zeros(least - 1)), clusters(least - 1))[0] <= -margin


def test_a_mean_of_single_values_has_students_interval():
    values = pd.Series([0.1, 0.4, -0.2, 0.9])
    half = student.ppf(0.975, 3) * values.std(ddof=1) / 2
    assert mean_interval(values, clusters(4)) == pytest.approx((values.mean() - half, values.mean() + half))
    assert mean_interval(pd.concat([values] * 3), pd.concat([clusters(4)] * 3)) == pytest.approx(
        mean_interval(values, clusters(4))
    )
