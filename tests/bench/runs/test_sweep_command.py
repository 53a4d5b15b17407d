"""`jsma-bench sweep`: trains and sweeps in one command, again from what is kept, mistakes in one line."""

import json
import subprocess

import pandas as pd
import pytest
import torch

from bench import files
from bench.runs.kept.finished import load_all
from tests.bench.runs.kept.test_record import recorded
from tests.bench.runs.test_sweep import OWN, write_slide


def test_one_command_trains_and_sweeps(tmp_path, command):
    lines = ["path,label"]
    for k in range(20):
        write_slide(tmp_path / f"{k}.tif", 40 * (k % 2) + k)
        lines.append(f"{k}.tif,{'ab'[k % 2]}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    asked = [
        "sweep",
        "--slides",
        tmp_path / "labels.csv",
        "--strategies",
        f"jsma,overview,adaptive,{OWN}",
        "--top",
        "jsma",
        "--budgets",
        "3,1",
        "--draws",
        "4",
        "--confidences",
        "1,0",
        "--set",
        "first_look=2",
        "--preset",
        "tiny",
        "--out",
        tmp_path / "runs",
        "--set",
        "name=test_resnet",
        "--set",
        "pretrained=null",
        "--set",
        "mpps=[1,2]",
        "--set",
        "patch_px=32",
        "--json",
        "--save",
        tmp_path / "made" / "sweep-0.5",
    ]
    code, out, err = command(*asked)
    assert code == 0, err
    rows = json.loads(out)
    assert [(r["strategy"], r["mode"], r["budget"], r["confidence"], r["draws"]) for r in rows] == [
        ("jsma", "sample", 1, None, 4),
        ("jsma", "sample", 3, None, 4),
        ("jsma", "top", 1, None, 1),
        ("jsma", "top", 3, None, 1),
        ("overview", "sample", None, None, 1),
        ("adaptive", "sample", 3, 0, 4),
        ("adaptive", "sample", 3, 1, 4),
        ("mine", "sample", 1, None, 4),
        ("mine", "sample", 3, None, 4),
    ]
    assert [r["patches_per_slide"] for r in rows] == [1, 3, 1, 3, 0, 2, 3, 1, 3]
    assert set(pd.read_parquet(next((tmp_path / "runs").glob("*-mine-*")) / "sweep.parquet")["strategy"]) == {"mine"}
    assert rows[0]["flip_rate"] is not None and rows[2]["flip_rate"] is None
    made = {p.suffix for p in (tmp_path / "made").iterdir()}
    assert made == {".md", ".csv", ".json", ".png"}
    assert "--budgets 3,1" in json.loads((tmp_path / "made" / "sweep-0.5.json").read_text())["command"]
    kept = pd.read_parquet(next((tmp_path / "runs").glob("*-jsma-*")) / "sweep.parquet")
    assert kept.groupby(["mode", "budget"])["draw"].nunique().to_dict() == {
        ("sample", 1): 4,
        ("sample", 3): 4,
        ("top", 1): 1,
        ("top", 3): 1,
    }
    trained = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").glob("*/weights.pt")}
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = next((tmp_path / "runs").glob("*-jsma-*")) / f"sweep.parquet.{files.host()}-{dead.pid}.tmp"  # by a kill
    left.touch()
    code, again, _ = command(*asked[:-2])
    assert not left.exists()
    timeless = [[{k: v for k, v in r.items() if "seconds" not in k} for r in json.loads(text)] for text in (out, again)]
    assert code == 0 and timeless[0] == timeless[1]
    again_kept = pd.read_parquet(next((tmp_path / "runs").glob("*-jsma-*")) / "sweep.parquet")
    assert len(again_kept) == len(kept)
    assert trained == {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").glob("*/weights.pt")}
    (swept,) = (tmp_path / "runs").glob("*-jsma-*/sweep.parquet")
    content = bytearray(swept.read_bytes())
    content[30:34] = b"\xff\xfe\xfd\xfc"
    swept.write_bytes(content)
    assert "sweep.parquet was changed" in load_all([tmp_path / "runs"]).damaged[0]
    code, again, err = command(*asked[:-2])
    assert code == 0 and len([line for line in err.splitlines() if "set aside as sweep.parquet.damaged" in line]) == 1
    assert len(pd.read_parquet(swept)) == len(kept) and not load_all([tmp_path / "runs"]).damaged
    assert trained == {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").glob("*/weights.pt")}, "not trained again"
    (weights,) = (tmp_path / "runs").glob("*-adaptive-*/weights.pt")
    state = torch.load(weights, weights_only=True)
    del state["strategy"]["sharpness"]  # as an earlier version left them
    torch.save(state, weights)
    recorded(weights.parent)
    code, out, err = command(*asked[:-2])
    (line,) = [line for line in err.splitlines() if "error" in line]
    assert code == 2 and out == "" and "another version of adaptive" in line and str(weights.parent) in line
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    (
        (("--budgets", "2,x"), "give whole numbers"),
        (("--budgets", "0,2"), "allowed: 1 or more"),
        (("--confidences", "0.5,2"), "allowed: 0 to 1"),
        (("--confidences", "high"), "give numbers in 0..1"),
        (("--top", "fixed"), "not among --strategies"),
    ),
)
def test_a_mistake_gets_one_line(arguments, words, command):
    code, out, err = command("sweep", *arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1) and words in err
