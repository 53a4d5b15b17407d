"""The probe finds what one magnification shows, counts what it read, and stands beside p(magnification)."""

import json

import numpy as np
import pytest
import tifffile

from bench.analysis.probe_record import FILE, load_probe
from bench.progress import Quiet
from bench.report.tables.probe_table import markdown
from bench.runs.plan import Request, planned
from bench.studies import linear_probe as module
from bench.studies.linear_probe import probe
from jsma.encoders.encoder import build_encoder


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Slides whose class is their colour: any magnification shows it."""
    folder = tmp_path_factory.mktemp("probe")
    lines = ["path,label"]
    for k in range(20):
        pixels = np.full((192, 256, 3), (150 + 60 * (k % 2) + k, 40, 90), np.uint8)
        pixels[::2] += 20
        tifffile.imwrite(
            folder / f"{k}.tif",
            pixels,
            photometric="rgb",
            tile=(64, 64),
            resolution=(1e4, 1e4),
            resolutionunit="CENTIMETER",
        )
        lines.append(f"{k}.tif,{'ab'[k % 2]}")
    (folder / "labels.csv").write_text("\n".join(lines))
    chosen = ("name=test_resnet", "pretrained=null", "mpps=[1,2]", "patch_px=32")
    request = Request(
        slides=folder / "labels.csv",
        strategies=(),
        preset="tiny",
        seeds=1,
        out=folder / "runs",
        data=folder,
        assignments=chosen,
    )
    runner, plan = planned(request, Quiet())
    return runner, plan, probe(runner, plan, 3)


def test_what_is_there_is_found_and_what_is_not_is_chance(found, monkeypatch):
    runner, plan, table = found
    assert [row["mpp"] for row in table["rows"]] == [1, 2]
    parts = runner.context.dataset.split(0, plan.n_folds)
    for row in table["rows"]:
        assert (row["n"], row["n_train"]) == (len(parts["test"]), len(parts["train"]))
        assert row["accuracy"] == 1.0 and row["accuracy_low"] < 1.0
    rng = np.random.default_rng(0)
    blind = [(r, [rng.normal(size=4), None]) for r in runner.context.dataset.records]
    rows = [module._row({"train": blind[:10], "test": blind[10:]}, m, 1.0) for m in (0, 1)]
    assert 0.0 < rows[0]["accuracy"] < 1.0 and rows[1]["accuracy"] is None and rows[1]["n"] == 0
    assert markdown({"rows": rows[1:]}).split()[-9:] == ["|", "1", "|", "-", "|", "-", "|", "0", "|"]


def test_its_cost_is_counted(found):
    runner, plan, table = found
    parts = runner.context.dataset.split(0, plan.n_folds)
    encoder = build_encoder(runner.context.settings.encoder, 0)
    calibrated = runner.trainer.calibrations.of(encoder, parts["train"], runner.context).counters.patches
    assert table["cost"]["patches"] == calibrated + (len(parts["train"]) + len(parts["test"])) * 2 * 3
    assert table["cost"]["decoded_px"] > 0 and table["cost"]["seconds"] > 0


def test_only_a_probe_of_the_same_data_is_shown(found, tmp_path):
    (tmp_path / FILE).write_text(json.dumps(found[2]))
    assert load_probe([tmp_path], {found[2]["data_hash"]}) == found[2]
    assert load_probe([tmp_path, tmp_path / "none"], {"other"}) is None
