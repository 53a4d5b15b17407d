"""What a report is made of: tables beside the runs are known by their records, not by their columns."""

import pandas as pd
import pytest

from bench.report.material import gather
from bench.runs.layout import Provenance
from bench.studies.made_up_runs import write


@pytest.fixture
def folder(tmp_path):
    write(4, tmp_path)
    return tmp_path


def put(folder, name, kind, data_hash="synthetic"):
    pd.DataFrame({"dataset": ["synthetic"], "accuracy": [0.5]}).to_csv(folder / f"{name}.csv", index=False)
    about = Provenance(kind=kind, command="made up", data_hashes=[data_hash])
    (folder / f"{name}.json").write_text(about.as_json())


def test_a_sweep_is_known_by_its_record(folder):
    put(folder, "a-table", "table")
    put(folder, "b-sweep", "sweep")
    put(folder, "c-other", "sweep", "of other data")
    (folder / "labels.csv").write_text("path,label\n")
    (folder / "d-cut.csv").write_text("dataset\n")
    (folder / "d-cut.json").write_text('{"kind": "swe')
    found = gather([folder], None, 0.02)
    assert list(found.sweeps) == ["synthetic"] and found.sweeps["synthetic"]["accuracy"].tolist() == [0.5]
    other, cut = sorted((line for line in found.left_out if "csv" in line), reverse=True)
    assert other == "sweep c-other.csv: made on other data than the runs"
    assert cut.startswith("d-cut.csv: it or its .json cannot be read")


def test_a_sweep_of_an_older_version_is_known_too(folder):
    put(folder, "sweep", "sweep")
    (folder / "sweep.json").write_text('{"command": "x", "data_hash": "synthetic", "sweep": {}, "settings": {}}')
    assert list(gather([folder], None, 0.02).sweeps) == ["synthetic"]
