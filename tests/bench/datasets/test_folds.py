"""Folds, splits and limits that cannot work are refused in one line before anything is generated or trained."""

import pytest

from bench.datasets import Dataset, SlideRecord
from bench.datasets.known.demo import limited
from bench.datasets.labelled import load
from bench.datasets.loading import limited_to
from bench.datasets.splitting import folds_to_run
from bench.errors import UsageError
from bench.runs.settings.presets import PRESETS


def records(n=20, classes="ab", **columns):
    """n slides of `classes` in turn; columns: name -> value of slide k."""
    return tuple(
        SlideRecord(f"{k}.tif", classes[k % len(classes)], name=f"{k}.tif", **{c: f(k) for c, f in columns.items()})
        for k in range(n)
    )


def test_folds_are_run_by_their_own_numbers():
    assert folds_to_run(records(), 5) == (0, 1, 2, 3, 4)
    from_one = records(fold=lambda k: k // 2 % 3 + 1)
    assert folds_to_run(from_one, 1) == (1,) and folds_to_run(from_one, 3) == (1, 2, 3)
    assert len(Dataset("d", ("a", "b"), from_one).split(3, 5)["test"]) == 6
    assert len(folds_to_run(records(fold=lambda k: k // 2 % 10), 10)) == 10


SPLIT = {"split": lambda k: ("train", "train", "val", "test")[k // 2 % 4]}
TOO_MANY = {
    "a split": (SPLIT, 5, "would be trained 5 times; leave --folds out"),
    "too few folds": ({"fold": lambda k: k // 2 % 3}, 5, "the data give folds 0, 1, 2; allowed: 1 to 3"),
    "drawn": ({}, 6, "--folds 6; allowed: 1 to 5"),
}


@pytest.mark.parametrize("case", TOO_MANY)
def test_more_folds_than_there_are(case):
    columns, asked, words = TOO_MANY[case]
    with pytest.raises(UsageError) as error:
        folds_to_run(records(**columns), asked)
    assert words in str(error.value) and str(error.value).startswith(f"--folds {asked}")


@pytest.mark.parametrize("folds", [(0, 1, 3), (2, 3), (0, 0), (1, 3)])
def test_folds_with_a_gap(folds, tmp_path):
    lines = [f"{k}.tif,{'ab'[k % 2]},{folds[k % len(folds)]}" for k in range(12)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,fold", *lines]))
    with pytest.raises(UsageError, match="column fold has the number"):
        load(tmp_path / "labels.csv")


TOO_FEW = {
    "a class": (records(7, "aab"), "class 'b' has 2 slide(s), and 5 parts are drawn"),
    "patients": (records(patient=lambda k: f"p{k % 3}"), "come from 3 patient(s), and 5 parts are drawn"),
    "a class of a split": (records(4, split=lambda k: ("train", "test")[k // 2]), "has one slide that is not tested"),
    "some split": (records(split=lambda k: "train" if k else None), "0.tif has no split, others have"),
    "some folds": (records(fold=lambda k: k % 2 if k != 3 else None), "3.tif has no fold, others have"),
    "patients of a split": (
        records(12, split=lambda k: "train" if k < 8 else "test", patient=lambda k: f"p{k % 2}"),
        "class 'a' has slides of 1 patient(s)",
    ),
}


@pytest.mark.parametrize("case", TOO_FEW)
def test_what_cannot_be_split_says_which_class_and_what_is_needed(case):
    some, words = TOO_FEW[case]
    with pytest.raises(UsageError) as error:
        Dataset("d", ("a", "b"), some).split(0, 5)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_limit_that_is_too_small_is_named_with_the_smallest_that_works():
    for columns, needed in ((SPLIT, 6), ({}, 10)):
        whole = Dataset("d", ("a", "b"), records(40, **columns))
        for limit in (1, needed - 1):
            with pytest.raises(UsageError, match=f"--limit {limit}: .* give {needed} or more"):
                limited_to(whole, limit)
        assert len(limited_to(whole, needed).records) == needed


def test_a_limit_of_the_demo_is_checked_before_slides_are_generated():
    for limit in (1, 8, 15):
        with pytest.raises(UsageError, match=f"--limit {limit}: .* give 16 or more"):
            limited(PRESETS["demo"], limit)
    assert limited(PRESETS["demo"], 16).slides == 16
