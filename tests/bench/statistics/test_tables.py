"""`compare` over folders: the reference, refusals, budgets, time to an accuracy."""

import json

import pandas as pd
import pytest

from bench.errors import NotComparableError, UsageError
from bench.statistics.tables import against, best_lines, check_comparable, compared, time_to_lines
from bench.tables import latex, markdown_against


def write(out, strategy, right, seed=0, data_hash="d", cpu="c", split="s"):
    folder = out / f"x-{strategy}-{seed}-{data_hash}-{cpu}-{split}"
    folder.mkdir(parents=True)
    settings = {"strategy": {"method": {"mpps": [0.5, 1.0]}}, "split": split}
    key = {"dataset": "x", "data_hash": data_hash, "strategy": strategy, "fold": 0, "seed": seed, "settings": settings}
    (folder / "settings.json").write_text(json.dumps(key))
    (folder / "train.json").write_text(json.dumps({"train_s": 2.0, "charged_s": 0.0, "n_train": 20}))
    (folder / "environment.json").write_text(json.dumps({"cpu": cpu}))
    (folder / "status.json").write_text("{}")
    n = len(right)
    pd.DataFrame({
        "slide": [f"s{i}" for i in range(n)], "patient": None, "label": ["a", "b"] * (n // 2),
        "predicted": [("a", "b")[(i + (not r)) % 2] for i, r in enumerate(right)], "prob_a": 0.5, "prob_b": 0.5,
        "patches": 4, "decoded_px": 1, "compressed_bytes": 1, "seconds": 0.5, "read_s": 0.5,
    }).to_parquet(folder / "predictions.parquet")  # fmt: skip
    pd.DataFrame({"seconds": [1.0, 2.0, 3.0], "val_accuracy": [0.4, 0.7, 0.6]}).to_parquet(folder / "curve.parquet")


@pytest.fixture
def out(tmp_path):
    for seed in (0, 1):
        write(tmp_path, "exhaustive", [1, 1, 0, 0, 0, 0, 0, 1], seed)
        write(tmp_path, "jsma", [1, 1, 1, 1, 1, 1, 0, 0], seed)
    return tmp_path


def test_against_the_reference(out):
    found = compared([out], None, 0.02)
    assert found.notes == [] and len(found.rows) == 2
    (row,) = found.against
    assert row["strategy"] == "jsma" and row["difference"] == pytest.approx(3 / 8) and row["trainings"] == 2
    assert row["holm_p"] == row["mcnemar_p"] == pytest.approx(0.375) and row["t_p"] == 0.0
    assert "+0.375" in markdown_against(found.against) and "tabular" in latex(found.rows)


def test_other_data_and_other_splits_are_refused(out):
    write(out, "fixed", [1] * 8, data_hash="other")
    with pytest.raises(NotComparableError, match="2 values of data hash"):
        compared([out], None, 0.02)


def test_another_split_is_refused(out):
    write(out, "fixed", [1] * 8, split="other")
    with pytest.raises(NotComparableError, match="2 values of split"):
        compared([out], None, 0.02)


def test_other_machines_compare_accuracy_only(out):
    write(out, "fixed", [1] * 8, cpu="faster")
    found = compared([out, out], None, 0.02)
    assert "2 machines" in found.notes[0] and len(found.runs) == 5
    assert all(row["inference_s_per_slide"] is None and row["train_speedup_vs_search"] is None for row in found.rows)
    assert {row["accuracy"] for row in found.rows} == {0.375, 0.75, 1.0}
    assert check_comparable(found.runs[:1]) is None


def test_mistakes(out):
    runs = compared([out], None, 0.02).runs
    with pytest.raises(UsageError, match="there are: exhaustive, jsma"):
        against(runs, "nothing", 0.02)
    with pytest.raises(UsageError, match="--margin 2"):
        against(runs, "jsma", 2)


def test_budgets_and_time_to_accuracy(out):
    found = compared([out], None, 0.02)
    (line,) = best_lines(found.rows, "patches_per_slide", 10, "patches a slide")
    assert "jsma at 4, accuracy 0.750" in line
    assert best_lines(found.rows, "patches_per_slide", 1, "patches a slide") == [
        "x: no strategy within 1 patches a slide"
    ]
    assert time_to_lines(found.runs, 0.65)[1].endswith("2.0 s (2 of 2 runs)")
    assert "never (0 of 2 runs)" in time_to_lines(found.runs, 0.9)[0]
