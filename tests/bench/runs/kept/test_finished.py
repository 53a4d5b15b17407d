"""Runs read back, and which of them are one row: settings are never pooled, and nothing changes by being fast."""

import json
from itertools import product

import numpy as np
import pandas as pd
import pytest

from bench.analysis.against import compare_all_pairs, compare_with_references
from bench.analysis.comparison import compare_folders
from bench.analysis.entries import group_runs
from bench.analysis.rows import compare
from bench.report.tables.tables import as_json, markdown
from bench.runs.kept.finished import load_runs, stack_predictions

STRATEGIES = ("exhaustive", "jsma", "search")


def write(out, strategy, fold=0, seed=0, n_patches=16, code="", mpps=(0.5, 1.0), **more):
    method = {"n_patches": n_patches, "mpps": list(mpps)}
    settings = {"strategy": {"method": method}, "view": {"mpps": list(mpps)}, "split": f"s{fold}", **more}
    folder = out / f"x-{strategy}-{fold}-{seed}-{n_patches}-{code}-{len(mpps)}-{len(more)}"
    folder.mkdir(parents=True)
    key = {
        "dataset": "x",
        "data_hash": "d",
        "strategy": strategy,
        "fold": fold,
        "seed": seed,
        "settings": settings,
        "code": code,
    }
    rng = np.random.default_rng(len(strategy) + 10 * fold + 100 * seed + n_patches)
    (folder / "settings.json").write_text(json.dumps(key))
    (folder / "train.json").write_text(json.dumps({"train_s": rng.uniform(1, 9), "charged_s": 0.5, "n_train": 20}))
    (folder / "environment.json").write_text(json.dumps({"cpu": "c"}))
    (folder / "status.json").write_text(json.dumps({"status": "complete"}))
    n = 8
    score = rng.dirichlet(np.ones(3), n)
    rows = pd.DataFrame(
        {
            "slide": [f"f{fold}-{i}" for i in range(n)],
            "patient": [f"p{i // 2}" for i in range(n)] if fold else None,
            "label": [("a", "b", "c")[i % 3] for i in range(n)],
            "predicted": np.array(["a", "b", "c"])[score.argmax(1)],
            **{f"prob_{c}": score[:, k] for k, c in enumerate("abc")},
            "patches": rng.integers(1, 9, n),
            "decoded_px": rng.integers(1, 10**7, n),
            "compressed_bytes": 10**5,
            "seconds": rng.uniform(0.1, 2, n),
            "read_s": 0.3,
            "encode_s": 0.1,
            "in_evidence": rng.random(n) if seed else None,
        }
    )
    rows.to_parquet(folder / "predictions.parquet", index=False)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for strategy, fold, seed, n in product(STRATEGIES, (0, 1), (0, 1), (4, 16)):
        write(folder, strategy, fold, seed, n)
    return folder


def test_runs_come_back_as_they_were_stored(out):
    runs = load_runs(out)
    assert len(runs) == 24 and [r.path for r in runs] == sorted(r.path for r in runs)
    for run in runs[:4]:
        pd.testing.assert_frame_equal(run.predictions, pd.read_parquet(run.path / "predictions.parquet"))
    together = stack_predictions(runs)
    assert together["run"].tolist() == np.repeat(np.arange(24), 8).tolist()
    whole = pd.concat([pd.read_parquet(r.path / "predictions.parquet") for r in runs], ignore_index=True)
    for column in whole:
        assert together[column].isna().equals(whole[column].isna()), column
        assert together[column].dropna().tolist() == whole[column].dropna().tolist(), column


def test_what_failed_and_what_was_found_wrong_come_back(tmp_path):
    write(tmp_path, "jsma")
    assert [(r.failed, r.findings) for r in load_runs(tmp_path)] == [({}, ())]  # of runs that recorded neither
    status = {"status": "complete", "failed": {"a.svs": "damaged"}, "findings": ["a.svs and b.svs are one file"]}
    next(tmp_path.glob("*/status.json")).write_text(json.dumps(status))
    (run,) = load_runs(tmp_path)
    assert run.failed == {"a.svs": "damaged"} and run.findings == ("a.svs and b.svs are one file",)


def test_the_order_of_the_classes_comes_back_and_is_known_of_older_runs_of_panda(tmp_path):
    write(tmp_path, "jsma")
    (key_file,) = tmp_path.glob("*/settings.json")
    assert load_runs(tmp_path)[0].class_order == ()
    key_file.write_text(json.dumps({**json.loads(key_file.read_text()), "dataset": "panda"}))
    assert load_runs(tmp_path)[0].class_order == tuple(f"ISUP {grade}" for grade in range(6))
    status = {"status": "complete", "class_order": ["low", "high"]}
    key_file.with_name("status.json").write_text(json.dumps(status))
    assert load_runs(tmp_path)[0].class_order == ("low", "high")


def test_columns_of_other_types_are_stacked_all_the_same(tmp_path):
    for seed, patient in ((0, "p"), (1, 7)):
        write(tmp_path, "jsma", seed=seed)
        path = next(tmp_path.glob(f"x-jsma-0-{seed}-*")) / "predictions.parquet"
        pd.read_parquet(path).assign(patient=patient).to_parquet(path, index=False)
    assert stack_predictions(load_runs(tmp_path))["patient"].tolist() == ["p"] * 8 + [7] * 8


