"""A training that is killed, wherever, goes on with the same command and ends as if it had not been."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from bench import files
from bench.runs.checkpoint import Checkpoint
from bench.runs.layout import CHECKPOINT
from bench.runs.plan import Request, planned
from bench.runs.runner import Plan, Runner
from jsma.encoders.encoder import build_encoder
from jsma.meter import Counters, Meter
from jsma.slides import open_slide
from tests.bench.runs.slides import two_colours

ROOT = Path(__file__).parents[3]
SMALL = (
    "mpps=[1.0,2.0]",
    "mpp=1.0",
    "overlap_from_mpp=9",
    "overview_mpp=4.0",
    "epochs=4",
    "patience=3",
    "n_patches=4",
    "name=test_resnet",
    "pretrained=null",
    "stage=null",
    "adapter_dim=8",
    "val_draws=2",
    "batch=4",
    "patch_px=32",
    "chunk=4",
)
TIMES = ("seconds", "rss_bytes")


class Report:
    """Progress: no bars; every `at`-th report of training ends in Ctrl-C, None: never."""

    def __init__(self, at=None):
        self.at, self.n = at, 0

    def __call__(self, what, done, total):
        if "training" in what:
            self.n += 1
            if self.n == self.at:
                raise KeyboardInterrupt

    def named(self, what):
        return lambda done, total: None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """10 slides of two colours, 128 px at 1 um/px: 16 patches of 32 px, and 4 at half the magnification."""
    folder = tmp_path_factory.mktemp("checkpoint")
    two_colours(folder, slides=10, side_px=128)
    return folder


def runner_of(folder, out, report, regime="frozen", *more):
    request = Request(
        slides=folder / "labels.csv",
        strategies=("mean",),
        preset="tiny",
        seeds=1,
        out=folder / out,
        data=folder,
        assignments=(*SMALL, *more),
        regime=regime,
    )
    context = planned(request, report)[0].context
    return Runner(replace(context, open_record=lambda record: open_slide(record.path, mpp=record.mpp, in_process=True)))


def plan(*names):
    return Plan(names, (0,))


@pytest.fixture
def always(monkeypatch):
    """A checkpoint after every epoch."""
    monkeypatch.setattr(Checkpoint, "due", property(lambda self: self.path is not None))


def kept(path):
    """All that a run keeps and that no clock decides."""
    train = json.loads((path / "train.json").read_text())
    curve = pd.read_parquet(path / "curve.parquet").drop(columns=list(TIMES))
    rows = pd.read_parquet(path / "predictions.parquet").sort_values("slide", ignore_index=True)
    same = [c for c in rows.columns if not c.endswith("_s") and c not in ("seconds", "turn", "cache", "joules")]
    weights = torch.load(path / "weights.pt", weights_only=True)
    return train["counters"], train["val_loss"], train["chosen"], curve, rows[same], weights


def assert_same(one, other):
    assert one[:3] == other[:3]
    pd.testing.assert_frame_equal(one[3], other[3], check_exact=True)
    pd.testing.assert_frame_equal(one[4], other[4], check_exact=True)
    for part in ("strategy", "encoder"):
        assert one[5][part].keys() == other[5][part].keys()
        assert all(torch.equal(value, other[5][part][key]) for key, value in one[5][part].items())


@pytest.fixture(scope="module")
def undisturbed(folder):
    """regime -> what its runs keep, made at one go."""
    found = {}
    for regime, names in (("frozen", ("jsma", "search", "mean")), ("finetuned", ("mean",))):
        runs = runner_of(folder, f"whole-{regime}", Report(), regime).run(plan(*names)).runs
        found[regime] = [kept(path) for path in runs]
    return found


def test_counters_do_not_depend_on_the_order_of_the_strategies(folder):
    found = []
    for order in itertools.permutations(("jsma", "mean", "zoom-in")):
        runner = runner_of(folder, "order", Report(), "frozen", "epochs=2")
        parts = runner.context.dataset.split(0, 5)
        encoder = build_encoder(runner.context.settings.encoder, 0)
        found.append({name: asdict(runner.trainer.train(name, encoder, parts, 0).counters) for name in order})
    assert found[0]["jsma"]["store_hits"] > 0
    assert all(counters == found[0] for counters in found)


@pytest.mark.parametrize(
    ("regime", "names", "at"), (("frozen", ("jsma", "search", "mean"), 4), ("finetuned", ("mean",), 2))
)
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(folder, undisturbed, always, regime, names, at):
    out, kills = f"killed-{regime}", 0
    while True:
        try:
            runs = runner_of(folder, out, Report(at), regime).run(plan(*names)).runs
            break
        except KeyboardInterrupt:
            kills += 1
            assert kills < 20
    assert kills >= 2
    for path, wanted in zip(runs, undisturbed[regime], strict=True):
        assert_same(kept(path), wanted)
        assert not list(path.glob(f"{CHECKPOINT}*"))
    assert not list((folder / out).glob("*.partial"))
    assert json.loads((runs[-1] / "train.json").read_text())["resumed_s"] > 0


CHILD = """
import sys, time
sys.path[:0] = {paths!r}
from bench.runs.checkpoint import Checkpoint
from tests.bench.runs.test_checkpoint import Report, plan, runner_of
from pathlib import Path
Checkpoint.due = property(lambda self: self.path is not None)
class Slow(Report):
    def __call__(self, what, done, total):
        if "training" in what and done == 2:
            time.sleep(600)
