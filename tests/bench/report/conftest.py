"""Made-up runs of two settings, a sweep of the same data, and the report over the first."""

import copy
import json

import pandas as pd
import pytest

from bench.report.material import gather
from bench.report.page.build import build
from bench.report.page.page import Commands
from bench.studies.made_up_runs import SETTINGS, write


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made-up") / "runs"
    write(8, folder)  # four strategies, two seeds
    failed = sorted(folder.glob("*jsma*"))[0] / "status.json"
    failed.write_text(json.dumps({"status": "complete", "failed": {"torn.svs": "tile row 1 <is> black"}}))
    (folder / "synthetic-late.partial").mkdir()
    rows = [
        {
            "dataset": "synthetic",
            "strategy": name,
            "mode": "sample",
            "budget": budget,
            "confidence": None,
            "trainings": 2,
            "draws": 3,
            "slides": 20,
            "accuracy": 0.5 + budget / 40,
            "accuracy_low": 0.4,
            "accuracy_high": 0.9,
            "sd_sampling": 0.05,
            "patches_per_slide": budget,
        }
        for name in ("jsma", "random")
        for budget in (2, 4, 8)
    ]
    pd.DataFrame(rows).to_csv(folder / "sweep.csv", index=False)
    (folder / "sweep.json").write_text(
        json.dumps({"command": "jsma-bench sweep", "sweep": {}, "data_hash": "synthetic"})
    )
    return folder


@pytest.fixture(scope="session")
def other_settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("others") / "runs"
    settings = copy.deepcopy(SETTINGS)
    settings["strategy"]["method"]["n_patches"] = 16
    write(4, folder, settings)
    return folder


@pytest.fixture(scope="session")
def material(runs):
    return gather([runs], None, 0.02)


@pytest.fixture(scope="session")
def report(material, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "made"
    build(material, folder, Commands("jsma-bench report <made-up>", "nothing ran"))
    return folder
