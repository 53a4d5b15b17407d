"""Whom a strategy is set against, what the files of a comparison say, and rows that can say nothing."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from baselines import STRATEGIES
from bench.analysis.columns.pairs import PAIRS
from bench.analysis.comparison import compare_folders
from bench.analysis.entries import ONE_MAGNIFICATION
from bench.analysis.leaders import leaders
from bench.errors import UsageError
from bench.report.comparison import publish
from bench.report.sentences import front_lines
from bench.report.tables.tables import as_json, latex, markdown, terminal

COSTS = {"patches": 4, "decoded_px": 10, "compressed_bytes": 10, "read_s": 0.5}


def write(out, strategy, right, seed=0, cpu="c", seconds=0.5, estimator="des-raj", mpp=None, n_labels=2, **columns):
    folder = out / f"x-{strategy}-{seed}"
    folder.mkdir(parents=True)
    method = {"mpps": [0.5, 2.0], "n_patches": 4, "estimator": estimator}
    settings = {
        "strategy": {"method": method, **({} if mpp is None else {"mpp": mpp})},
        "split": "s",
        "tuned": {"estimator": estimator, "mpp": mpp},
    }
    key = {"dataset": "x", "data_hash": "d", "strategy": strategy, "fold": 0, "seed": seed, "settings": settings}
    status = {"status": "complete", "findings": columns.pop("findings", [])}
    files = {
        "settings": key,
        "status": status,
        "environment": {"cpu": cpu},
        "train": {"train_s": 8 * seconds, "charged_s": 0.0, "n_train": 20},
    }
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    n = len(right)
    labels = [("a", "b")[i % n_labels] for i in range(n)]
    said = [("b", "a")[(name == "a") == bool(r)] for name, r in zip(labels, right, strict=True)]
    pd.DataFrame(
        {
            "slide": [f"s{i}" for i in range(n)],
            "patient": None,
            "label": labels,
            "predicted": said,
            "prob_a": 0.6,
            "prob_b": 0.4,
            "seconds": seconds,
            **COSTS,
            **columns,
        }
    ).to_parquet(folder / "predictions.parquet")


DRAWN = {"p_m0": 0.5, "p_m1": 0.5}


def by_name(found):
    return {row["strategy"]: row for row in found.rows}


def test_speed_ups_are_over_what_reads_everything(tmp_path):
    write(tmp_path, "exhaustive-all", [1] * 8, seconds=4.0)
    write(tmp_path, "exhaustive", [1, 0] * 4, seconds=1.0, mpp=2.1, patches=1)
    write(tmp_path, "jsma", [1] * 8, seconds=0.5, **DRAWN)
    found = compare_folders([tmp_path], None, 0.02)
    rows = by_name(found)
    assert rows["jsma"]["train_speedup_vs_everything"] == pytest.approx(8)
    assert rows["jsma"]["inference_speedup_vs_everything"] == pytest.approx(8)
    assert rows["jsma"]["train_speedup_vs_exhaustive"] == pytest.approx(2) and "train x everything" in markdown(
        found.rows
    )
    assert {row["reference"] for row in found.against} == {"exhaustive-all"}
    assert "x: speed-ups over everything are over exhaustive-all" in found.said
    assert "| exhaustive@2um " in markdown(found.rows) and rows["exhaustive"]["reads"] == "2um"
    assert any("exhaustive@2um" in line for line in front_lines(found.rows))
    assert compare_folders([tmp_path], "exhaustive@2um", 0.02).reference == {"x": "exhaustive@2um"}


def test_without_it_the_exhaustive_one_is_taken_and_said(tmp_path):
    write(tmp_path, "exhaustive", [1] * 8, mpp=0.5)
    write(tmp_path, "jsma", [1] * 8)
    found = compare_folders([tmp_path], None, 0.02)
    assert found.against[0]["reference_shown"] == "exhaustive@0.5um"
    assert "exhaustive@0.5um (exhaustive-all was not run: it reads one magnification)" in found.said[0]


def test_the_search_is_set_beside_what_draws_as_it_does(tmp_path):
    write(tmp_path, "search", [1] * 8, seconds=2.0, **DRAWN)
    write(tmp_path, "jsma", [1] * 8, estimator="systematic", **DRAWN)
    write(tmp_path, "fixed", [1] * 8, **DRAWN)
    write(tmp_path, "overview", [1] * 8, estimator="systematic")  # draws nothing
    found = compare_folders([tmp_path], None, 0.02)
    ratio = {name: row["train_speedup_vs_search"] for name, row in by_name(found).items()}
    assert ratio == {"search": pytest.approx(1), "jsma": None, "fixed": pytest.approx(4), "overview": pytest.approx(4)}
    (note,) = found.notes
    why = "it drew otherwise than search (estimator: systematic, not des-raj)"
    assert note == f"x: jsma has no train x search, for {why}"


def test_one_magnification_is_what_the_classes_say():
    pytest.importorskip("torch")
    from baselines.parts.whole_bag import OneMagnification
    from bench.runs.settings.strategies import strategy_class

    found = {name for name in STRATEGIES if issubclass(strategy_class(name), OneMagnification)}
    assert set(ONE_MAGNIFICATION) == found | {"fixed", "random-one", "stratified-one"}


def test_saved_files_refuse_seconds_of_several_machines_as_the_screen_does(tmp_path):
    write(tmp_path / "runs", "exhaustive-all", [1] * 8)
    write(tmp_path / "runs", "jsma", [1] * 6 + [0] * 2, cpu="other")
    found = compare_folders([tmp_path / "runs"], "jsma", 0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        md, csv, about, _ = publish(found, tmp_path / "x", "command")
    table = pd.read_csv(csv)
    assert (
        table[[c for c in table if "speedup" in c or c in ("train_s", "inference_s_per_slide")]].isna().all(axis=None)
    )
    assert "runs of 2 machines" in md.read_text() and "margin 0.3" in md.read_text()
    saved = json.loads(about.read_text())
    assert saved["margin"] == 0.3 and saved["reference"] == {"x": "jsma"} and "2 machines" in saved["notes"][0]
    assert [(row["name"], row["reference"]) for row in saved["against"]] == [("exhaustive-all", "jsma")]
    pairs = publish(compare_folders([tmp_path / "runs"], None, 0.02, every_pair=True), tmp_path / "y", "command")
    assert len(json.loads(pairs[2].read_text())["against"]) == 1 and "each of the others" in pairs[0].read_text()


def test_ties_are_named(tmp_path):
    write(tmp_path, "jsma", [1] * 8)
    write(tmp_path, "fixed", [1] * 8)
    write(tmp_path, "random", [1] * 7 + [0])
    write(tmp_path, "overview", [0] * 8)
    (leader,) = compare_folders([tmp_path], None, 0.02).leaders
    assert (set(leader.names), leader.near) == ({"jsma", "fixed"}, ("random",))
    assert "tie, equal: they have the highest accuracy, 1.000; not told apart from fixed by the 95 %" in str(leader)


def test_a_control_that_is_handed_the_evidence_leads_nothing(tmp_path):
    write(tmp_path, "jsma", [1, 1, 0, 0])
    write(tmp_path, "random", [1, 0, 0, 0])
    write(tmp_path, "oracle", [1, 1, 1, 1])
    found = compare_folders([tmp_path], None, 0.02)
    rows = [{**row, "uses_evidence": row["strategy"] == "oracle"} for row in found.rows]
    (leader,) = leaders(found.entries, rows)
    assert leader.names == ("jsma",) and "oracle" not in leader.near


def test_accepted_findings_stand_under_the_table(tmp_path):
    write(tmp_path, "jsma", [1] * 8, findings=["one patient in train and test", "b"])
    found = compare_folders([tmp_path], None, 0.02)
    assert found.notes == ["run with --accept-findings: 2 findings: one patient in train and test; b"]
    assert "- Note: run with --accept-findings" in publish(found, tmp_path / "x", "command")[0].read_text()


@pytest.mark.parametrize("n", (1, 2, 8))
@pytest.mark.parametrize("columns", ({}, {"prob_a": np.nan}, {"seconds": 0.0, "read_s": 0.0}, {"p_m0": np.nan}))
@pytest.mark.parametrize("n_labels", (1, 2))
def test_one_slide_one_class_or_no_numbers_are_no_accident(tmp_path, n, columns, n_labels):
    for name in ("exhaustive-all", "jsma"):
        write(tmp_path, name, [1] * n, n_labels=n_labels, **columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare_folders([tmp_path], None, 0.02)
        text = markdown(found.rows) + latex(found.rows) + as_json(found.rows, found.against)
    row = found.rows[0]
    assert (row["auc"] is None) == bool(row["auc_reason"]) == (n == 1 or n_labels == 1 or "prob_a" in columns)
    assert (row["accuracy_low"] is None) == (n == 1) and "inf" not in text.replace("infer", "")
    assert found.against[0]["non_inferior_verdict"].startswith("too few slides (n < 183)")


def test_runs_without_a_prediction_are_named_and_left_out(tmp_path):
    write(tmp_path, "jsma", [1] * 8)
    write(tmp_path, "fixed", [])
    found = compare_folders([tmp_path], None, 0.02)
    assert [row["strategy"] for row in found.rows] == ["jsma"] and "x-fixed-0" in found.damaged[0]
    with pytest.raises(UsageError, match="no run can be used"):
        compare_folders([tmp_path / "x-fixed-0"], None, 0.02)


def test_signs_of_a_table_in_a_name_do_not_break_it():
    row = {"dataset": "a&b", "strategy": "x_{}|", "settings": None, "runs": 1, "slides": 1, "accuracy": 1.0}
    shown = {**dict.fromkeys(("accuracy_low", "accuracy_high", "auc", "patches_per_slide", "train_s"))}
    rest = (
        "megapixels_decoded_per_slide",
        "megabytes_read_per_slide",
        "inference_s_per_slide",
        "train_speedup_vs_everything",
        "train_speedup_vs_search",
        "inference_speedup_vs_everything",
    )
    text = latex([{**row, **shown, **dict.fromkeys(rest), "pareto": []}])
    assert r"a\&b & x\_\{\}\textbar{}" in " ".join(text.split())


def test_brackets_of_a_name_reach_the_screen(tmp_path):
    from rich.console import Console

    write(tmp_path, "exhaustive-all", [1] * 8)
    write(tmp_path, "jsma", [1] * 8)
    found = compare_folders([tmp_path], None, 0.02)
    row = {**found.against[0], "shown": "jsma[n_patches=4]"}
    console = Console(width=300, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(terminal([row], columns=PAIRS))
    assert "jsma[n_patches=4]" in console.export_text()