runner_of(Path({folder!r}), "sigkill", Slow()).run(plan("jsma"))
"""


def test_kill_9_in_a_process_of_its_own(folder, undisturbed, always):
    code = CHILD.format(paths=[str(ROOT)], folder=str(folder))
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        deadline = time.monotonic() + 300
        while not (found := list((folder / "sigkill").glob(f"*/{CHECKPOINT}"))) or epochs_in(found[0]) < 2:
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    asked = Report()
    (path,) = runner_of(folder, "sigkill", asked).run(plan("jsma")).runs
    assert asked.n == 2 + 1  # two epochs of four were left
    assert_same(kept(path), undisturbed["frozen"][0])


def epochs_in(path):
    state = Checkpoint(path).read()
    return 0 if state is None else state["fit"]["epoch"]


STATE = {"candidate": 0, "values": torch.arange(5), "best": None, "loss": 0.25}


@pytest.mark.parametrize(
    ("harm", "word"),
    (
        (lambda b: b[:-1], "damaged"),
        (lambda b: b[:40], "damaged"),
        (lambda b: b"", "damaged"),
        (lambda b: b[:-9] + bytes([b[-9] ^ 1]) + b[-8:], "damaged"),
        (lambda b: b"\x80garbage\n" + b, "damaged"),
        (lambda b: b"null\n" + b, "damaged"),
        (lambda b: b.replace(b'"code": "new"', b'"code": "old"'), "of another code"),
        (lambda b: b.replace(b'"format": 1', b'"format": 0'), "of another format"),
        (lambda b: b.replace(b'"run": "r"', b'"run": "s"'), "of another run"),
    ),
)
def test_what_is_damaged_or_of_another_run_is_ignored_with_a_line(tmp_path, caplog, harm, word):
    path = tmp_path / "x.partial" / CHECKPOINT
    checkpoint = Checkpoint(path, {"run": "r", "code": "new"})
    assert checkpoint.read() is None and not caplog.records  # nothing there, nothing to say
    checkpoint.write(STATE)
    found = checkpoint.read()
    assert found is not None and torch.equal(found.pop("values"), STATE["values"])
    assert found == {key: value for key, value in STATE.items() if key != "values"}
    assert [file.name for file in path.parent.iterdir()] == [CHECKPOINT]
    path.write_bytes(harm(path.read_bytes()))
    assert checkpoint.read() is None
    (said,) = caplog.messages
    assert said == f"{path}: {word} checkpoint; ignored, this training starts at its beginning"
    checkpoint.remove()
    assert not list(path.parent.iterdir())


def test_what_a_killed_process_was_writing_goes_and_another_s_stays(tmp_path, monkeypatch):
    """Names hold machine and process: two that write one checkpoint never share a file."""
    checkpoint = Checkpoint(tmp_path / CHECKPOINT, {}, every_s=0)
    dead, living = (tmp_path / f"{CHECKPOINT}.{files.host()}-{pid}.tmp" for pid in (999_999_999, os.getppid()))
    for path in (dead, living):
        path.write_text("half")
    written = []
    monkeypatch.setattr(files.os, "replace", lambda a, b: written.append(Path(a).name))
    checkpoint.write(STATE)
    assert written == [f"{CHECKPOINT}.{files.host()}-{os.getpid()}.tmp"] and living.read_text() == "half"
    assert checkpoint.read() is None and not dead.exists() and living.exists()


def test_a_full_disk_is_told_and_training_goes_on(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    checkpoint = Checkpoint(tmp_path / "file" / CHECKPOINT, {}, every_s=0)
    assert checkpoint.due
    checkpoint.write(STATE)
    (said,) = caplog.messages
    assert "cannot be written" in said and "training goes on" in said
    checkpoint = Checkpoint(tmp_path / CHECKPOINT, {}, every_s=30)
    assert not checkpoint.due and not Checkpoint(None, {}, every_s=0).due


def test_a_meter_goes_on_where_it_was(tmp_path):
    meter, other = Meter(), Meter()
    with meter.stage("read"):
        time.sleep(0.01)
    meter.charge("encode", 2.0)
    meter.count("s", Counters(patches=3, tiles=2))
    assert meter.new_patches("s", [4, 7, 7]) == 2
    other.count("gone", Counters(patches=1))
    state = meter.state()
    before_s = sum(state["ns"].values()) / 1e9
    time.sleep(0.3)
    other.restore(state)
    assert other.total() == meter.total() and other.charged_s == 2.0 and other.new_patches("s", [4, 8]) == 1
    assert before_s <= other.wall_s < before_s + 0.25
    assert sum(other.seconds().values()) == pytest.approx(other.wall_s + other.charged_s, abs=1e-3)
    wall_s = other.wall_s
    with other.paused():
        time.sleep(0.3)
    assert other.wall_s < wall_s + 0.25
