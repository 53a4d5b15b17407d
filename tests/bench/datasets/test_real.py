"""Optional: real photos with `--slides`, prepared as pyramids; skipped, saying so, where they are absent."""

import csv
import os
from pathlib import Path

import pandas as pd
import pytest

from bench.datasets.labelled import load

ROOT = Path(os.environ.get("JSMA_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
SMALL = [
    "--preset",
    "tiny",
    "--strategies",
    "jsma",
    "--set",
    "name=test_resnet",
    "--set",
    "pretrained=null",
    "--set",
    "epochs=1",
    "--set",
    "mpps=[1,2,4]",
    "--set",
    "n_patches=4",
    "--set",
    "overview_max_px=128",
]
COUNTS = {
    "endometrium": {"EA": 59, "EH": 55, "EP": 12, "NE": 74},
    "osteosarcoma": {"Non-Tumor": 20, "Non-Viable-Tumor": 20, "Viable": 20},
}


def real(name):
    table = ROOT / name / "labels.csv"
    if not table.is_file():
        pytest.skip(f"the real {name} images are not here; name their parent folder in JSMA_DATA")
    return table


def with_scale(table, to):
    """The table with absolute paths and 1 um/px (10x: documented for osteosarcoma, assumed for endometrium)."""
    rows = list(csv.DictReader(table.open()))
    with to.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, ["path", "label", "patient", "mpp"])
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {"path": table.parent / row["path"], "label": row["label"], "patient": row.get("patient", ""), "mpp": 1}
            )
    return to


@pytest.mark.parametrize("name", COUNTS)
def test_real_photos_run_through_slides(name, command, tmp_path):
    table = with_scale(real(name), tmp_path / f"{name}.csv")
    code, out, err = command("data", "prepare", table, "--to", tmp_path / name)
    assert code == 0, err
    assert f"{sum(COUNTS[name].values())} converted" in out
    prepared = load(tmp_path / name / "labels.csv")
    assert {c: sum(r.label == c for r in prepared.records) for c in prepared.classes} == COUNTS[name]
    code, out, err = command(
        "run", "--slides", tmp_path / name / "labels.csv", *SMALL, "--out", tmp_path / "runs", "--accept-findings"
    )  # a drawn part of few patients lacks a class
    assert code == 0, err
    rows = pd.read_parquet(next((tmp_path / "runs").glob("*-jsma-*/predictions.parquet")))
    assert set(rows["slide"]) == {r.id for r in prepared.split(0, 5)["test"]}
    if name == "osteosarcoma":
        assert rows["patient"].notna().all()


def test_osteosarcoma_folds_keep_patients_together():
    dataset = load(real("osteosarcoma"))
    assert len({r.patient for r in dataset.records}) == 7
    tested = []
    for fold in range(5):
        parts = dataset.split(fold, 5)
        patients = [{r.patient for r in part} for part in parts.values()]
        assert not (patients[0] & patients[1] or patients[0] & patients[2] or patients[1] & patients[2])
        assert {r.label for r in parts["train"]} == set(dataset.classes), "every class can be learnt"
        tested += [r.id for r in parts["test"]]
    assert sorted(tested) == sorted(r.id for r in dataset.records), "each photo is tested once"
