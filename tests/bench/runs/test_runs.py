"""Who makes which run: what others make is awaited, what is damaged set aside, and no strategy ends the others."""

import json
import threading
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from baselines.contract import ask
from bench.claims import Claims
from bench.datasets import Card, Dataset, SlideRecord
from bench.errors import UsageError
from bench.runs import infer, queue, runner
from bench.runs.checkpoint import Checkpoint
from bench.runs.context import Context
from bench.runs.kept import directory
from bench.runs.kept.finished import load_all
from bench.runs.runner import Plan, Runner
from bench.runs.saved import train_or_restore
from bench.runs.settings.settings import RunSettings, TrainSettings
from bench.runs.trainer import Trainer
from jsma import JSMASettings
from jsma.encoders.encoder import EncoderSettings
from jsma.errors import ContractError
from jsma.metered import ViewSettings
from jsma.slides import DamagedSlideError, open_slide
from tests.bench.runs.kept.test_record import recorded

VIEW = ViewSettings(mpps=(1.0, 2.0), patch_px=32, overview_mpp=4.0)
MPPS = (1.0, 2.0)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("slides"), []
    for i in range(8):
        pixels = np.full((128, 192, 3), (150 + 10 * i, 40, 90), np.uint8)
        pixels[::2] += 20
        tifffile.imwrite(
            folder / f"{i}.tif",
            pixels,
            photometric="rgb",
            tile=(64, 64),
            resolution=(1e4, 1e4),
            resolutionunit="CENTIMETER",
        )
        split = ("train", "train", "val", "test")[i // 2]
        found.append(SlideRecord(str(folder / f"{i}.tif"), "ab"[i % 2], split=split, name=f"s{i}"))
    return Dataset("x", ("a", "b"), tuple(found))


def settings():
    base = RunSettings(
        view=VIEW, encoder=EncoderSettings("test_resnet", pretrained=None), train=TrainSettings(epochs=1)
    )
    method = JSMASettings(n_patches=2, mpps=MPPS)
    return replace(base, strategy=replace(base.strategy, method=method, mpp=1.0))


class Quiet(Runner):
    """Opens slides in this process, of which those in `broken` cannot be read; notes what is said."""

    def __init__(self, dataset, out, broken=()):
        self.said: list[str] = []
        self.opened = 0
        self.broken = frozenset(broken)
        super().__init__(Context(dataset, settings(), out, say=self.said.append, open_record=self.open_record))

    def open_record(self, record):
        self.opened += 1
        slide = open_slide(record.path, in_process=True)
        if record.name in self.broken:

            def torn(_):
                raise DamagedSlideError("tile row 1 is all black")

            slide.read = torn  # pyright: ignore[reportAttributeAccessIssue]
        return slide


def kept(result):
    return {path.name: (path / "predictions.parquet").stat().st_mtime_ns for path in result.runs}


def test_what_is_complete_stays_and_what_is_damaged_is_set_aside_and_made_anew(dataset, tmp_path):
    plan = Plan(("random", "overview"), (0,))
    first = Quiet(dataset, tmp_path)
    made = first.run(plan)
    assert made.whole and len(made.runs) == 2 and not first.said
    assert not list(tmp_path.glob("*.claim")) and not list(tmp_path.glob("*.partial"))
    again = Quiet(dataset, tmp_path)
    assert kept(again.run(plan)) == kept(made) and again.opened == 0
    damaged = made.runs[0]
    (damaged / "train.json").write_text("null")
    third = Quiet(dataset, tmp_path)
    anew = third.run(plan)
    assert kept(anew)[made.runs[1].name] == kept(made)[made.runs[1].name]
    (line,) = third.said
    assert "damaged run" in line and "set aside as" in line and "\n" not in line
    aside = tmp_path / f"{damaged.name}.damaged"
    assert (aside / "train.json").read_text() == "null" and len(load_all([tmp_path]).runs) == 2


def test_settings_that_are_not_those_of_the_name_are_damage(dataset, tmp_path):
    plan = Plan(("overview",), (0,))
    (run,) = Quiet(dataset, tmp_path).run(plan).runs
    key = json.loads((run / "settings.json").read_text())
    key["settings"]["train"]["batch"] = 3
    (run / "settings.json").write_text(json.dumps(key))
    recorded(run)
    quiet = Quiet(dataset, tmp_path)
    quiet.run(plan)
    assert "train.batch is 3" in quiet.said[0]


def test_a_run_without_a_prediction_is_not_kept_and_is_tried_again(dataset, tmp_path):
    plan = Plan(("random",), (0,))
    quiet = Quiet(dataset, tmp_path, broken={"s6", "s7"})
    made = quiet.run(plan)
    assert not made.whole and not made.runs and set(made.failed) == {"s6", "s7"}
    assert "none of its 2 test slides could be read" in next(iter(made.empty.values()))
    assert not list(tmp_path.glob("*/status.json"))
    mended = Quiet(dataset, tmp_path).run(plan)
    assert mended.whole and len(load_all(mended.runs).runs[0].predictions) == 2


@pytest.mark.parametrize("ordered", [True, False])
def test_a_run_records_whether_its_classes_are_ordered(ordered, dataset, tmp_path):
    card = Card("x", "x", "1", "-", "-", "-", ("a", "b", "c"), {}, 0, None, "kappa", ordered=ordered)
    made = Quiet(replace(dataset, card=card), tmp_path).run(Plan(("random",), (0,)))
    (run,) = load_all(made.runs).runs
    assert run.class_order == (("a", "b", "c") if ordered else ())


def test_what_failed_is_told_by_every_later_run(dataset, tmp_path):
    plan = Plan(("random",), (0,))
    quiet = Quiet(dataset, tmp_path, broken={"s6"})
    assert quiet.run(plan).whole
    again = Quiet(dataset, tmp_path).run(plan)
    assert again.whole and "all black" in again.failed["s6"] and "recorded" in again.failed["s6"]
    (run,) = load_all(again.runs).runs
    assert list(run.failed) == ["s6"]


def test_one_strategy_that_cannot_work_does_not_end_the_others(dataset, tmp_path, monkeypatch):
    def sometimes(trainer, name, *rest):
        if name == "mean":
            raise UsageError("mean: width must be a multiple of heads")
        return train_or_restore(trainer, name, *rest)

    monkeypatch.setattr(runner, "train_or_restore", sometimes)
    made = Quiet(dataset, tmp_path).run(Plan(("random", "mean"), (0, 1)))
    assert list(made.ended) == ["mean"] and len(made.runs) == 2 and not made.whole
    with pytest.raises(UsageError, match="multiple of heads"):
        Quiet(dataset, tmp_path).run(Plan(("mean",), (0,)))
    assert not list(tmp_path.glob("*.claim"))


BREAKS = {  # what overview raises at inference: on these slides, with this cause
    "contract, on the second": ({"s7"}, None, "ended"),
    "contract, on every slide": ({"s6", "s7"}, None, "ended"),
    "a setting": ({"s6", "s7"}, UsageError("width"), "ended"),
    "any error, on every slide": ({"s6", "s7"}, ValueError("shape"), "ended"),
    "any error, on one slide": ({"s6"}, ValueError("shape"), "failed"),
}


@pytest.mark.parametrize("case", BREAKS)
def test_a_strategy_that_breaks_at_inference_ends_alone(case, dataset, tmp_path, monkeypatch):
    slides, cause, what = BREAKS[case]

    def breaking(strategy, asked, generator):
        if strategy.name == "overview" and asked[0].id in slides:
            raise ContractError(f"strategy 'overview', slide {asked[0].id}: logits are nan") from cause
        return ask(strategy, asked, generator)

    monkeypatch.setattr(infer, "ask", breaking)
    made = Quiet(dataset, tmp_path).run(Plan(("random", "overview", "mean"), (0, 1)))
    kept = {"random": 2, "mean": 2} if what == "ended" else {"random": 2, "mean": 2, "overview": 2}
    runs = load_all(made.runs).runs
    assert Counter(run.strategy for run in runs) == kept
    wanted = ["s6", "s7"] if what == "ended" else ["s7"]
    assert all(list(run.predictions["slide"]) == wanted for run in runs)
    assert list(made.ended) == (["overview"] if what == "ended" else [])
    assert list(made.failed) == ([] if what == "ended" else ["s6"])
    if what == "ended":
        assert "logits are nan" in made.ended["overview"] and len(list(tmp_path.glob("*.partial"))) == 1
        with pytest.raises(ContractError, match="logits are nan"):  # code 2 where no other goes on
            Quiet(dataset, tmp_path).run(Plan(("overview",), (0,)))


def test_what_another_process_makes_is_awaited_and_taken_over(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(queue, "POLL_S", 0.05)
    (tmp_path / "there").mkdir()
    (done,) = Quiet(dataset, tmp_path / "there").run(Plan(("overview",), (0,))).runs
    other = Claims(tmp_path)
    assert other.take(done.name) is None
    limited = Quiet(dataset, tmp_path).run(Plan(("random", "overview"), (0,), wait_s=0.2))
    assert limited.elsewhere == [done.name] and len(limited.runs) == 1  # its own was made meanwhile

    def finish():
        time.sleep(0.5)
        done.rename(tmp_path / done.name)
        other.release(done.name)

    thread = threading.Thread(target=finish)
    thread.start()
    quiet = Quiet(dataset, tmp_path)
    made = quiet.run(Plan(("random", "overview"), (0,)))
    thread.join()
    assert made.whole and len(made.runs) == 2 and "waiting for 1 runs" in quiet.said[0]
    assert list((tmp_path / "there").glob("x-*")) == []


def test_what_another_process_gives_up_is_made(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(queue, "POLL_S", 0.05)
    quiet = Quiet(dataset, tmp_path)
    name = quiet.directory("overview", 0, 0, Plan(("overview",), (0,))).key.name
    other = Claims(tmp_path)
    other.take(name)
    thread = threading.Timer(0.4, other.close)
    thread.start()
    assert quiet.run(Plan(("overview",), (0,))).whole
    thread.join()


def interrupted(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize("moment", ("infer", "rename"))
def test_what_was_trained_before_a_kill_is_not_trained_again(moment, dataset, tmp_path, monkeypatch):
    """The kill comes before the checkpoint of the finished training is removed, or before the run is renamed."""
    plan = Plan(("random",), (0,))
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "remove", lambda self: self.path.write_text("left"))
        patched.setattr(*((runner, "infer") if moment == "infer" else (directory.os, "rename")), interrupted)
        with pytest.raises(KeyboardInterrupt):
            Quiet(dataset, tmp_path).run(plan)
    monkeypatch.setattr(Trainer, "train", lambda *_: pytest.fail("trained again"))
    (run,) = Quiet(dataset, tmp_path).run(plan).runs
    assert not list(run.glob("*.checkpoint")) and len(load_all([run]).runs[0].predictions) == 2
