"""Comparison rows from run directories written by hand."""

import json
import re

import pandas as pd
import pytest

from bench.analysis.comparison import compare_folders
from bench.analysis.rows import compare
from bench.errors import UsageError
from bench.report.comparison import page, publish
from bench.runs.kept.finished import load_runs
from bench.studies.hint_by_evidence import difference
from bench.studies.slide_size import summary


def write(out, strategy, seed, seconds, right, train_s, data_hash="d"):
    folder = out / f"x-{strategy}-{seed}-{data_hash}"
    folder.mkdir(parents=True)
    settings = {"strategy": {"method": {"mpps": [0.5, 1.0]}}}
    key = {"dataset": "x", "data_hash": data_hash, "strategy": strategy, "fold": 0, "seed": seed, "settings": settings}
    (folder / "settings.json").write_text(json.dumps(key))
    (folder / "train.json").write_text(json.dumps({"train_s": train_s, "charged_s": 0.0}))
    (folder / "environment.json").write_text(json.dumps({"cpu": "c"}))
    (folder / "status.json").write_text(json.dumps({"status": "complete"}))
    pd.DataFrame(
        {
            "slide": ["s0", "s1"],
            "patient": None,
            "label": ["a", "b"],
            "predicted": ["a", "b" if right else "a"],
            "prob_a": [0.9, 0.4],
            "prob_b": [0.1, 0.6],
            "patches": [4, 6],
            "decoded_px": [1_000_000, 3_000_000],
            "compressed_bytes": [500_000, 1_500_000],
            "seconds": seconds,
            "read_s": seconds,
            "encode_s": 0.0,
            "in_evidence": [0.5, None],
            "p_m0": [0.25, 0.75],
            "p_m1": [0.75, 0.25],
        }
    ).to_parquet(folder / "predictions.parquet")


@pytest.fixture
def out(tmp_path):
    write(tmp_path, "exhaustive", 0, [1.0, 4.0], True, 30.0)
    write(tmp_path, "search", 0, [1.0, 1.0], True, 60.0)
    write(tmp_path, "jsma", 0, [0.5, 0.5], False, 20.0)
    return tmp_path


def test_rows_by_hand(out):
    by = {row["strategy"]: row for row in compare(load_runs(out))}
    row = by["jsma"]
    assert (row["runs"], row["slides"], row["accuracy"], row["patches_per_slide"]) == (1, 2, 0.5, 5.0)
    assert (row["megapixels_decoded_per_slide"], row["megabytes_read_per_slide"]) == (2.0, 1.0)
    assert row["train_speedup_vs_exhaustive"] == pytest.approx(1.5)
    assert row["train_speedup_vs_search"] == pytest.approx(3.0)
    assert row["inference_speedup_vs_exhaustive"] == pytest.approx(4.0)  # geometric mean of 2 and 8
    assert row["in_evidence"] == 0.5 and row["bottleneck"] == "read 100%"


def test_speedups_pair_the_same_data_only(out):
    write(out, "jsma", 1, [9.0, 9.0], True, 99.0, data_hash="other")
    by = {row["strategy"]: row for row in compare(load_runs(out))}
    assert by["jsma"]["runs"] == 2 and by["jsma"]["train_speedup_vs_exhaustive"] == pytest.approx(1.5)
    only = [run for run in load_runs(out) if run.strategy == "jsma"]
    assert compare(only)[0]["train_speedup_vs_exhaustive"] is None


def test_damaged_and_unfinished_runs(out):
    (out / "x-half-0.partial").mkdir()
    assert len(load_runs(out)) == 3
    (out / "x-jsma-0-d" / "train.json").write_text("{")
    assert sorted(run.strategy for run in load_runs(out)) == ["exhaustive", "search"]
    for strategy in ("exhaustive", "search"):
        (out / f"x-{strategy}-0-d" / "train.json").write_text("{")
    with pytest.raises(UsageError, match="no run can be used; the first of 3: damaged run"):
        load_runs(out)


def test_published_files_hold_the_rows_and_their_provenance(out, tmp_path):
    found = compare_folders([out], None, 0.02)
    files = publish(found, tmp_path / "published" / "x", "the command")
    assert [f.suffix for f in files] == [".md", ".csv", ".json", ".png"] and all(f.stat().st_size for f in files)
    provenance = json.loads(files[2].read_text())
    assert provenance["command"] == "the command" and provenance["data_hashes"] == ["d"]
    assert len(provenance["runs"]) == 3
    text = re.sub(" +", " ", page(found, "the command"))
    assert "| a | 0.25 | 0.75 |" in text and "| x | jsma | 0.500 | - |" in text


def test_difference_pairs_slides_and_seeds(tmp_path):
    for seed, right in ((0, True), (1, False)):
        write(tmp_path, "jsma", seed, [1.0, 1.0], True, 1.0)
        write(tmp_path, "exhaustive-all", seed, [1.0, 1.0], right, 1.0)
    found = difference(load_runs(tmp_path))
    assert found["jsma"] == 1.0 and found["exhaustive-all"] == 0.75 and found["difference"] == 0.25
    assert found["slides"] == 2 and -1 < found["low"] < 0.25 < found["high"] <= 1


def test_scaling_ratios_are_paired_by_round():
    rows = pd.DataFrame(
        {
            "side0_px": 64,
            "strategy": ["a", "a", "b", "b"],
            "seconds": [1.0, 2.0, 10.0, 40.0],
            "patches": [1, 1, 9, 9],
            "tissue_cells": 9,
            "decoded_px": 1e6,
            "compressed_bytes": 1e6,
        }
    )
    first = summary(rows, "b")[0]
    assert (first["speedup_vs_b"], first["speedup_low"], first["speedup_high"]) == (15.0, 10.0, 20.0)
