"""The product from outside: a whole run, a second run that skips, and every user's mistake."""

import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from baselines import DEFAULT
from bench.runs.kept.record import digest, seal

ROOT = Path(__file__).resolve().parents[3]
SMALL = ["--preset", "tiny", "--set", "name=test_resnet", "--set", "pretrained=null"]


def cli(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "bench.cli", *map(str, arguments)],
        cwd=cwd,
        text=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=1200,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return folder, cli("run", *SMALL, cwd=folder)


def test_run_prints_the_table(finished):
    folder, done = finished
    assert done.returncode == 0, done.stderr
    for word in ("jsma", "exhaustive-all", "search", "bottleneck", f"results: runs ({len(DEFAULT)} runs)"):
        assert word in done.stdout
    assert done.stderr.startswith("starting") and "training jsma: 1 of 2" in done.stderr
    assert "Traceback" not in done.stderr and "failed" not in done.stderr


def test_compare_json_has_the_promised_keys(finished):
    folder, _ = finished
    rows = json.loads(cli("compare", "--json", cwd=folder).stdout)
    assert {row["strategy"] for row in rows} == set(DEFAULT)
    promised = {
        "dataset",
        "strategy",
        "runs",
        "slides",
        "accuracy",
        "accuracy_low",
        "accuracy_high",
        "auc",
        "patches_per_slide",
        "megapixels_decoded_per_slide",
        "megabytes_read_per_slide",
        "train_s",
        "inference_s_per_slide",
        "train_speedup_vs_exhaustive",
        "train_speedup_vs_search",
        "inference_speedup_vs_exhaustive",
    }
    by = {row["strategy"]: row for row in rows}
    assert all(promised <= set(row) for row in rows)
    assert by["jsma"]["patches_per_slide"] == 32 and by["overview"]["patches_per_slide"] == 0
    assert by["exhaustive"]["inference_speedup_vs_exhaustive"] == pytest.approx(1)
    for form in ("--csv", "--md"):
        assert "jsma" in cli("compare", form, cwd=folder).stdout


def test_running_again_skips_what_is_complete(finished):
    folder, _ = finished
    before = {p: p.stat().st_mtime_ns for p in (folder / "runs").glob("*/status.json")}
    assert len(before) == len(DEFAULT)
    again = cli("run", *SMALL, cwd=folder)
    assert again.returncode == 0 and "taken over" not in again.stderr
    assert {p: p.stat().st_mtime_ns for p in (folder / "runs").glob("*/status.json")} == before


def test_runs_of_other_code_are_taken_over_and_named(finished):
    folder, _ = finished
    file = next((folder / "runs").glob("demo-jsma-*/environment.json"))
    before = file.read_text(), (file.parent / "status.json").read_text()
    status = json.loads(before[1])
    file.write_text(json.dumps({**json.loads(before[0]), "code": "0" * 12}))
    files = {**status["files"], file.name: digest(file.read_bytes())}
    (file.parent / "status.json").write_text(json.dumps(seal({**status, "files": files})))
    try:
        done = cli("run", *SMALL, cwd=folder)
    finally:
        file.write_text(before[0])
        (file.parent / "status.json").write_text(before[1])
    assert done.returncode == 0
    assert f"taken over: 1 of {len(DEFAULT)} runs" in done.stderr and file.parent.name in done.stderr


def test_ones_own_strategy_runs_and_another_version_of_its_file_is_another_run(finished):
    folder, _ = finished
    out, own = folder / "own", folder / "mine.py"
    text = (ROOT / "tests" / "baselines" / "mine.py").read_text()
    for number, own_text in enumerate((text, text, text + "\nMORE = 1\n")):
        own.write_text(own_text)
        done = cli("run", *SMALL, "--strategies", "mine.py:Mine", "--out", out, cwd=folder)
        assert done.returncode == 0, done.stderr
        assert len(list(out.glob("demo-mine-*/status.json"))) == (1, 1, 2)[number]
    assert "mine" in cli("compare", out, "--md", cwd=folder).stdout


def test_a_training_is_gone_on_with_by_the_code_that_began_it(finished):
    folder, _ = finished
    run = next((folder / "runs").glob("demo-random-*"))
    partial = folder / "broken-off" / f"{run.name}.partial"
    shutil.copytree(run, partial)
    trained = json.loads((run / "train.json").read_text())
    cases = (
        (trained["code"], None),
        ("0" * 12, None),
        (trained["code"], "weights.pt"),
        (trained["code"], "train.json"),
    )
    for number, (code, cut) in enumerate(cases):
        (partial / "status.json").unlink()
        (partial / "train.json").write_text(json.dumps({**trained, "code": code}))
        files = {name: digest((partial / name).read_bytes()) for name in ("train.json", "weights.pt")}
        (partial / "files.json").write_text(json.dumps(files))
        if cut:
            (partial / cut).write_bytes((partial / cut).read_bytes()[:-9])
        done = cli("run", *SMALL, "--strategies", "random", "--out", "broken-off", cwd=folder)
        assert done.returncode == 0, done.stderr
        again = json.loads((partial.with_suffix("") / "train.json").read_text())
        assert again["code"] == trained["code"] and (again["train_s"] == trained["train_s"]) is (number == 0)
        partial.with_suffix("").rename(partial)