def naive(out, strategy, n_patches):
    """Row by row, from the files."""
    found = []
    for folder in out.glob(f"x-{strategy}-*-{n_patches}--2-0"):
        key, train = (json.loads((folder / f"{name}.json").read_text()) for name in ("settings", "train"))
        found.append((key, train, pd.read_parquet(folder / "predictions.parquet")))
    right = [r.label == r.predicted for _, _, rows in found for r in rows.itertuples()]
    seconds = {(k["fold"], k["seed"], r.slide): r.seconds for k, _, rows in found for r in rows.itertuples()}
    train_s = {(k["fold"], k["seed"]): t["train_s"] for k, t, _ in found}
    evidence = [r.in_evidence for _, _, rows in found for r in rows.itertuples() if r.in_evidence is not None]
    patches = [r.patches for _, _, rows in found for r in rows.itertuples()]
    return {
        "right": right,
        "seconds": seconds,
        "train_s": train_s,
        "patches": patches,
        "evidence": [v for v in evidence if not np.isnan(v)],
    }


def geometric(over, under):
    return np.exp(np.mean([np.log(over[key] / under[key]) for key in under]))


def test_rows_are_those_of_a_plain_loop(out):
    rows = compare(load_runs(out))
    assert [(r["strategy"], r["settings"]) for r in rows] == [
        (name, f"n_patches={n}") for name in STRATEGIES for n in (4, 16)
    ]
    for row in rows:
        n = int(row["settings"].split("=")[1])
        own, exhaustive, search = (naive(out, name, n) for name in (row["strategy"], "exhaustive", "search"))
        assert (row["runs"], row["slides"], row["predictions"]) == (4, 16, 32)
        assert row["accuracy"] == pytest.approx(np.mean(own["right"])) and row["correct"] == sum(own["right"])
        assert row["patches_per_slide"] == pytest.approx(np.mean(own["patches"]))
        assert row["in_evidence"] == pytest.approx(np.mean(own["evidence"])) and len(own["evidence"]) == 16
        assert row["train_s"] == pytest.approx(np.mean(list(own["train_s"].values())))
        assert row["train_speedup_vs_search"] == pytest.approx(geometric(search["train_s"], own["train_s"]))
        assert row["inference_speedup_vs_exhaustive"] == pytest.approx(geometric(exhaustive["seconds"], own["seconds"]))


def test_a_reference_is_taken_in_the_same_settings(out):
    found = group_runs(load_runs(out))
    rows = compare_with_references(found, {"x": "exhaustive"}, 0.02)
    assert [(r["name"], r["reference"]) for r in rows] == [
        (f"{name}[n_patches={n}]", f"exhaustive[n_patches={n}]") for name in STRATEGIES[1:] for n in (4, 16)
    ]
    for row in rows:
        own, other = (naive(out, name, int(row["settings"][10:])) for name in (row["strategy"], "exhaustive"))
        assert row["difference"] == pytest.approx(np.mean(own["right"]) - np.mean(other["right"]))
    fixed = compare_with_references(found, {"x": "exhaustive[n_patches=4]"}, 0.02)
    assert len(fixed) == 5 and {r["reference"] for r in fixed} == {"exhaustive[n_patches=4]"}


def test_all_pairs_are_corrected_together(out):
    rows = compare_all_pairs(group_runs(load_runs(out)), 0.02)
    assert len(rows) == 6 * 5 // 2
    smallest = min(row["mcnemar_p"] for row in rows)
    assert min(row["holm_p"] for row in rows) == pytest.approx(min(1.0, 15 * smallest))


def test_the_only_settings_of_a_reference_serve_all_and_others_are_named(tmp_path):
    write(tmp_path, "exhaustive", n_patches=1)
    write(tmp_path, "jsma", n_patches=4)
    write(tmp_path, "jsma", n_patches=16)
    found = compare_folders([tmp_path], None, 0.02)
    assert [r["reference"] for r in found.against] == ["exhaustive[n_patches=1]"] * 2 and not found.notes
    assert [r["train_speedup_vs_exhaustive"] for r in found.rows[1:]] == [None, None]
    assert "| n_patches=4 " in markdown(found.rows) and "| settings " in markdown(found.rows)
    assert [len(r["against"]) for r in json.loads(as_json(found.rows, found.against))] == [0, 1, 1]
    write(tmp_path, "exhaustive", n_patches=2)
    found = compare_folders([tmp_path], None, 0.02)
    assert not found.against and len(found.notes) == 2 and "--reference 'exhaustive[" in found.notes[0]


def labels(out):
    return [entry.name for entry in group_runs(load_runs(out))]


def test_labels_name_what_differs_and_no_more(tmp_path):
    write(tmp_path, "jsma")
    write(tmp_path, "jsma", seed=1)
    assert labels(tmp_path) == ["jsma"] and "settings" not in markdown(compare(load_runs(tmp_path)))
    write(tmp_path, "jsma", mpps=(0.5,))  # twice in the settings, one value
    assert labels(tmp_path) == ["jsma[mpps=[0.5,1.0]]", "jsma[mpps=[0.5]]"]


def test_two_settings_of_one_name_with_other_values_are_named_in_full(tmp_path):
    for own, view in ((0.1, 0.2), (0.3, 0.2), (0.1, 0.4)):
        write(tmp_path / f"{own}{view}", "jsma", train={"rate": own}, look={"rate": view})
        for folder in (tmp_path / f"{own}{view}").iterdir():
            folder.rename(tmp_path / f"{folder.name}-{own}-{view}")
    assert labels(tmp_path) == [
        f"jsma[look.rate={view} train.rate={own}]" for view, own in ((0.2, 0.1), (0.2, 0.3), (0.4, 0.1))
    ]


def test_settings_that_older_runs_lack_and_other_code_are_rows_of_their_own(tmp_path):
    write(tmp_path, "mine", code="a = 1")
    write(tmp_path, "mine", code="a = 2")
    write(tmp_path, "mine", code="a = 2", cache="cold")
    found = labels(tmp_path)
    assert len(set(found)) == 3 and sum("cache=cold" in name for name in found) == 1
    assert all("code=" in name for name in found) and sum("cache=null" in name for name in found) == 2
