"""The name of a run holds what decides it: what it does not use renames nothing, and older runs pair as they did."""

import json
from dataclasses import asdict, dataclass, field, replace

import pytest

from baselines.zoom_mil import ZoomMIL, ZoomOptions
from bench.analysis.entries import find_beside, group_runs
from bench.datasets import Dataset, SlideRecord
from bench.runs.kept.directory import RunDirectory
from bench.runs.kept.finished import load_all
from bench.runs.kept.identity import RunKey, defaults_of, flat, plain
from bench.runs.run_key import make_key
from bench.runs.settings.overrides import assign
from bench.runs.settings.presets import PRESETS
from bench.runs.settings.settings import RunSettings, TrainSettings
from jsma.checked import checked
from tests.bench.runs.kept.test_finished import write

RECORDS = tuple(SlideRecord(f"{i}.tif", "ab"[i % 2], split=("train", "val", "test")[i // 4]) for i in range(12))


def key_of(settings, name="jsma"):
    return make_key(Dataset("x", ("a", "b"), RECORDS), settings, name, 0, 0)


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


BEFORE = (
    ("jsma", (), "d43cfcffb728"),
    ("zoom-mil", (), "c9914dc34124"),
    ("jsma", ("n_patches=8", "stage=2", "epochs=7"), "eb2fe453809a"),
    ("zoom-mil", ("zoom_sigma=0.01",), "297fa089520a"),
    ("adaptive", ("adaptive:first_look=2",), "0d17cbeb8bfa"),
    ("patch-selection", ("topk_samples=50", "topk_sigma=0.2"), "82e807f896d2"),
    ("exhaustive", ("patch_px=48", "mpps=[1,2]", "mpp=1"), "56910afc79af"),
    ("transmil-all", ("heads=2", "landmarks=16"), "252363dc1570"),
    ("ips", ("heads=2", "ips_shuffle=true"), "c918951952b9"),
    ("candidates", ("site_magnifications=[1,0,0,1]", "site_sharpness=2"), "032a889d1f9a"),
    ("search", ("fixed:mpp=2",), "719615ebf6e6"),
)
"""Strategy, what is set, and the hash in the name that the version gave whose strategies carried the options of all."""
OF_OTHERS = (
    ("jsma", ("zoom_sigma=0.01",), "7943e720c261"),
    ("jsma", ("zoom_sigma=0.01", "heads=4"), "7943e720c261"),  # a default never entered a name
    ("clam", ("heads=2", "clam_top=4"), "a4783ef1fcd2"),
    ("zoom-mil", ("topk_samples=50", "topk_sigma=0.2"), "e388ad796677"),
)
"""The same, where the name held an option of another strategy."""


@pytest.mark.parametrize(("name", "asked", "digest"), BEFORE)
def test_names_are_those_of_runs_made_before(name, asked, digest):
    key = key_of(assign(PRESETS["tiny"], RunSettings(), asked)[1], name)
    assert key.name.endswith(f"-{digest}") and key.former_names == ()


@pytest.mark.parametrize(("name", "asked", "digest"), OF_OTHERS)
def test_an_option_of_another_strategy_is_in_no_name_and_the_former_name_is_known(name, asked, digest, tmp_path):
    key = key_of(assign(PRESETS["tiny"], RunSettings(), asked)[1], name)
    assert digest not in key.name and key.former_names == (f"{key.name.rpartition('-')[0]}-{digest}",)
    directory = RunDirectory(tmp_path, key)
    assert directory.final.name == key.name and not directory.complete
    (tmp_path / key.former_names[0]).mkdir()
    assert RunDirectory(tmp_path, key).complete  # one that was made before is taken over
    (tmp_path / key.name).mkdir()
    assert RunDirectory(tmp_path, key).final.name == key.name
    assert "of_others" not in key.record()


def test_a_new_option_of_one_strategy_renames_no_run():
    @checked
    class Longer(ZoomOptions):
        warm_up: int = 0

    before, other = named(RunSettings(), "zoom-mil"), named(RunSettings())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ZoomMIL, "options_class", Longer)
        assert named(RunSettings(), "zoom-mil") == before and named(RunSettings()) == other
        changed = assign(PRESETS["tiny"], RunSettings(), ("warm_up=3",))[1]
        assert named(changed, "zoom-mil") != before and named(changed) == other


def test_earlier_runs_have_the_options_of_their_own_strategy_only(tmp_path):
    """And are one row with runs made since."""
    look = {"zoom_sigma": 0.002, "topk_samples": 500, "first_look": 4}
    for strategy in ("zoom-mil", "jsma"):
        for seed in (0, 1):
            write(tmp_path, strategy, seed=seed)

    def earlier(key):
        key["settings"]["strategy"]["look"] = look
        key["settings"]["strategy"]["method"]["patch_px"] = 64
        key["at_default"] = [f"strategy.look.{name}" for name in look]

    def now(key):
        own = {"zoom_sigma": 0.002, "topk_samples": 500} if key["strategy"] == "zoom-mil" else {}
        key["settings"]["strategy"]["options"] = own
        key["at_default"] = [f"strategy.options.{name}" for name in own]

    for number, change in enumerate((earlier, now)):
        for strategy in ("zoom-mil", "jsma"):
            (folder,) = tmp_path.glob(f"x-{strategy}-0-{number}-*")
            key = json.loads((folder / "settings.json").read_text())
            change(key)
            (folder / "settings.json").write_text(json.dumps(key))
    found = load_all([tmp_path]).runs
    options = {run.strategy: run.settings["strategy"].get("options", {}) for run in found}
    assert options == {"zoom-mil": {"zoom_sigma": 0.002, "topk_samples": 500}, "jsma": {}}
    assert [entry.name for entry in group_runs(found)] == ["jsma", "zoom-mil"]
