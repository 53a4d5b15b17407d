"""`compare` over folders: the reference, refusals, budgets, time to an accuracy."""

import json
import shutil

import pandas as pd
import pytest

from bench.analysis.against import choose_references
from bench.analysis.columns.pairs import PAIRS
from bench.analysis.comparison import check_comparable, compare_folders
from bench.errors import NotComparableError, UsageError
from bench.report.sentences import best_lines, front_lines, time_to_lines
from bench.report.tables.tables import latex, markdown


def write(out, strategy, right, seed=0, data_hash="d", cpu="c", split="s", device="cpu", gpu="none"):
    folder = out / f"x-{strategy}-{seed}-{data_hash}-{cpu}-{split}-{device}-{gpu}"
    folder.mkdir(parents=True)
    settings = {"strategy": {"method": {"mpps": [0.5, 1.0], "n_patches": 4}}, "split": split, "device": device}
    key = {"dataset": "x", "data_hash": data_hash, "strategy": strategy, "fold": 0, "seed": seed, "settings": settings}
    (folder / "settings.json").write_text(json.dumps(key))
    (folder / "train.json").write_text(json.dumps({"train_s": 2.0, "charged_s": 0.0, "n_train": 20}))
    (folder / "environment.json").write_text(json.dumps({"cpu": cpu, "gpu": gpu}))
    (folder / "status.json").write_text(json.dumps({"status": "complete"}))
    n = len(right)
    pd.DataFrame(
        {
            "slide": [f"s{i}" for i in range(n)],
            "patient": None,
            "label": ["a", "b"] * (n // 2),
            "predicted": [("a", "b")[(i + (not r)) % 2] for i, r in enumerate(right)],
            "prob_a": 0.5,
            "prob_b": 0.5,
            "patches": 4,
            "decoded_px": 1,
            "compressed_bytes": 1,
            "seconds": 0.5,
            "read_s": 0.5,
        }
    ).to_parquet(folder / "predictions.parquet")
    pd.DataFrame({"seconds": [1.0, 2.0, 3.0], "val_accuracy": [0.4, 0.7, 0.6]}).to_parquet(folder / "curve.parquet")


@pytest.fixture
def out(tmp_path):
    for seed in (0, 1):
        write(tmp_path, "exhaustive", [1, 1, 0, 0, 0, 0, 0, 1], seed)
        write(tmp_path, "jsma", [1, 1, 1, 1, 1, 1, 0, 0], seed)
    return tmp_path


def test_against_the_reference(out):
    found = compare_folders([out], None, 0.02)
    assert found.notes == [] and len(found.rows) == 2
    (row,) = found.against
    assert row["strategy"] == "jsma" and row["difference"] == pytest.approx(3 / 8) and row["trainings"] == 2
    assert row["holm_p"] == row["mcnemar_p"] == pytest.approx(0.375) and row["t_p"] is None
    assert "+0.375" in markdown(found.against, PAIRS) and "tabular" in latex(found.rows)


def test_other_data_and_other_splits_are_refused(out):
    write(out, "fixed", [1] * 8, data_hash="other")
    with pytest.raises(NotComparableError, match="2 values of data hash"):
        compare_folders([out], None, 0.02)


def test_another_split_is_refused(out):
    write(out, "fixed", [1] * 8, split="other")
    with pytest.raises(NotComparableError, match="2 values of split"):
        compare_folders([out], None, 0.02)


def test_other_machines_compare_accuracy_only(out):
    write(out, "fixed", [1] * 8, cpu="faster")
    found = compare_folders([out, out], None, 0.02)
    assert "2 machines" in found.notes[0] and len(found.runs) == 5
    assert all(row["inference_s_per_slide"] is None and row["train_speedup_vs_search"] is None for row in found.rows)
    assert {row["accuracy"] for row in found.rows} == {0.375, 0.75, 1.0}
    assert check_comparable(found.runs[:1]) is None


@pytest.mark.parametrize("other, refused", (({"device": "cuda", "gpu": "h"}, True), ({"gpu": "h"}, False)))
def test_another_device_is_another_machine_and_a_gpu_that_is_not_used_is_not(out, other, refused):
    write(out, "fixed", [1] * 8, **other)
    assert bool(compare_folders([out], None, 0.02).notes) == refused


def test_two_gpus_are_two_machines(out):
    for seed, gpu in enumerate(("h", "b")):
        write(out, "fixed", [1] * 8, seed, device="cuda:0", gpu=gpu)
    runs = [run for run in compare_folders([out], None, 0.02).runs if run.strategy == "fixed"]
    assert "2 machines or devices" in str(check_comparable(runs)) and check_comparable(runs[:1]) is None


def test_one_run_in_two_folders_is_not_two_trainings(out, tmp_path_factory):
    copy = tmp_path_factory.mktemp("copy")
    name = next(out.glob("x-jsma-*")).name
    shutil.copytree(out / name, copy / name)
    with pytest.raises(NotComparableError, match="must not be counted as two"):
        compare_folders([out, copy], None, 0.02)


def test_mistakes(out):
    entries = compare_folders([out], None, 0.02).entries
    with pytest.raises(UsageError, match="there are: exhaustive, jsma"):
        choose_references(entries, "nothing")
    with pytest.raises(UsageError, match="--margin 2"):
        compare_folders([out], "jsma", 2)


def test_budgets_and_time_to_accuracy(out):
    found = compare_folders([out], None, 0.02)
    (line,) = best_lines(found.rows, "patches_per_slide", 10, "patches a slide")
    assert "jsma at 4, accuracy 0.750" in line
    assert best_lines(found.rows, "patches_per_slide", 1, "patches a slide") == [
        "x: no strategy within 1 patches a slide"
    ]
    assert time_to_lines(found.runs, 0.65)[1].endswith("2.0 s (2 of 2 runs)")
    assert "never (0 of 2 runs)" in time_to_lines(found.runs, 0.9)[0]


def sweep(out, name, seed, draws):
    """A sweep of which each draw has so many of 8 slides right, at the run's own N and at another."""
    rows = [
        {
            "mode": "sample",
            "budget": budget,
            "confidence": None,
            "draw": d,
            "slide": f"s{i}",
            "label": "a",
            "predicted": "a" if i < right * (budget == 4) else "b",
        }
        for budget in (4, 9)
        for d, right in enumerate(draws)
        for i in range(8)
    ]
    pd.DataFrame(rows).to_parquet(next(out.glob(f"x-{name}-{seed}-*")) / "sweep.parquet")


def test_seeds_of_training_and_of_sampling_apart(tmp_path):
    write(tmp_path, "jsma", [1] * 4 + [0] * 4, 0)
    write(tmp_path, "jsma", [1] * 6 + [0] * 2, 1)
    (row,) = compare_folders([tmp_path], None, 0.02).rows
    assert row["accuracy_sd_training"] == pytest.approx(0.25 / 2**0.5)
    assert row["accuracy_sd_sampling"] is None and row["accuracy_sd_training_alone"] is None
    sweep(tmp_path, "jsma", 0, (4, 5, 6))
    sweep(tmp_path, "jsma", 1, (6, 7, 8))
    (row,) = compare_folders([tmp_path], None, 0.02).rows
    assert row["accuracy_sd_sampling"] == pytest.approx(1 / 8)
    assert row["accuracy_sd_training_alone"] == pytest.approx((2 * (1 / 8) ** 2 - (1 / 8) ** 2 / 3) ** 0.5)


def test_fronts_and_joules_that_were_not_measured(out):
    found = compare_folders([out], None, 0.02)
    assert all(row["inference_j_per_slide"] is None and row["inference_j_reason"] for row in found.rows)
    lines = front_lines(found.rows)
    assert lines[0] == "x: Pareto front of accuracy over patches: jsma; hypervolume 0.750"
    assert lines[-1] == "x: joules: not measurable here (recorded before energy was)"
    for folder in out.iterdir():
        energy = {"source": "RAPL package-0", "reason": None}
        (folder / "environment.json").write_text(json.dumps({"cpu": "c", "energy": energy}))
        train = json.loads((folder / "train.json").read_text())
        (folder / "train.json").write_text(json.dumps({**train, "energy": {**energy, "joules": 7.0}}))
        rows = pd.read_parquet(folder / "predictions.parquet").assign(joules=2.0)
        rows.to_parquet(folder / "predictions.parquet")
    found = compare_folders([out], None, 0.02)
    assert {(r["inference_j_per_slide"], r["train_j"], r["energy_source"]) for r in found.rows} == {
        (2.0, 7.0, "RAPL package-0")
    }
    assert found.rows[1]["pareto"] == ["patches", "Mpx", "MB", "seconds", "joules"]
