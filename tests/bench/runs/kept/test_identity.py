"""The name of a run holds what decides it: what it does not use renames nothing, and older runs pair as they did."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pytest

from bench.analysis.entries import find_beside, group_runs
from bench.datasets import Dataset, SlideRecord
from bench.runs import run_key
from bench.runs.context import Context
from bench.runs.kept.finished import load_all
from bench.runs.kept.identity import RunKey, defaults_of, flat, plain
from bench.runs.settings.settings import RunSettings, TrainSettings
from tests.bench.runs.kept.test_finished import write

RECORDS = tuple(SlideRecord(f"{i}.tif", "ab"[i % 2], split=("train", "val", "test")[i // 4]) for i in range(12))


def key_of(settings, name="jsma"):
    return run_key.key_of(Context(Dataset("x", ("a", "b"), RECORDS), settings, Path()), name, 0, 0)


def named(settings, name="jsma"):
    return key_of(settings, name).name


def tuned(**of):
    return RunSettings(tuned=of)


def test_what_is_set_for_another_strategy_renames_nothing():
    assert named(tuned(clam={"clam_top": 4})) == named(RunSettings())
    assert named(tuned(clam={"clam_top": 4}), "clam") != named(RunSettings(), "clam")
    # the same in force, however it was said
    base = RunSettings()
    other = replace(base, train=replace(base.train, epochs=7))
    assert named(tuned(jsma={"epochs": 7})) == named(other) != named(base)


def test_a_new_setting_at_its_default_renames_nothing():
    @dataclass(frozen=True)
    class Longer(TrainSettings):
        warm_up: int = 0

    @dataclass(frozen=True)
    class More(RunSettings):
        train: TrainSettings = field(default_factory=Longer)
        extra: dict = field(default_factory=lambda: {"momentum": 0.9})

    own, now = asdict(RunSettings()), asdict(More())
    assert "warm_up" in now["train"]
    one, two, three = (
        RunKey("x", "d", "jsma", 0, 0, plain(settings), "", defaults_of(settings, defaults)).name
        for settings, defaults in (
            (own, own),
            (now, now),
            ({**now, "train": {**now["train"], "warm_up": 3}}, now),
        )
    )
    assert one == two != three


@pytest.mark.parametrize("change", ("view", "encoder", "train", "device", "cache", "strategy", "seed", "code", "data"))
def test_what_decides_a_run_renames_it(change):
    base = RunSettings()
    changed = {
        "view": lambda: named(replace(base, view=replace(base.view, overview_mpp=16.0))),
        "encoder": lambda: named(replace(base, encoder=replace(base.encoder, stage=2))),
        "train": lambda: named(replace(base, train=replace(base.train, batch=3))),
        "device": lambda: named(replace(base, device="cuda")),
        "cache": lambda: named(replace(base, cache="cold")),
        "strategy": lambda: named(base, "clam"),
        "seed": lambda: replace(key_of(base), seed=1).name,
        "code": lambda: replace(key_of(base), code="a = 1").name,
        "data": lambda: replace(key_of(base), data_hash="other").name,
    }[change]()
    assert changed.rpartition("-")[2] != named(base).rpartition("-")[2]


DEFAULTS = {
    "encoder.stage": 3,
    "encoder.frozen": True,
    "train.epochs": 100,
    "train.batch": 16,
    "train.learning_rate": 0.003,
    "train.weight_decay": 0.0001,
    "train.patience": 30,
    "train.features": "store",
    "train.standardise": True,
    "strategy.mpp": 0.5,
    "strategy.method.n_patches": 32,
    "strategy.method.estimator": "des-raj",
    "view.patch_px": 64,
    "view.overview_mpp": 32.0,
    "view.min_tissue": 0.25,
    "device": "cpu",
    "cache": "warm",
}


def test_defaults_enter_no_name_so_that_changing_one_is_another_matter():
    """Whoever changes a default gives finished runs of the old one the names of the new: they would be refused as
    damaged (their settings are compared too). Rename the field, or set it in the presets."""
    usual = {".".join(path): value for path, value in flat(plain(asdict(RunSettings())))}
    assert {name: usual[name] for name in DEFAULTS} == DEFAULTS


def rewrite(out, strategy, change):
    for folder in out.glob(f"x-{strategy}-*"):
        key = json.loads((folder / "settings.json").read_text())
        change(key)
        (folder / "settings.json").write_text(json.dumps(key))


def test_runs_made_before_are_read_as_they_were_in_force(tmp_path):
    whole = {"exhaustive": {"learning_rate": 0.01}, "jsma": {"n_patches": 4}}
    for strategy in ("exhaustive", "jsma", "search"):
        write(tmp_path, strategy, train={"learning_rate": 0.003}, tuned=whole)
    runs = {run.strategy: run for run in load_all([tmp_path]).runs}
    assert runs["exhaustive"].settings["train"]["learning_rate"] == 0.01
    assert runs["jsma"].settings["strategy"]["method"]["n_patches"] == 4
    assert runs["search"].settings["strategy"]["method"]["n_patches"] == 16 and runs["search"].tuned == {}
    assert len({run.group for run in runs.values()}) == 1
    # set for one alone and the same in all its runs: nothing to tell apart
    assert [entry.name for entry in group_runs(runs.values())] == ["exhaustive", "jsma", "search"]


def test_an_older_run_and_one_with_a_new_setting_at_its_default_are_one_row_and_one_group(tmp_path):
    write(tmp_path, "jsma", seed=0)
    write(tmp_path, "jsma", seed=1)
    write(tmp_path, "exhaustive", seed=0)

    def newer(key):
        key["settings"]["view"]["stain"] = None
        key["at_default"] = ["view.stain"]

    rewrite(tmp_path, "exhaustive", newer)
    (later,) = tmp_path.glob("x-jsma-0-1-*")
    key = json.loads((later / "settings.json").read_text())
    newer(key)
    (later / "settings.json").write_text(json.dumps(key))
    found = load_all([tmp_path]).runs
    assert [entry.name for entry in group_runs(found)] == ["exhaustive", "jsma"]
    assert len({run.group for run in found if run.seed == 0}) == 1


def test_rows_of_one_strategy_that_was_set_twice_are_told_apart_and_paired_with_the_other(tmp_path):
    for rate in (0.1, 0.2):
        write(tmp_path / str(rate), "jsma", tuned={"rate": rate}, train={"rate": rate})
    write(tmp_path / "o", "exhaustive", tuned={}, train={"rate": 0.3})
    runs = load_all([tmp_path / "o", tmp_path / "0.1", tmp_path / "0.2"]).runs
    found = group_runs(runs)
    assert [entry.name for entry in found] == ["exhaustive", "jsma[rate=0.1]", "jsma[rate=0.2]"]
    assert [find_beside(entry, "exhaustive", found) for entry in found] == [found[0]] * 3
    assert find_beside(found[0], "jsma", found) is None  # two, and neither is the one
