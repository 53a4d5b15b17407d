"""A strategy against another at as many patches, over all slides and over easy and hard ones."""

import numpy as np
import pandas as pd
import pytest

from bench.analysis.statistics.equal_patches import equal_patches, rank_into_thirds


def predictions(right, seed=0, fold=0, draw=0):
    """One prediction a slide; right: whether it is, by slide."""
    return pd.DataFrame(
        {
            "fold": fold,
            "seed": seed,
            "draw": draw,
            "slide": [f"s{k}" for k in range(len(right))],
            "patient": None,
            "label": "a",
            "predicted": ["a" if r else "b" for r in right],
        }
    )


def test_the_reference_is_taken_between_its_budgets_in_log_patches():
    own = predictions([1, 1, 1, 0])
    reference = {4.0: predictions([0, 0, 0, 1]), 16.0: predictions([1, 1, 0, 0]), 64.0: predictions([1, 1, 1, 1])}
    assert equal_patches(own, reference, 16)[0] == pytest.approx(0.75 - 0.5)
    assert equal_patches(own, reference, 8)[0] == pytest.approx(0.75 - (0.25 + 0.5) / 2)
    assert equal_patches(own, reference, 16 * 4**0.25)[0] == pytest.approx(0.75 - (0.75 * 0.5 + 0.25 * 1.0))
    assert equal_patches(own, reference, 4)[0] == pytest.approx(0.75 - 0.25)


@pytest.mark.parametrize("patches", (0.0, 3.9, 64.1))
def test_outside_the_budgets_of_the_reference_nothing_is_said(patches):
    reference = {0.0: predictions([1, 0]), 4.0: predictions([0, 1]), 64.0: predictions([1, 1])}
    assert equal_patches(predictions([1, 1]), reference, patches) is None


def test_without_a_reference_or_a_shared_slide_nothing_is_said():
    assert equal_patches(predictions([1]), {}, 4) is None
    other = predictions([1]).assign(slide="t")
    assert equal_patches(predictions([1]), {4.0: other}, 4) is None


def test_the_interval_is_of_slides_and_not_of_predictions():
    rng = np.random.default_rng(0)
    own, other = rng.random(40) < 0.7, rng.random(40) < 0.5
    once = equal_patches(predictions(own), {4.0: predictions(other)}, 4)
    draws = [pd.concat([predictions(r, draw=d) for d in range(10)]) for r in (own, other)]
    assert equal_patches(draws[0], {4.0: draws[1]}, 4) == pytest.approx(once)
    gap = own.astype(float) - other
    assert once[2] - once[1] == pytest.approx(2 * 1.96 * gap.std(ddof=1) / 40**0.5, rel=0.15)


def test_hard_is_what_the_other_trainings_had_wrong():
    answers = {0: [1, 1, 1, 1, 1, 1], 1: [1, 1, 1, 1, 0, 0], 2: [1, 1, 0, 0, 0, 0]}  # by training
    judge = pd.concat([predictions(right, seed) for seed, right in answers.items()])
    rows = pd.concat([predictions([0] * 6, seed).assign(strategy="x") for seed in answers])
    found = dict(zip(zip(rows["seed"], rows["slide"], strict=True), rank_into_thirds(rows, judge), strict=True))
    expected = ["easy", "easy", "middle", "middle", "hard", "hard"]
    assert [found[0, f"s{k}"] for k in range(6)] == expected
    # training 2 does not see its own answers: the other two tell only slides 4 and 5 from the rest
    assert [found[2, f"s{k}"] for k in (4, 5)] == ["hard", "hard"]
    judge.loc[judge["seed"] == 0, "predicted"] = ["b", "b", "a", "a", "a", "a"]
    turned = dict(zip(zip(rows["seed"], rows["slide"], strict=True), rank_into_thirds(rows, judge), strict=True))
    assert [turned[0, f"s{k}"] for k in range(6)] == expected  # its own luck moves nothing
    assert [turned[2, f"s{k}"] for k in (2, 3)] == ["easy", "easy"]


def test_ties_do_not_fall_by_the_order_of_the_slides():
    judge = pd.concat([predictions([1] * 300, seed) for seed in (0, 1)])
    said = rank_into_thirds(judge, judge).iloc[:300]
    assert said.value_counts().to_dict() == {"easy": 100, "middle": 100, "hard": 100}
    assert 15 < (said.iloc[:100] == "easy").sum() < 55


def test_with_one_training_of_a_fold_no_slide_is_hard():
    judge = pd.concat([predictions([1, 0, 1], draw=d) for d in range(3)])
    assert set(rank_into_thirds(judge, judge)) == {""}


def test_a_slide_that_the_judge_did_not_see_is_neither():
    judge = pd.concat([predictions([1, 0, 1], seed) for seed in (0, 1)])
    rows = predictions([1, 0, 1, 1], 0)
    assert rank_into_thirds(rows, judge).iloc[3] == "" and "" not in set(rank_into_thirds(rows, judge).iloc[:3])
