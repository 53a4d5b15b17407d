"""Pairs of strategies against sums by hand and references written out."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from bench.analysis.statistics.pairs import corrected_t, difference, holm


def table(right, patient=None, seed=0):
    n = len(right)
    return pd.DataFrame(
        {
            "slide": [f"s{i}" for i in range(n)],
            "patient": patient,
            "label": "a",
            "predicted": ["a" if r else "b" for r in right],
            "seed": seed,
        }
    )


def test_difference_pairs_shared_slides_and_counts_the_discordant():
    own = table([1, 1, 1, 1, 1, 1, 0, 0])
    other = table([1, 1, 0, 0, 0, 0, 0, 1])
    other = pd.concat([other, table([1] * 3).assign(slide=["x", "y", "z"])])  # not shared: does not count
    found = difference(own, other)
    assert found is not None and found.value == pytest.approx(3 / 8)
    assert (found.only_own, found.only_reference) == (4, 1)
    assert found.mcnemar_p == pytest.approx(2 * binom.cdf(1, 5, 0.5))
    assert difference(own, table([1]).assign(slide="x")) is None


def test_a_slide_with_half_of_its_seeds_right_is_no_discordant_one():
    first, second = table([1, 1, 0, 0, 1]), table([0, 1, 0, 1, 1])  # of two seeds: half, both, none, half, both
    other = table([0, 0, 1, 1, 0])
    found = difference(pd.concat([first, second]), other)
    assert found is not None and (found.only_own, found.only_reference) == (2, 1)
    assert found.mcnemar_p == pytest.approx(1.0)
    turned = difference(other, pd.concat([first, second]))
    assert turned is not None and (turned.only_own, turned.only_reference) == (1, 2)


def test_a_slide_keeps_its_seeds_together():
    one, other = table([1] * 30 + [0] * 30), table([0] * 20 + [1] * 40)
    few = difference(one, other)
    many = difference(pd.concat([one] * 5), pd.concat([other] * 5))
    assert few is not None and few == many


def test_patients_widen_the_interval():
    right, other = [1] * 40 + [0] * 40, [0] * 80
    alone = difference(table(right), table(other))
    patients = [f"p{i // 10}" for i in range(80)]
    grouped = difference(table(right, patients), table(other, patients))
    assert alone is not None and grouped is not None and grouped.clusters == 8
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_corrected_t_is_the_formula():
    gaps = np.array([0.02, 0.05, -0.01, 0.04, 0.03])
    found = corrected_t(gaps, 100, 25)
    assert found is not None
    t, p = found
    assert t == pytest.approx(gaps.mean() / math.sqrt((1 / 5 + 25 / 100) * gaps.var(ddof=1)))
    assert 0.05 < p < 1
    assert corrected_t(np.zeros(3), 100, 25) == (0.0, 1.0)


def test_corrected_t_says_nothing_without_spread():
    thirds = np.array([37 / 40, 38 / 40, 36 / 40]) - np.array([36 / 40, 37 / 40, 35 / 40])  # equal but for rounding
    assert np.ptp(thirds) > 0
    for gaps in (np.array([0.1]), np.array([0.1, 0.1]), thirds):
        assert corrected_t(gaps, 100, 25) is None


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_non_inferiority_asks_the_lower_bound():
    same = difference(table([1] * 300 + [0] * 20), table([1] * 300 + [0] * 20))
    assert same is not None and same.non_inferior(0.02) and same.verdict(0.02) == "yes"
    worse = difference(table([0] * 100 + [1] * 220), table([1] * 320))
    assert worse is not None and worse.verdict(0.02) == "no"
    rng = np.random.default_rng(0)
    noisy = difference(table(rng.random(400) < 0.8), table(rng.random(400) < 0.8))
    assert noisy is not None and not noisy.non_inferior(0.02) and noisy.verdict(0.02) == "no"


@pytest.mark.parametrize("right", ([1, 1, 1], [1, 1, 1, 1, 1], [1, 0] * 60))
def test_too_few_slides_say_so(right):
    found = difference(table(right), table(right))
    assert found is not None and found.low is not None and found.low < -0.02
    assert found.verdict(0.02) == "too few slides (n < 183)"
    patients = [f"p{i % 3}" for i in range(len(right))]
    grouped = difference(table(right, patients), table(right, patients))
    assert grouped is not None and grouped.verdict(0.02) == "too few patients (n < 183)"


def test_few_slides_suffice_where_they_show_it():
    found = difference(table([1] * 12), table([0] * 12))
    assert found is not None and found.verdict(0.02) == "yes"
    turned = difference(table([0] * 12), table([1] * 12))
    assert turned is not None and turned.verdict(0.02) == "no"


def test_one_patient_has_no_interval():
    found = difference(table([1] * 6, "p"), table([1, 0] * 3, "p"))
    assert found is not None and (found.low, found.high, found.clusters, found.unit) == (None, None, 1, "patients")
    assert not found.non_inferior(0.02) and found.verdict(0.5) == "too few patients (n < 6)"
