"""A whole `jsma-bench run` on each published layout, and on a user's own CSV and dataset file."""

import json

import pandas as pd
import pytest

from tests.bench.datasets import images, layouts

SMALL = [
    "--preset",
    "tiny",
    "--strategies",
    "jsma,overview",
    "--set",
    "name=test_resnet",
    "--set",
    "pretrained=null",
    "--set",
    "epochs=1",
]
TESTED = {"bach": 12, "bach-wsi": 2, "tcga-prad": 4, "tcga-prad:binary": 4, "camelyon16": 5, "panda": 4}


@pytest.mark.parametrize("name", TESTED)
def test_run_on_the_layout(name, built, command, tmp_path):
    run = ["run", "--dataset", name, "--data", built(name.split(":")[0]), *SMALL, "--out", tmp_path]
    if name == "bach-wsi":  # two slides a fold, of four classes
        code, out, err = command(*run)
        assert code == 2 and "parts: class normal: no readable slide in " in err
        run.append("--accept-findings")
    code, out, err = command(*run)
    assert code == 0, err
    assert "jsma" in out and "results:" in out
    runs = sorted(tmp_path.glob("*/status.json"))
    assert len(runs) == 2
    for status in runs:
        rows = pd.read_parquet(status.parent / "predictions.parquet")
        assert len(rows) == pytest.approx(TESTED[name], abs=1 if name == "panda" else 0)
        settings = json.loads((status.parent / "settings.json").read_text())
        assert len(settings["settings"]["split"]) == 16 and len(settings["data_hash"]) == 16
    if name in ("bach-wsi", "camelyon16", "panda"):
        jsma = pd.concat([pd.read_parquet(s.parent / "predictions.parquet") for s in runs if "-jsma-" in s.parent.name])
        shares = jsma.set_index("slide")["in_evidence"].astype(float)
        assert shares.notna().any() and shares.dropna().between(0, 1).all()
    if name == "camelyon16":
        assert shares[["test_003", "test_004", "test_114"]].isna().all(), "normal, and not fully annotated"


def test_run_on_photos_of_ones_own_with_annotations(command, tmp_path):
    rows = []
    for k in range(12):
        images.pyramid(tmp_path / "slides" / f"{k}.tif", k)
        rows.append(
            {
                "path": f"slides/{k}.tif",
                "label": "ab"[k % 2],
                "patient": f"p{k // 2 % 5}{k % 2}",
                "annotation": f"slides/{k}.geojson",
            }
        )
        ring = [*layouts.SQUARE, layouts.SQUARE[0]]
        feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {}}
        (tmp_path / "slides" / f"{k}.geojson").write_text(
            json.dumps({"type": "FeatureCollection", "features": [feature]})
        )
    csv = layouts.labelled(tmp_path, rows)
    code, _, err = command("run", "--slides", csv, *SMALL, "--out", tmp_path / "runs")
    assert code == 0, err
    table = pd.read_parquet(next((tmp_path / "runs").glob("*-jsma-*/predictions.parquet")))
    assert table["in_evidence"].between(0, 1).all()
    assert set(table["slide"]) <= {r["path"] for r in rows}