def photos(folder, n=16, mpp=True):
    rng = np.random.default_rng(0)
    lines = ["path,label,mpp"]
    for i in range(n):
        pixels = rng.integers(60, 180, (160, 192, 3)).astype(np.uint8)
        pixels[..., 0] = np.minimum(255, pixels[..., 0].astype(int) + 60 + 40 * (i % 2))
        Image.fromarray(pixels).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{'ab'[i % 2]},{1.0 if mpp else ''}")
    (folder / "labels.csv").write_text("\n".join(lines))


def test_photos_with_one_damaged_file_end_in_code_3(tmp_path):
    photos(tmp_path)
    (tmp_path / "3.png").write_bytes(b"not a picture")
    done = cli(
        "run",
        "--slides",
        "labels.csv",
        "--strategies",
        "jsma,overview",
        *SMALL,
        "--set",
        "mpps=[1,2]",
        "--set",
        "mpp=1",
        cwd=tmp_path,
    )
    assert done.returncode == 3, done.stderr
    assert "3.png" in done.stderr and "Traceback" not in done.stderr


def blank_slide(path):
    tifffile.imwrite(path, np.zeros((128, 128, 3), np.uint8) + 90, photometric="rgb", tile=(64, 64))


MISTAKES = {
    "unknown strategy": (["run", "--strategies", "nope"], "there are: jsma"),
    "unknown dataset": (["run", "--dataset", "nope"], "there are: demo"),
    "unknown preset": (["run", "--preset", "nope"], "there are: demo"),
    "no csv": (["run", "--slides", "nope.csv"], "no such file"),
    "no label column": (["run", "--slides", "columns.csv"], "column label missing"),
    "empty label": (["run", "--slides", "empty.csv"], "line 3: label is empty"),
    "bad mpp": (["run", "--slides", "mpp.csv"], "line 2"),
    "missing file": (["run", "--slides", "missing.csv"], "gone.svs"),
    "no mpp": (["run", "--slides", "nompp.csv"], "mpp"),
    "unknown setting": (["run", "--set", "n_patchez=3"], "no setting called"),
    "bad estimator": (["run", "--set", "estimator=nope"], "allowed: "),
    "cuda absent": (["run", "--device", "cuda"], "use --device cpu"),
    "no runs": (["compare", "nowhere"], "run `jsma-bench run"),
    "unwritable out": (["run", "--out", "file.txt/runs"], "cannot be written"),
    "unknown option": (["run", "--frobnicate"], "No such option"),
    "bad list": (["list", "nope"], "allowed: strategies"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_gets_one_line_and_code_2(case, tmp_path):
    (tmp_path / "columns.csv").write_text("path,diagnosis\na.svs,x\n")
    (tmp_path / "empty.csv").write_text("path,label\na.svs,x\nb.svs,\n")
    (tmp_path / "mpp.csv").write_text("path,label,mpp\na.svs,x,half\n")
    (tmp_path / "missing.csv").write_text("path,label,mpp\ngone.svs,x,1\naway.svs,y,1\n")
    blank_slide(tmp_path / "blank.tif")
    (tmp_path / "nompp.csv").write_text("path,label\nblank.tif,x\nblank.tif,y\n")
    (tmp_path / "file.txt").touch()
    if case == "cuda absent":
        import torch

        if torch.cuda.is_available():
            pytest.skip("a CUDA device is visible here")
    arguments, words = MISTAKES[case]
    done = cli(*arguments, cwd=tmp_path)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert words in done.stderr and "Traceback" not in done.stderr


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(tmp_path):
    command = [sys.executable, "-m", "bench.cli", "run", *SMALL, "--set", "epochs=100000", "--set", "patience=100000"]
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # a job in the background ignores Ctrl-C, and so would what it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    deadline = time.monotonic() + 600
    while not list((tmp_path / "data").glob("*/labels.csv")) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(3)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=300)
    assert running.returncode == 130, stderr
    assert "run the same command again" in stderr and "Traceback" not in stderr


def test_a_process_that_is_spawned_does_not_run_the_command_again():
    """It imports the main module anew, under this name."""
    runpy.run_module("bench.cli", run_name="__mp_main__")
