"""Variance components against sums by hand, a simulation and the folders of a comparison."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bench.analysis.statistics.spread import SWEEP, components, load_sweep, pooled_sd


def rows(accuracy, slides=10, fold=0):
    """One row a prediction; accuracy [training][draw] in tenths."""
    return pd.DataFrame(
        [
            {"fold": fold, "seed": t, "draw": d, "right": i < value * slides}
            for t, draws in enumerate(accuracy)
            for d, value in enumerate(draws)
            for i in range(slides)
        ]
    )


def test_pooled_sd_by_hand():
    assert pooled_sd([0, 0, 1, 1], np.array([0.5, 0.7, 0.1, 0.1])) == pytest.approx((0.02 / 2) ** 0.5)
    assert pooled_sd([0, 1], np.array([0.5, 0.7])) is None


def test_components_are_those_of_the_table_of_variance():
    accuracy = np.array([[0.5, 0.7, 0.6], [0.9, 0.8, 1.0]])
    sampling, training = components(rows(accuracy))
    within = ((accuracy - accuracy.mean(1, keepdims=True)) ** 2).sum() / 4
    between = 3 * ((accuracy.mean(1) - accuracy.mean()) ** 2).sum()
    assert sampling == pytest.approx(within**0.5)
    assert training == pytest.approx(((between - within) / 3) ** 0.5)


def test_folds_are_no_trainings_and_too_little_is_null():
    easy, hard = rows([[0.9, 0.9], [0.9, 0.9]]), rows([[0.2, 0.2], [0.2, 0.2]], fold=1)
    assert components(pd.concat([easy, hard])) == (0.0, 0.0)
    assert components(rows([[0.5, 0.7]])) == (pytest.approx(0.02**0.5), None)
    assert components(rows([[0.5], [0.7]])) == (None, None) and components(None) == (None, None)


def test_of_a_sweep_only_drawn_rows_at_the_runs_own_budget_count(tmp_path):
    own = {"mode": "sample", "budget": 8, "confidence": None, "draw": 0, "label": "a", "predicted": "a"}
    others = ({"budget": 4}, {"mode": "top"}, {"confidence": 0.9})
    pd.DataFrame([{**own, "draw": 3}, *({**own, **other} for other in others)]).to_parquet(tmp_path / SWEEP)
    settings = {"strategy": {"method": {"n_patches": 8}}}
    runs = [SimpleNamespace(path=path, settings=settings, fold=1, seed=2) for path in (tmp_path, tmp_path / "none")]
    found = load_sweep(SimpleNamespace(runs=runs))
    assert found is not None and found[["fold", "seed", "draw", "right"]].values.tolist() == [[1, 2, 3, True]]


def test_training_is_never_below_0_and_planted_components_are_found():
    assert components(rows([[0.1, 0.9], [0.9, 0.1]]))[1] == 0.0
    rng = np.random.default_rng(0)
    found = []
    for _ in range(60):
        skill = 0.5 + rng.normal(0, 0.05, 8)
        accuracy = np.clip(skill[:, None] + rng.normal(0, 0.03, (8, 5)), 0, 1)
        found.append(components(rows(accuracy, slides=1000)))
    mean = np.sqrt((np.array(found) ** 2).mean(0))
    assert mean == pytest.approx([0.03, 0.05], rel=0.12)
